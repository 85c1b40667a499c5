// What the last plain request of each order came to.
//
// Most callers ask for the same again and again. What follows from the request and the machine's
// constants alone is then the same too, up to the first zone that is tried; it is kept here, so
// that only what the zone holds has to be looked at. Where that zone does not serve, the request is
// settled and the zones are walked as for the first time, with the same verdicts.

@safe struct RecentBlocks: ~Copyable {
    private let entries: UnsafeMutablePointer<Entry?>

    /// A request that has no policy and no cpuset, with what was settled for it.
    private struct Entry {
        let flags: GFPFlags
        let node: NodeID?
        let lowBoundary: UInt64
        let highBoundary: UInt64
        let cpu: Int?

        let decision: PlacementDecision

        /// The first attempt, and the first zone that it tries.
        let attempt: PlacementDecision.Attempt
        let zone: Int
        let numa: NUMACount

        /// nil for a request that is not of this kind, or that may use no zone.
        init?(
            _ request: borrowing AllocationRequest, _ decision: PlacementDecision,
            on machine: borrowing Machine
        ) {
            guard Self.isKept(request) else { return nil }
            var attempts = PlacementDecision.Attempts(of: decision, on: machine)
            guard let attempt = attempts.next(of: decision, on: machine),
                let zone = decision.preferredZone(attempt.nodes, on: machine)
            else { return nil }
            flags = decision.effectiveFlags
            node = request.control.node
            lowBoundary = request.control.lowBoundary
            highBoundary = request.control.highBoundary
            cpu = request.cpu
            self.decision = decision
            self.attempt = attempt
            self.zone = zone
            numa = decision.numaCount(ofGrantFrom: zone, attempt: attempt, on: machine)
        }

        @inline(__always)
        static func isKept(_ request: borrowing AllocationRequest) -> Bool {
            request.control.isPlainBlock && request.control.memoryPolicy == nil
                && request.control.allowedNodes == nil
        }

        /// Whether the request, of the same order, is the same.
        @inline(__always)
        func isOf(_ request: borrowing AllocationRequest) -> Bool {
            Self.isKept(request) && flags == request.effectiveFlags
                && lowBoundary == request.control.lowBoundary
                && highBoundary == request.control.highBoundary && node == request.control.node
                && cpu == request.cpu
        }
    }

    init() {
        unsafe entries = .allocate(capacity: Order.count)
        unsafe entries.initialize(repeating: nil, count: Order.count)
    }

    deinit {
        unsafe entries.deallocate()
    }

    /// Keeps what a request that was granted had been settled to.
    mutating func note(
        _ request: borrowing AllocationRequest, _ decision: PlacementDecision,
        on machine: borrowing Machine
    ) {
        guard let entry = Entry(request, decision, on: machine) else { return }
        unsafe entries[decision.order.rawValue] = entry
    }

    /// What the request gets from the first zone that it tries; nil, with nothing changed, where it
    /// is not known or that zone does not serve.
    @inline(__always)
    func take(
        _ request: borrowing AllocationRequest,
        from zones: UnsafeMutablePointer<PageAllocator.ZoneState>, on machine: borrowing Machine
    ) -> Grant? {
        guard let entry = unsafe entries[request.control.order.rawValue], entry.isOf(request)
        else { return nil }
        let verdict = unsafe entry.decision.watermarkVerdict(
            on: zones[entry.zone].buddies.counters, ofZone: entry.zone, attempt: entry.attempt,
            machine: machine)
        guard verdict == nil else { return nil }
        let grant = unsafe entry.decision.takeBlock(
            from: &zones[entry.zone], zone: entry.zone, entry.attempt, numa: entry.numa,
            on: machine)
        guard let grant else { return nil }
        precondition(entry.decision.isMet(byBlock: grant), "a grant is not what was asked for")
        return grant
    }
}
