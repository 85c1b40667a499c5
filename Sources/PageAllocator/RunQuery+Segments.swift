// Requests that may be met in several runs: what one run can give, and whether a zone with nothing
// taken could give enough.
//
// Every segment begins at an aligned frame and lies between two boundaries. So it lies in a piece:
// from the lowest aligned frame of a free run between two boundaries up to the run's end or the
// next boundary. Two segments in one piece can be one; hence k segments never hold more than the k
// largest pieces, and taking the largest pieces first needs the fewest.

extension RunQuery {
    /// The first piece of `run` within the window; nil where it has none.
    func firstPiece(of run: FrameRange) -> FrameRange? {
        let first = alignedUp(max(run.lowerBound, window.lowerBound).rawValue)
        let end = min(run.upperBound, window.upperBound).rawValue
        guard first < end else { return nil }
        let cut = boundary == 0 ? end : min(end, (first | (boundary - 1)) + 1)
        return FrameRange(PageFrameNumber(first), PageFrameNumber(cut))
    }

    /// Whether the query would be met, in at most so many segments, if just these frames were free.
    /// The ranges are ascending and apart; where two touch they count as one.
    package func fits(in ranges: [FrameRange], segments: Int) -> Bool {
        let ranges = ranges.joined()
        if pages <= largestSegment, ranges.contains(where: { lowestPlace(in: $0) != nil }) {
            return true
        }
        return segments > 1 && mostPages(in: ranges, segments: segments) >= pages
    }

    /// The most pages that so many segments hold, or more than are asked for.
    private func mostPages(in ranges: [FrameRange], segments: Int) -> UInt64 {
        var wholePieces: UInt64 = 0
        var parts: [UInt64] = []
        for range in ranges {
            guard let first = firstPiece(of: range) else { continue }
            parts.append(first.count)
            guard boundary > 0 else { continue }
            let end = min(range.upperBound, window.upperBound).rawValue
            var next = alignedUp(first.upperBound.rawValue)
            if next + largestSegment <= end {
                let period = max(alignment, boundary)
                let count = (end - largestSegment - next) / period + 1
                wholePieces += count
                next += count * period
            }
            if next < end { parts.append(min(end - next, largestSegment)) }
        }
        // Where there are whole pieces there is a boundary, and a piece is no larger than that.
        let whole = min(wholePieces, UInt64(segments), (pages - 1) / largestSegment + 1)
        let sum = parts.sorted(by: >).prefix(segments - Int(whole)).reduce(0, +)
        return whole == 0 ? sum : whole * largestSegment + sum
    }
}
