// What a refusal shows for itself. Every claim is found by asking the allocator's own walk and
// exact search about a request that differs in one thing, so that it holds at this moment, and can
// be checked by whoever sees the free pages and the live grants.
//
// It is made for each refusal, on the way of every other request: each search in it is bounded by
// one of the limits below.

extension Certificate {
    /// Conforming places whose live pages are counted for one certificate. Where there are more,
    /// as many are looked at, spread evenly over all.
    public static let maximumPlacesSearched = 128

    /// Grants named in one certificate; of more those with the lowest pages.
    public static let maximumBlockersNamed = 256

    /// Up to so many segments are tried for what more of them would do.
    public static let maximumSegmentsTried = 64

    /// Zones, and other nodes, that are asked for the nearest change of one field.
    public static let maximumZonesTried = 8
}

extension PageAllocator {
    /// The certificate of a request that was just refused.
    func certificate(for request: AllocationRequest) -> Certificate {
        let binding = bindingConstraint(of: request)
        let largest = largestFeasible(request)
        let cheapest = cheapestPlace(for: request)
        return Certificate(
            largestFeasible: largest, bindingConstraint: binding,
            nearestRelaxations: relaxations(of: request, binding: binding, largest: largest),
            cheapestWindow: cheapest?.frames, blockers: cheapest?.blockers ?? [],
            pagesToMove: cheapest?.pagesToMove ?? 0,
            isCheapestProved: cheapest?.isProved ?? true)
    }

    /// What would be granted to the request at this moment; nil for a refusal.
    func placement(of request: AllocationRequest) -> [FrameRange]? {
        guard let settled = try? SettledRequest(request, on: machine) else { return nil }
        let zones = unsafe zones
        return settled.decision.walk(
            on: machine, counters: { unsafe zones[$0].buddies.counters },
            take: { zone, attempt in
                unsafe settled.find(in: &zones[zone], zone: zone, attempt, on: machine)
            })
    }

    // MARK: The largest request

    /// With fewer pages and all else the same: a block of a lower order, or a shorter run, in one
    /// piece however many segments were allowed.
    private func largestFeasible(_ request: AllocationRequest) -> FrameRange? {
        guard let pages = request.control.pages else { return largestBlock(request) }
        var single = request
        single.control.maxSegments = 1
        let most = min(pages - 1, longestPiece(for: single))
        if request.effectiveFlags.contains(.compound) { return largestCompound(single, most) }
        return largestRun(single, most)
    }

    private func largestBlock(_ request: AllocationRequest) -> FrameRange? {
        var smaller = request
        for order in (0..<request.control.order.rawValue).reversed() {
            smaller.control.order = Order(unchecked: order)
            if let found = placement(of: smaller)?.first { return found }
        }
        return nil
    }

    /// What can be had of a run can be had of a shorter one: the length is found by halving.
    private func largestRun(_ request: AllocationRequest, _ most: UInt64) -> FrameRange? {
        var found: FrameRange?
        var shorter = request
        var (low, high) = (UInt64(0), most)
        // Mostly the longest piece is above the mark, and the first try is the last.
        var pages = most
        while low < high {
            shorter.control.pages = pages
            if let run = placement(of: shorter)?.first {
                found = run
                low = pages
            } else {
                high = pages - 1
            }
            pages = low + (high - low + 1) / 2
        }
        return found
    }

    /// A compound page is a power of two.
    private func largestCompound(_ request: AllocationRequest, _ most: UInt64) -> FrameRange? {
        var smaller = request
        for shift in (0..<UInt64.bitWidth - most.leadingZeroBitCount).reversed() {
            smaller.control.pages = 1 << UInt64(shift)
            if let found = placement(of: smaller)?.first { return found }
        }
        return nil
    }

    /// The most pages that a single conforming run has in a zone that the request may use.
    private func longestPiece(for request: AllocationRequest) -> UInt64 {
        var page = request
        page.control.pages = 1
        guard let query = try? RunQuery(page) else { return 0 }
        return zonesThatMayServe(page).reduce(0) { longest, zone in
            unsafe max(longest, zones[zone].buddies.longestPiece(query))
        }
    }

    // MARK: Zones

    /// The zones that some attempt lets through, in the order tried.
    func zonesThatMayServe(_ request: AllocationRequest) -> [Int] {
        guard let decision = try? PlacementDecision(request, on: machine) else { return [] }
        return machine.zonelists[decision.node].filter { decision.mayUse(zone: $0, on: machine) }
    }

    /// Of those the ones that would be above a mark after giving the request's pages away, wherever
    /// these lie.
    func zonesAboveMark(_ request: AllocationRequest) -> [Int] {
        guard let decision = try? PlacementDecision(request, on: machine) else { return [] }
        return machine.zonelists[decision.node].filter { isAboveMark(zone: $0, decision) }
    }

    private func isAboveMark(zone: Int, _ decision: PlacementDecision) -> Bool {
        let constants = machine.placement.zones[zone]
        let counters = unsafe zones[zone].buddies.counters
        var attempts = PlacementDecision.Attempts(of: decision, on: machine)
        while let attempt = attempts.next(of: decision, on: machine) {
            guard decision.exclusion(of: constants, nodes: attempt.nodes) == nil else { continue }
            let verdict = decision.watermarkVerdict(
                on: counters, ofZone: zone, attempt: attempt, machine: machine)
            // Which lists the pages stand in is another question.
            if verdict == nil || verdict == .noBlockOfOrder { return true }
        }
        return false
    }
}
