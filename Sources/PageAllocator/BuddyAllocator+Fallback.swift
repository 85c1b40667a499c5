// A request whose own lists hold nothing: which other type's block it gets, and what becomes of the
// pageblock it came from.
//
// Linux 6.12 first claims: from the largest order down it looks for a block whose whole pageblock
// can become the request's type, and failing that steals one block, the smallest, and leaves the
// pageblock alone. Linux 6.1 takes the largest block (for movable requests that cannot have the
// pageblock, the smallest), and moves the pageblock's free pages to the request's lists even where
// the pageblock keeps its type.
//
// At each order one list is looked at, the first that the table below allows, and one block of it.
// With a window, blocks that have no place in it count as absent. What follows for a pageblock is
// the same with a window and without.
//
// Source: `fallbacks`, `find_suitable_fallback`, `__rmqueue_claim`, `try_to_claim_block`,
// `__rmqueue_steal` (6.12 with its stable fixes), `__rmqueue_fallback`, `steal_suitable_fallback`
// (6.1), mm/page_alloc.c.

/// What a request gets from other types' lists, settled before anything changes.
struct Fallback {
    /// A free block of another type that has a place for the request.
    let choice: BuddyAllocator.Choice

    let takeover: Takeover

    /// `watermark_boost` afterwards.
    let boost: UInt64

    /// What comes of it for the lists and the pageblock.
    enum Takeover {
        /// Nothing: the block is split, and the rest stays where it was.
        case steal

        /// The block moves to the request's lists, and its pageblock keeps its type.
        case block

        /// The block moves, and its pageblocks become the request's.
        case wholeBlock

        /// What is free in the range, the block's pageblock, moves; the pageblock becomes the
        /// request's if it is `claimed`.
        case pageblock(FrameRange, claimed: Bool)
    }
}

extension BuddyAllocator {
    /// Pages free or alike with which a pageblock is claimed: half of them.
    static let claimThreshold = Pageblock.pageCount / 2

    /// The order from which any request may claim: `pageblock_order / 2`.
    static let claimableOrder = Pageblock.order / 2

    /// Whose lists a request without its own uses, in turn.
    static func fallbacks(of type: Migratetype) -> (first: Migratetype, second: Migratetype) {
        switch type {
        case .unmovable: (.reclaimable, .movable)
        case .movable: (.reclaimable, .unmovable)
        case .reclaimable: (.unmovable, .movable)
        case .highAtomic: preconditionFailure("no request is of the type HighAtomic")
        }
    }

    /// Whether an aligned block of `order` within `window` is free in a list that the request may
    /// use: whether `allocate` would take one.
    package func canAllocate(
        _ order: Order, for type: Migratetype, with flags: AllocFlags, within window: FrameRange
    ) -> Bool {
        guard let places = places(of: order, within: window) else { return false }
        let own = rules.groupsByMobility ? type : .unmovable
        let fallbacks = Self.fallbacks(of: own)
        let smallest = Self.smallestFallback(order, with: flags)
        return has(order, from: own, atLeast: order.rawValue, in: places)
            || has(order, from: fallbacks.first, atLeast: smallest, in: places)
            || has(order, from: fallbacks.second, atLeast: smallest, in: places)
            || !flags.isDisjoint(with: [.highatomic, .oom, .nonBlock])
                && has(order, from: .highAtomic, atLeast: order.rawValue, in: places)
    }

    private func has(
        _ order: Order, from list: Migratetype, atLeast smallest: Int, in places: Range<Int>
    ) -> Bool {
        var orders = Int(freeOrders[list]) & -1 << smallest
        while orders != 0 {
            if choose(order, from: list, of: orders.trailingZeroBitCount, in: places) != nil {
                return true
            }
            orders &= orders - 1
        }
        return false
    }

    // MARK: Deciding

    /// What the request gets from lists that are not its own; nil where they hold nothing for it.
    func fallback(
        _ order: Order, for own: Migratetype, with flags: AllocFlags, in places: Range<Int>
    ) -> Fallback? {
        switch rules.dialect {
        case .linux612: claim(order, for: own, with: flags, in: places)
        case .linux61: takeover(order, for: own, with: flags, in: places)
        }
    }

