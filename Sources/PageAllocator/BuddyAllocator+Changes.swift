// What an allocation changes beside taking its pages. Each such change is made through `apply`, as
// a replay makes it, so that the two cannot differ.

extension BuddyAllocator {
    /// Makes a change, as an allocation made it.
    ///
    /// - Precondition: `canApply(change)`.
    package mutating func apply(_ change: ZoneChange) {
        precondition(canApply(change), "a change of another zone")
        switch change {
        case .retyped(let range, let type):
            noteBeforeChange(of: pages(of: range))
            retype(pages(of: range), to: type)
        case .moved(let range, let type):
            noteBeforeChange(of: pages(of: range))
            move(pages(of: range), to: type)
        case .boosted(let pages): boost = pages
        // Where a search goes on is not kept with the lists.
        case .advanced: break
        }
    }

    /// Whether a change, read from a record, is one that this zone can have.
    package func canApply(_ change: ZoneChange) -> Bool {
        switch change {
        case .retyped(let range, _): holds(range) && isWholePageblocks(range)
        // Where lists follow pageblocks, free blocks move by retyping alone.
        case .moved(let range, _): holds(range) && !listsFollowPageblocks
        case .boosted(let pages): pages <= rules.maximumBoost
        case .advanced(let pfn): span.lowerBound <= pfn && pfn <= span.upperBound
        }
    }

    private func holds(_ range: FrameRange) -> Bool {
        range.lowerBound >= base && range.upperBound <= base + UInt64(frameCount)
    }

    private func isWholePageblocks(_ range: FrameRange) -> Bool {
        (range.lowerBound.rawValue | range.upperBound.rawValue) % UInt64(Pageblock.pageCount) == 0
    }

    /// Makes a change and records it.
    mutating func make(_ change: ZoneChange, _ changes: inout [ZoneChange]) {
        apply(change)
        changes.append(change)
    }

    /// Moves what is free in a range to the lists of a type, where a retyping does not.
    mutating func makeMove(
        of range: FrameRange, to type: Migratetype, _ changes: inout [ZoneChange]
    ) {
        if !listsFollowPageblocks { make(.moved(range, to: type), &changes) }
    }

    /// Sets the type of a run of pageblocks (`set_pageblock_migratetype`). Where lists follow
    /// pageblocks their free blocks go along; a block that reaches beyond the run is split there.
    private mutating func retype(_ run: Range<Int>, to type: Migratetype) {
        let numbers = run.lowerBound >> Pageblock.order..<run.upperBound >> Pageblock.order
        if listsFollowPageblocks { relistLargest(numbers, to: type) }
        for number in numbers {
            let old = pageblocks[number].type
            if listsFollowPageblocks, old != type { relist(number, from: old, to: type) }
            pageblocks.setType(of: number, to: type)
        }
        if type == .highAtomic { hasReserved = true }
    }

    /// Takes the free blocks of the largest order over to a type, of which pageblocks get it.
    private mutating func relistLargest(_ numbers: Range<Int>, to type: Migratetype) {
        let largest = Order.max.rawValue
        for block in numbers.lowerBound >> 1..<(numbers.upperBound + 1) >> 1 {
            let old = pageblocks[2 * block].type
            guard old != type, removeIfFree(block, largest, old) else { continue }
            if numbers.contains(2 * block), numbers.contains(2 * block + 1) {
                insert(block, largest, type)
            } else {
                insert(2 * block, Pageblock.order, old)
                insert(2 * block + 1, Pageblock.order, old)
            }
        }
    }

    /// Moves what is free in a run to the lists of a type (`move_freepages`, 6.1). A block that
    /// reaches beyond the run is split there.
    private mutating func move(_ run: Range<Int>, to type: Migratetype) {
        guard !run.isEmpty else { return }
        for order in 0..<Order.count {
            let blocks = run.lowerBound >> order..<(run.upperBound - 1) >> order + 1
            for list in Migratetype.allCases where list != type {
                var next = first(order, list, in: blocks)
                while let block = next {
                    remove(block, order, list)
                    let pages = block << order..<(block + 1) << order
                    let moved = pages.clamped(to: run)
                    insert(pages.lowerBound..<moved.lowerBound, in: list)
                    insert(moved, in: type)
                    insert(moved.upperBound..<pages.upperBound, in: list)
                    next = first(order, list, in: block + 1..<blocks.upperBound)
                }
            }
        }
    }
}
