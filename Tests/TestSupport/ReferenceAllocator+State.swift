// What can be read of the reference's state, in the form of the allocator's own image.

public import PageAllocator

extension ReferenceAllocator {
    /// Free blocks of each order, 0 first.
    public func freeBlockCounts(inZone zone: Int) -> [UInt64] { zones[zone].freeBlockCounts }

    /// The first thing in which an allocator's state is another; nil where all is the same. What
    /// each grant holds is left to `heldDifference`.
    public func difference(from image: PageAllocatorImage) -> String? {
        for (position, zone) in zones.enumerated() {
            let other = image.zones[position]
            if other.freeBlocks != zone.freeBlocksByType {
                return "zone \(position) has \(zone.blocks), not \(other.freeBlocks)"
            }
            let types = zone.pageblockTypes.sorted { $0.key < $1.key }.map(\.value)
            if other.pageblockTypes != types {
                return "zone \(position)'s pageblocks are \(types), not \(other.pageblockTypes)"
            }
            if other.boost != zone.boost {
                return "zone \(position)'s boost is \(zone.boost), not \(other.boost)"
            }
        }
        if image.numaCounts != numaCounts {
            return "the counters of numastat are \(numaCounts), not \(image.numaCounts)"
        }
        return image.grants.map(\.id) == liveGrants ? nil : "other grants are alive"
    }

    /// The first grant that holds other frames; nil where all is the same. It goes through every
    /// frame that is held.
    public func heldDifference(from image: PageAllocatorImage) -> String? {
        for (grant, held) in zip(liveGrants, image.held) {
            let frames = held.flatMap { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
            if frames != self.frames(heldBy: grant) {
                return "\(grant) holds \(self.frames(heldBy: grant)), not \(frames)"
            }
        }
        return nil
    }
}

extension ReferenceZone {
    /// By type and order: the first frames of the free blocks, ascending.
    fileprivate var freeBlocksByType: [[[PageFrameNumber]]] {
        var found = [[[PageFrameNumber]]](
            repeating: [[PageFrameNumber]](repeating: [], count: Order.count),
            count: Migratetype.allCases.count)
        for block in blocks {
            found[block.type.rawValue][block.order].append(PageFrameNumber(block.first))
        }
        return found
    }
}
