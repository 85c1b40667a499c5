// The buddy system of one zone: exhaustively where that is possible, at random where it is not.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("BuddyAllocator")
struct BuddyAllocatorTests {
    // MARK: Every sequence of calls on sixteen pages

    /// Calls in a row; every sequence of that many is gone through.
    static let sequenceLength = 7

    @Test(
        "keeps to the rules through every sequence of allocations and frees",
        arguments: [0, 16, 5, 1019, 1016] as [UInt64])
    func everySequence(zoneStart: UInt64) {
        let frames = FrameRange(sketched: zoneStart..<zoneStart + 16)
        var search = SequenceSearch(
            buddies: BuddyAllocator(span: frames, managedRanges: [frames]),
            reference: BuddyReference(origin: zoneStart, free: 0xffff), managed: frames)
        search.explore(depth: Self.sequenceLength)
        #expect(search.faults == [])
        #expect(search.sequences > 100_000)
        #expect(search.buddies.sortedBlocks == search.reference.blocks)
    }

    /// Goes through all sequences depth first, and takes each call back with its inverse.
    struct SequenceSearch: ~Copyable {
        var buddies: BuddyAllocator
        var reference: BuddyReference
        let managed: FrameRange
        var live: [BuddyReference.Block] = []
        var trail: [String] = []
        var sequences = 0
        var faults: [String] = []

        mutating func explore(depth: Int) {
            guard depth > 0 else {
                sequences += 1
                return
            }
            for order in 0...4 where faults.isEmpty {
                exploreAllocation(order, depth)
            }
            for position in live.indices where faults.isEmpty {
                exploreFree(position, depth)
            }
        }

        private mutating func exploreAllocation(_ order: Int, _ depth: Int) {
            trail.append("allocate \(order)")
            let window = managed.lowerBound.rawValue..<managed.upperBound.rawValue
            let expected = BuddyReference.choice(
                order: order, window: window, from: reference.blocks)
            let pfn = buddies.allocate(Order(sketched: order), within: managed)
            check(pfn?.rawValue == expected)
            if let expected, faults.isEmpty {
                let block = BuddyReference.Block(first: expected, order: order)
                reference.take(expected, order: order)
                live.append(block)
                check(buddies.sortedBlocks == reference.blocks)
                explore(depth: depth - 1)
                live.removeLast()
                reference.give(expected, order: order)
                buddies.give(
                    FrameRange(block: PageFrameNumber(expected), order: Order(sketched: order)))
                check(buddies.sortedBlocks == reference.blocks)
            }
            trail.removeLast()
        }

        private mutating func exploreFree(_ position: Int, _ depth: Int) {
            let block = live.remove(at: position)
            let order = Order(sketched: block.order)
            trail.append("free \(block.first)")
            let frames = FrameRange(block: PageFrameNumber(block.first), order: order)
            buddies.give(frames)
            reference.give(block.first, order: block.order)
            check(buddies.sortedBlocks == reference.blocks)
            explore(depth: depth - 1)
            check(buddies.claim(frames))
            reference.take(block.first, order: block.order)
            check(buddies.sortedBlocks == reference.blocks)
            trail.removeLast()
            live.insert(block, at: position)
        }

        private mutating func check(_ holds: Bool) {
            if !holds { faults.append(trail.joined(separator: ", ")) }
        }
    }

    // MARK: Every set of free frames with every window

    @Test(
        "finds a block in a window whenever there is one, and the right one",
        arguments: [0, 3, 1020] as [UInt64])
    func everyWindow(zoneStart: UInt64) {
        let pages: UInt64 = 10
        let span = FrameRange(sketched: zoneStart..<zoneStart + pages)
        var requests = 0
        for free in 0..<UInt64(1) << pages {
            let reference = BuddyReference(origin: zoneStart, free: free)
            let blocks = reference.blocks
            var buddies = BuddyAllocator(
                span: span, managedRanges: Self.ranges(free, from: zoneStart))
            guard buddies.sortedBlocks == blocks else {
                Issue.record("from \(zoneStart), free \(free): \(buddies.sortedBlocks)")
                return
            }
            for order in 0...4 {
                for window in Self.windows(around: span) {
                    requests += 1
                    let expected = BuddyReference.choice(order: order, window: window, from: blocks)
                    guard buddies.answers(order, window, expected) else {
                        Issue.record(
                            "from \(zoneStart), free \(free), order \(order), window \(window)")
                        return
                    }
                }
            }
            #expect(buddies.sortedBlocks == blocks)
        }
        #expect(requests > 400_000)
    }

