import PageAllocator
import TestSupport
import Testing

/// Lists of ranges, against sets of single frames.
@Suite struct FrameRangeListTests {
    private static func list(using generator: inout SeededGenerator) -> [FrameRange] {
        (0..<Int.random(in: 0...6, using: &generator)).map { _ in
            let start = UInt64.random(in: 0..<40, using: &generator)
            return frames(start, start + UInt64.random(in: 0...8, using: &generator))
        }
    }

    private static func elements(_ list: [FrameRange]) -> [UInt64] {
        list.flatMap { Array($0.lowerBound.rawValue..<$0.upperBound.rawValue) }
    }

    private static func isApart(_ list: [FrameRange]) -> Bool {
        !list.contains(where: \.isEmpty)
            && zip(list, list.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
    }

    @Test func agreeWithSetsOfFrames() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<5000 {
            let raw = Self.list(using: &generator)
            let one = raw.joined()
            let other = Self.list(using: &generator).joined()
            #expect(Self.isApart(one) && Self.elements(one) == Set(Self.elements(raw)).sorted())

            let difference = one.subtracting(other)
            let expected = Set(Self.elements(one)).subtracting(Self.elements(other)).sorted()
            #expect(Self.isApart(difference) && Self.elements(difference) == expected)

            let pages = UInt64.random(in: 0...50, using: &generator)
            let (head, tail) = one.split(after: pages)
            #expect(head.pageCount == min(pages, one.pageCount))
            #expect(Self.elements(head) + Self.elements(tail) == Self.elements(one))

            let window = frames(10, 30)
            let inWindow = Self.elements(one).filter { (10..<30).contains($0) }
            #expect(Self.elements(one.clipped(to: window)) == inWindow)
        }
    }

    @Test func wholeAndTouchedPagesAgreeWithBytes() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<500 {
            let ranges = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                let first = UInt64.random(in: 0..<8, using: &generator) << 11
                let length = UInt64.random(in: 1...8, using: &generator) << 11
                return AddressRange(first: first, last: first + length - 1)
            }
            // All bounds are halves of pages, so a half is whole or not there.
            let halves = Set(ranges.flatMap { Array($0.first >> 11...$0.last >> 11) })
            let whole = (0..<16).filter { halves.contains(2 * $0) && halves.contains(2 * $0 + 1) }
            let touched = (0..<16).filter { halves.contains(2 * $0) || halves.contains(2 * $0 + 1) }
            #expect(Self.elements(AddressRange.wholePages(of: ranges)) == whole)
            #expect(Self.elements(AddressRange.touchedPages(of: ranges)) == touched)
        }
    }
}
