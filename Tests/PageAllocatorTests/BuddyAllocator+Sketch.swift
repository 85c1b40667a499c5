// Zones as tests draw them and ask of them.

import TestSupport

@testable import PageAllocator

extension BuddyAllocator {
    init(
        span: FrameRange, managedRanges: [FrameRange], dialect: KernelDialect = .linux612,
        maximumBoost: UInt64 = 0
    ) {
        self.init(
            span: span, managedRanges: managedRanges,
            rules: BuddyRules(dialect: dialect, maximumBoost: maximumBoost))
    }

    /// A zone that is managed as a whole.
    init(
        pageblocks: UInt64, dialect: KernelDialect, maximumBoost: UInt64 = 0
    ) {
        let span = FrameRange(sketched: 0..<512 * pageblocks)
        self.init(
            span: span, managedRanges: [span], dialect: dialect, maximumBoost: maximumBoost)
    }

    /// A Movable request, as what a zone begins with is Movable.
    mutating func allocate(_ order: Order, within window: FrameRange) -> PageFrameNumber? {
        var changes: [ZoneChange] = []
        let pfn = allocate(order, for: .movable, with: [], within: window, changes: &changes)
        precondition(changes.isEmpty, "a request that its own lists met changed the zone")
        return pfn
    }

    /// Gives back what was taken for a Movable request.
    mutating func give(_ frames: FrameRange) {
        free(frames, for: .movable)
    }

    /// Takes frames as for a Movable request.
    mutating func claim(_ frames: FrameRange) -> Bool {
        take(frames, for: .movable)
    }

    /// A release that is not to be taken back.
    mutating func releaseHighatomic(
        to type: Migratetype, changes: inout [ZoneChange]
    ) -> Bool {
        var undo: [ZoneChange] = []
        return releaseHighatomic(to: type, changes: &changes, undo: &undo)
    }

    func canAllocate(_ order: Order, within window: FrameRange) -> Bool {
        canAllocate(order, for: .movable, with: [], within: window)
    }
}

/// All that a zone holds, as a value.
struct ZoneImage: Equatable {
    struct Block: Hashable {
        let first: UInt64
        let order: Int
        let list: Migratetype
    }

    var blocks: [Block] = []
    var pageblocks: [Pageblock] = []
    let counters: ZoneCounters
    let freeBlocks: [UInt64]
    let pageblockCounts: [UInt64]
    let hasReserved: Bool

    init(_ buddies: borrowing BuddyAllocator) {
        counters = buddies.counters
        freeBlocks = buddies.freeBlocks
        pageblockCounts = buddies.pageblockCounts
        hasReserved = buddies.hasReserved
        var blocks: [Block] = []
        buddies.forEachFreeBlock { pfn, order, list in
            blocks.append(Block(first: pfn.rawValue, order: order.rawValue, list: list))
        }
        self.blocks = blocks.sorted { $0.first < $1.first }
        for number in 0..<buddies.frameCount / Pageblock.pageCount {
            pageblocks.append(
                buddies.pageblock(of: buddies.base + UInt64(number * Pageblock.pageCount)))
        }
    }
}
