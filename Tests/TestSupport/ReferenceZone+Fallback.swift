// What a zone does when the lists of the request's own type have no block: it takes one of another
// type, with or without its pageblock. And the pageblocks kept back for atomic requests.

import PageAllocator

extension ReferenceZone {
    /// `rmqueue`: own type, other types, reserved blocks.
    mutating func allocate(
        _ order: Int, for requested: Migratetype, with flags: AllocFlags,
        within window: Range<UInt64>
    ) -> UInt64? {
        let type = grouped(requested)
        if flags.contains(.highatomic),
            let place = takeSmallest(order, .highAtomic, window)
        {
            return place
        }
        if let place = takeSmallest(order, type, window)
            ?? fallBack(order, for: type, flags, window)
        {
            return place
        }
        guard flags.contains(.oom) || flags.contains(.nonBlock) else { return nil }
        return takeSmallest(order, .highAtomic, window)
    }

    /// `gfp_migratetype`: without grouping there are only unmovable requests.
    private func grouped(_ type: Migratetype) -> Migratetype {
        groupsByMobility ? type : .unmovable
    }

    private mutating func fallBack(
        _ order: Int, for type: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        switch dialect {
        case .linux61:
            return stealSuitable(order, for: type, flags, window)
                ? takeSmallest(order, type, window) : nil
        case .linux612:
            if let place = claim(order, for: type, flags, window) { return place }
            return flags.contains(.noFragment) ? nil : steal(order, for: type, window)
        }
    }

    /// `fallbacks`, mm/page_alloc.c.
    private static func fallbacks(of type: Migratetype) -> [Migratetype] {
        switch type {
        case .unmovable: [.reclaimable, .movable]
        case .movable: [.reclaimable, .unmovable]
        case .reclaimable: [.unmovable, .movable]
        case .highAtomic: []
        }
    }

    /// `find_suitable_fallback`: the first type that has a block of that order for the request.
    private func fallbackBlock(
        of current: Int, for type: Migratetype, _ order: Int, _ window: Range<UInt64>
    ) -> ReferenceBlock? {
        for other in Self.fallbacks(of: type) {
            if let found = block(of: current, other, for: order, window) { return found }
        }
        return nil
    }

    private func firstFallback(
        _ orders: [Int], for type: Migratetype, _ order: Int, _ window: Range<UInt64>
    ) -> ReferenceBlock? {
        for current in orders {
            if let found = fallbackBlock(of: current, for: type, order, window) { return found }
        }
        return nil
    }

    /// `can_steal_fallback`: whether a whole pageblock may change hands for it.
    private func canClaim(_ current: Int, for type: Migratetype) -> Bool {
        current >= Self.pageblockOrder / 2 || type == .reclaimable || type == .unmovable
            || !groupsByMobility
    }

    private func lowestOrder(_ order: Int, _ flags: AllocFlags) -> Int {
        flags.contains(.noFragment) ? max(order, Self.pageblockOrder) : order
    }

    // MARK: Linux 6.12

    /// `__rmqueue_claim`: the largest block first, as long as its pageblock may change hands.
    private mutating func claim(
        _ order: Int, for type: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        let lowest = lowestOrder(order, flags)
        for current in stride(from: Self.maximumOrder, through: lowest, by: -1) {
            guard let found = fallbackBlock(of: current, for: type, order, window) else { continue }
            guard canClaim(current, for: type) else { return nil }
            if current >= Self.pageblockOrder {
                retype(found.first..<found.end, to: type)
                return take(order, from: found, keeping: type, window)
            }
            raiseBoost()
            if claimPageblock(of: found, for: type) { return takeSmallest(order, type, window) }
        }
        return nil
    }

    /// `try_to_claim_block`: the pageblock around a block changes hands if half of it is free or
    /// held by the like of the request.
    private mutating func claimPageblock(of block: ReferenceBlock, for type: Migratetype) -> Bool {
        let pageblock = Self.pageblock(of: block.first)
        guard span.contains(pageblock.lowerBound), span.contains(pageblock.upperBound - 1) else {
            return false
        }
        guard isMostlyAlike(pageblock, type, was: block.type) else { return false }
        move(pageblock, to: type)
        retype(pageblock, to: type)
        return true
    }

    /// `__rmqueue_steal`: the smallest block, and its pageblock stays what it is.
    private mutating func steal(
        _ order: Int, for type: Migratetype, _ window: Range<UInt64>
    ) -> UInt64? {
        let ascending = Array(order...Self.maximumOrder)
        guard let found = firstFallback(ascending, for: type, order, window) else { return nil }
        return take(order, from: found, keeping: found.type, window)
    }

    // MARK: Linux 6.1

