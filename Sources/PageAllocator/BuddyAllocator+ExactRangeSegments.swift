// The search for pages in several runs, where one run is not to be had: a device with a scatter
// list.

extension BuddyAllocator {
    /// The fewest free runs, `limit` at most, that together have the query's pages, each at an
    /// aligned place within the window and across no boundary; ascending. nil where more than
    /// `limit` would be needed, or all free pages are not enough. Nothing is taken.
    ///
    /// One run is chosen by the query's fit. Several are the largest pieces of free runs
    /// (`RunQuery+Segments.swift`), of equals the lowest, and the smallest of them gives only its
    /// first pages, as many as are missing.
    package mutating func findSegments(_ query: RunQuery, atMost limit: Int) -> [FrameRange]? {
        if let run = findRun(query) { return [run] }
        let zone = FrameRange(base, base + UInt64(frameCount))
        guard
            limit > 1, let frames = query.window.intersection(zone),
            prepareRunIndex(forRunOf: 1, within: frames)
        else { return nil }
        return runIndex?.largestPieces(query, base: base, atMost: limit)?
            .sorted { $0.lowerBound < $1.lowerBound }
    }

    /// The most pages of one free run at an aligned place within the window and across no boundary;
    /// 0 where there is none.
    mutating func longestPiece(_ query: RunQuery) -> UInt64 {
        prepareRunIndex()
        return runIndex?.largestPiece(query, base: base)?.count ?? 0
    }
}

extension RunIndex {
    fileprivate func largestPiece(_ query: RunQuery, base: PageFrameNumber) -> FrameRange? {
        var pieces = LargestPieces(query, base: base, index: self)
        return pieces.next(in: self)
    }

    /// The largest pieces, as many as are needed; nil where more than `limit` are.
    fileprivate func largestPieces(
        _ query: RunQuery, base: PageFrameNumber, atMost limit: Int
    ) -> [FrameRange]? {
        var pieces = LargestPieces(query, base: base, index: self)
        var segments: [FrameRange] = []
        var missing = query.pages
        while missing > 0 {
            let left = UInt64(limit - segments.count)
            // No later piece is larger than the next: it alone shows that so few are not enough.
            guard
                left > 0, UInt64(pieces.bound) >= (missing - 1) / left + 1,
                let piece = pieces.next(in: self)
            else { return nil }
            let taken = min(piece.count, missing)
            segments.append(FrameRange(piece.lowerBound, piece.lowerBound + taken))
            missing -= taken
        }
        return segments
    }
}
