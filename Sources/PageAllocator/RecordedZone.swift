// The decision put to a state that somebody wrote down, of a running kernel for one: the same walk,
// over counters instead of a live zone's lists.
//
// A record says for each order and migratetype whether a block is free, and that decides whether a
// zone can serve: an order of another type does as well, unless fragments are to be avoided. It
// also has what this allocator has not, the lists of pages that each CPU keeps: where the buddy
// lists cannot serve, a page may still be on them.
//
// Source: `rmqueue`, `rmqueue_buddy`, `__rmqueue_fallback`, `order_to_pindex`, mm/page_alloc.c.

/// One zone of a recorded state.
public struct RecordedZone: Hashable, Sendable {
    public var counters: ZoneCounters

    /// Bit i: whether list i of the caller's CPU has a page: 3 × order + migratetype for orders 0
    /// to 3; of order 9, 13 has the movable blocks and 12 all others.
    public var perCPULists: UInt16

    /// A pageblock is the 512 pages of a transparent huge page.
    private static let pageblockOrder = Order(unchecked: 9)

    public init(counters: ZoneCounters, perCPULists: UInt16 = 0) {
        self.counters = counters
        self.perCPULists = perCPULists
    }

    fileprivate func serves(
        _ order: Order, for type: Migratetype, in attempt: PlacementDecision.Attempt
    ) -> Bool {
        if let list = Self.perCPUList(order, type), perCPULists >> list & 1 == 1 { return true }
        let free = counters.freeOrders
        let flags = attempt.searchFlags
        let fallback = flags.contains(.noFragment) ? max(order, Self.pageblockOrder) : order
        if Self.has(order, in: free[type])
            || Migratetype.grantable.contains(where: { Self.has(fallback, in: free[$0]) })
        {
            return true
        }
        return !flags.isDisjoint(with: [.highatomic, .oom, .nonBlock])
            && Self.has(order, in: free[.highAtomic])
    }

    private static func has(_ order: Order, in orders: UInt16) -> Bool {
        orders >> UInt16(order.rawValue) != 0
    }

    private static func perCPUList(_ order: Order, _ type: Migratetype) -> Int? {
        switch order.rawValue {
        case 0...3: 3 * order.rawValue + type.rawValue
        case pageblockOrder.rawValue: type == .movable ? 13 : 12
        default: nil
        }
    }
}

extension Machine {
    /// The zone that serves a request for a block in a recorded state; its position in `zones`, or
    /// nil for a refusal.
    ///
    /// - Parameters:
    ///   - recorded: one for each of `zones`, in the same order.
    ///   - nodeMask: the nodes that the caller limits the walk to, as `__alloc_pages` takes them
    ///     beside a node; nil: none.
    /// - Throws: why no state could meet the request. A run of pages is not for the buddy lists,
    ///   and a trap.
    public func place(
        _ request: AllocationRequest, amid recorded: [RecordedZone],
        contradictions: ContradictoryZoneBits = .refused, nodeMask: [NodeID]? = nil
    ) throws(Unsatisfiable) -> Int? {
        precondition(recorded.count == zones.count, "one record for each zone")
        precondition(request.control.isPlainBlock, "a record has no addresses")
        let decision = try PlacementDecision(
            request, on: self, contradictions: contradictions, nodeMask: nodeMask)
        return decision.walk(
            on: self, counters: { recorded[$0].counters },
            take: { zone, attempt in
                recorded[zone].serves(decision.order, for: decision.migratetype, in: attempt)
                    ? zone : nil
            })
    }
}

extension Migratetype {
    /// Those that a grant can have.
    fileprivate static let grantable: [Migratetype] = [.unmovable, .movable, .reclaimable]
}