    /// `__rmqueue_fallback`: the largest block; for a movable request that cannot have the
    /// pageblock, the smallest. Moves blocks to the request's lists and takes none.
    private mutating func stealSuitable(
        _ order: Int, for type: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> Bool {
        let lowest = lowestOrder(order, flags)
        let descending = stride(from: Self.maximumOrder, through: lowest, by: -1)
        guard var found = firstFallback(Array(descending), for: type, order, window) else {
            return false
        }
        if !canClaim(found.order, for: type), type == .movable, found.order > order,
            let smallest = firstFallback(
                Array(order...Self.maximumOrder), for: type, order, window)
        {
            found = smallest
        }
        stealSuitable(found, for: type)
        return true
    }

    /// `steal_suitable_fallback`: the pageblock's free blocks go to the type, whatever becomes of
    /// the pageblock; or the one block alone.
    private mutating func stealSuitable(_ block: ReferenceBlock, for type: Migratetype) {
        let oldType = self.type(ofPageblockOf: block.first)
        let blockAlone = block.first..<block.end
        guard oldType != .highAtomic else { return move(blockAlone, to: type) }
        guard block.order < Self.pageblockOrder else {
            retype(blockAlone, to: type)
            return move(blockAlone, to: type)
        }
        raiseBoost()
        let range = movableRange(around: block.first)
        guard canClaim(block.order, for: type), let range else {
            return move(blockAlone, to: type)
        }
        let isAlike = isMostlyAlike(range, type, was: oldType)
        move(range, to: type)
        if isAlike { retype(Self.pageblock(of: block.first), to: type) }
    }

    /// `move_freepages_block` of 6.1 does not leave the zone: where its pageblock begins outside,
    /// it begins at the block itself; where it ends outside, it moves nothing.
    private func movableRange(around frame: UInt64) -> Range<UInt64>? {
        let pageblock = Self.pageblock(of: frame)
        guard span.contains(pageblock.upperBound - 1) else { return nil }
        let start = span.contains(pageblock.lowerBound) ? pageblock.lowerBound : frame
        return start..<pageblock.upperBound
    }

    // MARK: Both

    static func pageblock(of frame: UInt64) -> Range<UInt64> {
        let first = frame / pageblockSize * pageblockSize
        return first..<first + pageblockSize
    }

    /// Whether at least half a pageblock of pages is free or compatible with the request.
    private func isMostlyAlike(
        _ range: Range<UInt64>, _ type: Migratetype, was oldType: Migratetype
    ) -> Bool {
        let free = blocks.reduce(0) { $0 + (range.contains($1.first) ? $1.size : 0) }
        let movable = movablePages(in: range)
        let alike: UInt64 =
            if type == .movable {
                movable
            } else if oldType == .movable {
                Self.pageblockSize - free - movable
            } else {
                0
            }
        return free + alike >= Self.pageblockSize / 2 || !groupsByMobility
    }

    /// `boost_watermark`, with `watermark_boost_factor` 15,000.
    private mutating func raiseBoost() {
        let limit = zone.watermarks.high * 15_000 / 10_000
        guard managedPages >= 4 * Self.pageblockSize, limit > 0 else { return }
        boost = min(boost + Self.pageblockSize, max(Self.pageblockSize, limit))
    }

    // MARK: Reserved pageblocks

    /// `reserve_highatomic_pageblock`, after an atomic request of higher order was granted.
    mutating func reserveHighatomic(around frame: UInt64, order: Int) {
        let share = managedPages / 100
        let size = Self.pageblockSize
        switch dialect {
        case .linux61:
            guard reservedHighatomic < share + size, type(ofPageblockOf: frame) != .highAtomic
            else { return }
            reservedHighatomic += size
            retype(Self.pageblock(of: frame), to: .highAtomic)
            if let range = movableRange(around: frame) { move(range, to: .highAtomic) }
        case .linux612:
            guard share >= size, reservedHighatomic < (share + size - 1) / size * size,
                type(ofPageblockOf: frame) != .highAtomic
            else { return }
            if order >= Self.pageblockOrder {
                retype(frame..<frame + (1 << UInt64(order)), to: .highAtomic)
                reservedHighatomic += 1 << UInt64(order)
                return
            }
            let pageblock = Self.pageblock(of: frame)
            guard span.contains(pageblock.lowerBound), span.contains(pageblock.upperBound - 1)
            else { return }
            move(pageblock, to: .highAtomic)
            retype(pageblock, to: .highAtomic)
            reservedHighatomic += size
        }
    }

    /// `unreserve_highatomic_pageblock`: the pageblock of the smallest free reserved block goes
    /// back to requests of a type; false where no reserved block is free, or none can be moved.
    /// 6.1 gives up the reservation of a pageblock even where it can move none of its blocks.
    mutating func releaseHighatomic(to requested: Migratetype) -> Bool {
        let type = grouped(requested)
        for order in 0...Self.maximumOrder {
            let lowest = blocks.first { $0.type == .highAtomic && $0.order == order }
            guard let found = lowest else { continue }
            if self.type(ofPageblockOf: found.first) == .highAtomic {
                let size = max(Self.pageblockSize, found.size)
                reservedHighatomic -= min(size, reservedHighatomic)
            }
            retype(found.first..<found.end, to: type)
            if let range = releasable(found) {
                move(range, to: type)
                return true
            }
        }
        return false
    }

    /// As if every reserved block had been released, those that cannot be moved too.
    mutating func forgetHighatomic() {
        reservedHighatomic = 0
        for position in blocks.indices where blocks[position].type == .highAtomic {
            blocks[position].type = .unmovable
        }
    }

    private func releasable(_ block: ReferenceBlock) -> Range<UInt64>? {
        block.order < Self.pageblockOrder
            ? movableRange(around: block.first) : block.first..<block.end
    }
}
