// The two allocators, as the bench calls them.

import CListBuddy
import PageAllocator

/// Pages of one zone that begins at page 0.
protocol PageZone: ~Copyable {
    /// The first page of a block; -1 where none is free.
    mutating func allocate(_ order: Int) -> Int
    mutating func free(_ page: Int, _ order: Int)
}

/// The buddy allocator with linked lists.
@safe struct ListZone: ~Copyable, PageZone {
    private let zone: OpaquePointer

    init(pages: Int) {
        guard let zone = unsafe clistbuddy_create(UInt32(pages)) else {
            fatalError("no memory for the lists of \(pages) pages")
        }
        unsafe self.zone = unsafe zone
    }

    deinit {
        unsafe clistbuddy_destroy(zone)
    }

    @inline(__always)
    mutating func allocate(_ order: Int) -> Int {
        Int(unsafe clistbuddy_allocate(zone, UInt32(order)))
    }

    @inline(__always)
    mutating func free(_ page: Int, _ order: Int) {
        unsafe clistbuddy_free(zone, UInt32(page), UInt32(order))
    }
}

/// One zone of this allocator: Movable requests, as what a zone begins with is Movable.
struct BitmapZone: ~Copyable, PageZone {
    var buddies: BuddyAllocator
    private let window: FrameRange
    private let orders: [Order]
    private var changes: [ZoneChange] = []

    init(pages: Int, dialect: KernelDialect = .linux612) {
        window = FrameRange(PageFrameNumber(0), PageFrameNumber(UInt64(pages)))
        buddies = BuddyAllocator(
            span: window, managedRanges: [window], rules: BuddyRules(dialect: dialect))
        orders = (0..<Order.count).compactMap { Order($0) }
    }

    @inline(__always)
    mutating func allocate(_ order: Int) -> Int {
        let pfn = buddies.allocate(
            orders[order], for: .movable, with: [], within: window, changes: &changes)
        guard let pfn else { return -1 }
        return Int(pfn.rawValue)
    }

    @inline(__always)
    mutating func free(_ page: Int, _ order: Int) {
        buddies.free(
            FrameRange(block: PageFrameNumber(UInt64(page)), order: orders[order]), for: .movable)
    }

    /// Puts a free page on the list of a type, as a fallback of Linux 6.1 does.
    mutating func move(_ page: Int, to type: Migratetype) {
        let frames = FrameRange(block: PageFrameNumber(UInt64(page)), order: .zero)
        buddies.apply(.moved(frames, to: type))
    }
}
