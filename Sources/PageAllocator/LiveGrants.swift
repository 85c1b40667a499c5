// Which grants are alive, and which frame belongs to which of them.
//
// Two questions are asked: "what does allocation 42 still hold?" and "who holds frame 0x1234?".
// Identifiers only ever grow, so the grants stand in an array in the order they were made, found by
// a directory (`IDDirectory`); a grant that has ended leaves a gap, and the array is closed up when
// there are too many. Frames are answered by a table of live blocks keyed by first frame. A grant
// of 2^order pages starts as one block, a run of pages as its largest aligned ones; freeing part of
// a block splits it, as `split_page` would. A frame's block is found by looking at the eleven
// places where a block that covers it can begin.
//
// A run may have so many frames that they cannot be asked one by one; what it still holds is kept
// beside its slot as ranges.

/// A grant that still holds pages.
public struct LiveGrant: Hashable, Sendable {
    public let id: AllocationID
    public let grant: Grant

    /// Pages of it not yet freed: at least 1.
    public let livePages: UInt64
}

struct LiveGrants: ~Copyable {
    /// As small as it can be: there is one for each live allocation of the server.
    struct Slot {
        /// Stands for the order of a run.
        private static let runOrder = UInt8.max

        let id: AllocationID
        let pfn: PageFrameNumber

        /// `Machine.maximumSpannedPages` fits.
        var livePages: UInt32
        let zone: UInt16
        private let order: UInt8
        private let kind: UInt8

        init(_ grant: borrowing Grant, id: AllocationID) {
            self.id = id
            pfn = grant.pfn
            zone = UInt16(grant.zone)
            livePages = UInt32(grant.pageCount)
            order = grant.order.map { UInt8($0.rawValue) } ?? Self.runOrder
            kind = UInt8(grant.migratetype.rawValue) << 1 | (grant.isCompound ? 1 : 0)
        }

        var isRun: Bool { order == Self.runOrder }

        var migratetype: Migratetype {
            guard let migratetype = Migratetype(rawValue: Int(kind >> 1)) else {
                preconditionFailure("a slot holds no migratetype")
            }
            return migratetype
        }

        /// - Parameter run: its segments as granted, where it is a run.
        func liveGrant(run: @autoclosure () -> [FrameRange]) -> LiveGrant {
            let isCompound = kind & 1 == 1
            let grant =
                isRun
                ? Grant(
                    segments: run(), zone: Int(zone), migratetype: migratetype,
                    isCompound: isCompound)
                : Grant(
                    pfn: pfn, order: Order(unchecked: Int(order)), zone: Int(zone),
                    migratetype: migratetype, isCompound: isCompound)
            return LiveGrant(id: id, grant: grant, livePages: UInt64(livePages))
        }
    }

    /// What a slot has no room for.
    struct Run {
        let segments: [FrameRange]

        /// Ascending and apart.
        var live: [FrameRange]
    }

    /// Ascending by id. A slot without live pages is a gap.
    var slots: [Slot] = []
    var gaps = 0

    /// Where ids stand among `slots`.
    var directory = IDDirectory()
    var blocks = LiveBlockTable()

    /// One for each live run. Never iterated.
    var runs: [AllocationID: Run] = [:]

    /// What the trial under way has changed; nil outside a trial.
    var undo: LiveGrantsUndo?

    /// Grants that still hold pages.
    var count: Int { slots.count - gaps }

    mutating func insert(_ grant: Grant, id: AllocationID) {
        append(Slot(grant, id: id))
        if let order = grant.order {
            insert(LiveBlock(allocation: id, order: order, isCompound: grant.isCompound), grant.pfn)
            return
        }
        // Segments that touch are one range here: a block of the grant may lie in both.
        let live = grant.segments.joined()
        setRun(of: id, to: Run(segments: grant.segments, live: live))
        for range in live {
            range.forEachBlock { pfn, order in
                insert(LiveBlock(allocation: id, order: order, isCompound: grant.isCompound), pfn)
            }
        }
    }

