// Frames that the caller names: a grant that is replayed, or a run that a search has found.

extension BuddyAllocator {
    /// Takes exactly these frames, whatever lists they stand in; false, with nothing changed, where
    /// not all of them are free. What is left of the blocks that they were part of stays on the
    /// lists where it was.
    ///
    /// - Parameter type: what they are taken for, to be named again when they are freed.
    package mutating func take(_ frames: FrameRange, for type: Migratetype = .unmovable) -> Bool {
        guard !frames.isEmpty, frames.lowerBound >= base,
            frames.upperBound <= base + UInt64(frameCount)
        else { return false }
        let run = pages(of: frames)
        guard isFree(run) else { return false }
        noteBeforeChange(of: run)
        takeFree(run)
        freePages -= frames.count
        if type == .movable { pageblocks.countMovable(run, sign: 1) }
        runIndex?.noteChange(run.lowerBound, run.count)
        return true
    }

    /// Takes a run off the lists, all of which is free; the counting is the caller's, and so is
    /// what a trial asks.
    mutating func takeFree(_ run: Range<Int>) {
        var page = run.lowerBound
        while page < run.upperBound {
            guard let (block, order, list) = freeBlock(holding: page) else {
                preconditionFailure("a page was taken that is not free")
            }
            remove(block, order, list)
            let pages = block << order..<(block + 1) << order
            let taken = pages.clamped(to: run)
            insert(pages.lowerBound..<taken.lowerBound, in: list)
            insert(taken.upperBound..<pages.upperBound, in: list)
            page = pages.upperBound
        }
    }

    private func isFree(_ run: Range<Int>) -> Bool {
        var page = run.lowerBound
        while page < run.upperBound {
            guard let (block, order, _) = freeBlock(holding: page) else { return false }
            page = (block + 1) << order
        }
        return true
    }

    /// The free block that a page, numbered from `base`, is part of.
    func freeBlock(holding page: Int) -> (block: Int, order: Int, list: Migratetype)? {
        if listsFollowPageblocks {
            return freeBlock(holding: page, in: pageblocks[page >> Pageblock.order].type)
        }
        for list in Migratetype.allCases {
            if let found = freeBlock(holding: page, in: list) { return found }
        }
        return nil
    }

    private func freeBlock(
        holding page: Int, in list: Migratetype
    ) -> (block: Int, order: Int, list: Migratetype)? {
        var orders = Int(freeOrders[list])
        while orders != 0 {
            let order = orders.trailingZeroBitCount
            if contains(page >> order, order, list) {
                return (page >> order, order, list)
            }
            orders &= orders - 1
        }
        return nil
    }
}
