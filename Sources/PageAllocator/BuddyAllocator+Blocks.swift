// What can be asked of a zone: its counters, its pageblocks, its free blocks.

extension BuddyAllocator {
    /// What a watermark check asks.
    package var counters: ZoneCounters {
        ZoneCounters(
            freePages: freePages, boost: boost, reservedHighatomic: reservedHighatomic,
            freeHighatomic: freeOrders[.highAtomic] == 0 ? 0 : freePages(in: .highAtomic),
            freeOrders: freeOrders)
    }

    private func freePages(in list: Migratetype) -> UInt64 {
        (0..<Order.count).reduce(0) {
            $0 + UInt64(unsafe areas[Self.area(list, $1)].count) << UInt64($1)
        }
    }

    /// Free blocks of an order in the lists of a type: a number of pagetypeinfo.
    package func freeBlocks(of order: Order, type: Migratetype) -> UInt64 {
        UInt64(unsafe areas[Self.area(type, order.rawValue)].count)
    }

    /// Free blocks of each order, 0 first: a line of buddyinfo.
    package var freeBlocks: [UInt64] {
        (0..<Order.count).map { order in
            Migratetype.allCases.reduce(0) {
                $0 + UInt64(unsafe areas[Self.area($1, order)].count)
            }
        }
    }

    /// Managed pageblocks of each type, `Migratetype.rawValue` first.
    package var pageblockCounts: [UInt64] {
        Migratetype.allCases.map { pageblocks.counts[$0.rawValue] }
    }

    /// The type of the pageblock that a frame of the zone is in.
    package func pageblockType(of pfn: PageFrameNumber) -> Migratetype {
        pageblock(of: pfn).type
    }

    package func pageblock(of pfn: PageFrameNumber) -> Pageblock {
        precondition(pfn >= base, "a frame of another zone")
        return pageblocks[Int(pfn.rawValue - base.rawValue) >> Pageblock.order]
    }

    /// Whether the frame is in a free block.
    package func isFree(_ pfn: PageFrameNumber) -> Bool {
        guard pfn >= base, pfn < base + UInt64(frameCount) else { return false }
        return freeBlock(holding: Int(pfn.rawValue - base.rawValue)) != nil
    }

    /// Calls `body` with each free block: low orders first, then types, then low addresses.
    package func forEachFreeBlock(_ body: (PageFrameNumber, Order, Migratetype) -> Void) {
        for order in 0..<Order.count {
            let end = frameCount >> order
            for list in Migratetype.allCases {
                var next = first(order, list, in: 0..<end)
                while let block = next {
                    body(frames(of: block, order).lowerBound, Order(unchecked: order), list)
                    next = first(order, list, in: block + 1..<end)
                }
            }
        }
    }

    // MARK: Free blocks of any type

    /// Bit o: whether a block of order o is free.
    package var freeOrderMask: UInt16 {
        Migratetype.allCases.reduce(0) { $0 | freeOrders[$1] }
    }

    /// Whether blocks of an order are on a list.
    private func has(_ order: Int, _ list: Migratetype) -> Bool {
        freeOrders[list] & 1 &<< UInt16(truncatingIfNeeded: order) != 0
    }

    /// The first free block of the order at or after a block number; nil where there is none.
    package func firstFreeBlock(_ order: Int, atOrAfter block: Int) -> Int? {
        precondition(block >= 0)
        var end = frameCount >> order
        var found: Int?
        for list in Migratetype.allCases where has(order, list) && block < end {
            if let first = first(order, list, in: block..<end) {
                found = first
                end = first
            }
        }
        return found
    }

    /// The last free block of the order at or before a block number; nil where there is none.
    package func lastFreeBlock(_ order: Int, atOrBefore block: Int) -> Int? {
        guard block >= 0 else { return nil }
        let start = min(block, frameCount >> order - 1)
        var found: Int?
        for list in Migratetype.allCases where has(order, list) {
            if let last = last(order, list, atOrBefore: start) { found = max(found ?? last, last) }
        }
        return found
    }

    package func isFreeBlock(_ order: Int, _ block: Int) -> Bool {
        precondition(block >= 0 && block < frameCount >> order)
        if listsFollowPageblocks, order <= Pageblock.order {
            return contains(block, order, .unmovable)
        }
        for list in Migratetype.allCases where has(order, list) {
            if contains(block, order, list) { return true }
        }
        return false
    }

    /// Bit i: whether block 64 * `word` + i of the order is free; 0 beyond the zone.
    @inline(__always)
    package func freeWord(_ order: Int, _ word: Int) -> UInt64 {
        guard word >= 0, word << 6 < frameCount >> order else { return 0 }
        return order > 3 ? freeWordOfHighOrder(order, word) : freeWordOfLowOrder(order, word)
    }

    /// 64 blocks of one pageblock.
    @inline(__always)
    private func freeWordOfLowOrder(_ order: Int, _ word: Int) -> UInt64 {
        let number = word &>> (3 &- order)
        let part = word & (8 &>> order &- 1)
        guard listsFollowPageblocks else { return freeWordOfAnyList(order, number, part) }
        return map(number, .unmovable).word(order, part)
    }

    private func freeWordOfAnyList(_ order: Int, _ number: Int, _ part: Int) -> UInt64 {
        var bits: UInt64 = 0
        for list in Migratetype.allCases where has(order, list) {
            bits |= map(number, list).word(order, part)
        }
        return bits
    }

    /// 64 blocks of two pageblocks or more: only those that have any are looked at.
    private func freeWordOfHighOrder(_ order: Int, _ word: Int) -> UInt64 {
        var bits: UInt64 = 0
        for list in Migratetype.allCases where has(order, list) {
            bits |= freeWordOfHighOrder(order, word, list)
        }
        return bits
    }

    private func freeWordOfHighOrder(_ order: Int, _ word: Int, _ list: Migratetype) -> UInt64 {
        let area = Self.area(list, order)
        guard order < Pageblock.order else { return unsafe areas[area].places.word(word) }
        let first = word << (order - 3)
        let share = UInt64.max >> UInt64(64 - 1 << (order - 3))
        var places = unsafe areas[area].places.word(first >> 6) >> UInt64(first & 63) & share
        var bits: UInt64 = 0
        while places != 0 {
            let place = places.trailingZeroBitCount
            let blocks = map(first + place, list).bits(order)
            bits |= blocks << UInt64(place * PageblockMap.blockCount(order))
            places &= places - 1
        }
        return bits
    }

    // MARK: Frames by number

    func frames(of block: Int, _ order: Int) -> FrameRange {
        let first = base + UInt64(block << order)
        return FrameRange(first, first + 1 << UInt64(order))
    }

    /// A range's pages, numbered from `base`. Traps where the zone has no place for them.
    @inline(__always)
    func pages(of range: FrameRange) -> Range<Int> {
        let end = base.rawValue + UInt64(frameCount)
        precondition(
            range.lowerBound >= base && range.upperBound.rawValue <= end, "frames of another zone")
        let first = Int(range.lowerBound.rawValue - base.rawValue)
        return first..<first + Int(range.count)
    }
}
