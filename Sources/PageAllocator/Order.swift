/// log2 of the number of pages in a block: 0 (one page) to 10 (1,024 pages, 4 MiB).
///
/// Source: `MAX_PAGE_ORDER`, include/linux/mmzone.h; Linux 6.1 writes `MAX_ORDER` 11, exclusive.
public struct Order: Hashable, Comparable, Sendable {
    /// The largest order that the buddy lists hold.
    public static let max = Order(unchecked: 10)

    public static let zero = Order(unchecked: 0)

    /// How many orders there are: `NR_PAGE_ORDERS`.
    public static let count = 11

    public let rawValue: Int

    /// nil outside 0…10.
    public init?(_ rawValue: Int) {
        guard (0..<Self.count).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    @inlinable
    init(unchecked rawValue: Int) {
        self.rawValue = rawValue
    }

    /// The largest order of which a block can begin at `pfn` and have at most `pages` pages, 1 or
    /// more.
    static func largest(at pfn: PageFrameNumber, within pages: UInt64) -> Order {
        let aligned = pfn.rawValue.trailingZeroBitCount
        let fitting = 63 - pages.leadingZeroBitCount
        return Order(unchecked: Swift.min(aligned, fitting, max.rawValue))
    }

    /// Pages in a block of this order.
    @inlinable
    public var pageCount: UInt64 { 1 << UInt64(rawValue) }

    @inlinable
    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }
}