    /// With `ALLOC_NOFRAGMENT` only whole pageblocks change hands.
    private static func smallestFallback(_ order: Order, with flags: AllocFlags) -> Int {
        flags.contains(.noFragment) ? max(order.rawValue, Pageblock.order) : order.rawValue
    }

    /// The orders from `smallest` on of which another type's lists hold blocks: bit o for order o.
    private func fallbackOrders(for own: Migratetype, atLeast smallest: Int) -> Int {
        let fallbacks = Self.fallbacks(of: own)
        return Int(freeOrders[fallbacks.first] | freeOrders[fallbacks.second]) & -1 << smallest
    }

    /// A block of exactly the order `larger` from the first list that has one
    /// (`find_suitable_fallback`).
    private func chooseFallback(
        _ order: Order, for own: Migratetype, of larger: Int, in places: Range<Int>
    ) -> Choice? {
        let fallbacks = Self.fallbacks(of: own)
        return choose(order, from: fallbacks.first, of: larger, in: places)
            ?? choose(order, from: fallbacks.second, of: larger, in: places)
    }

    /// The smallest block, from whatever pageblock (`__rmqueue_steal`).
    private func chooseSmallestFallback(
        _ order: Order, for own: Migratetype, in places: Range<Int>
    ) -> Choice? {
        var orders = fallbackOrders(for: own, atLeast: order.rawValue)
        while orders != 0 {
            let larger = orders.trailingZeroBitCount
            orders &= orders - 1
            if let choice = chooseFallback(order, for: own, of: larger, in: places) {
                return choice
            }
        }
        return nil
    }

    /// Whether a request may ask for the whole pageblock of a free block of this order
    /// (`should_try_claim_block`; `can_steal_fallback`).
    private func mayClaim(_ larger: Int, for own: Migratetype) -> Bool {
        larger >= Self.claimableOrder || own == .reclaimable || own == .unmovable
            || !rules.groupsByMobility
    }

    /// Whether enough of a pageblock is free, or taken for what the request is like. Of a pageblock
    /// that was Movable, what is neither free nor movable is like any other request; of the others
    /// nothing is known.
    private func isClaimable(_ number: Int, free: Int, for own: Migratetype) -> Bool {
        let movable = pageblocks[number].movablePages
        let alike =
            if own == .movable {
                movable
            } else if pageblocks[number].type == .movable {
                Pageblock.pageCount - (free + movable)
            } else {
                0
            }
        return free + alike >= Self.claimThreshold || !rules.groupsByMobility
    }

    /// `watermark_boost` a pageblock higher, up to its limit (`boost_watermark`).
    private func raised(_ boost: UInt64) -> UInt64 {
        min(boost + UInt64(Pageblock.pageCount), max(rules.maximumBoost, boost))
    }

    // MARK: Linux 6.12

    /// A pageblock that can become the request's, from the largest order down (`__rmqueue_claim`);
    /// else the smallest block.
    private func claim(
        _ order: Order, for own: Migratetype, with flags: AllocFlags, in places: Range<Int>
    ) -> Fallback? {
        var boost = boost
        var orders = fallbackOrders(
            for: own, atLeast: Self.smallestFallback(order, with: flags))
        while orders != 0 {
            let larger = Int.bitWidth - 1 - orders.leadingZeroBitCount
            orders ^= 1 << larger
            guard let choice = chooseFallback(order, for: own, of: larger, in: places) else {
                continue
            }
            guard mayClaim(larger, for: own) else { break }
            if larger >= Pageblock.order {
                return Fallback(choice: choice, takeover: .wholeBlock, boost: boost)
            }
            boost = raised(boost)
            if let pageblock = claimablePageblock(of: choice, for: own) {
                return Fallback(
                    choice: choice, takeover: .pageblock(pageblock, claimed: true), boost: boost)
            }
        }
        guard !flags.contains(.noFragment) else { return nil }
        return chooseSmallestFallback(order, for: own, in: places).map {
            Fallback(choice: $0, takeover: .steal, boost: boost)
        }
    }

    /// The pageblock of a free block, if the request can have it: not where the zone begins or ends
    /// within it (`prep_move_freepages_block`), and only with enough of it free or alike
    /// (`try_to_claim_block`).
    private func claimablePageblock(of choice: Choice, for own: Migratetype) -> FrameRange? {
        let number = Self.pageblock(of: choice.container, choice.containerOrder)
        let pageblock = frames(of: number, Pageblock.order)
        let isClaimed =
            span.contains(pageblock)
            && isClaimable(number, free: freePages(in: pages(of: pageblock)), for: own)
        return isClaimed ? pageblock : nil
    }

