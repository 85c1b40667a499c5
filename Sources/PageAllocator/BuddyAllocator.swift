// The buddy system of one zone.
//
// Free memory is kept as the unique set of largest naturally aligned blocks, order 0 to 10, whose
// union it is: each free merges with its buddy as long as that is free. The state is therefore a
// function of which pages are free, and not of the order in which they became so. Recovery and
// replay rest on that.
//
// Among the blocks that serve a request the smallest sufficient order is taken, and of that order
// the lowest address. The kernel takes the head of a list instead; which node and zone serve a
// request does not depend on it.
//
// Source: `__rmqueue_smallest`, `expand`, `__free_one_page`, mm/page_alloc.c.

@safe struct BuddyAllocator: ~Copyable {
    /// The zone's first frame, rounded down to a block of the largest order: block indexes count
    /// from here, and so a block's natural alignment is that of its index.
    let base: PageFrameNumber

    /// What was managed when the zone was made.
    let managedPages: UInt64

    private(set) var freePages: UInt64 = 0

    /// One `FreeArea` for each order.
    private let areas: UnsafeMutablePointer<FreeArea>

    /// All managed pages are free. `span` must hold each of the ranges, which are disjoint.
    init(span: FrameRange, managedRanges: [FrameRange]) {
        let largest = Order.max.pageCount
        base = PageFrameNumber(span.lowerBound.rawValue & ~(largest - 1))
        let pages = span.upperBound.rawValue - base.rawValue
        let largestBlocks = Int((pages + largest - 1) / largest)
        unsafe areas = .allocate(capacity: Order.count)
        for order in 0..<Order.count {
            let count = max(largestBlocks, 1) << (Order.max.rawValue - order)
            unsafe (areas + order).initialize(to: FreeArea(blockCount: count))
        }
        managedPages = managedRanges.reduce(0) { $0 + $1.count }
        for range in managedRanges {
            insert(range)
        }
        assert(freePages == managedPages)
    }

    deinit {
        unsafe areas.deinitialize(count: Order.count)
        unsafe areas.deallocate()
    }

    /// Takes the lowest block of the smallest sufficient order that has an aligned block of `order`
    /// within `window`; nil where no such block is free.
    ///
    /// Exact and complete: a free aligned block lies in exactly one maximal free block, which is
    /// looked for in each order at or above.
    mutating func allocate(_ order: Order, within window: FrameRange) -> PageFrameNumber? {
        guard let wanted = blockIndexes(of: order, within: window) else { return nil }
        for larger in order.rawValue..<Order.count {
            let shift = larger - order.rawValue
            guard
                let found = unsafe areas[larger].first(atOrAfter: wanted.lowerBound >> shift),
                found <= (wanted.upperBound - 1) >> shift
            else { continue }
            let block = max(wanted.lowerBound, found << shift)
            split(found, of: larger, downTo: order, keeping: block)
            return frame(of: block, order: order)
        }
        return nil
    }

    /// Whether an aligned block of `order` within `window` is free.
    func canAllocate(_ order: Order, within window: FrameRange) -> Bool {
        guard let wanted = blockIndexes(of: order, within: window) else { return false }
        return (order.rawValue..<Order.count).contains { larger in
            let shift = larger - order.rawValue
            let found = unsafe areas[larger].first(atOrAfter: wanted.lowerBound >> shift)
            return found.map { $0 <= (wanted.upperBound - 1) >> shift } ?? false
        }
    }

    /// Takes exactly this block; false, with nothing changed, where not all of it is free.
    mutating func take(_ pfn: PageFrameNumber, order: Order) -> Bool {
        guard pfn.isAligned(to: order), let block = index(of: pfn, order: order) else {
            return false
        }
        for larger in order.rawValue..<Order.count {
            let container = block >> (larger - order.rawValue)
            if unsafe areas[larger].contains(container) {
                split(container, of: larger, downTo: order, keeping: block)
                return true
            }
        }
        return false
    }

