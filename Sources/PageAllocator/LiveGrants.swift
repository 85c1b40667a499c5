// Which grants are alive, and which frame belongs to which of them.
//
// Two questions are asked: "what does allocation 42 still hold?" and "who holds frame 0x1234?".
// Identifiers only ever grow, so the grants stand in an array in the order they were made, found by
// proportion; a grant that has ended leaves a gap, and the array is closed up when more than
// half of it is gaps. Frames are answered by a table of live blocks keyed by first frame. A grant
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
    private struct Slot {
        /// Stands for the order of a run.
        private static let runOrder = UInt8.max

        let id: AllocationID
        let pfn: PageFrameNumber

        /// `Machine.maximumSpannedPages` fits.
        var livePages: UInt32
        let zone: UInt16
        private let order: UInt8
        private let kind: UInt8

        init(_ grant: Grant, id: AllocationID) {
            self.id = id
            pfn = grant.pfn
            zone = UInt16(grant.zone)
            livePages = UInt32(grant.pageCount)
            order = grant.order.map { UInt8($0.rawValue) } ?? Self.runOrder
            kind = UInt8(grant.migratetype.rawValue) << 1 | (grant.isCompound ? 1 : 0)
        }

        var isRun: Bool { order == Self.runOrder }

        /// - Parameter run: its segments as granted, where it is a run.
        func liveGrant(run: @autoclosure () -> [FrameRange]) -> LiveGrant {
            guard let migratetype = Migratetype(rawValue: Int(kind >> 1)) else {
                preconditionFailure("a slot holds no migratetype")
            }
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
    private struct Run {
        let segments: [FrameRange]

        /// Ascending and apart.
        var live: [FrameRange]
    }

    /// Ascending by id. A slot without live pages is a gap.
    private var slots: [Slot] = []
    private var gaps = 0
    private var blocks = LiveBlockTable()

    /// One for each live run. Never iterated.
    private var runs: [AllocationID: Run] = [:]

    /// Grants that still hold pages.
    var count: Int { slots.count - gaps }

    mutating func insert(_ grant: Grant, id: AllocationID) {
        precondition(slots.last.map { $0.id < id } ?? true, "allocation ids must ascend")
        slots.append(Slot(grant, id: id))
        if let order = grant.order {
            insert(LiveBlock(allocation: id, order: order, isCompound: grant.isCompound), grant.pfn)
            return
        }
        // Segments that touch are one range here: a block of the grant may lie in both.
        let live = grant.segments.joined()
        runs[id] = Run(segments: grant.segments, live: live)
        for range in live {
            range.forEachBlock { pfn, order in
                insert(LiveBlock(allocation: id, order: order, isCompound: grant.isCompound), pfn)
            }
        }
    }

    private mutating func insert(_ block: LiveBlock, _ first: PageFrameNumber) {
        let isNew = blocks.insert(block, at: first)
        precondition(isNew, "a frame is in two grants")
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
        if let run = runs[live.id] { return run.live }
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
                guard let block = blocks.remove(pfn), block.allocation == live.id
                else { preconditionFailure("a live range without its blocks") }
                pfn = pfn + block.order.pageCount
            }
        }
        retire(UInt32(live.livePages), of: live.id)
        return ranges
    }

    /// Takes `freed`, all or an aligned part of the live block at `first`, out of its grant; what
    /// is left of the block stays live in smaller blocks.
    mutating func remove(_ freed: FrameRange, from first: PageFrameNumber) {
        guard let block = blocks.remove(first) else {
            preconditionFailure("a block that is not live was freed")
        }
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
        if let live = runs[block.allocation]?.live {
            runs[block.allocation]?.live = live.subtracting([freed])
        }
        retire(UInt32(freed.count), of: block.allocation)
    }

    private mutating func retire(_ pages: UInt32, of id: AllocationID) {
        let position = position(of: id)
        precondition(slots[position].id == id && slots[position].livePages >= pages)
        slots[position].livePages -= pages
        guard slots[position].livePages == 0 else { return }
        if slots[position].isRun {
            runs[id] = nil
        }
        gaps += 1
        if gaps > slots.count / 2 {
            slots.removeAll { $0.livePages == 0 }
            gaps = 0
        }
    }

    /// The position of the first slot with this id or a larger one. Ids are given one after the
    /// other, and so a slot is found near where its id lies between the first and the last: a few
    /// guesses, and halving where they do not close in.
    private func position(of id: AllocationID) -> Int {
        var low = 0
        var high = slots.count
        var guesses = Self.maximumGuesses
        while low < high {
            let middle = guesses > 0 ? guess(id, between: low, high) : (low + high) / 2
            guesses -= 1
            if slots[middle].id < id {
                low = middle + 1
            } else if middle > low, slots[middle - 1].id < id {
                return middle
            } else {
                high = middle
            }
        }
        return low
    }

    /// Guesses by proportion, before the search goes on by halves.
    private static let maximumGuesses = 8

    /// Where `id` would be among the slots from `low` up to `high`, if ids rose evenly.
    private func guess(_ id: AllocationID, between low: Int, _ high: Int) -> Int {
        let (first, last) = (slots[low].id.rawValue, slots[high - 1].id.rawValue)
        guard first < id.rawValue else { return low }
        guard id.rawValue < last else { return high - 1 }
        let share = Double(id.rawValue - first) / Double(last - first)
        return low + Int(share * Double(high - 1 - low))
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