    // MARK: Linux 6.1

    /// The largest block, or the smallest for a movable request that cannot have the pageblock
    /// (`__rmqueue_fallback`).
    private func takeover(
        _ order: Order, for own: Migratetype, with flags: AllocFlags, in places: Range<Int>
    ) -> Fallback? {
        var orders = fallbackOrders(
            for: own, atLeast: Self.smallestFallback(order, with: flags))
        while orders != 0 {
            let larger = Int.bitWidth - 1 - orders.leadingZeroBitCount
            orders ^= 1 << larger
            guard let choice = chooseFallback(order, for: own, of: larger, in: places) else {
                continue
            }
            guard own == .movable, !mayClaim(larger, for: own) else {
                return takeover(of: choice, for: own)
            }
            return chooseSmallestFallback(order, for: own, in: places).map {
                takeover(of: $0, for: own)
            }
        }
        return nil
    }

    /// What moves together with a block (`steal_suitable_fallback`).
    private func takeover(of choice: Choice, for own: Migratetype) -> Fallback {
        let number = Self.pageblock(of: choice.container, choice.containerOrder)
        if pageblocks[number].type == .highAtomic {
            return Fallback(choice: choice, takeover: .block, boost: boost)
        }
        if choice.containerOrder >= Pageblock.order {
            return Fallback(choice: choice, takeover: .wholeBlock, boost: boost)
        }
        let first = frames(of: choice.container, choice.containerOrder).lowerBound
        guard mayClaim(choice.containerOrder, for: own),
            let movable = movableRange(ofPageblock: number, from: first)
        else { return Fallback(choice: choice, takeover: .block, boost: raised(boost)) }
        let isClaimed = isClaimable(number, free: freePages(in: pages(of: movable)), for: own)
        return Fallback(
            choice: choice, takeover: .pageblock(movable, claimed: isClaimed), boost: raised(boost))
    }

    /// The part of a pageblock whose free pages 6.1 moves together; nil where the zone ends within
    /// it. Where the zone begins within it, the part from `first` on (`move_freepages_block`).
    func movableRange(ofPageblock number: Int, from first: PageFrameNumber) -> FrameRange? {
        let pageblock = frames(of: number, Pageblock.order)
        guard pageblock.upperBound <= span.upperBound else { return nil }
        return FrameRange(
            pageblock.lowerBound >= span.lowerBound ? pageblock.lowerBound : first,
            pageblock.upperBound)
    }

    // MARK: Doing

    /// Makes what the fallback changes; the block to take then.
    mutating func carryOut(
        _ fallback: Fallback, _ order: Order, for own: Migratetype, in places: Range<Int>,
        _ changes: inout [ZoneChange]
    ) -> Choice? {
        let choice = fallback.choice
        let block = frames(of: choice.container, choice.containerOrder)
        if fallback.boost != boost { make(.boosted(fallback.boost), &changes) }
        switch fallback.takeover {
        case .steal:
            return choice
        case .block:
            makeMove(of: block, to: own, &changes)
        case .wholeBlock:
            makeMove(of: block, to: own, &changes)
            make(.retyped(block, to: own), &changes)
        case .pageblock(let range, let isClaimed):
            makeMove(of: range, to: own, &changes)
            if isClaimed {
                let number = Self.pageblock(of: choice.container, choice.containerOrder)
                make(.retyped(frames(of: number, Pageblock.order), to: own), &changes)
            }
        }
        return choose(order, from: own, in: places)
    }

    /// The block that the request gets once the fallback is carried out: of what moves, the lowest
    /// block of the smallest sufficient order. Its own lists held nothing.
    func blockTaken(by fallback: Fallback, _ order: Order, in places: Range<Int>) -> Int {
        guard case .pageblock(let range, _) = fallback.takeover,
            let moved = self.places(of: order, within: range)
        else { return fallback.choice.block }
        let places = moved.clamped(to: places)
        for larger in order.rawValue..<Order.count {
            let blocks = Migratetype.allCases.compactMap {
                choose(order, from: $0, of: larger, in: places)?.block
            }
            if let lowest = blocks.min() { return lowest }
        }
        return fallback.choice.block
    }
}
