// Addresses and page frames.
//
// A page frame number (pfn) counts 4 KiB pages from address 0. Two types keep pages and bytes
// apart: a `PageFrameNumber` is never an address, and the only way from one to the other is the
// page shift below. Ranges of frames are half-open, as everywhere inside the allocator; the byte
// boundaries of a request are inclusive and are converted exactly once (`AllocationControl`).

/// The number of a 4 KiB page frame, counted from physical address 0.
public struct PageFrameNumber: Hashable, Comparable, Sendable {
    /// log2 of the page size in bytes; `PAGE_SHIFT` on x86-64.
    public static let pageShift: UInt64 = 12

    /// Bytes a page.
    public static let pageSize: UInt64 = 1 << pageShift

    /// One past the largest frame: every byte address of a smaller frame fits 64 bits.
    public static let limit = PageFrameNumber(1 << (64 - pageShift))

    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The byte address of the frame's first byte. Traps beyond `limit`.
    public var address: UInt64 {
        precondition(self < Self.limit, "a page frame beyond the 64-bit address space")
        return rawValue << Self.pageShift
    }

    @inlinable
    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }

    /// The frame `pages` frames above.
    @inlinable
    public static func + (lhs: Self, pages: UInt64) -> Self {
        Self(lhs.rawValue + pages)
    }

    /// Whether a block of `order` may begin here: buddies lie at multiples of their size.
    @inlinable
    public func isAligned(to order: Order) -> Bool {
        rawValue & (order.pageCount - 1) == 0
    }
}

/// A half-open range of page frames, `[lowerBound, upperBound)`.
public struct FrameRange: Hashable, Sendable {
    public let lowerBound: PageFrameNumber
    public let upperBound: PageFrameNumber

    /// Traps when the bounds are in the wrong order. An empty range is allowed.
    @inlinable
    public init(_ lowerBound: PageFrameNumber, _ upperBound: PageFrameNumber) {
        precondition(lowerBound <= upperBound, "a range of frames with its bounds reversed")
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// The 2^order frames from `first`.
    @inlinable
    public init(block first: PageFrameNumber, order: Order) {
        self.init(first, first + order.pageCount)
    }

    /// Frames in the range.
    @inlinable
    public var count: UInt64 { upperBound.rawValue - lowerBound.rawValue }

    @inlinable
    public var isEmpty: Bool { lowerBound == upperBound }

    @inlinable
    public func contains(_ frame: PageFrameNumber) -> Bool {
        lowerBound <= frame && frame < upperBound
    }

    /// Whether each frame of `other` lies in this range. An empty range lies in every range.
    @inlinable
    public func contains(_ other: FrameRange) -> Bool {
        other.isEmpty || (lowerBound <= other.lowerBound && other.upperBound <= upperBound)
    }

    /// The frames in both ranges; nil where there are none.
    @inlinable
    public func intersection(_ other: FrameRange) -> FrameRange? {
        let lower = max(lowerBound, other.lowerBound)
        let upper = min(upperBound, other.upperBound)
        return lower < upper ? FrameRange(lower, upper) : nil
    }

    /// The first naturally aligned block of `order` in the range; nil where there is none.
    public func firstBlock(of order: Order) -> PageFrameNumber? {
        let mask = order.pageCount - 1
        let (raised, overflow) = lowerBound.rawValue.addingReportingOverflow(mask)
        guard !overflow else { return nil }
        let first = raised & ~mask
        guard first < upperBound.rawValue, upperBound.rawValue - first >= order.pageCount else {
            return nil
        }
        return PageFrameNumber(first)
    }

    /// Calls `body` with the largest naturally aligned blocks that the range divides into,
    /// ascending.
    func forEachBlock(_ body: (PageFrameNumber, Order) -> Void) {
        var first = lowerBound
        while first < upperBound {
            let order = Order.largest(at: first, within: upperBound.rawValue - first.rawValue)
            body(first, order)
            first = first + order.pageCount
        }
    }
}
