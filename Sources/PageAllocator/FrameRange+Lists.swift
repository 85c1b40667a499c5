// Lists of page frame ranges, ascending and apart, as zones hold them: what several steps of
// building a machine do to them. Each is one pass over ranges, never over pages.

extension [FrameRange] {
    /// Frames in all ranges.
    public var pageCount: UInt64 { reduce(0) { $0 + $1.count } }

    /// The frames of the list that lie in `window`.
    public func clipped(to window: FrameRange) -> [FrameRange] {
        compactMap { $0.intersection(window) }
    }

    /// The first `pages` frames of the list, or all where it has fewer, and those after them.
    public func split(after pages: UInt64) -> (head: [FrameRange], tail: [FrameRange]) {
        var head: [FrameRange] = []
        var tail: [FrameRange] = []
        var wanted = pages
        for range in self {
            let cut = range.lowerBound + Swift.min(wanted, range.count)
            wanted -= cut.rawValue - range.lowerBound.rawValue
            if range.lowerBound < cut { head.append(FrameRange(range.lowerBound, cut)) }
            if cut < range.upperBound { tail.append(FrameRange(cut, range.upperBound)) }
        }
        return (head, tail)
    }

    /// The frames of the list that are not in `other`. Both are ascending and apart.
    public func subtracting(_ other: [FrameRange]) -> [FrameRange] {
        var result: [FrameRange] = []
        var position = 0
        for range in self {
            var start = range.lowerBound
            while position < other.count, other[position].upperBound <= start {
                position += 1
            }
            // A range of `other` may reach into the next range of the list, so it is kept.
            var taken = position
            while taken < other.count, other[taken].lowerBound < range.upperBound {
                if start < other[taken].lowerBound {
                    result.append(FrameRange(start, other[taken].lowerBound))
                }
                start = Swift.min(other[taken].upperBound, range.upperBound)
                taken += 1
            }
            position = Swift.max(position, taken - 1)
            if start < range.upperBound { result.append(FrameRange(start, range.upperBound)) }
        }
        return result
    }

    /// The same frames, ascending, with ranges that touch or overlap joined into one.
    public func joined() -> [FrameRange] {
        var result: [FrameRange] = []
        for range in sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let previous = result.last, range.lowerBound <= previous.upperBound {
                result[result.count - 1] = FrameRange(
                    previous.lowerBound, Swift.max(previous.upperBound, range.upperBound))
            } else {
                result.append(range)
            }
        }
        return result
    }
}
