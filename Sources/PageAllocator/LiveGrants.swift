// Which grants are alive, and which frame belongs to which of them.
//
// Two questions are asked: "what does allocation 42 still hold?" and "who holds frame 0x1234?".
// Identifiers only ever grow, so the grants stand in an array in the order they were made, found by
// binary search; a grant that has ended leaves a gap, and the array is closed up when more than
// half of it is gaps. Frames are answered by a table of live blocks keyed by first frame. A grant
// starts as one block; freeing part of it splits that block, as `split_page` would. A frame's block
// is found by looking at the eleven places where a block that covers it can begin.

/// A grant that still holds pages.
public struct LiveGrant: Hashable, Sendable {
    public let id: AllocationID
    public let grant: Grant

    /// Pages of it not yet freed: 1 to 2^order.
    public let livePages: UInt64
}

/// A block of live frames that belongs to one grant.
struct LiveBlock {
    let allocation: AllocationID
    let order: Order
    let isCompound: Bool
}

struct LiveGrants {
    /// As small as it can be: there is one for each live allocation of the server.
    private struct Slot {
        let id: AllocationID
        let pfn: PageFrameNumber
        let zone: UInt16
        var livePages: UInt16
        let order: UInt8
        let migratetype: UInt8
        let isCompound: Bool

        init(_ grant: Grant, id: AllocationID) {
            self.id = id
            pfn = grant.pfn
            zone = UInt16(grant.zone)
            livePages = UInt16(grant.order.pageCount)
            order = UInt8(grant.order.rawValue)
            migratetype = UInt8(grant.migratetype.rawValue)
            isCompound = grant.isCompound
        }

        var liveGrant: LiveGrant {
            guard let migratetype = Migratetype(rawValue: Int(migratetype)) else {
                preconditionFailure("a slot holds no migratetype")
            }
            let grant = Grant(
                pfn: pfn, order: Order(unchecked: Int(order)), zone: Int(zone),
                migratetype: migratetype, isCompound: isCompound)
            return LiveGrant(id: id, grant: grant, livePages: UInt64(livePages))
        }
    }

    /// Ascending by id. A slot without live pages is a gap.
    private var slots: [Slot] = []
    private var gaps = 0
    private var blocks: [PageFrameNumber: LiveBlock] = [:]

    /// Grants that still hold pages.
    var count: Int { slots.count - gaps }

    mutating func insert(_ grant: Grant, id: AllocationID) {
        precondition(slots.last.map { $0.id < id } ?? true, "allocation ids must ascend")
        slots.append(Slot(grant, id: id))
        let block = LiveBlock(allocation: id, order: grant.order, isCompound: grant.isCompound)
        let previous = blocks.updateValue(block, forKey: grant.pfn)
        precondition(previous == nil, "a frame is in two grants")
    }

    subscript(id: AllocationID) -> LiveGrant? {
        let position = position(of: id)
        guard position < slots.count, slots[position].id == id, slots[position].livePages > 0
        else { return nil }
        return slots[position].liveGrant
    }

    /// Live grants with an id above `id`, ascending, at most `limit`.
    func after(_ id: AllocationID, limit: Int) -> [LiveGrant] {
        guard id.rawValue < .max else { return [] }
        var found: [LiveGrant] = []
        var position = position(of: AllocationID(id.rawValue + 1))
        while position < slots.count, found.count < limit {
            if slots[position].livePages > 0 {
                found.append(slots[position].liveGrant)
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

    /// What a live grant still holds: disjoint blocks, ascending.
    func liveBlocks(of live: LiveGrant) -> [FrameRange] {
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

    /// Takes `freed`, all or an aligned part of the live block at `first`, out of its grant; what
    /// is left of the block stays live in smaller blocks.
    mutating func remove(_ freed: FrameRange, from first: PageFrameNumber) {
        guard let block = blocks.removeValue(forKey: first) else {
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
            blocks[kept.lowerBound] = LiveBlock(
                allocation: block.allocation, order: order, isCompound: block.isCompound)
            left = goesLow ? lower : upper
        }
        precondition(left == freed, "a part that is no aligned block was freed")
        retire(UInt16(freed.count), of: block.allocation)
    }

    private mutating func retire(_ pages: UInt16, of id: AllocationID) {
        let position = position(of: id)
        precondition(slots[position].id == id && slots[position].livePages >= pages)
        slots[position].livePages -= pages
        guard slots[position].livePages == 0 else { return }
        gaps += 1
        if gaps > slots.count / 2 {
            slots.removeAll { $0.livePages == 0 }
            gaps = 0
        }
    }

    /// The position of the first slot with this id or a larger one.
    private func position(of id: AllocationID) -> Int {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].id < id {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Every live block, grant by grant. For invariants.
    var allBlocks: [(frames: FrameRange, allocation: AllocationID)] {
        let found = slots.filter { $0.livePages > 0 }.map(\.liveGrant).flatMap { live in
            liveBlocks(of: live).map { (frames: $0, allocation: live.id) }
        }
        precondition(found.count == blocks.count, "a live block belongs to no live grant")
        return found
    }
}