    private static func ranges(_ free: UInt64, from start: UInt64) -> [FrameRange] {
        var ranges: [Range<UInt64>] = []
        for bit in UInt64(0)..<64 where free & (1 << bit) != 0 {
            if let last = ranges.last, last.upperBound == start + bit {
                ranges[ranges.count - 1] = last.lowerBound..<start + bit + 1
            } else {
                ranges.append(start + bit..<start + bit + 1)
            }
        }
        return ranges.map(FrameRange.init(sketched:))
    }

    /// Every window with both ends in or next to the span, and some that end far outside.
    private static func windows(around span: FrameRange) -> [Range<UInt64>] {
        let first = span.lowerBound.rawValue
        let last = span.upperBound.rawValue + 1
        var windows = (first...last).flatMap { low in (low...last).map { low..<$0 } }
        windows += [0..<PageFrameNumber.limit.rawValue, 0..<first, 0..<first + 3]
        windows += [last - 3..<PageFrameNumber.limit.rawValue]
        windows += [PageFrameNumber.limit.rawValue..<PageFrameNumber.limit.rawValue]
        return windows
    }

    // MARK: Blocks of every order

    static let largeZoneSteps = 6_000

    @Test(
        "holds blocks of every order in zones that begin and end anywhere",
        arguments: [
            [0..<4096], [1..<4095], [1023..<1025], [700..<3000],
            [511..<1536, 1537..<2048, 2100..<5000],
        ] as [[Range<UInt64>]])
    func largeZones(ranges: [Range<UInt64>]) throws {
        let seed = ranges[0].upperBound
        var random = SeededGenerator(seed: seed)
        let managed = ranges.map(FrameRange.init(sketched:))
        let first = try #require(managed.first).lowerBound
        let span = FrameRange(first, try #require(managed.last).upperBound)
        var buddies = BuddyAllocator(span: span, managedRanges: managed)
        let untouched = buddies.sortedBlocks
        #expect(buddies.managedPages == managed.reduce(0) { $0 + $1.count })
        var live: [FrameRange] = []
        for step in 0..<Self.largeZoneSteps {
            if random.chance(percent: 55) {
                let order = Order(sketched: min(random.below(11), random.below(11)))
                if let pfn = buddies.allocate(order, within: span) {
                    live.append(FrameRange(block: pfn, order: order))
                } else {
                    let can = buddies.canAllocate(order, within: span)
                    #expect(!can)
                }
            } else if !live.isEmpty {
                let frames = live.remove(at: random.below(live.count))
                buddies.give(frames)
            }
            if step.isMultiple(of: 100) { buddies.checkInvariants(managedRanges: managed) }
        }
        #expect(buddies.freePages + live.reduce(0) { $0 + $1.count } == buddies.managedPages)
        for frames in live {
            buddies.give(frames)
        }
        #expect(buddies.sortedBlocks == untouched, "seed \(seed)")
    }

    // MARK: The state is a function of the free frames

    static let freeOrders = 300

    @Test("the order in which blocks are freed leaves no trace")
    func orderOfFreesLeavesNoTrace() {
        let span = FrameRange(sketched: 37..<2500)
        var expected: [BuddyReference.Block]?
        for seed in 0..<UInt64(Self.freeOrders) {
            var random = SeededGenerator(seed: seed)
            var buddies = BuddyAllocator(span: span, managedRanges: [span])
            // The same blocks each time: every third of 600 goes back, in an order of its own.
            let blocks = (0..<600).compactMap { number -> FrameRange? in
                let order = Order(sketched: number % 4)
                return buddies.allocate(order, within: span).map {
                    FrameRange(block: $0, order: order)
                }
            }
            for (number, block) in blocks.enumerated().shuffled(using: &random)
            where number % 3 != 0 {
                buddies.give(block)
            }
            #expect(expected == nil || buddies.sortedBlocks == expected, "seed \(seed)")
            expected = buddies.sortedBlocks
        }
    }

    // MARK: Taking a given block

    @Test("takes exactly the block asked for, if all of it is free")
    func takesExactBlocks() {
        let span = FrameRange(sketched: 3..<19)
        let managed = [FrameRange(sketched: 3..<9), FrameRange(sketched: 11..<19)]
        let reference = BuddyReference(origin: 3, free: 0xff3f)
        for order in 0...10 {
            for first in UInt64(0)..<1030 where first < 24 || first > 1020 {
                var buddies = BuddyAllocator(span: span, managedRanges: managed)
                let isFree = order < 6 && reference.isFree(first, 1 << UInt64(order))
                let taken = buddies.claim(
                    FrameRange(block: PageFrameNumber(first), order: Order(sketched: order)))
                #expect(taken == isFree, "\(first), order \(order)")
                var left = reference
                if isFree { left.free &= ~((1 << (1 << UInt64(order)) - 1) << (first - 3)) }
                #expect(buddies.sortedBlocks == left.blocks)
                buddies.checkInvariants(managedRanges: managed)
            }
        }
    }

    @Test("knows of each frame whether it is free")
    func knowsFreeFrames() {
        let span = FrameRange(sketched: 1020..<1060)
        var buddies = BuddyAllocator(span: span, managedRanges: [span])
        let taken = buddies.claim(FrameRange(sketched: 1024..<1032))
        #expect(taken)
        for frame in UInt64(0)..<3000 {
            let isFree = (1020..<1060).contains(frame) && !(1024..<1032).contains(frame)
            let answer = buddies.isFree(PageFrameNumber(frame))
            #expect(answer == isFree)
        }
    }

    @Test("frames outside the zone cannot be freed")
    func refusesForeignFrees() async {
        await #expect(processExitsWith: .failure) {
            let span = FrameRange(sketched: 1024..<1040)
            var buddies = BuddyAllocator(span: span, managedRanges: [span])
            _ = buddies.allocate(Order(sketched: 2), within: span)
            buddies.give(FrameRange(sketched: 0..<4))
        }
    }

