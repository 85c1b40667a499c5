// Memory as firmware and /proc/iomem describe it: byte addresses, first and last, both inclusive,
// so that the last byte of the 64-bit address space can be named. Everything past this file counts
// in page frames; these are the only two ways there.

/// A range of byte addresses as somebody wrote it down, possibly reversed: first and last byte.
public struct AddressRange: Hashable, Sendable {
    public let first: UInt64
    public let last: UInt64

    public init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }

    /// Whether the last byte lies before the first: such a range means nothing.
    public var isReversed: Bool { last < first }

    /// The pages of which every byte is in one of `ranges`. Ranges that touch or overlap count as
    /// one. Traps when one is reversed.
    public static func wholePages(of ranges: [AddressRange]) -> [FrameRange] {
        joined(ranges).compactMap { range in
            // Neither sum overflows: the shift leaves 52 bits.
            let first = (range.first >> shift) + (range.first & mask == 0 ? 0 : 1)
            let end = (range.last >> shift) + (range.last & mask == mask ? 1 : 0)
            return first < end ? FrameRange(PageFrameNumber(first), PageFrameNumber(end)) : nil
        }
    }

    /// The pages of which at least one byte is in one of `ranges`. Traps when one is reversed.
    public static func touchedPages(of ranges: [AddressRange]) -> [FrameRange] {
        let wholePages = ranges.map { range in
            AddressRange(first: range.first & ~mask, last: range.last | mask)
        }
        return self.wholePages(of: wholePages)
    }

    private static let shift = PageFrameNumber.pageShift
    private static let mask = PageFrameNumber.pageSize - 1

    /// The same bytes in ascending ranges with at least one byte between two of them.
    private static func joined(_ ranges: [AddressRange]) -> [AddressRange] {
        var result: [AddressRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            precondition(!range.isReversed, "a range of addresses with its bounds reversed")
            if let previous = result.last, previous.last == .max || range.first <= previous.last + 1
            {
                result[result.count - 1] = AddressRange(
                    first: previous.first, last: max(previous.last, range.last))
            } else {
                result.append(range)
            }
        }
        return result
    }
}
