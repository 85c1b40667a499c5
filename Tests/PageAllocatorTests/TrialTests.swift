// Trials: what is rolled back has never been. Random lives judge it against the reference, which
// goes back by being a copy of itself; here too what a life does not do often.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Trials")
struct TrialTests {
    // MARK: Random lives

    private static let expected = ["granted", "freed", "freed in part", "committed", "rolled back"]

    @Test("lives with trials in them go on as if those rolled back had not been", arguments: 0..<8)
    func tiny(part: Int) throws {
        try live(
            .tiny, part, machines: 25, calls: 300, largestOrder: 4,
            expecting: ["out of memory", "advanced", "in segments"])
    }

    @Test("so do lives of machines of several pageblocks", arguments: 0..<4)
    func small(part: Int) throws {
        try live(.small, part, machines: 2, calls: 300, largestOrder: 9, expecting: [])
        try live(.wide, part, machines: 1, calls: 300, largestOrder: 10, expecting: ["retyped"])
    }

    @Test("so do lives of machines that reserve pageblocks")
    func large() throws {
        try live(
            .large, 0, machines: 1, calls: 900, largestOrder: 10,
            expecting: ["retyped", "boosted"])
    }

    private func live(
        _ scale: Machine.Scale, _ part: Int, machines: Int, calls: Int, largestOrder: Int,
        expecting expected: [String]
    ) throws {
        var outcomes: [String: Int] = [:]
        for number in 0..<machines {
            let seed = 7 << 48 | UInt64(part) << 32 | UInt64(number)
            var random = SeededGenerator(seed: seed)
            let dialect = scale == .large ? .linux612 : random.pick(KernelDialect.allCases)
            let machine = Machine.random(scale, dialect: dialect, random: &random)
            var steps = RandomSteps(
                on: machine, largestOrder: largestOrder, era: calls / 6, trials: 10, random: random)
            let fault = RandomLife.fault(
                on: machine, steps: &steps, count: calls, outcomes: &outcomes)
            try #require(fault == nil, "seed \(seed)")
        }
        let missing = (Self.expected + expected).filter { outcomes[$0] == nil }
        #expect(missing.isEmpty, "dull lives: \(outcomes)")
    }

    // MARK: What lives seldom do

    private static let pages: UInt64 = 1 << 16
    private static let atomic = GFPFlags([.kswapdReclaim, .high])

    private static func allocator(_ dialect: KernelDialect) throws -> PageAllocator {
        PageAllocator(
            machine: try Machine(
                sketch: [ZoneSketch(0, .normal, [0..<pages])], zoneTypes: [.normal],
                dialect: dialect))
    }

    private static func request(_ flags: GFPFlags, order: Int) -> AllocationRequest {
        AllocationRequest(
            control: AllocationControl(flags: flags, order: Order(sketched: order)))
    }

    /// Fills the machine from `id` on; the first id not used.
    private static func fill(
        _ allocator: inout PageAllocator, _ flags: GFPFlags, order: Int, from id: UInt64
    ) -> UInt64 {
        var id = id
        while (try? allocator.allocatePages(request(flags, order: order), as: AllocationID(id)))
            != nil
        {
            id += 1
        }
        return id
    }

    @Test("pageblocks that a trial releases are reserved again", arguments: KernelDialect.allCases)
    func releasesHighatomic(dialect: KernelDialect) throws {
        // Nothing is left above the low mark once one block of the largest order is taken, and so
        // the atomic request comes down to the min mark, where it reserves.
        var allocator = PageAllocator(
            machine: try Machine(
                dialect: dialect, nodes: [Node(id: node(0), cpus: [0])], zoneTypes: [.normal],
                zones: [
                    zone(
                        at: frames(0, Self.pages),
                        watermarks: Watermarks(
                            min: 64, low: Self.pages - 1000, high: Self.pages - 900, promo: nil))
                ], distances: [[Machine.localDistance]]))
        _ = try allocator.allocatePages(Self.request(.kernel, order: 10), as: AllocationID(1))
        var flags = Self.atomic
        // `__GFP_ATOMIC`: part of GFP_ATOMIC in 6.1.
        if dialect == .linux61 { flags.formUnion(GFPFlags(rawValue: 0x200)) }
        _ = try allocator.allocatePages(Self.request(flags, order: 3), as: AllocationID(2))
        let reserved = unsafe allocator.zones[0].buddies.counters.reservedHighatomic
        try #require(reserved > 0)
        var next: UInt64 = 3
        for order in [10, 5, 0] {
            next = Self.fill(&allocator, [.kernel, .noRetry], order: order, from: next)
        }
        let before = allocator.wholeState()
        allocator.beginTrial()
        _ = try allocator.allocatePages(Self.request(.kernel, order: 0), as: AllocationID(next))
        let left = unsafe allocator.zones[0].buddies.counters.reservedHighatomic
        #expect(left < reserved)
        allocator.rollBackTrial()
        #expect(allocator.wholeState() == before)
        allocator.checkInvariants()
    }

