// Pageblocks: what is kept of each, what freeing and merging make of their types, and those kept
// back for atomic requests.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Pageblocks")
struct PageblockTests {
    static let everywhere = FrameRange(sketched: 0..<1 << 40)
    static let atomic: AllocFlags = [.highatomic, .nonBlock, .minReserve]

    // MARK: What is kept

    @Test("keeps type, movable pages and whether it is managed apart from each other")
    func keepsFields() {
        for type in Migratetype.allCases {
            var pageblock = Pageblock(type: .movable, isManaged: true)
            pageblock.addMovable(512)
            pageblock.type = type
            #expect(pageblock.type == type)
            #expect(pageblock.movablePages == 512 && pageblock.isManaged)
            pageblock.addMovable(-511)
            pageblock.isManaged = false
            #expect(pageblock.type == type)
            #expect(pageblock.movablePages == 1 && !pageblock.isManaged)
        }
    }

    @Test("more pages cannot be movable than there are, nor fewer than none")
    func refusesMiscounts() async {
        await #expect(processExitsWith: .failure) {
            var pageblock = Pageblock(type: .movable, isManaged: true)
            pageblock.addMovable(512)
            pageblock.addMovable(1)
        }
        await #expect(processExitsWith: .failure) {
            var pageblock = Pageblock(type: .movable, isManaged: true)
            pageblock.addMovable(-1)
        }
    }

    @Test("counts the pageblocks that hold a managed frame, each once")
    func countsManagedPageblocks() {
        let managed = [10..<20, 500..<513, 1100..<1200, 3000..<3072] as [Range<UInt64>]
        let zone = BuddyAllocator(
            span: FrameRange(sketched: 10..<3072),
            managedRanges: managed.map(FrameRange.init(sketched:)))
        #expect(zone.pageblockCounts == [0, 4, 0, 0])
    }

    @Test("counts a run's movable pages in each of its pageblocks")
    func countsMovablePages() {
        var zone = BuddyAllocator(pageblocks: 4, dialect: .linux612)
        let isTaken = zone.take(FrameRange(sketched: 500..<1540), for: .movable)
        #expect(isTaken)
        let counts = [0, 512, 1024, 1536].map { first in
            zone.pageblock(of: PageFrameNumber(first)).movablePages
        }
        #expect(counts == [12, 512, 512, 4])
        zone.free(FrameRange(sketched: 500..<1540), for: .movable)
        #expect(zone.pageblock(of: PageFrameNumber(512)).movablePages == 0)
    }

    // MARK: Freeing and merging

    @Test("a block goes to the lists of its pageblock's type", arguments: KernelDialect.allCases)
    func freesByPageblock(dialect: KernelDialect) {
        for type in Migratetype.allCases {
            var zone = BuddyAllocator(pageblocks: 2, dialect: dialect)
            let isTaken = zone.take(FrameRange(sketched: 0..<1024))
            #expect(isTaken)
            zone.apply(.retyped(FrameRange(sketched: 0..<512), to: type))
            zone.free(FrameRange(sketched: 8..<10))
            #expect(zone.freeBlocks(of: Order(sketched: 1), type: type) == 1)
        }
    }

    @Test("pageblocks merge, unless one of them is kept for atomic requests")
    func mergesPageblocks() {
        for dialect in KernelDialect.allCases {
            for first in Migratetype.allCases {
                for second in Migratetype.allCases {
                    var zone = BuddyAllocator(pageblocks: 2, dialect: dialect)
                    let isTaken = zone.take(FrameRange(sketched: 0..<1024))
                    #expect(isTaken)
                    zone.apply(.retyped(FrameRange(sketched: 0..<512), to: first))
                    zone.apply(.retyped(FrameRange(sketched: 512..<1024), to: second))
                    zone.free(FrameRange(sketched: 0..<512))
                    zone.free(FrameRange(sketched: 512..<1024))
                    let merges = first == second || first != .highAtomic && second != .highAtomic
                    #expect(zone.freeBlocks(of: .max, type: second) == (merges ? 1 : 0))
                    // 6.12 gives the buddy's pageblock the type of the block that was freed.
                    let isRetyped = merges && dialect == .linux612
                    let type = zone.pageblockType(of: PageFrameNumber(0))
                    #expect(type == (isRetyped ? second : first))
                }
            }
        }
    }

    @Test("a block of order 10 is freed as halves in 6.12, as a whole in 6.1")
    func freesLargestBlocks() {
        for dialect in KernelDialect.allCases {
            var zone = BuddyAllocator(pageblocks: 2, dialect: dialect)
            let isTaken = zone.take(FrameRange(sketched: 0..<1024))
            #expect(isTaken)
            zone.apply(.retyped(FrameRange(sketched: 0..<512), to: .unmovable))
            zone.apply(.retyped(FrameRange(sketched: 512..<1024), to: .highAtomic))
            zone.free(FrameRange(sketched: 0..<1024))
            let nine = Order(sketched: 9)
            switch dialect {
            case .linux612:
                #expect(zone.freeBlocks(of: nine, type: .unmovable) == 1)
                #expect(zone.freeBlocks(of: nine, type: .highAtomic) == 1)
            case .linux61:
                #expect(zone.freeBlocks(of: .max, type: .unmovable) == 1)
            }
            #expect(zone.pageblockCounts == [1, 0, 0, 1])
        }
    }

    @Test("a retyped pageblock takes its half of a larger free block along in 6.12")
    func retypingSplits() {
        var zone = BuddyAllocator(pageblocks: 2, dialect: .linux612)
        zone.apply(.retyped(FrameRange(sketched: 512..<1024), to: .highAtomic))
        let nine = Order(sketched: 9)
        #expect(zone.freeBlocks(of: nine, type: .movable) == 1)
        #expect(zone.freeBlocks(of: nine, type: .highAtomic) == 1)
        #expect(zone.freePages == 1024)
        zone.checkInvariants(managedRanges: [FrameRange(sketched: 0..<1024)])
    }

    @Test("a record's change of another zone, or one the dialect does not make, is refused")
    func refusesForeignChanges() {
        let outside = FrameRange(sketched: 2048..<2560)
        let inside = FrameRange(sketched: 512..<1024)
        let cut = FrameRange(sketched: 512..<1000)
        for dialect in KernelDialect.allCases {
            let zone = BuddyAllocator(pageblocks: 4, dialect: dialect, maximumBoost: 600)
            let changes: [(ZoneChange, Bool)] = [
                (.retyped(inside, to: .unmovable), true),
                (.retyped(outside, to: .unmovable), false),
                (.retyped(cut, to: .unmovable), false), (.moved(outside, to: .unmovable), false),
                (.moved(cut, to: .unmovable), dialect == .linux61), (.boosted(600), true),
                (.boosted(601), false), (.advanced(to: PageFrameNumber(2048)), true),
                (.advanced(to: PageFrameNumber(2049)), false),
            ]
            for (change, isApplicable) in changes {
                let answer = zone.canApply(change)
                #expect(answer == isApplicable, "\(dialect), \(change)")
            }
        }
    }

    // MARK: The reserve for atomic requests

    /// Pages of the zone, and the pages that may be reserved at most.
    static let limits: [(KernelDialect, pages: UInt64, limit: UInt64)] = [
        (.linux612, 51_199, 0), (.linux612, 51_200, 512), (.linux612, 51_299, 512),
        (.linux612, 51_300, 1024), (.linux61, 51_200, 1024), (.linux61, 51_300, 1025),
        (.linux61, 1024, 522),
    ]

    @Test("reserves pageblocks up to about one per cent of the zone", arguments: limits)
    func reservesUpToLimit(dialect: KernelDialect, pages: UInt64, limit: UInt64) {
        let span = FrameRange(sketched: 0..<pages)
        var zone = BuddyAllocator(span: span, managedRanges: [span], dialect: dialect)
        var reserved: [UInt64] = []
        // One atomic request in each of the first pageblocks.
        for number in 0..<min(pages / 512, 5) {
            var changes: [ZoneChange] = []
            let window = FrameRange(sketched: number * 512 + 100..<number * 512 + 300)
            let pfn = zone.allocate(
                Order(sketched: 1), for: .unmovable, with: Self.atomic, within: window,
                changes: &changes)
            #expect(pfn == window.lowerBound)
            reserved.append(zone.counters.reservedHighatomic)
        }
        // The limit is looked at before a pageblock is reserved, which may go beyond it.
        let count = (limit + 511) / 512
        #expect(reserved == reserved.indices.map { min(UInt64($0 + 1), count) * 512 })
        zone.checkInvariants(managedRanges: [span])
    }

    @Test("the reserve is open to atomic requests first, and last to those that may not wait")
    func opensReserve() {
        for dialect in KernelDialect.allCases {
            let span = FrameRange(sketched: 0..<51_200)
            var zone = BuddyAllocator(span: span, managedRanges: [span], dialect: dialect)
            var changes: [ZoneChange] = []
            let first = zone.allocate(
                .zero, for: .unmovable, with: Self.atomic, within: Self.everywhere,
                changes: &changes)
            #expect(first == PageFrameNumber(0))
            #expect(zone.counters.freeHighatomic == 511)
            // From here on nothing but the reserve is free.
            let isTaken = zone.take(FrameRange(sketched: 512..<51_200))
            #expect(isTaken)
            let answers: [(AllocFlags, Bool)] = [
                ([], false), (.minReserve, false), (.noFragment, false), (.noWatermarks, false),
                (.oom, true), (.nonBlock, true), (.highatomic, true),
            ]
            for (flags, isGranted) in answers {
                for type in [Migratetype.unmovable, .movable, .reclaimable] {
                    let can = zone.canAllocate(
                        .zero, for: type, with: flags, within: Self.everywhere)
                    #expect(can == isGranted, "\(dialect), \(flags), \(type)")
                }
            }
        }
    }

    @Test("an atomic request takes from the reserve before its own lists, others after")
    func reserveFirstOrLast() {
        var zone = BuddyAllocator(pageblocks: 100, dialect: .linux612)
        zone.apply(.retyped(FrameRange(sketched: 1024..<1536), to: .highAtomic))
        // Of its own lists the smallest block is the other half of what was divided.
        for (flags, expected) in [(Self.atomic, 1024 as UInt64), (.oom, 1536), (.nonBlock, 1537)] {
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                .zero, for: .movable, with: flags, within: Self.everywhere, changes: &changes)
            #expect(pfn == PageFrameNumber(expected))
            #expect(changes.isEmpty)
        }
    }

    @Test("a released pageblock serves the request's type", arguments: KernelDialect.allCases)
    func releases(dialect: KernelDialect) {
        var zone = BuddyAllocator(pageblocks: 100, dialect: dialect)
        var changes: [ZoneChange] = []
        let none = zone.releaseHighatomic(to: .movable, changes: &changes)
        #expect(!none && changes.isEmpty)
        let pfn = zone.allocate(
            Order(sketched: 2), for: .unmovable, with: Self.atomic, within: Self.everywhere,
            changes: &changes)
        #expect(pfn == PageFrameNumber(0))
        #expect(zone.counters.reservedHighatomic == 512)
        let isReleased = zone.releaseHighatomic(to: .reclaimable, changes: &changes)
        #expect(isReleased)
        #expect(zone.counters.reservedHighatomic == 0 && zone.counters.freeHighatomic == 0)
        #expect(zone.pageblockType(of: PageFrameNumber(0)) == .reclaimable)
        #expect(zone.freePages(onListsOf: .reclaimable) == 508)
        let again = zone.releaseHighatomic(to: .movable, changes: &changes)
        #expect(!again)
    }

    @Test("6.12 reserves no pageblock that the zone does not span")
    func reservesNoStraddledPageblock() {
        for dialect in KernelDialect.allCases {
            let span = FrameRange(sketched: 100..<60_000)
            var zone = BuddyAllocator(span: span, managedRanges: [span], dialect: dialect)
            var changes: [ZoneChange] = []
            let pfn = zone.allocate(
                .zero, for: .unmovable, with: Self.atomic,
                within: FrameRange(sketched: 100..<512), changes: &changes)
            #expect(pfn != nil)
            let reserved = zone.counters.reservedHighatomic
            #expect(reserved == (dialect == .linux612 ? 0 : 512))
        }
    }
}
