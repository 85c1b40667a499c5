// The free runs of a zone, the longest first: a best-first search down the run index.
//
// A queue holds nodes, runs and pieces, each with the most pages that a piece of it can have. What
// leaves the queue is the largest: a node gives its parts and the runs between them, a run its
// first piece and the rest, and a piece is the next largest of the zone. Nothing is opened that
// cannot hold a piece as large as the largest left.

/// The pieces (`RunQuery+Segments.swift`) of a zone's free runs, the largest first, of equals the
/// lowest. The index must not change meanwhile.
struct LargestPieces {
    private let query: RunQuery
    private let base: PageFrameNumber

    /// The query's window; pages count from `base`.
    private let window: Range<Int>
    private let grain: RunSummary.Grain
    private var queue = CandidateQueue()

    /// Something that may give a piece of `bound` pages at page `first` or above.
    struct Candidate {
        /// `bound` above the complement of `first`, 32 bits each: the larger is the next.
        private let rank: UInt64
        let kind: Kind

        enum Kind {
            case node(level: UInt8, index: UInt32)

            /// The runs within a pageblock that have less than so many pages.
            case leaf(index: UInt32, below: UInt32)
            case run(end: UInt32)
            case piece
        }

        init(bound: Int, first: Int, kind: Kind) {
            rank = UInt64(UInt32(bound)) << 32 | UInt64(~UInt32(first))
            self.kind = kind
        }

        var bound: Int { Int(rank >> 32) }

        var first: Int { Int(~UInt32(truncatingIfNeeded: rank)) }

        func precedes(_ other: Candidate) -> Bool { rank > other.rank }
    }

    init(_ query: RunQuery, base: PageFrameNumber, index: borrowing RunIndex) {
        self.query = query
        self.base = base
        let zone = FrameRange(base, base + UInt64(index.pageCount))
        window =
            query.window.intersection(zone).map {
                Int(
                    $0.lowerBound.rawValue - base.rawValue)..<Int(
                        $0.upperBound.rawValue - base.rawValue)
            } ?? 0..<0
        grain = query.grain
        let root = index[index.top, 0]
        let size = RunIndex.pages(ofLevel: index.top)
        insert(root, index.top, 0)
        insert(0..<Int(root.start))
        if root.start < size { insert(size - Int(root.end)..<size) }
    }

    /// The most pages that the next piece can have; 0 where there is none.
    var bound: Int { queue.first?.bound ?? 0 }

    mutating func next(in index: borrowing RunIndex) -> FrameRange? {
        while let candidate = queue.popFirst() {
            switch candidate.kind {
            case .piece:
                let first = base + UInt64(candidate.first)
                return FrameRange(first, first + UInt64(candidate.bound))
            case .run(let end):
                divide(candidate.first..<Int(end))
            case .leaf(let leaf, let below):
                open(Int(leaf), below: Int(below), index)
            case .node(let level, let node):
                open(Int(level), Int(node), index)
            }
        }
        return nil
    }

    private mutating func divide(_ run: Range<Int>) {
        let frames = FrameRange(base + UInt64(run.lowerBound), base + UInt64(run.upperBound))
        guard let piece = query.firstPiece(of: frames) else { return }
        let first = Int(piece.lowerBound.rawValue - base.rawValue)
        queue.insert(Candidate(bound: Int(piece.count), first: first, kind: .piece))
        insert(first + Int(piece.count)..<run.upperBound)
    }

    /// The parts of a node, and the runs that several of them share. A run that reaches the node's
    /// first or last page belongs to the node above.
    private mutating func open(_ level: Int, _ node: Int, _ index: borrowing RunIndex) {
        let size = RunIndex.pages(ofLevel: level - 1)
        var carried: Int? = nil
        for part in node * RunIndex.fanOut..<(node + 1) * RunIndex.fanOut {
            let summary = index[level - 1, part]
            let here = part * size
            if Int(summary.start) == size {
                carried? += size
                continue
            }
            if let carried { insert(here - carried..<here + Int(summary.start)) }
            insert(summary, level - 1, part)
            carried = Int(summary.end)
        }
    }

