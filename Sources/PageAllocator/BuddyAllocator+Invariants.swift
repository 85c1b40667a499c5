// What is always true of a zone's free blocks. Tests call this after every step.

extension BuddyAllocator {
    /// Traps where a rule is broken:
    /// 1. summaries, counts and the mask of lists that are not empty agree with the bits;
    /// 2. free blocks are disjoint and lie in managed frames;
    /// 3. no two free buddies below a pageblock stand unmerged, and above it only those of which
    ///    one is reserved, or was;
    /// 4. free pages are the sum of the free blocks;
    /// 5. each pageblock's movable pages are at most those of it that are not free, and pageblocks
    ///    are counted by type;
    /// 6. in 6.12 a free block stands in the list of its pageblocks' type;
    /// 7. the boost is within its limit.
    package func checkInvariants(managedRanges: [FrameRange]) {
        checkLists()
        var blocks: [FreeBlock] = []
        forEachFreeBlock { blocks.append(FreeBlock(pfn: $0, order: $1, list: $2)) }
        blocks.sort { $0.pfn < $1.pfn }
        checkPlaces(of: blocks, managedRanges)
        checkMerging(of: blocks)
        checkPageblocks(blocks, managedRanges)
        let sum = blocks.reduce(0) { $0 + $1.order.pageCount }
        precondition(sum == freePages, "free pages are not the sum of the free blocks")
        precondition(freePages <= managedPages, "more pages are free than managed")
        precondition(boost <= rules.maximumBoost, "the boost is beyond its limit")
    }

    private struct FreeBlock {
        let pfn: PageFrameNumber
        let order: Order
        let list: Migratetype

        var frames: FrameRange { FrameRange(block: pfn, order: order) }
    }

    private func checkLists() {
        for list in Migratetype.allCases {
            for order in 0..<Order.count {
                let area = Self.area(list, order)
                unsafe areas[area].places.checkInvariants()
                let places = order <= Pageblock.order ? pageblocks.count : pageblocks.count / 2
                let counts = (0..<places).map { freeBlocks(at: $0, order, list) }
                for (place, count) in counts.enumerated() {
                    let isMarked = unsafe areas[area].places.contains(place)
                    precondition(isMarked == (count > 0), "a place of free blocks is not marked")
                }
                let count = counts.reduce(0, +)
                precondition(
                    unsafe count == areas[area].count, "the count of free blocks is wrong")
                precondition(
                    (freeOrders[list] >> UInt16(order) & 1 == 0) == (count == 0),
                    "the mask of lists that are not empty is wrong")
            }
        }
    }

    /// Free blocks that the map of a place holds for a list.
    private func freeBlocks(at place: Int, _ order: Int, _ list: Migratetype) -> Int {
        guard order <= Pageblock.order else {
            return unsafe areas[Self.area(list, order)].places.contains(place) ? 1 : 0
        }
        if listsFollowPageblocks, pageblocks[place].type != list { return 0 }
        return map(place, list).count(order, in: 0..<PageblockMap.blockCount(order))
    }

    private func checkPlaces(of blocks: [FreeBlock], _ managedRanges: [FrameRange]) {
        for (previous, next) in zip(blocks, blocks.dropFirst()) {
            precondition(
                previous.frames.upperBound <= next.frames.lowerBound, "free blocks overlap")
        }
        // Two ranges may touch, and a free block may lie in both.
        let managed = managedRanges.joined()
        var range = 0
        for block in blocks {
            while range < managed.count, managed[range].upperBound <= block.frames.lowerBound {
                range += 1
            }
            precondition(
                range < managed.count && managed[range].contains(block.frames),
                "a free block holds frames that are not managed")
        }
    }

    private func checkMerging(of blocks: [FreeBlock]) {
        for (lower, upper) in zip(blocks, blocks.dropFirst()) {
            let areBuddies =
                lower.order == upper.order && lower.order < .max
                && lower.pfn.rawValue ^ upper.pfn.rawValue == lower.order.pageCount
            precondition(
                !areBuddies || lower.order.rawValue >= Pageblock.order && hasReserved,
                "two free buddies stand unmerged")
        }
    }

    private func checkPageblocks(_ blocks: [FreeBlock], _ managedRanges: [FrameRange]) {
        var free = [Int](repeating: 0, count: pageblocks.count)
        for block in blocks {
            let first = Int(block.pfn.rawValue - base.rawValue)
            for number in first >> Pageblock.order...(first + Int(block.order.pageCount) - 1)
                >> Pageblock.order
            {
                free[number] += min(Int(block.order.pageCount), Pageblock.pageCount)
                precondition(
                    !listsFollowPageblocks || pageblocks[number].type == block.list,
                    "a free block stands in a list that is not its pageblock's")
            }
        }
        var counts = SIMD4<UInt64>.zero
        for number in 0..<pageblocks.count {
            let pageblock = pageblocks[number]
            precondition(
                free[number] + pageblock.movablePages <= Pageblock.pageCount,
                "pages are free and movable")
            let isManaged = !managedRanges.clipped(to: frames(of: number, Pageblock.order)).isEmpty
            precondition(isManaged == pageblock.isManaged, "a managed pageblock is not marked")
            if isManaged { counts[pageblock.type.rawValue] += 1 }
        }
        precondition(counts == pageblocks.counts, "pageblocks were miscounted")
    }
}
