// The lists: which blocks are on them, and the next one near any place.
//
// In 6.12 a free block stands in the list of its pageblock's type. All types therefore share one
// map a pageblock, and a pageblock that changes its type takes its free blocks along. In 6.1 a
// pageblock's free blocks can be on lists of several types, and each type has maps of its own.

extension BuddyAllocator {
    @inline(__always)
    static func area(_ list: Migratetype, _ order: Int) -> Int {
        list.rawValue * Order.count + order
    }

    /// The map of a pageblock for a list, to be read and to have blocks taken off.
    @inline(__always)
    func map(_ pageblock: Int, _ list: Migratetype) -> PageblockMap {
        guard listsFollowPageblocks else { return ownMap(pageblock, list) }
        return maps[pageblock]
    }

    /// A function of its own, so that where types share a map its place can be read from memory
    /// before the type has been.
    @inline(never)
    private func ownMap(_ pageblock: Int, _ list: Migratetype) -> PageblockMap {
        maps[list.rawValue * pageblocks.count + pageblock]
    }

    /// The map of a pageblock for a list, which blocks can be put on too.
    @inline(__always)
    mutating func writableMap(_ pageblock: Int, _ list: Migratetype) -> PageblockMap {
        guard listsFollowPageblocks else { return ownWritableMap(pageblock, list) }
        return maps.writable(pageblock)
    }

    @inline(never)
    private mutating func ownWritableMap(_ pageblock: Int, _ list: Migratetype) -> PageblockMap {
        maps.writable(list.rawValue * pageblocks.count + pageblock)
    }

    /// log2 of the blocks of an order in a pageblock.
    @inline(__always)
    static func shift(_ order: Int) -> Int {
        Pageblock.order &- order
    }

    /// What of a block's number is its number in the pageblock.
    @inline(__always)
    private static func indexMask(_ order: Int) -> Int {
        PageblockMap.blockCount(order) &- 1
    }

    // MARK: Changing

    /// Puts a block on a list. No page of it may be on one.
    @inline(__always)
    mutating func insert(_ block: Int, _ order: Int, _ list: Migratetype) {
        if order <= Pageblock.order {
            let pageblock = block &>> Self.shift(order)
            let map = writableMap(pageblock, list)
            insert(block & Self.indexMask(order), order, list, map, pageblock)
        } else {
            unsafe areas[Self.area(list, order)].places.insert(block)
            count(1, on: list, order)
        }
    }

    /// Puts a block on a list, by its number in its pageblock.
    @inline(__always)
    mutating func insert(
        _ index: Int, _ order: Int, _ list: Migratetype, _ map: PageblockMap, _ pageblock: Int
    ) {
        if map.insert(order, index) {
            unsafe areas[Self.area(list, order)].places.insert(pageblock)
        }
        count(1, on: list, order)
    }

    /// Takes a block off its list.
    @inline(__always)
    mutating func remove(_ block: Int, _ order: Int, _ list: Migratetype) {
        let isRemoved = removeIfFree(block, order, list)
        precondition(isRemoved, "a block was taken that is not free")
    }

    /// Takes a block off a list; false where it is not on it. In 6.12 the list must be that of the
    /// block's pageblock.
    @inline(__always)
    mutating func removeIfFree(_ block: Int, _ order: Int, _ list: Migratetype) -> Bool {
        if order <= Pageblock.order {
            let pageblock = block &>> Self.shift(order)
            return removeIfFree(
                block & Self.indexMask(order), order, list, map(pageblock, list), pageblock)
        }
        guard unsafe areas[Self.area(list, order)].places.remove(block) else { return false }
        count(-1, on: list, order)
        return true
    }

    /// Takes a block off a list, by its number in its pageblock; false where it is not on it.
    @inline(__always)
    mutating func removeIfFree(
        _ index: Int, _ order: Int, _ list: Migratetype, _ map: PageblockMap, _ pageblock: Int
    ) -> Bool {
        switch map.remove(order, index) {
        case .notFree: return false
        case .removed: break
        case .removedLast: removePlace(pageblock, Self.area(list, order))
        }
        count(-1, on: list, order)
        return true
    }

    /// Takes the lowest block of `order` of the smallest sufficient order off a list, and puts the
    /// halves that are left on it; nil where the list has none (`__rmqueue_smallest`, `expand`).
    /// The run index is told.
    @inline(__always)
    mutating func takeLowest(_ order: Int, from list: Migratetype) -> Int? {
        let orders = Int(freeOrders[list]) & -1 &<< order
        guard orders != 0 else { return nil }
        var half = orders.trailingZeroBitCount
        guard half <= Pageblock.order else { return splitLargest(for: order, from: list) }
        let area = Self.area(list, half)
        let pageblock = unsafe areas[area].places.lowest
        runIndex?.noteChange(ofLeaf: pageblock)
        let map = writableMap(pageblock, list)
        var (kept, isLast) = map.removeFirst(half)
        if isLast { removePlace(pageblock, area) }
        count(-1, on: list, half)
        while half > order {
            half &-= 1
            kept &<<= 1
            insert(kept | 1, half, list, map, pageblock)
        }
        return pageblock &<< Self.shift(order) | kept
    }

