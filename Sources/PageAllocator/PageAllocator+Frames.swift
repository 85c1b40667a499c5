// What one frame is used for: the question of the kernel's page owner.

/// One frame of a machine.
public struct Frame: Hashable, Sendable {
    public enum Use: Hashable, Sendable {
        /// Pages of that grant, which still holds this one.
        case granted(LiveGrant)

        /// Part of the free block of that order that begins there, on the list of that type.
        case free(PageFrameNumber, Order, Migratetype)

        /// Memory that is not the allocator's to hand out.
        case reserved

        /// Within a zone's first and last frame, and no memory.
        case hole
    }

    /// The zone's position in the machine's `zones`.
    public let zone: Int
    public let use: Use

    /// The type of the pageblock that the frame is in.
    public let pageblockType: Migratetype
}

extension PageAllocator {
    /// A frame of one of the machine's zones; nil where it is beyond all of them. Where several
    /// span it, as zones of nodes that interleave do, it is of the one whose memory it is.
    public func frame(_ pfn: PageFrameNumber) -> Frame? {
        let zones = machine.zones
        let spanning = zones.indices.filter { zones[$0].span.contains(pfn) }
        guard
            let zone = spanning.first(where: { zones[$0].presentRanges.hold(pfn) })
                ?? spanning.first
        else { return nil }
        return Frame(
            zone: zone, use: use(of: pfn, in: zone),
            pageblockType: unsafe self.zones[zone].buddies.pageblockType(of: pfn))
    }

    /// The grant that holds a frame; nil where none does.
    public func liveGrant(holding pfn: PageFrameNumber) -> LiveGrant? {
        grants.block(holding: pfn).flatMap { grants[$0.block.allocation] }
    }

    private func use(of pfn: PageFrameNumber, in zone: Int) -> Frame.Use {
        guard machine.zones[zone].presentRanges.hold(pfn) else { return .hole }
        if let live = liveGrant(holding: pfn) { return .granted(live) }
        if let free = unsafe zones[zone].buddies.freeBlock(holding: pfn) {
            return .free(free.first, free.order, free.list)
        }
        return .reserved
    }
}

extension [FrameRange] {
    fileprivate func hold(_ pfn: PageFrameNumber) -> Bool {
        contains { $0.contains(pfn) }
    }
}

extension BuddyAllocator {
    /// The free block that a frame is part of; nil where it is none of the free ones.
    fileprivate func freeBlock(
        holding pfn: PageFrameNumber
    ) -> (first: PageFrameNumber, order: Order, list: Migratetype)? {
        guard pfn >= base, pfn < base + UInt64(frameCount),
            let (block, order, list) = freeBlock(holding: Int(pfn.rawValue - base.rawValue))
        else { return nil }
        return (frames(of: block, order).lowerBound, Order(unchecked: order), list)
    }
}