    @Test("a grant from before is whole again, and its parts are parts", arguments: [false, true])
    func partsFromBefore(isRun: Bool) throws {
        var allocator = try Self.allocator(.linux612)
        var control = AllocationControl(flags: .kernel, order: Order(sketched: 4))
        if isRun { control.pages = 21 }
        let grant = try allocator.allocatePages(
            AllocationRequest(control: control), as: AllocationID(5))
        _ = try allocator.freeAPage(grant.pfn + 3)
        let before = allocator.wholeState()
        allocator.beginTrial()
        _ = try allocator.freeSomePages(grant.pfn + 8, order: Order(sketched: 3))
        _ = try allocator.freeAPage(grant.pfn)
        _ = try allocator.free(AllocationID(5))
        #expect(throws: FreeFailure.self) { _ = try allocator.free(AllocationID(5)) }
        allocator.rollBackTrial()
        #expect(allocator.wholeState() == before)
        #expect(throws: FreeFailure.notAllocated) { _ = try allocator.freeAPage(grant.pfn + 3) }
        let freed = try allocator.free(AllocationID(5))
        #expect(freed.pages == grant.pageCount - 1 && freed.endsGrant)
        allocator.checkInvariants()
    }

    @Test("ids of a trial that is rolled back are given again")
    func idsAgain() throws {
        var allocator = try Self.allocator(.linux612)
        let request = Self.request(.kernel, order: 2)
        let empty = allocator.wholeState()
        allocator.beginTrial()
        let first = try allocator.allocatePages(request, as: AllocationID(1))
        _ = try allocator.allocatePages(request, as: AllocationID(9))
        allocator.rollBackTrial()
        #expect(allocator.wholeState() == empty)
        #expect(allocator.liveGrant(AllocationID(1)) == nil)
        let again = try allocator.allocatePages(request, as: AllocationID(1))
        #expect(again == first)
    }

    /// Many more frees than grants stay, so that the array would be closed up.
    @Test("grants that end in a trial stay to be brought back", arguments: [false, true])
    func closingUp(commits: Bool) throws {
        var allocator = try Self.allocator(.linux61)
        let ids = (1...400).map { AllocationID($0 * 3) }
        for id in ids {
            _ = try allocator.allocatePages(Self.request(.kernel, order: 1), as: id)
        }
        let before = allocator.wholeState()
        allocator.beginTrial()
        for id in ids.dropLast(10) { _ = try allocator.free(id) }
        let last = try allocator.allocatePages(
            Self.request(.kernel, order: 1), as: AllocationID(5000))
        if commits {
            allocator.commitTrial()
            let live = allocator.liveGrants(after: AllocationID(0), limit: .max).map(\.id)
            #expect(live == ids.suffix(10) + [AllocationID(5000)])
            #expect(allocator.liveGrant(AllocationID(5000))?.grant.pfn == last.pfn)
        } else {
            allocator.rollBackTrial()
            #expect(allocator.wholeState() == before)
        }
        allocator.checkInvariants()
    }

    @Test("a trial costs what it touches")
    func writesDownWhatItTouches() throws {
        var allocator = try Self.allocator(.linux612)
        allocator.beginTrial()
        for id in UInt64(1)...100 {
            _ = try allocator.allocatePages(Self.request(.kernel, order: 0), as: AllocationID(id))
        }
        let written = unsafe allocator.zones[0].buddies.undo?.stretches.count
        #expect(written == 1)
        allocator.rollBackTrial()
        #expect(allocator.freePages == Self.pages)
    }
}
