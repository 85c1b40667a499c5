// What can be read of the allocator's state.

extension PageAllocator {
    /// Free pages of the zone at that position: `NR_FREE_PAGES`.
    public func freePages(inZone zone: Int) -> UInt64 {
        precondition(machine.zones.indices.contains(zone))
        return unsafe zones[zone].buddies.freePages
    }

    /// Free blocks of each order, 0 first, of the zone at that position: a line of buddyinfo.
    public func freeBlocks(inZone zone: Int) -> [UInt64] {
        precondition(machine.zones.indices.contains(zone))
        return unsafe zones[zone].buddies.freeBlocks
    }

    /// Free blocks of each order, 0 first, in the lists of one type: a line of pagetypeinfo.
    public func freeBlocks(inZone zone: Int, of type: Migratetype) -> [UInt64] {
        precondition(machine.zones.indices.contains(zone))
        return (0..<Order.count).map { order in
            unsafe zones[zone].buddies.freeBlocks(of: Order(unchecked: order), type: type)
        }
    }

    /// Pageblocks of each type, `Migratetype.rawValue` 0 first.
    public func pageblockCounts(inZone zone: Int) -> [UInt64] {
        precondition(machine.zones.indices.contains(zone))
        return unsafe zones[zone].buddies.pageblockCounts
    }

    /// `watermark_boost` of the zone at that position, in pages.
    public func boost(ofZone zone: Int) -> UInt64 {
        precondition(machine.zones.indices.contains(zone))
        return unsafe zones[zone].buddies.counters.boost
    }

    public var freePages: UInt64 {
        machine.zones.indices.reduce(0) { $0 + freePages(inZone: $1) }
    }

    /// Grants that still hold pages.
    public var liveGrantCount: Int { grants.count }

    /// A grant that still holds pages; nil where it has ended or never was.
    public func liveGrant(_ id: AllocationID) -> LiveGrant? {
        grants[id]
    }

    /// Live grants with an id above `id`, ascending, at most `limit`.
    public func liveGrants(after id: AllocationID, limit: Int) -> [LiveGrant] {
        grants.after(id, limit: limit)
    }

    /// What a live grant still holds: disjoint ranges, ascending.
    public func liveRanges(of live: LiveGrant) -> [FrameRange] {
        grants.liveRanges(of: live)
    }
}
