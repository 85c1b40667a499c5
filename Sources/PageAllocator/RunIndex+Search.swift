// Walking the maximal free runs of a zone, upwards or downwards, past everything that holds none
// long enough.
//
// The walk stands at a boundary between nodes and carries the length of the free run that reaches
// it. The node behind the boundary either is wholly free, and the run goes on; or it ends the run,
// and then it may hold runs of its own: only then its parts are looked at.

extension RunIndex {
    /// Calls `body` with each maximal free run that has at least `length` pages, a length of the
    /// classes `wanted`, and its end at or after page `end`: low addresses first. `body` answers
    /// with the page at or after which the next run must end, more than where this one ended, and
    /// may change what is wanted; nil ends the walk. Only runs with at least `length` pages from a
    /// multiple of `grain` need be found.
    @inline(__always)
    func forEachRun(
        _ wanted: RunLengths, atLeast length: Int, from grain: RunSummary.Grain,
        endingAtOrAfter end: Int, _ body: (Range<Int>, inout RunLengths) -> Int?
    ) {
        var wanted = wanted
        var end = max(end, 1)
        guard end <= pageCount else { return }
        var boundary = Boundary(beforeLeaf: (end - 1) >> Pageblock.order, top: top)
        var carried = freePages(before: boundary)
        while true {
            let leaf = (end - 1) >> Pageblock.order
            if leaf > boundary.page >> Pageblock.order {
                guard leaf < leafCount else { return }
                boundary = Boundary(beforeLeaf: leaf, top: top)
                carried = freePages(before: boundary)
            }
            let here = boundary.page
            guard here < pageCount else {
                if carried >= length, wanted.containsClass(of: carried), here >= end {
                    _ = body(here - carried..<here, &wanted)
                }
                return
            }
            let node = self[boundary.level, boundary.index]
            let size = Self.pages(ofLevel: boundary.level)
            if Int(node.start) == size {
                carried += size
                boundary.advance(top: top)
                continue
            }
            let run = here - carried..<here + Int(node.start)
            if run.count >= length, run.upperBound >= end, wanted.containsClass(of: run.count) {
                guard let next = body(run, &wanted) else { return }
                end = next
            }
            if node.longest(from: grain) >= length,
                node.lengths.overlaps(wanted), here + size > end
            {
                if boundary.level > 0 {
                    boundary.descend()
                    continue
                }
                guard
                    let next = freePages(ofLeaf: boundary.index).forEachInnerRun(
                        &wanted, atLeast: length, endingAtOrAfter: end - here,
                        { run, wanted in
                            body(here + run.lowerBound..<here + run.upperBound, &wanted)
                                .map { $0 - here }
                        })
                else { return }
                end = here + next
            }
            carried = Int(node.end)
            boundary.advance(top: top)
        }
    }

    /// Calls `body` with each maximal free run that has at least `length` pages and begins at or
    /// before page `start`: high addresses first. `body` answers with the page at or before which
    /// the next run must begin, less than where this one began; nil ends the walk. `grain` is as
    /// upwards.
    func forEachRunDownwards(
        atLeast length: Int, from grain: RunSummary.Grain, startingAtOrBefore start: Int,
        _ body: (Range<Int>) -> Int?
    ) {
        var start = min(start, pageCount - 1)
        guard start >= 0 else { return }
        var boundary = Boundary(beforeLeaf: start >> Pageblock.order + 1, top: top)
        var carried = freePages(after: boundary)
        while true {
            guard start >= 0 else { return }
            let leaf = start >> Pageblock.order + 1
            if leaf < boundary.page >> Pageblock.order {
                boundary = Boundary(beforeLeaf: leaf, top: top)
                carried = freePages(after: boundary)
            }
            let here = boundary.page
            guard here > 0 else {
                if carried >= length { _ = body(0..<carried) }
                return
            }
            let node = self[boundary.level, boundary.index - 1]
            let size = Self.pages(ofLevel: boundary.level)
            if Int(node.end) == size {
                carried += size
                boundary.retreat(top: top)
                continue
            }
            let run = here - Int(node.end)..<here + carried
            if run.count >= length, run.lowerBound <= start {
                guard let next = body(run) else { return }
                start = next
            }
            if node.longest(from: grain) >= length,
                !node.lengths.isEmpty, here - size < start
            {
                if boundary.level > 0 {
                    boundary.descend()
                    continue
                }
                let first = here - size
                guard
                    let next = freePages(ofLeaf: boundary.index - 1).forEachInnerRunDownwards(
                        atLeast: length, startingAtOrBefore: start - first,
                        { body(first + $0.lowerBound..<first + $0.upperBound).map { $0 - first } })
                else { return }
                start = first + next
            }
            carried = Int(node.start)
            boundary.retreat(top: top)
        }
    }

