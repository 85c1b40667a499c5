// What is always true of a zone's free blocks. Tests call this after every step.

extension BuddyAllocator {
    /// Traps where a rule is broken:
    /// 1. summaries and counts agree with the bits;
    /// 2. free blocks are disjoint and lie in managed frames;
    /// 3. no two free buddies of an order below the largest stand unmerged;
    /// 4. free pages are the sum of the free blocks.
    func checkInvariants(managedRanges: [FrameRange]) {
        checkAreas()
        var blocks: [(frames: FrameRange, order: Order)] = []
        forEachFreeBlock { blocks.append((FrameRange(block: $0, order: $1), $1)) }
        blocks.sort { $0.frames.lowerBound < $1.frames.lowerBound }

        var range = 0
        for (previous, next) in zip(blocks, blocks.dropFirst()) {
            precondition(
                previous.frames.upperBound <= next.frames.lowerBound, "free blocks overlap")
            let isBuddy =
                previous.order == next.order && previous.order < .max
                && previous.frames.lowerBound.rawValue ^ next.frames.lowerBound.rawValue
                    == previous.order.pageCount
            precondition(!isBuddy, "two free buddies stand unmerged")
        }
        for block in blocks {
            while range < managedRanges.count,
                managedRanges[range].upperBound <= block.frames.lowerBound
            {
                range += 1
            }
            precondition(
                range < managedRanges.count && managedRanges[range].contains(block.frames),
                "a free block holds frames that are not managed")
        }
        let sum = blocks.reduce(0) { $0 + $1.order.pageCount }
        precondition(sum == freePages, "free pages are not the sum of the free blocks")
        precondition(freePages <= managedPages, "more pages are free than managed")
    }
}