    /// Those runs of a leaf that may be next; the leaf itself waits for the turn of its shorter
    /// ones, which mostly does not come.
    private mutating func open(_ leaf: Int, below: Int, _ index: borrowing RunIndex) {
        let first = leaf * RunIndex.leafPages
        let least = max(bound, 1)
        index.freePages(ofLeaf: leaf).forEachInnerRun(atLeast: least) { run in
            if run.count < below { insert(first + run.lowerBound..<first + run.upperBound) }
        }
        guard least > 1 else { return }
        queue.insert(
            Candidate(
                bound: least - 1, first: first,
                kind: .leaf(index: UInt32(leaf), below: UInt32(least))))
    }

    private mutating func insert(_ summary: RunSummary, _ level: Int, _ node: Int) {
        let size = RunIndex.pages(ofLevel: level)
        let pages = (node * size..<(node + 1) * size).clamped(to: window)
        let longest = summary.longest(from: grain)
        // A run within a pageblock has no piece that begins at one.
        guard !summary.lengths.isEmpty, longest > 0, level > 0 || grain != .pageblock,
            firstAligned(in: pages) != nil
        else { return }
        queue.insert(
            Candidate(
                bound: bounded(longest), first: node * size,
                kind: level > 0
                    ? .node(level: UInt8(level), index: UInt32(node))
                    : .leaf(index: UInt32(node), below: .max)))
    }

    private mutating func insert(_ run: Range<Int>) {
        let run = run.clamped(to: window)
        guard let first = firstAligned(in: run) else { return }
        queue.insert(
            Candidate(
                bound: bounded(run.upperBound - first), first: first,
                kind: .run(end: UInt32(run.upperBound))))
    }

    private func firstAligned(in pages: Range<Int>) -> Int? {
        let aligned = query.alignedUp(base.rawValue + UInt64(pages.lowerBound)) - base.rawValue
        return aligned < UInt64(pages.upperBound) ? Int(aligned) : nil
    }

    private func bounded(_ pages: Int) -> Int { Int(min(UInt64(pages), query.largestSegment)) }
}

/// A binary heap.
private struct CandidateQueue {
    private var candidates: [LargestPieces.Candidate] = []

    var first: LargestPieces.Candidate? { candidates.first }

    mutating func insert(_ candidate: LargestPieces.Candidate) {
        candidates.append(candidate)
        var position = candidates.count - 1
        while position > 0 {
            let parent = (position - 1) / 2
            guard candidate.precedes(candidates[parent]) else { break }
            candidates[position] = candidates[parent]
            position = parent
        }
        candidates[position] = candidate
    }

    mutating func popFirst() -> LargestPieces.Candidate? {
        guard let first = candidates.first, let last = candidates.popLast() else { return nil }
        let count = candidates.count
        guard count > 0 else { return first }
        var position = 0
        while 2 * position + 1 < count {
            var child = 2 * position + 1
            if child + 1 < count, candidates[child + 1].precedes(candidates[child]) { child += 1 }
            guard candidates[child].precedes(last) else { break }
            candidates[position] = candidates[child]
            position = child
        }
        candidates[position] = last
        return first
    }
}

extension PageblockBits {
    /// Calls `body` with each run of at least `length` free pages that reaches neither the first
    /// nor the last page.
    fileprivate func forEachInnerRun(atLeast length: Int, _ body: (Range<Int>) -> Void) {
        let starts = runStarts().intersection(self.starts(ofRuns: length))
        var next = starts.firstSet(atOrAfter: 1)
        while let start = next {
            let end = firstClear(atOrAfter: start)
            guard end < Pageblock.pageCount else { return }
            body(start..<end)
            next = starts.firstSet(atOrAfter: end)
        }
    }
}