    /// The length of the free run that ends at a boundary.
    private func freePages(before boundary: Boundary) -> Int {
        var boundary = boundary
        var length = 0
        while true {
            guard boundary.index > 0 else { return length }
            let node = self[boundary.level, boundary.index - 1]
            length += Int(node.end)
            guard Int(node.end) == Self.pages(ofLevel: boundary.level) else { return length }
            boundary.retreat(top: top)
        }
    }

    /// The length of the free run that begins at a boundary.
    private func freePages(after boundary: Boundary) -> Int {
        var boundary = boundary
        var length = 0
        while true {
            guard boundary.page < pageCount else { return length }
            let node = self[boundary.level, boundary.index]
            length += Int(node.start)
            guard Int(node.start) == Self.pages(ofLevel: boundary.level) else { return length }
            boundary.advance(top: top)
        }
    }
}

extension PageblockBits {
    /// Calls `body` as `RunIndex.forEachRun` does, with the runs that do not reach the first or the
    /// last page; answers with what `body` asked for last, or nil where it ended the walk.
    @inline(__always)
    fileprivate func forEachInnerRun(
        _ wanted: inout RunLengths, atLeast length: Int, endingAtOrAfter end: Int,
        _ body: (Range<Int>, inout RunLengths) -> Int?
    ) -> Int? {
        var end = end
        let starts = runStarts().intersection(self.starts(ofRuns: length))
        // A run that ends at or after a page begins after the last used page before it.
        let first = max(1, end <= 0 ? 1 : startOfRun(endingAtOrAfter: end))
        var next = starts.firstSet(atOrAfter: first)
        while let start = next {
            let run = start..<firstClear(atOrAfter: start)
            guard run.upperBound < Pageblock.pageCount else { break }
            if wanted.containsClass(of: run.count), run.upperBound >= end {
                guard let asked = body(run, &wanted) else { return nil }
                end = asked
            }
            next = starts.firstSet(atOrAfter: run.upperBound)
        }
        return end
    }

    fileprivate func forEachInnerRunDownwards(
        atLeast length: Int, startingAtOrBefore start: Int, _ body: (Range<Int>) -> Int?
    ) -> Int? {
        var asked = start
        let starts = runStarts().intersection(self.starts(ofRuns: length))
        var next = starts.lastSet(atOrBefore: min(start, Pageblock.pageCount - 1))
        while let start = next, start > 0 {
            let run = start..<firstClear(atOrAfter: start)
            if run.upperBound < Pageblock.pageCount {
                guard let answer = body(run) else { return nil }
                asked = answer
            }
            next = starts.lastSet(atOrBefore: min(start - 1, asked))
        }
        return asked
    }

    /// The first page of the run that holds page `end - 1`, or `end` where that page is not free.
    private func startOfRun(endingAtOrAfter end: Int) -> Int {
        var inverted = self
        for word in 0..<Self.wordCount {
            inverted[word] = ~inverted[word]
        }
        guard end <= Pageblock.pageCount else { return Pageblock.pageCount }
        return inverted.lastSet(atOrBefore: end - 1).map { $0 + 1 } ?? 0
    }
}