    /// Gives a block back and merges it with its buddies. No page of it may be free.
    mutating func free(_ pfn: PageFrameNumber, order: Order) {
        precondition(pfn.isAligned(to: order), "a block that is not aligned was freed")
        guard var block = index(of: pfn, order: order) else {
            preconditionFailure("a block outside the zone was freed")
        }
        freePages += order.pageCount
        var merged = order.rawValue
        while merged < Order.max.rawValue, unsafe areas[merged].contains(block ^ 1) {
            unsafe areas[merged].remove(block ^ 1)
            block >>= 1
            merged += 1
        }
        unsafe areas[merged].insert(block)
    }

    /// Free blocks of each order, 0 first.
    var freeBlocks: [UInt64] {
        (0..<Order.count).map { UInt64(unsafe areas[$0].freeCount) }
    }

    /// Whether the frame is in a free block.
    func isFree(_ pfn: PageFrameNumber) -> Bool {
        guard let page = index(of: pfn, order: .zero) else { return false }
        return (0..<Order.count).contains { unsafe areas[$0].contains(page >> $0) }
    }

    /// Marks `kept`, a block of `order` inside the free block `block` of `larger`, as taken, and
    /// the halves beside it as free (`expand`).
    private mutating func split(
        _ block: Int, of larger: Int, downTo order: Order, keeping kept: Int
    ) {
        unsafe areas[larger].remove(block)
        var half = larger
        while half > order.rawValue {
            half -= 1
            unsafe areas[half].insert((kept >> (half - order.rawValue)) ^ 1)
        }
        freePages -= order.pageCount
    }

    /// Adds a range of frames that are not free as its largest aligned blocks.
    private mutating func insert(_ range: FrameRange) {
        var first = range.lowerBound.rawValue - base.rawValue
        let end = range.upperBound.rawValue - base.rawValue
        while first < end {
            let aligned = first == 0 ? Order.max.rawValue : first.trailingZeroBitCount
            let fitting = 63 - (end - first).leadingZeroBitCount
            let order = Order(unchecked: min(aligned, fitting, Order.max.rawValue))
            free(PageFrameNumber(base.rawValue + first), order: order)
            first += order.pageCount
        }
    }

    /// The indexes of the aligned blocks of `order` that lie wholly within `window`.
    private func blockIndexes(of order: Order, within window: FrameRange) -> Range<Int>? {
        let shift = UInt64(order.rawValue)
        let end = base.rawValue + UInt64(unsafe areas[0].blockCount)
        let lower = max(window.lowerBound.rawValue, base.rawValue) - base.rawValue
        let upper = min(window.upperBound.rawValue, end)
        guard upper > base.rawValue else { return nil }
        let first = (lower + order.pageCount - 1) >> shift
        let last = (upper - base.rawValue) >> shift
        return first < last ? Int(first)..<Int(last) : nil
    }

    private func index(of pfn: PageFrameNumber, order: Order) -> Int? {
        guard pfn >= base else { return nil }
        let block = (pfn.rawValue - base.rawValue) >> UInt64(order.rawValue)
        return block < UInt64(unsafe areas[order.rawValue].blockCount) ? Int(block) : nil
    }

    private func frame(of block: Int, order: Order) -> PageFrameNumber {
        base + UInt64(block) << UInt64(order.rawValue)
    }

    func checkAreas() {
        for order in 0..<Order.count {
            unsafe areas[order].checkInvariants()
        }
    }

    /// Calls `body` with each free block, low orders first, low addresses first.
    func forEachFreeBlock(_ body: (PageFrameNumber, Order) -> Void) {
        for order in 0..<Order.count {
            let order = Order(unchecked: order)
            var next = unsafe areas[order.rawValue].first(atOrAfter: 0)
            while let block = next {
                body(frame(of: block, order: order), order)
                next = unsafe areas[order.rawValue].first(atOrAfter: block + 1)
            }
        }
    }
}