    @Test("the invariants see a block that was freed twice")
    func seesDoubleFrees() async {
        await #expect(processExitsWith: .failure) {
            let span = FrameRange(sketched: 0..<16)
            var buddies = BuddyAllocator(span: span, managedRanges: [span])
            _ = buddies.allocate(.zero, within: span)
            buddies.give(FrameRange(sketched: 0..<1))
            buddies.give(FrameRange(sketched: 0..<1))
            buddies.checkInvariants(managedRanges: [span])
        }
    }

    @Test("the largest zone that a machine may have can begin at any frame")
    func largestZoneAnywhere() {
        let span = FrameRange(sketched: 1..<1 + Machine.maximumSpannedPages)
        let managed = [
            FrameRange(sketched: 1..<2),
            FrameRange(span.upperBound.minusOne, span.upperBound),
        ]
        var buddies = BuddyAllocator(span: span, managedRanges: managed)
        let high = FrameRange(PageFrameNumber(2), span.upperBound)
        let last = buddies.allocate(.zero, within: high)
        let none = buddies.allocate(.zero, within: high)
        #expect(last == span.upperBound.minusOne)
        #expect(none == nil)
    }
}

extension BuddyAllocator {
    /// Whether a request is answered as expected; the state afterwards is the one before.
    fileprivate mutating func answers(
        _ order: Int, _ window: Range<UInt64>, _ expected: UInt64?
    ) -> Bool {
        let order = Order(sketched: order)
        let window = FrameRange(sketched: window)
        let can = canAllocate(order, within: window)
        let pfn = allocate(order, within: window)
        if let pfn { give(FrameRange(block: pfn, order: order)) }
        return pfn?.rawValue == expected && can == (expected != nil)
    }
}

extension PageFrameNumber {
    fileprivate var minusOne: PageFrameNumber { PageFrameNumber(rawValue - 1) }
}
