// Which other type's block a request gets, and what becomes of its pageblock: at each value where
// the answer turns.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Fallback between migratetypes")
struct FallbackTests {
    static let everywhere = FrameRange(sketched: 0..<1 << 40)

    /// A zone of two pageblocks of which the second alone has free pages.
    struct Sketch: Sendable, CustomTestStringConvertible {
        let type: Migratetype
        let free: UInt64
        let movable: UInt64
        let request: Migratetype
        let isClaimed: Bool

        var testDescription: String {
            "\(request) from \(type), \(free) free, \(movable) movable"
        }

        /// The free pages are the last of the zone, the movable ones the first of the pageblock.
        func zone(_ dialect: KernelDialect) -> BuddyAllocator {
            var zone = BuddyAllocator(pageblocks: 2, dialect: dialect)
            let areTaken =
                zone.take(FrameRange(sketched: 0..<512))
                && (movable == 0
                    || zone.take(FrameRange(sketched: 512..<512 + movable), for: .movable))
                && zone.take(FrameRange(sketched: 512 + movable..<1024))
            precondition(areTaken)
            zone.apply(.retyped(FrameRange(sketched: 512..<1024), to: type))
            zone.free(FrameRange(sketched: 1024 - free..<1024))
            return zone
        }
    }

    /// Half a pageblock, 256 pages, must be free or like the request.
    static let thresholds = [
        // Of a Movable pageblock, what is neither free nor movable is like the request.
        Sketch(type: .movable, free: 1, movable: 256, request: .unmovable, isClaimed: true),
        Sketch(type: .movable, free: 1, movable: 257, request: .unmovable, isClaimed: false),
        Sketch(type: .movable, free: 200, movable: 256, request: .reclaimable, isClaimed: true),
        Sketch(type: .movable, free: 200, movable: 257, request: .reclaimable, isClaimed: false),
        // A movable request counts movable pages.
        Sketch(type: .unmovable, free: 16, movable: 240, request: .movable, isClaimed: true),
        Sketch(type: .unmovable, free: 16, movable: 239, request: .movable, isClaimed: false),
        Sketch(type: .reclaimable, free: 256, movable: 0, request: .movable, isClaimed: true),
        Sketch(type: .reclaimable, free: 255, movable: 0, request: .movable, isClaimed: false),
        // Between Unmovable and Reclaimable only free pages count.
        Sketch(type: .reclaimable, free: 256, movable: 9, request: .unmovable, isClaimed: true),
        Sketch(type: .reclaimable, free: 255, movable: 257, request: .unmovable, isClaimed: false),
        Sketch(type: .unmovable, free: 256, movable: 0, request: .reclaimable, isClaimed: true),
        Sketch(type: .unmovable, free: 255, movable: 200, request: .reclaimable, isClaimed: false),
    ]

    @Test(
        "claims a pageblock of which half is free or alike", arguments: thresholds,
        KernelDialect.allCases)
    func claimsFromHalf(sketch: Sketch, dialect: KernelDialect) {
        var zone = sketch.zone(dialect)
        var changes: [ZoneChange] = []
        let pfn = zone.allocate(
            .zero, for: sketch.request, with: [], within: Self.everywhere, changes: &changes)
        #expect(pfn != nil)
        let type = zone.pageblockType(of: PageFrameNumber(512))
        #expect(type == (sketch.isClaimed ? sketch.request : sketch.type))
        // What is left free: 6.1 moves it to the request's lists even where it does not claim.
        let isMoved = sketch.isClaimed || dialect == .linux61
        let left = zone.freePages(onListsOf: isMoved ? sketch.request : sketch.type)
        #expect(left == sketch.free - 1)
    }

    @Test(
        "a movable request may ask for the pageblock of a block of order 4, not of order 3",
        arguments: [(3, false), (4, true)], KernelDialect.allCases)
    func orderFourClaims(block: (order: Int, claims: Bool), dialect: KernelDialect) {
        let pages = UInt64(1) << UInt64(block.order)
        let sketch = Sketch(
            type: .unmovable, free: pages, movable: 300, request: .movable, isClaimed: block.claims)
        var zone = sketch.zone(dialect)
        var changes: [ZoneChange] = []
        let pfn = zone.allocate(
            .zero, for: .movable, with: [], within: Self.everywhere, changes: &changes)
        #expect(pfn == PageFrameNumber(1024 - pages))
        let type = zone.pageblockType(of: PageFrameNumber(512))
        #expect(type == (block.claims ? .movable : .unmovable))
        // Without the pageblock 6.1 takes over the one block, 6.12 splits it where it stands.
        let list: Migratetype = block.claims || dialect == .linux61 ? .movable : .unmovable
        let left = zone.freePages(onListsOf: list)
        #expect(left == pages - 1)
    }

