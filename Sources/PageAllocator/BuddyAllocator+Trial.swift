// What brings a zone back to where it stood when a trial began.
//
// A change of the lists never reaches beyond the largest block that it happens in: blocks split and
// merge within it, and the two pageblocks in it change their types there. So before the first
// change in such a stretch, its free blocks and its pageblocks are written down, and to go back is
// to put them there again. A trial therefore costs what it touches. Outside a trial it costs
// nothing: an allocation asks whether its window lets it have any block, a free whether there is
// more to note than the lists, as they would without trials (`unrestricted`, `isObserved`).

/// A zone as a trial found it, as far as the trial has changed it.
struct ZoneUndo {
    let freePages: UInt64
    let boost: UInt64
    let hasReserved: Bool

    /// Disjoint, in the order in which they were first changed.
    private(set) var stretches: [Stretch] = []

    /// Which stretches are written down, by number. Never iterated.
    private var numbers: Set<Int> = []

    /// The frames of a block of the largest order.
    struct Stretch {
        /// The number of that block.
        let number: Int
        let pageblocks: [Pageblock]
        let freeBlocks: [FreeBlock]
    }

    struct FreeBlock {
        let block: Int
        let order: Int
        let list: Migratetype
    }

    init(freePages: UInt64, boost: UInt64, hasReserved: Bool) {
        self.freePages = freePages
        self.boost = boost
        self.hasReserved = hasReserved
    }

    func holds(_ number: Int) -> Bool { numbers.contains(number) }

    mutating func append(_ stretch: Stretch) {
        numbers.insert(stretch.number)
        stretches.append(stretch)
    }
}

extension BuddyAllocator {
    /// From here on `rollBackTrial` can bring the zone back as it is now.
    mutating func beginTrial() {
        precondition(!isOnTrial, "a trial within a trial")
        undo = ZoneUndo(freePages: freePages, boost: boost, hasReserved: hasReserved)
        unrestricted = FrameRange(PageFrameNumber(0), PageFrameNumber(.max))
        isObserved = true
    }

    mutating func commitTrial() {
        precondition(isOnTrial, "no trial to be committed")
        undo = nil
        endTrial()
    }

    mutating func rollBackTrial() {
        guard let found = undo.take() else { preconditionFailure("no trial to be rolled back") }
        endTrial()
        for stretch in found.stretches {
            putBack(stretch)
        }
        freePages = found.freePages
        boost = found.boost
        hasReserved = found.hasReserved
    }

    private mutating func endTrial() {
        unrestricted = span
        isObserved = runIndex != nil
    }

    // MARK: Writing down

    /// Writes down, in a trial, the stretches that hold any page of a run, which is about to be
    /// changed.
    @inline(__always)
    mutating func noteBeforeChange(of run: Range<Int>) {
        if undo != nil { writeDown(run) }
    }

    @inline(never)
    private mutating func writeDown(_ run: Range<Int>) {
        guard !run.isEmpty else { return }
        let largest = Order.max.rawValue
        for number in run.lowerBound >> largest...(run.upperBound - 1) >> largest
        where undo?.holds(number) == false {
            let stretch = stretch(number)
            undo?.append(stretch)
        }
    }

    private func stretch(_ number: Int) -> ZoneUndo.Stretch {
        ZoneUndo.Stretch(
            number: number, pageblocks: Self.pageblocks(ofStretch: number).map { pageblocks[$0] },
            freeBlocks: freeBlocks(ofStretch: number))
    }

    private func freeBlocks(ofStretch number: Int) -> [ZoneUndo.FreeBlock] {
        var found: [ZoneUndo.FreeBlock] = []
        for list in Migratetype.allCases {
            var orders = Int(freeOrders[list])
            while orders != 0 {
                let order = orders.trailingZeroBitCount
                orders &= orders - 1
                let shift = Order.max.rawValue - order
                let blocks = number << shift..<(number + 1) << shift
                var next = first(order, list, in: blocks)
                while let block = next {
                    found.append(ZoneUndo.FreeBlock(block: block, order: order, list: list))
                    next = first(order, list, in: block + 1..<blocks.upperBound)
                }
            }
        }
        return found
    }

    private static func pageblocks(ofStretch number: Int) -> Range<Int> {
        let shift = Order.max.rawValue - Pageblock.order
        return number << shift..<(number + 1) << shift
    }

    // MARK: Going back

    /// Puts a stretch's free blocks and pageblocks in the place of those that are there now.
    private mutating func putBack(_ stretch: ZoneUndo.Stretch) {
        for free in freeBlocks(ofStretch: stretch.number) {
            remove(free.block, free.order, free.list)
        }
        for (number, pageblock) in zip(
            Self.pageblocks(ofStretch: stretch.number), stretch.pageblocks)
        {
            pageblocks.restore(number, to: pageblock)
        }
        for free in stretch.freeBlocks {
            insert(free.block, free.order, free.list)
        }
        runIndex?.noteChange(
            stretch.number << Order.max.rawValue, Int(Order.max.pageCount))
    }
}
