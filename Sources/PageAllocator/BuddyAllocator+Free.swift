// Giving pages back. A block goes to the lists of its pageblock's type, and merges with its buddy
// as long as that is free, up to the largest order.
//
// Pageblocks of different types merge too, but not with one that is reserved for atomic requests.
// In 6.12 the buddy's pageblock then takes the type of the block that was freed, and a block of the
// largest order is freed as two halves, each by its own pageblock's type.
//
// Source: `__free_one_page`, `split_large_buddy`, mm/page_alloc.c.

extension BuddyAllocator {
    /// Gives a run of frames back, as its largest aligned blocks. No page of it may be free.
    ///
    /// - Parameter type: for which they were taken.
    package mutating func free(_ frames: FrameRange, for type: Migratetype = .unmovable) {
        let run = pages(of: frames)
        precondition(!run.isEmpty, "nothing was freed")
        for (block, order) in AlignedBlocks(run) {
            if order > Pageblock.order { freeLargest(block) } else { free(block, order) }
        }
        if type == .movable { pageblocks.countMovable(run, sign: -1) }
        freePages += UInt64(run.count)
    }

    @inline(never)
    private mutating func freeLargest(_ block: Int) {
        guard listsFollowPageblocks else {
            let pages = block << Order.max.rawValue..<(block + 1) << Order.max.rawValue
            noteBeforeChange(of: pages)
            runIndex?.noteChange(pages.lowerBound, pages.count)
            let type = pageblocks[Self.pageblock(of: block, Order.max.rawValue)].type
            return insert(block, Order.max.rawValue, type)
        }
        free(2 * block, Pageblock.order)
        free(2 * block + 1, Pageblock.order)
    }

    /// Frees a block of a pageblock at most.
    @inline(__always)
    private mutating func free(_ freed: Int, _ freedOrder: Int) {
        var block = freed
        var order = freedOrder
        let number = Self.pageblock(of: block, order)
        if isObserved {
            noteBeforeChange(of: freed << freedOrder..<(freed + 1) << freedOrder)
            runIndex?.noteChange(ofLeaf: number)
        }
        let type = pageblocks[number].type
        let map = writableMap(number, type)
        // Below a pageblock, buddies have one pageblock, whatever its type is.
        while order < Pageblock.order {
            let buddy = (block ^ 1) & (PageblockMap.blockCount(order) &- 1)
            guard
                removeIfFree(buddy, order, type, map, number)
                    || !listsFollowPageblocks && removeFromAnyList(block ^ 1, order)
            else { break }
            block &>>= 1
            order &+= 1
        }
        guard order < Pageblock.order else { return mergePageblocks(block, order, of: type) }
        insert(block & (PageblockMap.blockCount(order) &- 1), order, type, map, number)
    }

    @inline(never)
    private mutating func removeFromAnyList(_ block: Int, _ order: Int) -> Bool {
        for list in Migratetype.allCases where removeIfFree(block, order, list) {
            return true
        }
        return false
    }

    /// Merges a block of a pageblock or more with its buddies, and puts it on its list.
    @inline(never)
    private mutating func mergePageblocks(_ freed: Int, _ freedOrder: Int, of type: Migratetype) {
        var block = freed
        var order = freedOrder
        while order < Order.max.rawValue {
            let number = Self.pageblock(of: block ^ 1, order)
            let other = pageblocks[number].type
            let mayMerge = type == other || type != .highAtomic && other != .highAtomic
            guard mayMerge, removeBuddy(block ^ 1, order, of: other) else { break }
            if listsFollowPageblocks, type != other { pageblocks.setType(of: number, to: type) }
            block >>= 1
            order += 1
        }
        insert(block, order, type)
    }

    /// Takes a free buddy off its list, of a pageblock of the type; false where it is not free.
    private mutating func removeBuddy(_ buddy: Int, _ order: Int, of type: Migratetype) -> Bool {
        listsFollowPageblocks
            ? removeIfFree(buddy, order, type) : removeFromAnyList(buddy, order)
    }
}
