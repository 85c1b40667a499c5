// The exact search beside its reference: every fit, on zones that begin and end anywhere, while
// pages come and go.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Exact range search")
struct ExactRangeTests {
    static let stepsPerZone = 120

    static let zones = 40

    @Test("finds what each fit names, and nothing where there is nothing")
    func randomRequests() {
        var found = 0
        for seed in 0..<UInt64(Self.zones) {
            var random = SeededGenerator(seed: seed)
            var zone = RandomZone(using: &random)
            for step in 0..<Self.stepsPerZone {
                if step.isMultiple(of: 3) { zone.change(using: &random) }
                guard let query = zone.query(using: &random) else { continue }
                let expected = zone.reference.answer(query)
                let answer = zone.buddies.findRun(query)
                if expected != nil { found += 1 }
                guard answer?.lowerBound.rawValue == expected,
                    answer.map({ $0.count == query.pages }) ?? true
                else {
                    Issue.record(
                        """
                        seed \(seed), step \(step): \(query) got \(String(describing: answer)), \
                        not \(String(describing: expected))
                        """)
                    return
                }
            }
        }
        #expect(found > Self.zones * Self.stepsPerZone / 5, "most requests were never to be met")
    }

    @Test("finds a block of the largest order in two halves that must not merge")
    func unmergedHalves() throws {
        let span = FrameRange(sketched: 0..<2048)
        var buddies = BuddyAllocator(
            span: span, managedRanges: [span],
            rules: BuddyRules(dialect: .linux612, groupsByMobility: true, maximumBoost: 0))
        let isTaken = buddies.take(FrameRange(sketched: 0..<1024))
        let half = FrameRange(sketched: 1024..<1536)
        buddies.apply(.retyped(half, to: .highAtomic))
        #expect(isTaken && buddies.freeBlocks[9] == 2 && buddies.freeBlocks[10] == 0)
        var control = AllocationControl(order: .max)
        control.alignment = PageFrameNumber.pageSize
        for fit in Fit.allCases {
            control.fit = fit
            let found = buddies.findRun(try RunQuery(control))
            #expect(found == FrameRange(sketched: 1024..<2048), "\(fit)")
        }
    }

    @Test("needs as few segments as any choice could")
    func fewestSegments() {
        var several = 0
        for seed in 0..<UInt64(Self.zones) {
            var random = SeededGenerator(seed: ~seed)
            var zone = RandomZone(using: &random)
            for step in 0..<Self.stepsPerZone {
                if step.isMultiple(of: 3) { zone.change(using: &random) }
                guard let query = zone.query(using: &random), query.maxSegments > 1 else {
                    continue
                }
                let fewest = zone.reference.fewestSegments(query)
                let segments = zone.buddies.findSegments(query, atMost: query.maxSegments)
                if let segments, segments.count > 1 { several += 1 }
                guard
                    segments?.count == fewest.flatMap({ $0 <= query.maxSegments ? $0 : nil }),
                    segments.map({ zone.reference.holds($0, query) }) ?? true
                else {
                    Issue.record(
                        """
                        seed \(seed), step \(step): \(query) got \(String(describing: segments)), \
                        though \(String(describing: fewest)) are enough
                        """)
                    return
                }
            }
        }
        #expect(several > Self.zones, "few requests were divided")
    }

    @Test("knows what a zone could hold with nothing taken")
    func emptyZone() {
        for seed in 0..<UInt64(Self.zones) {
            var random = SeededGenerator(seed: seed)
            let zone = RandomZone(using: &random)
            for _ in 0..<10 {
                guard let query = zone.query(using: &random) else { continue }
                // What is free plays the part of what the zone has.
                let ranges = zone.reference.runs.map(FrameRange.init(sketched:))
                let fewest = zone.reference.fewestSegments(query)
                #expect(
                    query.fits(in: ranges, segments: query.maxSegments)
                        == (fewest.map { $0 <= query.maxSegments } ?? false),
                    "seed \(seed): \(query)")
            }
        }
    }
}

/// A zone of random shape and filling, with its reference.
struct RandomZone: ~Copyable {
    var buddies: BuddyAllocator
    var reference: RunReference
    let fill: Int

    init(using random: inout SeededGenerator) {
        let origin = random.pick([0, 1, 513, 1024, 3_000_000] as [UInt64])
        let pages = random.pick([16, 64, 512, 1500, 4000])
        fill = random.pick([0, 5, 30, 50, 70, 90, 98])
        let span = FrameRange(sketched: origin..<origin + UInt64(pages))
        buddies = BuddyAllocator(
            span: span, managedRanges: [span],
            rules: BuddyRules(dialect: .linux612, groupsByMobility: true, maximumBoost: 0))
        reference = RunReference(
            origin: origin, isFree: Array(repeating: true, count: pages))
        let grain = random.pick([1, 1, 3, 16, 100, 600])
        var page = 0
        while page < pages {
            let end = min(page + grain, pages)
            if random.chance(percent: fill) {
                for page in page..<end { toggle(page) }
            }
            page = end
        }
    }

    mutating func toggle(_ page: Int) {
        let frame = PageFrameNumber(reference.origin + UInt64(page))
        let frames = FrameRange(block: frame, order: .zero)
        if reference.isFree[page] {
            let isTaken = buddies.take(frames)
            precondition(isTaken, "a free page was not to be had")
        } else {
            buddies.free(frames)
        }
        reference.isFree[page].toggle()
    }

    /// Takes or gives a few neighbouring pages.
    mutating func change(using random: inout SeededGenerator) {
        let pages = reference.isFree.count
        let first = random.below(pages)
        let takes = random.chance(percent: max(fill, 20))
        for page in first..<min(pages, first + 1 + random.below(40))
        where reference.isFree[page] == takes {
            toggle(page)
        }
    }

    func query(using random: inout SeededGenerator) -> RunQuery? {
        let pages = reference.isFree.count
        var control = AllocationControl()
        if random.chance(percent: 30) {
            control.order = Order(sketched: min(random.below(11), random.below(11)))
        } else {
            control.pages = UInt64(
                1 + random.below(random.pick([4, 8, 30, 200, 1100, pages])))
        }
        if random.chance(percent: 50) {
            control.alignment = 1 << UInt64(12 + min(random.below(13), random.below(13)))
            if random.chance(percent: 30) {
                control.phase = UInt64(random.below(Int(control.alignment >> 12))) << 12
            }
        }
        if random.chance(percent: 40) {
            control.boundary = 1 << UInt64(12 + random.below(13))
        }
        if random.chance(percent: 60) {
            let size = UInt64(random.pick([20, 100, pages]))
            let first = reference.origin + UInt64(random.below(pages))
            control.lowBoundary = first << 12
            control.highBoundary = (first + size) << 12 - 1
        }
        control.fit = random.pick(Fit.allCases)
        control.maxSegments = random.pick([1, 1, 2, 3, 8, 1000])
        guard var query = try? RunQuery(control) else { return nil }
        query.rotor = PageFrameNumber(reference.origin + UInt64(random.below(pages + 1)))
        return query
    }
}