    /// Adds a grant that is read from a snapshot, and says what its blocks are; the table of blocks
    /// is made when all are known.
    ///
    /// - Parameter live: what it still holds: ascending, apart, not none; nil: all of it.
    mutating func restore(
        _ grant: Grant, id: AllocationID, holding live: [FrameRange]?,
        _ blocks: inout [LiveBlockTable.Entry]
    ) {
        var slot = Slot(grant, id: id)
        guard live != nil || slot.isRun else {
            append(slot)
            guard let order = grant.order else { preconditionFailure("a block without an order") }
            let block = LiveBlock(allocation: id, order: order, isCompound: grant.isCompound)
            blocks.append(LiveBlockTable.Entry(block, at: grant.pfn))
            return
        }
        let live = live ?? grant.segments.joined()
        slot.livePages = UInt32(live.pageCount)
        append(slot)
        if slot.isRun {
            setRun(of: id, to: Run(segments: grant.segments, live: live))
        }
        for range in live {
            range.forEachBlock { pfn, order in
                let block = LiveBlock(allocation: id, order: order, isCompound: grant.isCompound)
                blocks.append(LiveBlockTable.Entry(block, at: pfn))
            }
        }
    }

    private mutating func append(_ slot: Slot) {
        precondition(slots.last.map { $0.id < slot.id } ?? true, "allocation ids must ascend")
        directory.append(slot.id, at: slots.count)
        slots.append(slot)
    }

    private mutating func insert(_ block: LiveBlock, _ first: PageFrameNumber) {
        let isNew = blocks.insert(block, at: first)
        precondition(isNew, "a frame is in two grants")
        if undo != nil { note(.blockInserted(first)) }
    }

    private mutating func setRun(of id: AllocationID, to run: Run?) {
        if undo != nil { note(.runChanged(id, runs[id])) }
        runs[id] = run
    }

    subscript(id: AllocationID) -> LiveGrant? {
        let position = position(of: id)
        guard position < slots.count, slots[position].id == id, slots[position].livePages > 0
        else { return nil }
        return liveGrant(slots[position])
    }

    private func liveGrant(_ slot: Slot) -> LiveGrant {
        slot.liveGrant(run: runs[slot.id]?.segments ?? [])
    }

    /// Live grants with an id above `id`, ascending, at most `limit`.
    func after(_ id: AllocationID, limit: Int) -> [LiveGrant] {
        guard id.rawValue < .max else { return [] }
        var found: [LiveGrant] = []
        var position = position(of: AllocationID(id.rawValue + 1))
        while position < slots.count, found.count < limit {
            if slots[position].livePages > 0 {
                found.append(liveGrant(slots[position]))
            }
            position += 1
        }
        return found
    }

    /// The block that holds a frame, with its first frame; nil where no grant does.
    func block(holding pfn: PageFrameNumber) -> (first: PageFrameNumber, block: LiveBlock)? {
        for order in 0..<Order.count {
            let first = PageFrameNumber(pfn.rawValue & ~((1 << UInt64(order)) - 1))
            if let block = blocks[first], FrameRange(block: first, order: block.order).contains(pfn)
            {
                return (first, block)
            }
        }
        return nil
    }

    /// What a live grant still holds: disjoint ranges, ascending. Of a block they are aligned
    /// blocks.
    func liveRanges(of live: LiveGrant) -> [FrameRange] {
        if live.grant.order == nil, let run = runs[live.id] { return run.live }
        var found: [FrameRange] = []
        let end = live.grant.frames.upperBound
        var pfn = live.grant.pfn
        while pfn < end {
            guard let block = blocks[pfn], block.allocation == live.id else {
                pfn = pfn + 1
                continue
            }
            let frames = FrameRange(block: pfn, order: block.order)
            found.append(frames)
            pfn = frames.upperBound
        }
        return found
    }

    /// Ends a grant: takes all that it still holds out of the table, and says what that was.
    mutating func removeAll(of live: LiveGrant) -> [FrameRange] {
        let ranges = liveRanges(of: live)
        for range in ranges {
            var pfn = range.lowerBound
            while pfn < range.upperBound {
                guard let block = removeBlock(at: pfn), block.allocation == live.id
                else { preconditionFailure("a live range without its blocks") }
                pfn = pfn + block.order.pageCount
            }
        }
        _ = retire(UInt32(live.livePages), of: live.id)
        return ranges
    }

