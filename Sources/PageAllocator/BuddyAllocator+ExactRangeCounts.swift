// Free and taken pages of any range of frames, whatever lists and orders the free ones stand in.

extension BuddyAllocator {
    /// Free pages of a range that lies in the zone: from the run index where there is one, else
    /// pageblock by pageblock.
    mutating func countFree(in frames: FrameRange) -> UInt64 {
        let pages = pages(frames)
        if runIndex != nil {
            prepareRunIndex()
            return UInt64(runIndex?.countFree(pages) ?? 0)
        }
        var count = 0
        for pageblock in pageblocks(overlapping: pages) {
            let first = pageblock << Pageblock.order
            count += freePages(ofPageblock: pageblock)
                .count(in: pages.lowerBound - first..<pages.upperBound - first)
        }
        return UInt64(count)
    }

    /// Calls `body` with the runs of frames of a range in the zone that are not free, low ones
    /// first and each within a pageblock, until it answers false.
    func forEachTakenRun(in frames: FrameRange, _ body: (FrameRange) -> Bool) {
        let pages = pages(frames)
        for pageblock in pageblocks(overlapping: pages) {
            let first = pageblock << Pageblock.order
            let free = freePages(ofPageblock: pageblock)
            let end = min(pages.upperBound - first, Pageblock.pageCount)
            var taken = free.firstClear(atOrAfter: max(pages.lowerBound - first, 0))
            while taken < end {
                let next = min(free.firstSet(atOrAfter: taken) ?? end, end)
                let run = FrameRange(base + UInt64(first + taken), base + UInt64(first + next))
                guard body(run) else { return }
                taken = free.firstClear(atOrAfter: next)
            }
        }
    }

    private func pages(_ frames: FrameRange) -> Range<Int> {
        Int(
            frames.lowerBound.rawValue - base.rawValue)..<Int(
                frames.upperBound.rawValue - base.rawValue)
    }

    private func pageblocks(overlapping pages: Range<Int>) -> Range<Int> {
        guard !pages.isEmpty else { return 0..<0 }
        return pages.lowerBound >> Pageblock.order..<(pages.upperBound - 1) >> Pageblock.order + 1
    }
}

extension RunIndex {
    /// Free pages of a range, by nodes as large as fit.
    fileprivate func countFree(_ pages: Range<Int>) -> Int {
        var count = 0
        var page = pages.lowerBound
        while page < pages.upperBound {
            let leaf = page >> Pageblock.order
            var level = 0
            guard page == leaf << Pageblock.order, page + Self.leafPages <= pages.upperBound else {
                let first = leaf << Pageblock.order
                let end = min(first + Self.leafPages, pages.upperBound)
                count += freePages(ofLeaf: leaf).count(in: page - first..<end - first)
                page = end
                continue
            }
            while level < top, page & (Self.pages(ofLevel: level + 1) - 1) == 0,
                page + Self.pages(ofLevel: level + 1) <= pages.upperBound
            {
                level += 1
            }
            count += Int(self[level, page >> Self.shift(ofLevel: level)].free)
            page += Self.pages(ofLevel: level)
        }
        return count
    }
}

extension PageblockBits {
    /// Free pages among those of a range that may reach beyond the pageblock.
    fileprivate func count(in pages: Range<Int>) -> Int {
        var outside = self
        outside.clear(pages)
        return count - outside.count
    }
}