    @Test("6.1 takes the largest block, for a movable request below order 4 the smallest")
    func largestOrSmallest() {
        for (request, expected) in [(Migratetype.unmovable, 8 as UInt64), (.movable, 600)] {
            var zone = BuddyAllocator(pageblocks: 2, dialect: .linux61)
            let isTaken = zone.take(FrameRange(sketched: 0..<1024))
            #expect(isTaken)
            zone.apply(.retyped(FrameRange(sketched: 0..<1024), to: .reclaimable))
            zone.free(FrameRange(sketched: 8..<16))
            zone.free(FrameRange(sketched: 600..<601))
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                .zero, for: request, with: [], within: Self.everywhere, changes: &changes)
            #expect(pfn == PageFrameNumber(expected), "\(request)")
        }
    }

    // MARK: Which list

    @Test(
        "looks at other types' lists in the kernel's order",
        arguments: [
            (Migratetype.unmovable, Migratetype.reclaimable, Migratetype.movable),
            (.movable, .reclaimable, .unmovable), (.reclaimable, .unmovable, .movable),
        ], KernelDialect.allCases)
    func listOrder(
        types: (request: Migratetype, first: Migratetype, second: Migratetype),
        dialect: KernelDialect
    ) {
        // Two whole pageblocks; the one of the second choice comes first.
        for (lower, expected) in [(types.second, 1536 as UInt64), (types.first, 0)] {
            var zone = BuddyAllocator(pageblocks: 4, dialect: dialect)
            let areTaken = zone.take(FrameRange(sketched: 0..<2048))
            #expect(areTaken)
            let upper = lower == types.first ? types.second : types.first
            zone.apply(.retyped(FrameRange(sketched: 0..<512), to: lower))
            zone.apply(.retyped(FrameRange(sketched: 1536..<2048), to: upper))
            zone.free(FrameRange(sketched: 0..<512))
            zone.free(FrameRange(sketched: 1536..<2048))
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                Order(sketched: 2), for: types.request, with: [], within: Self.everywhere,
                changes: &changes)
            #expect(pfn == PageFrameNumber(expected))
            let type = zone.pageblockType(of: PageFrameNumber(expected))
            #expect(type == types.request)
        }
    }

    // MARK: Whole pageblocks

    @Test("ALLOC_NOFRAGMENT takes whole pageblocks or nothing", arguments: KernelDialect.allCases)
    func noFragment(dialect: KernelDialect) {
        for (free, isGranted) in [(256 as UInt64, false), (512, true)] {
            var zone = BuddyAllocator(pageblocks: 1, dialect: dialect)
            let isTaken = zone.take(FrameRange(sketched: 0..<512))
            #expect(isTaken)
            zone.free(FrameRange(sketched: 512 - free..<512))
            let before = ZoneImage(zone)
            var changes: [ZoneChange] = []
            let can = zone.canAllocate(
                .zero, for: .unmovable, with: .noFragment, within: Self.everywhere)
            let pfn = zone.allocate(
                .zero, for: .unmovable, with: .noFragment, within: Self.everywhere,
                changes: &changes)
            #expect((pfn != nil) == isGranted && can == isGranted)
            let isUntouched = ZoneImage(zone) == before
            #expect(isUntouched == !isGranted && changes.isEmpty == !isGranted)
        }
    }

    @Test(
        "a block of order 10 becomes the request's as a whole, wherever the window lies",
        arguments: [0..<1024, 512..<1024, 700..<710] as [Range<UInt64>], KernelDialect.allCases)
    func wholeLargestBlock(window: Range<UInt64>, dialect: KernelDialect) {
        var zone = BuddyAllocator(pageblocks: 4, dialect: dialect)
        var changes: [ZoneChange] = []
        let pfn = zone.allocate(
            .zero, for: .reclaimable, with: [], within: FrameRange(sketched: window),
            changes: &changes)
        #expect(pfn == PageFrameNumber(window.lowerBound))
        #expect(zone.pageblockCounts == [0, 2, 2, 0])
        let left = zone.freePages(onListsOf: .reclaimable)
        #expect(left == 1023)
        #expect(zone.boost == 0)
    }

    // MARK: Where a zone begins or ends within a pageblock

    @Test("6.12 claims no pageblock that the zone does not span")
    func straddled612() {
        for span in [100..<1024, 0..<1000] as [Range<UInt64>] {
            let inner: Range<UInt64> = span.lowerBound == 0 ? 512..<1000 : 100..<512
            var zone = Self.straddlingZone(span, .linux612)
            zone.free(FrameRange(sketched: inner))
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                .zero, for: .unmovable, with: [], within: Self.everywhere, changes: &changes)
            let type = zone.pageblockType(of: PageFrameNumber(inner.lowerBound))
            #expect(pfn != nil && changes.isEmpty && type == .movable)
        }
    }

    @Test("6.1 moves what lies above the block where the zone begins within its pageblock")
    func straddledStart61() {
        var zone = Self.straddlingZone(100..<1024, .linux61)
        zone.free(FrameRange(sketched: 104..<112))
        zone.free(FrameRange(sketched: 128..<256))
        zone.free(FrameRange(sketched: 300..<304))
        var changes: [ZoneChange] = []
        let pfn = zone.allocate(
            .zero, for: .unmovable, with: [], within: Self.everywhere, changes: &changes)
        // The smallest of what has moved; the block at 104 lies below the largest, and stays.
        #expect(pfn == PageFrameNumber(300))
        #expect(zone.freePages(onListsOf: .movable) == 8)
        #expect(zone.freePages(onListsOf: .unmovable) == 131)
        #expect(zone.pageblockType(of: PageFrameNumber(300)) == .unmovable)
    }

    @Test("6.1 moves one block alone where the zone ends within its pageblock")
    func straddledEnd61() {
        var zone = Self.straddlingZone(0..<1000, .linux61)
        zone.free(FrameRange(sketched: 512..<640))
        zone.free(FrameRange(sketched: 700..<701))
        var changes: [ZoneChange] = []
        let pfn = zone.allocate(
            .zero, for: .unmovable, with: [], within: Self.everywhere, changes: &changes)
        #expect(pfn == PageFrameNumber(512))
        #expect(zone.freePages(onListsOf: .unmovable) == 127)
        #expect(zone.freePages(onListsOf: .movable) == 1)
        #expect(zone.pageblockType(of: PageFrameNumber(512)) == .movable)
    }

    /// A zone of which nothing is free.
    private static func straddlingZone(
        _ span: Range<UInt64>, _ dialect: KernelDialect
    ) -> BuddyAllocator {
        let frames = FrameRange(sketched: span)
        var zone = BuddyAllocator(span: frames, managedRanges: [frames], dialect: dialect)
        let isTaken = zone.take(frames)
        precondition(isTaken)
        return zone
    }

    // MARK: Boost

    @Test("the boost of a zone is limited to half as much again as its high mark")
    func boostLimits() {
        let limits: [(managed: UInt64, high: UInt64, limit: UInt64)] = [
            (2047, 10_000, 0), (2048, 10_000, 15_000), (2048, 0, 0), (2048, 1, 512),
            (2048, 341, 512), (2048, 342, 513), (1 << 30, 1 << 30, 3 << 29),
        ]
        for (managed, high, limit) in limits {
            let rules = BuddyRules(
                dialect: .linux612, managedPages: managed, high: high, groupsByMobility: true)
            #expect(rules.maximumBoost == limit, "\(managed), \(high)")
        }
    }

    @Test(
        "each look at a part of a pageblock raises the boost, up to the limit",
        arguments: KernelDialect.allCases)
    func boostRises(dialect: KernelDialect) {
        let span = FrameRange(sketched: 0..<2048)
        var zone = BuddyAllocator(
            span: span, managedRanges: [span], dialect: dialect, maximumBoost: 1100)
        let isTaken = zone.take(span)
        #expect(isTaken)
        var boosts: [UInt64] = []
        for _ in 0..<4 {
            // One page of an Unmovable pageblock, for a movable request that cannot have it.
            zone.apply(.retyped(FrameRange(sketched: 0..<512), to: .unmovable))
            zone.free(FrameRange(sketched: 0..<16))
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                Order(sketched: 4), for: .movable, with: [], within: Self.everywhere,
                changes: &changes)
            #expect(pfn == PageFrameNumber(0))
            boosts.append(zone.boost)
            zone.free(FrameRange(sketched: 0..<16), for: .movable)
            let isTaken = zone.take(FrameRange(sketched: 0..<16))
            #expect(isTaken)
        }
        #expect(boosts == [512, 1024, 1100, 1100])
    }

    @Test("without grouping by mobility every request and pageblock is Unmovable")
    func oneType() {
        for dialect in KernelDialect.allCases {
            let span = FrameRange(sketched: 0..<2048)
            var zone = BuddyAllocator(
                span: span, managedRanges: [span],
                rules: BuddyRules(dialect: dialect, groupsByMobility: false))
            for type in [Migratetype.movable, .reclaimable, .unmovable] {
                var changes: [ZoneChange] = []
                let pfn = zone.allocate(
                    .zero, for: type, with: .noFragment, within: Self.everywhere, changes: &changes)
                #expect(pfn != nil && changes.isEmpty)
            }
            #expect(zone.pageblockCounts == [4, 0, 0, 0])
        }
        let limit = BuddyRules.migratetypes * 512
        #expect(!BuddyRules.groupsByMobility(pagesAboveHighMarks: limit - 1))
        #expect(BuddyRules.groupsByMobility(pagesAboveHighMarks: limit))
    }
}

extension BuddyAllocator {
    /// Free pages of one migratetype's lists.
    func freePages(onListsOf type: Migratetype) -> UInt64 {
        (0...10).reduce(0) { $0 + freeBlocks(of: Order(sketched: $1), type: type) << UInt64($1) }
    }
}