    /// The same for a list that has blocks of the largest order alone.
    @inline(never)
    private mutating func splitLargest(for order: Int, from list: Migratetype) -> Int {
        let largest = unsafe areas[Self.area(list, Order.max.rawValue)].places.lowest
        runIndex?.noteChange(largest << Order.max.rawValue, Int(Order.max.pageCount))
        remove(largest, Order.max.rawValue, list)
        for half in order..<Order.max.rawValue {
            insert(largest << (Order.max.rawValue - half) | 1, half, list)
        }
        return largest << (Order.max.rawValue - order)
    }

    @inline(never)
    private mutating func removePlace(_ place: Int, _ area: Int) {
        let isRemoved = unsafe areas[area].places.remove(place)
        precondition(isRemoved, "a block stands in another list than its pageblock's")
    }

    @inline(__always)
    mutating func count(_ change: Int, on list: Migratetype, _ order: Int) {
        let area = Self.area(list, order)
        let before = unsafe areas[area].count
        unsafe areas[area].count = before &+ change
        if before == 0 || before &+ change == 0 {
            freeOrders[list] ^= 1 &<< UInt16(truncatingIfNeeded: order)
        }
    }

    /// Puts a run on a list as its largest aligned blocks, without merging.
    mutating func insert(_ run: Range<Int>, in list: Migratetype) {
        for (block, order) in AlignedBlocks(run) {
            insert(block, order, list)
        }
    }

    /// Takes the free blocks of a pageblock, order 0 to 9, from one list to another, where all
    /// types share the maps.
    mutating func relist(_ pageblock: Int, from old: Migratetype, to new: Migratetype) {
        for order in 0...Pageblock.order {
            let area = Self.area(old, order)
            guard unsafe areas[area].places.contains(pageblock) else { continue }
            let blocks = map(pageblock, old).count(order, in: 0..<PageblockMap.blockCount(order))
            removePlace(pageblock, area)
            unsafe areas[Self.area(new, order)].places.insert(pageblock)
            count(-blocks, on: old, order)
            count(blocks, on: new, order)
        }
    }

    // MARK: Searching

    /// Whether a block is on a list. In 6.12 the list must be that of the block's pageblock.
    func contains(_ block: Int, _ order: Int, _ list: Migratetype) -> Bool {
        guard order <= Pageblock.order else {
            return unsafe areas[Self.area(list, order)].places.contains(block)
        }
        return map(block >> Self.shift(order), list).contains(
            order, block & (PageblockMap.blockCount(order) - 1))
    }

    /// The first block of a list in a range; nil where there is none.
    func first(_ order: Int, _ list: Migratetype, in blocks: Range<Int>) -> Int? {
        let area = Self.area(list, order)
        guard order <= Pageblock.order else { return unsafe areas[area].places.first(in: blocks) }
        var place = blocks.lowerBound &>> Self.shift(order)
        while let pageblock = unsafe areas[area].places.first(atOrAfter: place) {
            let first = pageblock &<< Self.shift(order)
            guard first < blocks.upperBound else { return nil }
            if let index = map(pageblock, list).first(
                order, atOrAfter: max(blocks.lowerBound - first, 0))
            {
                return first + index < blocks.upperBound ? first + index : nil
            }
            place = pageblock + 1
        }
        return nil
    }

    /// The last block of a list at or before `start`; nil where there is none.
    func last(_ order: Int, _ list: Migratetype, atOrBefore start: Int) -> Int? {
        let area = Self.area(list, order)
        guard order <= Pageblock.order else {
            return unsafe areas[area].places.last(atOrBefore: start)
        }
        var place = start >> Self.shift(order)
        while let pageblock = unsafe areas[area].places.last(atOrBefore: place) {
            let first = pageblock << Self.shift(order)
            let upper = min(start - first, PageblockMap.blockCount(order) - 1)
            if let index = map(pageblock, list).last(order, atOrBefore: upper) {
                return first + index
            }
            place = pageblock - 1
        }
        return nil
    }

    /// Free pages of a run within one pageblock that no free block reaches beyond.
    func freePages(in run: Range<Int>) -> Int {
        let number = run.lowerBound >> Pageblock.order
        let first = number << Pageblock.order
        precondition(run.upperBound <= first + Pageblock.pageCount)
        var pages = 0
        for order in 0...Pageblock.order {
            let low = (run.lowerBound - first + (1 << order) - 1) >> order
            let high = (run.upperBound - first) >> order
            guard low < high else { continue }
            for list in Migratetype.allCases
            where unsafe areas[Self.area(list, order)].places.contains(number) {
                pages += map(number, list).count(order, in: low..<high) << order
            }
        }
        return pages
    }
}

/// The largest naturally aligned blocks of which a run of pages is made, ascending.
struct AlignedBlocks: Sequence, IteratorProtocol {
    private var first: Int
    private let end: Int

    init(_ run: Range<Int>) {
        first = run.lowerBound
        end = run.upperBound
    }

    @inline(__always)
    mutating func next() -> (block: Int, order: Int)? {
        guard first < end else { return nil }
        let aligned = (first | 1 << Order.max.rawValue).trailingZeroBitCount
        let fitting = Int.bitWidth - 1 - (end - first).leadingZeroBitCount
        let order = Swift.min(aligned, fitting)
        let block = first &>> order
        first += 1 &<< order
        return (block, order)
    }
}
