/// An allocator's whole state as a value: what must be the same before a crash and after the
/// recovery.
public struct PageAllocatorImage: Hashable, Sendable {
    /// One zone.
    public struct ZoneImage: Hashable, Sendable {
        /// For each type, `Migratetype.rawValue` 0 first, and each order, 0 first: the first frames
        /// of the free blocks, ascending.
        public let freeBlocks: [[[PageFrameNumber]]]

        /// The type of each pageblock that overlaps the zone, ascending.
        public let pageblockTypes: [Migratetype]

        /// `watermark_boost`, pages.
        public let boost: UInt64

        /// Where the next search by `Fit.next` begins.
        public let rotor: PageFrameNumber
    }

    public let zones: [ZoneImage]

    /// Ascending by id.
    public let grants: [LiveGrant]

    /// What each of `grants` still holds.
    public let held: [[FrameRange]]
    public let numaCounts: [NUMACounts]
}

extension PageAllocator {
    /// For tests and checks: it costs as much as there are free blocks and grants.
    public func stateImage() -> PageAllocatorImage {
        let grants = grants.after(AllocationID(0), limit: .max)
        return PageAllocatorImage(
            zones: machine.zones.indices.map { zoneImage($0) }, grants: grants,
            held: grants.map { liveRanges(of: $0) }, numaCounts: numaCounts)
    }

    private func zoneImage(_ zone: Int) -> PageAllocatorImage.ZoneImage {
        var blocks = Array(
            repeating: Array(repeating: [PageFrameNumber](), count: Order.count),
            count: Migratetype.allCases.count)
        unsafe zones[zone].buddies.forEachFreeBlock { pfn, order, type in
            blocks[type.rawValue][order.rawValue].append(pfn)
        }
        let span = machine.zones[zone].span
        let size = UInt64(Pageblock.pageCount)
        let pageblocks = stride(
            from: span.lowerBound.rawValue & ~(size - 1), to: span.upperBound.rawValue,
            by: Pageblock.pageCount)
        return PageAllocatorImage.ZoneImage(
            freeBlocks: blocks,
            pageblockTypes: pageblocks.map {
                unsafe zones[zone].buddies.pageblockType(of: PageFrameNumber($0))
            },
            boost: unsafe zones[zone].buddies.counters.boost, rotor: unsafe zones[zone].rotor)
    }
}
