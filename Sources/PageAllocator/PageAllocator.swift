// The page allocator of one machine: `allocate_pages`, `free_a_page`, `free_some_pages`.
//
// It is deterministic: the same calls in the same order give the same pages, on any computer and in
// any process. It has no clock, no randomness and no I/O, and it never iterates a hashed
// collection. What it holds is a function of the machine and of the grants that are alive; so a
// ledger of grants and frees is enough to bring it back (`PageAllocator+Replay.swift`).
//
// Source: the RFC's API; `__alloc_pages_noprof`, `get_page_from_freelist`, `__free_pages`,
// mm/page_alloc.c.

@safe public struct PageAllocator: ~Copyable {
    public let machine: Machine

    /// One for each of the machine's zones, in the same order.
    let zones: UnsafeMutablePointer<ZoneState>
    private(set) var grants = LiveGrants()

    /// What a walk asks of a zone, beside its free blocks.
    struct ZoneState: ~Copyable {
        let node: Int
        let type: ZoneType
        let span: FrameRange
        var buddies: BuddyAllocator
    }

    /// All managed pages are free.
    public init(machine: Machine) {
        self.machine = machine
        unsafe zones = .allocate(capacity: machine.zones.count)
        for (position, zone) in machine.zones.enumerated() {
            guard let node = machine.index(of: zone.node) else {
                preconditionFailure("a zone of an unknown node")
            }
            let state = ZoneState(
                node: node, type: zone.type, span: zone.span,
                buddies: BuddyAllocator(span: zone.span, managedRanges: zone.managedRanges))
            unsafe (zones + position).initialize(to: state)
        }
    }

    deinit {
        unsafe zones.deinitialize(count: machine.zones.count)
        unsafe zones.deallocate()
    }

    /// Grants 2^order pages that lie wholly within the control's boundaries.
    ///
    /// - Parameters:
    ///   - control: what is asked for.
    ///   - additionalFlags: OR-ed to the control's flags for this call.
    ///   - cpu: where the caller runs; nil: the machine's first CPU.
    ///   - id: names the grant; above each id used so far.
    /// - Throws: `AllocationFailure`; nothing has changed then.
    ///
    /// Source: the RFC's `allocate_pages(ac, additional_flags)`.
    public mutating func allocatePages(
        _ control: AllocationControl, additionalFlags: GFPFlags = [], cpu: Int? = nil,
        as id: AllocationID
    ) throws(AllocationFailure) -> Grant {
        let request = AllocationRequest(
            control: control, additionalFlags: additionalFlags, cpu: cpu)
        let decision = try decide(request)
        for zone in machine.zonelists[decision.node] {
            guard let grant = takeBlock(decision, from: zone) else { continue }
            precondition(control.window.contains(grant.frames), "a grant left its boundaries")
            grants.insert(grant, id: id)
            return grant
        }
        throw failure(decision)
    }

    /// What follows from the request and the machine alone.
    func decide(_ request: AllocationRequest) throws(AllocationFailure) -> PlacementDecision {
        do {
            return try PlacementDecision(request, on: machine)
        } catch {
            throw .unsatisfiable(error)
        }
    }

    private mutating func takeBlock(_ decision: PlacementDecision, from zone: Int) -> Grant? {
        guard
            unsafe decision.exclusion(
                node: zones[zone].node, type: zones[zone].type, span: zones[zone].span) == nil,
            let pfn = unsafe zones[zone].buddies.allocate(
                decision.order, within: decision.window)
        else { return nil }
        return Grant(
            pfn: pfn, order: decision.order, zone: zone, migratetype: decision.migratetype,
            // A single page is never compound: `prep_compound_page` is for order > 0.
            isCompound: decision.effectiveFlags.contains(.compound) && decision.order > .zero)
    }

    /// Not now, or never: the same request put to the empty machine decides.
    private func failure(_ decision: PlacementDecision) -> AllocationFailure {
        let fitsEmptyMachine = machine.zonelists[decision.node].contains { position in
            let zone = machine.zones[position]
            let exclusion = unsafe decision.exclusion(
                node: zones[position].node, type: zone.type, span: zone.span)
            return exclusion == nil
                && zone.managedRanges.contains { range in
                    range.intersection(decision.window)?.firstBlock(of: decision.order) != nil
                }
        }
        guard fitsEmptyMachine else { return .unsatisfiable(.noBlockInBoundaries) }
        return .outOfMemory(explanation(decision))
    }

    /// Hands one block out of its zone and its grant back to the free lists.
    mutating func release(_ frames: FrameRange, of live: LiveGrant, from first: PageFrameNumber) {
        grants.remove(frames, from: first)
        let order = Order(unchecked: frames.count.trailingZeroBitCount)
        unsafe zones[live.grant.zone].buddies.free(frames.lowerBound, order: order)
    }

    /// Takes a given block for a grant; false where it is not wholly free.
    mutating func claim(_ grant: Grant, as id: AllocationID) -> Bool {
        guard unsafe zones[grant.zone].buddies.take(grant.pfn, order: grant.order) else {
            return false
        }
        grants.insert(grant, id: id)
        return true
    }
}
