// Pageblocks kept back for atomic requests of higher order. A pageblock is reserved when such a
// request has been served from it, up to about one per cent of the zone; its free pages then stand
// in lists that other requests do not see. It is released when memory runs out.
//
// Source: `reserve_highatomic_pageblock`, `unreserve_highatomic_pageblock`, mm/page_alloc.c.

extension BuddyAllocator {
    /// `nr_reserved_highatomic`, pages.
    package var reservedHighatomic: UInt64 {
        pageblocks.counts[Migratetype.highAtomic.rawValue] * UInt64(Pageblock.pageCount)
    }

    /// Pages beyond which no pageblock is reserved any more; 0: none ever is.
    var highatomicLimit: UInt64 {
        let share = managedPages / 100
        let pageblock = UInt64(Pageblock.pageCount)
        return switch rules.dialect {
        case .linux61: share + pageblock
        case .linux612: share < pageblock ? 0 : (share + pageblock - 1) / pageblock * pageblock
        }
    }

    /// Reserves the pageblock of a block that is about to be taken.
    mutating func reserve(_ block: Int, _ order: Order, _ changes: inout [ZoneChange]) {
        let number = Self.pageblock(of: block, order.rawValue)
        guard reservedHighatomic < highatomicLimit, pageblocks[number].type != .highAtomic else {
            return
        }
        let granted = frames(of: block, order.rawValue)
        let pageblock = frames(of: number, Pageblock.order)
        switch rules.dialect {
        case .linux612:
            let whole = order.rawValue < Pageblock.order ? pageblock : granted
            guard span.contains(whole) else { return }
            make(.retyped(whole, to: .highAtomic), &changes)
        case .linux61:
            if let movable = movableRange(ofPageblock: number, from: granted.lowerBound) {
                make(.moved(movable, to: .highAtomic), &changes)
            }
            make(.retyped(pageblock, to: .highAtomic), &changes)
        }
    }

    /// Gives the reserved pageblock with the smallest free block back to ordinary requests; false
    /// where no reserved page is free. The kernel does this before it would kill a task, pageblock
    /// by pageblock.
    ///
    /// - Parameters:
    ///   - type: of the request that has failed.
    ///   - changes: what it changed is appended.
    ///   - undo: so are changes that, applied last first, bring the zone back as it was.
    package mutating func releaseHighatomic(
        to type: Migratetype, changes: inout [ZoneChange], undo: inout [ZoneChange]
    ) -> Bool {
        precondition(type != .highAtomic, "no request is of the type HighAtomic")
        let own = rules.groupsByMobility ? type : .unmovable
        var orders = Int(freeOrders[.highAtomic])
        while orders != 0 {
            let order = orders.trailingZeroBitCount
            orders &= orders - 1
            guard let block = first(order, .highAtomic, in: 0..<frameCount >> order) else {
                preconditionFailure("a list is empty that should not be")
            }
            let free = frames(of: block, order)
            let number = Int(free.lowerBound.rawValue - base.rawValue) >> Pageblock.order
            let pageblock = frames(of: number, Pageblock.order)
            switch rules.dialect {
            case .linux612:
                let whole = order < Pageblock.order ? pageblock : free
                make(.retyped(whole, to: own), &changes)
                undo.append(.retyped(whole, to: .highAtomic))
                return true
            case .linux61:
                undo.append(.retyped(pageblock, to: pageblocks[number].type))
                make(.retyped(pageblock, to: own), &changes)
                let movable = movableRange(ofPageblock: number, from: free.lowerBound)
                guard let movable else { continue }
                let moved = order < Pageblock.order ? movable : free
                undo += movesBack(of: moved, from: own)
                make(.moved(moved, to: own), &changes)
                return true
            }
        }
        return false
    }

    /// The moves that bring what is free in a range back to where it now stands, once it has been
    /// moved to a type's lists.
    private func movesBack(of range: FrameRange, from type: Migratetype) -> [ZoneChange] {
        var moves: [ZoneChange] = []
        let run = pages(of: range)
        for order in 0..<Order.count {
            let blocks = run.lowerBound >> order..<(run.upperBound - 1) >> order + 1
            for list in Migratetype.allCases where list != type {
                var next = first(order, list, in: blocks)
                while let block = next {
                    moves.append(.moved(frames(of: block, order), to: list))
                    next = first(order, list, in: block + 1..<blocks.upperBound)
                }
            }
        }
        return moves
    }
}
