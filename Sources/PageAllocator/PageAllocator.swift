// The page allocator of one machine: `allocate_pages`, `free_a_page`, `free_some_pages`.
//
// It is deterministic: the same calls in the same order give the same pages, on any computer and in
// any process. It has no clock, no randomness and no I/O, and it never iterates a hashed
// collection. What it holds is a function of the machine and of the grants and frees so far; each
// grant says what else its search changed (`ZoneChange`), so that a ledger of grants and frees is
// enough to bring the state back without asking any policy again (`PageAllocator+Replay.swift`).
//
// A request is settled in three steps, each of which knows nothing of the next: which zones may
// serve, in which order and down to which mark (`PlacementDecision`); which pages of a zone do
// (`BuddyAllocator`, or its exact search for a run); who holds them from then on (`LiveGrants`).
//
// Source: the RFC's API; `__alloc_pages_noprof`, `get_page_from_freelist`, `__free_pages`,
// mm/page_alloc.c.

@safe public struct PageAllocator: ~Copyable {
    public let machine: Machine

    /// One for each of the machine's zones, in the same order.
    let zones: UnsafeMutablePointer<ZoneState>
    var grants = LiveGrants()

    /// One for each of the machine's nodes, in the same order.
    var numaCounts: [NUMACounts]

    /// What plain requests came to; follows from them and the machine alone.
    private var recent = RecentBlocks()

    /// What the trial under way has to bring back; nil outside a trial.
    var undo: AllocatorUndo?

    struct ZoneState: ~Copyable {
        var buddies: BuddyAllocator

        /// Where the next search by `Fit.next` begins.
        var rotor: PageFrameNumber
    }

    /// All managed pages are free.
    public init(machine: Machine) {
        self.machine = machine
        numaCounts = Array(repeating: NUMACounts(), count: machine.nodes.count)
        let groupsByMobility = machine.groupsPagesByMobility
        unsafe zones = .allocate(capacity: machine.zones.count)
        for (position, zone) in machine.zones.enumerated() {
            let state = ZoneState(
                buddies: BuddyAllocator(
                    span: zone.span, managedRanges: zone.managedRanges,
                    rules: BuddyRules(
                        dialect: machine.dialect, managedPages: zone.managedPages,
                        high: zone.watermarks.high, groupsByMobility: groupsByMobility)),
                rotor: zone.startPFN)
            unsafe (zones + position).initialize(to: state)
        }
    }

    deinit {
        unsafe zones.deinitialize(count: machine.zones.count)
        unsafe zones.deallocate()
    }

    /// The RFC's `allocate_pages(ac, additional_flags)`: `allocatePages(_:as:)` for a control that
    /// has no place in a round of nodes yet.
    ///
    /// - Parameters:
    ///   - control: what is asked for.
    ///   - additionalFlags: OR-ed to the control's flags for this call.
    ///   - cpu: where the caller runs; nil: the machine's first CPU.
    ///   - id: names the grant; above each id used so far.
    public mutating func allocatePages(
        _ control: AllocationControl, additionalFlags: GFPFlags = [], cpu: Int? = nil,
        as id: AllocationID
    ) throws(AllocationFailure) -> Grant {
        try allocatePages(
            AllocationRequest(control: control, additionalFlags: additionalFlags, cpu: cpu), as: id)
    }

    /// Grants the pages that the request's control asks for, each of them within its boundaries.
    ///
    /// - Parameters:
    ///   - request: the control, the flags that this call adds to it, where the caller runs.
    ///   - id: names the grant; above each id used so far.
    /// - Throws: `AllocationFailure`; nothing has changed then.
    ///
    /// Source: the RFC's `allocate_pages(ac, additional_flags)`.
    public mutating func allocatePages(
        _ request: AllocationRequest, as id: AllocationID
    ) throws(AllocationFailure) -> Grant {
        let grant = try take(request)
        note(grant, as: id)
        return grant
    }

    /// Takes what `allocatePages` grants, by all of the rules, and writes nothing into the books.
    @inline(__always)
    package mutating func take(
        _ request: borrowing AllocationRequest
    ) throws(AllocationFailure) -> Grant {
        if let grant = unsafe recent.take(request, from: zones, on: machine) { return grant }
        return try takeAnew(request)
    }

    @inline(never)
    private mutating func takeAnew(
        _ request: borrowing AllocationRequest
    ) throws(AllocationFailure) -> Grant {
        let settled = try settle(request)
        let zones = unsafe zones
        let found = settled.decision.walk(
            on: machine, counters: { unsafe zones[$0].buddies.counters },
            take: { zone, attempt -> Grant? in
                unsafe settled.take(from: &zones[zone], zone: zone, attempt, on: machine)
            })
        guard let grant = found else { throw failure(request, settled) }
        precondition(settled.isMet(by: grant), "a grant is not what was asked for")
        recent.note(request, settled.decision, on: machine)
        return grant
    }

    /// Gives pages back that `take` has taken.
    @inline(__always)
    package mutating func giveBack(_ frames: FrameRange, _ type: Migratetype, toZone zone: Int) {
        unsafe zones[zone].buddies.free(frames, for: type)
    }

    /// Not now, or never: the same request put to the empty machine decides.
    private func failure(
        _ request: borrowing AllocationRequest, _ settled: borrowing SettledRequest
    ) -> AllocationFailure {
        guard settled.canEverBeMet(on: machine) else { return .unsatisfiable(.noBlockInBoundaries) }
        return .outOfMemory(explanation(of: copy request, settled, outlook(of: settled)))
    }

    /// Writes a grant, whose pages have been taken, into the books.
    mutating func note(_ grant: Grant, as id: AllocationID) {
        grants.insert(grant, id: id)
        if let numa = grant.numa {
            count(numa, onNode: machine.placement.zones[grant.zone].node)
        }
    }

    /// Takes all or part of the live block at `first` out of its grant and gives it back to the
    /// free lists; says in which zone, and whether the grant holds nothing any more.
    @discardableResult
    @inline(__always)
    mutating func release(
        _ frames: FrameRange, from first: PageFrameNumber
    ) -> (zone: Int, endsGrant: Bool) {
        let slot = grants.remove(frames, from: first)
        giveBack(frames, slot.migratetype, toZone: Int(slot.zone))
        return (Int(slot.zone), slot.livePages == 0)
    }
}

extension Machine {
    /// Whether there is memory enough for pageblocks of each type.
    ///
    /// Source: `build_all_zonelists`, `nr_free_zone_pages`, mm/page_alloc.c.
    fileprivate var groupsPagesByMobility: Bool {
        BuddyRules.groupsByMobility(
            pagesAboveHighMarks: zones.reduce(0) { sum, zone in
                let (managed, high) = (zone.managedPages, zone.watermarks.high)
                return managed > high ? sum + managed - high : sum
            })
    }
}
