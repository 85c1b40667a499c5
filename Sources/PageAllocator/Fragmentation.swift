// How broken up free memory is: the kernel's own indexes, in its own integers.
//
// Each is a pure function of how many free blocks there are of each order. Two of them are easily
// misread, so each says here what its ends mean:
//
// - the unusable index is the share of the free pages that lie in blocks too small for an order;
// - the fragmentation index says why a request of an order *would fail*: towards 1000 since memory
//   is broken up (compaction helps), towards 0 since there is too little (reclaim helps); -1000
//   where it would not fail at all.
//
// All divisions truncate, as the kernel's do.
//
// Source: mm/vmstat.c (`fill_contig_page_info`, `unusable_free_index`, `__fragmentation_index`,
// `extfrag_for_order`) and mm/compaction.c (`fragmentation_score_node`).

/// The free blocks of one zone, by order.
public struct Fragmentation: Hashable, Sendable {
    /// Free blocks of each order, 0 first.
    public let blockCounts: [UInt64]

    /// Pages in all blocks.
    public let freePages: UInt64

    /// Blocks of all orders.
    public let freeBlocks: UInt64

    /// - Parameter blockCounts: one count for each order, 0 first: a line of buddyinfo.
    public init(blockCounts: [UInt64]) {
        precondition(blockCounts.count == Order.count, "one count of free blocks an order")
        self.blockCounts = blockCounts
        freePages = blockCounts.enumerated().reduce(0) { $0 + $1.element << UInt64($1.offset) }
        freeBlocks = blockCounts.reduce(0, +)
    }

    /// Blocks of `order` that could be granted at once, larger blocks divided.
    public func suitableBlocks(for order: Order) -> UInt64 {
        (order.rawValue..<Order.count).reduce(0) { sum, larger in
            sum + blockCounts[larger] << UInt64(larger - order.rawValue)
        }
    }

    /// Free pages in blocks smaller than `order`.
    private func unusablePages(for order: Order) -> UInt64 {
        freePages - suitableBlocks(for: order) * order.pageCount
    }

    /// The share of the free pages that a request of `order` cannot use: 0 to 1000 thousandths;
    /// 1000 where nothing is free.
    ///
    /// Source: `unusable_free_index`, mm/vmstat.c.
    public func unusableIndex(for order: Order) -> Int {
        freePages == 0 ? 1000 : Int(unusablePages(for: order) * 1000 / freePages)
    }

    /// Why a request of `order` would fail, in thousandths: towards 1000 for fragmentation, towards
    /// 0 and below for lack of memory; -1000 where a block is free for it, 0 where nothing is free.
    ///
    /// Source: `__fragmentation_index`, mm/vmstat.c.
    public func fragmentationIndex(for order: Order) -> Int {
        if freeBlocks == 0 { return 0 }
        if suitableBlocks(for: order) > 0 { return -1000 }
        return 1000 - Int((1000 + freePages * 1000 / order.pageCount) / freeBlocks)
    }

    /// The share of the free pages that a request of `order` cannot use: 0 to 100 per cent; 0 where
    /// nothing is free, unlike the unusable index.
    ///
    /// Source: `extfrag_for_order`, mm/vmstat.c.
    public func externalFragmentation(for order: Order) -> Int {
        freePages == 0 ? 0 : Int(unusablePages(for: order) * 100 / freePages)
    }

    /// `PAGE_ALLOC_COSTLY_ORDER`: requests above it are expected to fail now and then.
    public static let costlyOrder = Order(unchecked: 3)

    /// `vm.extfrag_threshold` where nobody set it, thousandths.
    public static let defaultThreshold = 500

    /// Whether the kernel would compact this zone for a request of `order` that the free blocks
    /// alone did not meet: for costly orders only where fragmentation is the cause.
    ///
    /// Source: `compaction_suitable`, mm/compaction.c.
    public func isCompactionWorthwhile(
        for order: Order, threshold: Int = defaultThreshold
    ) -> Bool {
        guard order > Self.costlyOrder else { return true }
        let index = fragmentationIndex(for: order)
        return index < 0 || index > threshold
    }
}

/// When a node's memory is compacted in the background, before anybody asks for a large block.
///
/// Source: `proactive_compact_node`, `fragmentation_score_wmark`, mm/compaction.c.
public struct ProactiveCompaction: Hashable, Sendable {
    /// `vm.compaction_proactiveness` where nobody set it.
    public static let defaultProactiveness = 20

    /// The order that compaction works for: `COMPACTION_HPAGE_ORDER`, a huge page of 2 MiB.
    public static let order = Order(unchecked: 9)

    /// `vm.compaction_proactiveness`: 0, never, to 100.
    public let proactiveness: Int

    /// nil outside 0…100.
    public init?(proactiveness: Int = defaultProactiveness) {
        guard (0...100).contains(proactiveness) else { return nil }
        self.proactiveness = proactiveness
    }

    /// The score at which compaction stops.
    public var lowScore: Int { max(100 - proactiveness, 5) }

    /// The score above which compaction starts.
    public var highScore: Int { min(lowScore + 10, 100) }

    public func starts(atScore score: Int) -> Bool {
        proactiveness > 0 && score > highScore
    }

    /// A zone's part in the score of its node.
    public struct Zone: Hashable, Sendable {
        public let presentPages: UInt64
        public let fragmentation: Fragmentation

        public init(presentPages: UInt64, fragmentation: Fragmentation) {
            self.presentPages = presentPages
            self.fragmentation = fragmentation
        }
    }

    /// How fragmented a node is for huge pages: 0 to 100. Each zone counts by its present pages,
    /// and is truncated before it is added.
    ///
    /// Source: `fragmentation_score_node`, `fragmentation_score_zone_weighted`, mm/compaction.c.
    public static func score(ofNode zones: [Zone]) -> Int {
        let present = zones.reduce(0) { $0 + $1.presentPages }
        return zones.reduce(0) { score, zone in
            let part = UInt64(zone.fragmentation.externalFragmentation(for: order))
            return score + Int(zone.presentPages * part / (present + 1))
        }
    }
}
