// The reference itself against numbers worked out by hand from the kernel's rules: it must not be
// wrong in the same way as what it judges.

import PageAllocator
import Testing

@testable import TestSupport

@Suite struct ReferenceAllocatorTests {
    private static func machine(
        _ dialect: KernelDialect = .linux612, pages: UInt64, from first: UInt64 = 0
    ) -> Machine {
        .drawn(
            [ZoneSketch(0, .normal, [first..<first + pages])], zoneTypes: [.normal],
            dialect: dialect)
    }

    private static func grant(
        _ control: AllocationControl, _ allocator: inout ReferenceAllocator,
        interleave: InterleaveState = .start
    ) -> Grant? {
        let id = AllocationID((allocator.liveGrants.last?.rawValue ?? 0) + 1)
        let request = AllocationRequest(control: control, interleave: interleave)
        return try? allocator.allocate(request, as: id).get()
    }

    private static func control(_ flags: UInt32, _ order: Int) -> AllocationControl {
        AllocationControl(flags: GFPFlags(rawValue: flags), order: Order(sketched: order))
    }

    private static let kernel: UInt32 = 0xcc0
    private static let movable: UInt32 = 0xcc8

    // MARK: Blocks

    @Test("the lowest block of the smallest order; the rest is divided")
    func smallestBlock() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 13))
        #expect(allocator.freeBlockCounts(inZone: 0)[..<4] == [1, 0, 1, 1])
        let first = try #require(Self.grant(Self.control(Self.movable, 0), &allocator))
        #expect(first.pfn == PageFrameNumber(12))
        let second = try #require(Self.grant(Self.control(Self.movable, 1), &allocator))
        #expect(second.pfn == PageFrameNumber(8))
        #expect(allocator.freeBlockCounts(inZone: 0)[..<4] == [0, 1, 0, 1])
    }

    @Test("what is freed merges up to the largest block")
    func merging() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 2048))
        let grants = (0..<3).map { _ in Self.grant(Self.control(Self.kernel, 0), &allocator) }
        #expect(grants.allSatisfy { $0 != nil })
        for id in allocator.liveGrants { _ = try allocator.free(id).get() }
        #expect(allocator.freeBlockCounts(inZone: 0) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])
    }

    // MARK: Fallback

    @Test("6.12 claims a whole free pageblock and leaves the type of the other half")
    func claims() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 4096))
        _ = try #require(Self.grant(Self.control(Self.kernel, 0), &allocator))
        let types = (0..<8).map { allocator.zones[0].type(ofPageblockOf: UInt64($0) * 512) }
        // The block was of order 10: two pageblocks.
        #expect(types == [.unmovable, .unmovable] + [Migratetype](repeating: .movable, count: 6))
        let unmovable = allocator.zones[0].blocks.filter { $0.type == .unmovable }
        #expect(unmovable.reduce(0) { $0 + $1.size } == 1023)
        #expect(allocator.zones[0].boost == 0)
    }

    @Test("a movable request does not claim for small blocks: 6.12 takes the smallest")
    func steals() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 4096))
        // Everything unmovable, but for blocks of order 3 and 1 left free in the first pageblock.
        for _ in 0..<4 { _ = Self.grant(Self.control(Self.kernel, 10), &allocator) }
        _ = try allocator.freeSomePages(PageFrameNumber(64), order: Order(sketched: 3)).get()
        _ = try allocator.freeSomePages(PageFrameNumber(32), order: Order(sketched: 1)).get()
        let grant = try #require(Self.grant(Self.control(Self.movable, 0), &allocator))
        #expect(grant.pfn == PageFrameNumber(32))
        #expect(allocator.zones[0].type(ofPageblockOf: 32) == .unmovable)
        #expect(allocator.zones[0].blocks.allSatisfy { $0.type == .unmovable })
        #expect(allocator.zones[0].boost == 0)
    }

    @Test(
        "half a pageblock free or alike: it changes hands; less: 6.12 steals, 6.1 moves the pages")
    func threshold() throws {
        for dialect in KernelDialect.allCases {
            for (freed, isClaimed) in [(UInt64(8), true), (7, false)] {
                var allocator = ReferenceAllocator(Self.machine(dialect, pages: 4096))
                for _ in 0..<4 { _ = Self.grant(Self.control(Self.movable, 10), &allocator) }
                // Blocks of order 5: 8 are 256 pages, half of the first pageblock.
                for block in 0..<freed {
                    _ = try allocator.freeSomePages(
                        PageFrameNumber(block * 64), order: Order(sketched: 5)
                    ).get()
                }
                let grant = try #require(Self.grant(Self.control(Self.kernel, 0), &allocator))
                #expect(grant.pfn == PageFrameNumber(0))
                let type = allocator.zones[0].type(ofPageblockOf: 0)
                #expect(type == (isClaimed ? .unmovable : .movable))
                let moved = allocator.zones[0].blocks.allSatisfy { $0.type == .unmovable }
                #expect(moved == (isClaimed || dialect == .linux61))
            }
        }
    }

    @Test("a boost is a pageblock a fallback, up to one and a half times the high mark")
    func boost() throws {
        let frames = FrameRange(sketched: 0..<8192)
        let zone = Zone(
            node: NodeID(sketched: 0), type: .normal, startPFN: PageFrameNumber(0),
            spannedPages: 8192, presentRanges: [frames], managedRanges: [frames],
            watermarks: Watermarks(min: 0, low: 0, high: 500, promo: nil), lowmemReserve: [0])
        let machine = try Machine(
            dialect: .linux612, nodes: [Node(id: NodeID(sketched: 0), cpus: [0])],
            zoneTypes: [.normal], zones: [zone], distances: [[10]])
        var allocator = ReferenceAllocator(machine)
        for _ in 0..<8 { _ = Self.grant(Self.control(Self.movable, 10), &allocator) }
        var boosts: [UInt64] = []
        for block in 0..<UInt64(3) {
            let first = PageFrameNumber(block * 1024)
            _ = try allocator.freeSomePages(first, order: Order(sketched: 5)).get()
            _ = try allocator.freeSomePages(first + 128, order: Order(sketched: 5)).get()
            let control = AllocationControl(
                flags: [.memAlloc], order: Order(sketched: 5), highBoundary: .max)
            _ = try #require(Self.grant(control, &allocator))
            boosts.append(allocator.zones[0].boost)
            _ = try #require(Self.grant(control, &allocator))
        }
        #expect(boosts == [512, 750, 750])
    }

    @Test("an atomic request of higher order has its pageblock kept back, up to the share")
    func highatomic() throws {
        var allocator = ReferenceAllocator(Self.machine(.linux61, pages: 4096))
        // The fast path would grant it; only the slow one reserves: nothing is free above low.
        _ = try #require(Self.grant(Self.control(0xa20, 1), &allocator))
        #expect(allocator.zones[0].reservedHighatomic == 0)
        allocator.zones[0].reserveHighatomic(around: 0, order: 1)
        #expect(allocator.zones[0].reservedHighatomic == 512)
        #expect(allocator.zones[0].type(ofPageblockOf: 0) == .highAtomic)
        #expect(allocator.zones[0].type(ofPageblockOf: 512) != .highAtomic)
        // 4096/100 + 512 is the share: a second pageblock begins below it, a third does not.
        allocator.zones[0].reserveHighatomic(around: 512, order: 0)
        allocator.zones[0].reserveHighatomic(around: 1024, order: 0)
        #expect(allocator.zones[0].reservedHighatomic == 1024)
        let isReleased = allocator.zones[0].releaseHighatomic(to: .movable)
        #expect(isReleased)
        #expect(allocator.zones[0].reservedHighatomic == 512)

        var small = ReferenceAllocator(Self.machine(.linux612, pages: 4096))
        small.zones[0].reserveHighatomic(around: 0, order: 1)
        #expect(small.zones[0].reservedHighatomic == 0)
    }

    // MARK: Nodes

    /// Four nodes of 8 pages.
    private static let nodes = Machine.drawn(
        (0..<4).map { ZoneSketch($0, .normal, [UInt64($0) * 8..<UInt64($0) * 8 + 8]) },
        nodes: [(0, [0]), (1, [1]), (2, [2]), (3, [3])], zoneTypes: [.normal])

    private static func round(_ policy: MemoryPolicy, _ turns: Int) -> [Int] {
        let allocator = ReferenceAllocator(nodes)
        var request = AllocationRequest()
        request.control.memoryPolicy = policy
        return (0..<turns).compactMap { _ in
            guard let next = allocator.interleaveAfter(request) else { return nil }
            request.interleave = next
            return next.previous.rawValue
        }
    }

    @Test("interleave takes turns")
    func interleave() {
        let policy = MemoryPolicy(mode: .interleave, nodes: [0, 2, 3].map(NodeID.init(sketched:)))
        #expect(Self.round(policy, 7) == [0, 2, 3, 0, 2, 3, 0])
    }

    @Test("weighted interleave stays for as many pages as a node weighs")
    func weighted() {
        let numbers = [0, 1, 2].map(NodeID.init(sketched:))
        let policy = MemoryPolicy(
            mode: .weightedInterleave, nodes: numbers,
            weights: zip(numbers, [3, 1, 2]).map { .init(node: $0, pages: UInt8($1)) })
        #expect(Self.round(policy, 8) == [0, 0, 0, 1, 2, 2, 0, 0])
    }

    @Test(
        "relative nodes are folded onto the allowed ones",
        arguments: [([1, 2], [4, 5, 6], [5, 6]), ([0, 3, 5], [2, 7], [2, 7])])
    func relative(named: [Int], allowed: [Int], effective: [Int]) {
        let machine = Machine.drawn(
            (0..<8).map { ZoneSketch($0, .normal, [UInt64($0) * 8..<UInt64($0) * 8 + 8]) },
            nodes: (0..<8).map { ($0, [$0]) }, zoneTypes: [.normal])
        let policy = MemoryPolicy(
            mode: .bind, flags: .relativeNodes, nodes: named.map(NodeID.init(sketched:)))
        let nodes = ReferenceAllocator(machine).effectiveNodes(of: policy, allowed: Set(allowed))
        #expect(nodes == effective)
    }

    @Test("fallback orders of running kernels", arguments: TestWorld.tiny)
    func fallbackOrders(world: TestWorld) {
        let lists = ReferenceAllocator(world.machine).zonelists
        let orders = lists.map { list in
            var order: [Int] = []
            for zone in list {
                let node = world.machine.nodes.firstIndex {
                    $0.id == world.machine.zones[zone].node
                }
                if let node, order.last != node { order.append(node) }
            }
            return order
        }
        #expect(orders == world.fallbackOrders)
    }

    // MARK: Runs

    @Test("each fit has its own place for the same run")
    func fits() throws {
        // Free: 1, 2, 3 | 5, 6 | 8 … 15.
        let expected: [(Fit, UInt64)] = [
            (.first, 1), (.best, 5), (.buddy, 5), (.next, 1), (.topdown, 14),
        ]
        for (fit, pfn) in expected {
            var allocator = ReferenceAllocator(Self.machine(pages: 16))
            for page in [0, 4, 7] {
                var control = Self.control(Self.kernel, 0)
                control.lowBoundary = UInt64(page) << 12
                control.highBoundary = UInt64(page) << 12 | 0xfff
                _ = try #require(Self.grant(control, &allocator))
            }
            var control = Self.control(Self.kernel, 0)
            control.pages = 2
            control.fit = fit
            let grant = Self.grant(control, &allocator)
            #expect(grant?.pfn == PageFrameNumber(pfn), "\(fit)")
        }
    }

    @Test("a run crosses no boundary and begins at its phase")
    func boundary() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 64, from: 3))
        var control = Self.control(Self.kernel, 0)
        control.pages = 3
        control.alignment = 4 << 12
        control.phase = 2 << 12
        control.boundary = 8 << 12
        control.fit = .first
        // 6 would cross 8; 10, 11, 12 do not cross 16.
        let grant = Self.grant(control, &allocator)
        #expect(grant?.pfn == PageFrameNumber(10))
    }

    @Test("no more segments than needed")
    func segments() throws {
        var allocator = ReferenceAllocator(Self.machine(pages: 16))
        for page in [2, 7, 9, 12] {
            var control = Self.control(Self.kernel, 0)
            control.lowBoundary = UInt64(page) << 12
            control.highBoundary = UInt64(page) << 12 | 0xfff
            _ = try #require(Self.grant(control, &allocator))
        }
        // Free runs of 2, 4, 1, 2 and 3 pages.
        var control = Self.control(Self.kernel, 0)
        control.pages = 7
        control.maxSegments = 4
        let two = Self.grant(control, &allocator)
        #expect(two?.segments.count == 2)
        control.pages = 5
        control.maxSegments = 2
        let none = Self.grant(control, &allocator)
        #expect(none == nil)
        control.maxSegments = 3
        let three = Self.grant(control, &allocator)
        #expect(three?.segments.count == 3)
    }
}