    /// Takes `freed`, all or an aligned part of the live block at `first`, out of its grant; what
    /// is left of the block stays live in smaller blocks.
    ///
    /// - Returns: the grant's slot as it is afterwards, though it may be gone.
    @inline(__always)
    mutating func remove(_ freed: FrameRange, from first: PageFrameNumber) -> Slot {
        guard let block = removeBlock(at: first) else {
            preconditionFailure("a block that is not live was freed")
        }
        if freed.count < block.order.pageCount { split(block, at: first, without: freed) }
        let slot = retire(UInt32(truncatingIfNeeded: freed.count), of: block.allocation)
        if slot.isRun, var run = runs[block.allocation] {
            run.live = run.live.subtracting([freed])
            setRun(of: block.allocation, to: run)
        }
        return slot
    }

    /// Makes what is left of a block, which has been taken out, live in smaller blocks.
    private mutating func split(
        _ block: LiveBlock, at first: PageFrameNumber, without freed: FrameRange
    ) {
        var left = FrameRange(block: first, order: block.order)
        var order = block.order
        while left.count > freed.count {
            order = Order(unchecked: order.rawValue - 1)
            let middle = left.lowerBound + order.pageCount
            let lower = FrameRange(left.lowerBound, middle)
            let upper = FrameRange(middle, left.upperBound)
            let goesLow = lower.contains(freed)
            let kept = goesLow ? upper : lower
            insert(
                LiveBlock(
                    allocation: block.allocation, order: order, isCompound: block.isCompound),
                kept.lowerBound)
            left = goesLow ? lower : upper
        }
        precondition(left == freed, "a part that is no aligned block was freed")
    }

    private mutating func removeBlock(at first: PageFrameNumber) -> LiveBlock? {
        let block = blocks.remove(first)
        if undo != nil, let block { note(.blockRemoved(first, block)) }
        return block
    }

    /// Counts pages of a grant as freed; what its slot says then.
    private mutating func retire(_ pages: UInt32, of id: AllocationID) -> Slot {
        let position = position(of: id)
        var slot = slots[position]
        precondition(slot.id == id && slot.livePages >= pages)
        if undo != nil { note(.retired(position: position, livePages: slot.livePages)) }
        slot.livePages -= pages
        slots[position].livePages = slot.livePages
        guard slot.livePages == 0 else { return slot }
        if slot.isRun { setRun(of: id, to: nil) }
        gaps += 1
        if undo == nil { closeUpIfSparse() }
        return slot
    }

    /// Closes the array up where too much of it is gaps.
    mutating func closeUpIfSparse() {
        guard gaps * Self.gapShare.upper > slots.count * Self.gapShare.lower else { return }
        slots.removeAll { $0.livePages == 0 }
        gaps = 0
        directory.renew(slots.count) { slots[$0].id }
    }

    /// Gaps above which the array is closed up: two in five slots.
    private static let gapShare = (upper: 5, lower: 2)

    /// The position of the first slot with this id or a larger one: near where the directory says,
    /// and found from there in growing steps.
    private func position(of id: AllocationID) -> Int {
        let (range, guess) = directory.places(of: id, among: slots.count)
        var (low, high) = (range.lowerBound, range.upperBound)
        guard low < high else { return low }
        var step = 1
        if slots[guess].id < id {
            low = guess + 1
            while low + step <= high, slots[low + step - 1].id < id {
                low += step
                step *= 2
            }
            high = min(high, low + step - 1)
        } else {
            high = guess
            while high - step >= low, slots[high - step].id >= id {
                high -= step
                step *= 2
            }
            low = max(low, high - step + 1)
        }
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Every live range, grant by grant. For invariants.
    var allRanges: [(frames: FrameRange, allocation: AllocationID)] {
        var found: [(frames: FrameRange, allocation: AllocationID)] = []
        for slot in slots where slot.livePages > 0 {
            for range in liveRanges(of: liveGrant(slot)) {
                found.append((frames: range, allocation: slot.id))
            }
        }
        return found
    }

    /// Frames in all live blocks. For invariants: the same as in all live ranges.
    var pagesInBlocks: UInt64 { blocks.pageCount }
}
