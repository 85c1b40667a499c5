import PageAllocator
import Testing

/// The kernel's fragmentation indexes, against what kernels printed and against numbers worked out
/// by hand.
@Suite struct FragmentationTests {
    private static let orders = (0..<Order.count).compactMap(Order.init)

    private static func unusable(_ counts: [UInt64]) -> [Int] {
        orders.map { Fragmentation(blockCounts: counts).unusableIndex(for: $0) }
    }

    private static func extfrag(_ counts: [UInt64]) -> [Int] {
        orders.map { Fragmentation(blockCounts: counts).fragmentationIndex(for: $0) }
    }

    /// ZONE_NORMAL and ZONE_DMA of a running 6.18.44.
    private static let normal: [UInt64] = [
        3095, 504, 414, 583, 1727, 1231, 870, 475, 439, 345, 400,
    ]
    private static let dma: [UInt64] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3]

    /// Small blocks only.
    private static let broken: [UInt64] = [500, 20, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    private static let none = [UInt64](repeating: 0, count: Order.count)

    @Test func sums() {
        let fragmentation = Fragmentation(blockCounts: Self.normal)
        #expect(fragmentation.freePages == 892_551)
        #expect(fragmentation.freeBlocks == 10_083)
        #expect(fragmentation.suitableBlocks(for: .max) == 400)
        #expect(fragmentation.suitableBlocks(for: .zero) == 892_551)
    }

    @Test("a running kernel's unusable index")
    func unusableOfRunningKernel() {
        #expect(Self.unusable(Self.normal) == [0, 3, 4, 6, 11, 42, 86, 149, 217, 343, 541])
        #expect(Self.unusable(Self.dma) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 66, 200])
    }

    @Test("a request that a block is free for has the index -1000")
    func extfragOfRunningKernel() {
        #expect(Self.extfrag(Self.normal) == [Int](repeating: -1000, count: Order.count))
        #expect(Self.extfrag(Self.dma) == [Int](repeating: -1000, count: Order.count))
    }

    @Test("indexes of a zone of small blocks")
    func brokenZone() {
        #expect(
            Self.unusable(Self.broken) == [0, 905, 978] + [Int](repeating: 1000, count: 8))
        #expect(
            Self.extfrag(Self.broken)
                == [-1000, -1000, -1000, 867, 933, 966, 982, 990, 994, 997, 998])
    }

    @Test("nothing free is unusable as a whole and not fragmented")
    func emptyZone() {
        #expect(Self.unusable(Self.none) == [Int](repeating: 1000, count: Order.count))
        #expect(Self.extfrag(Self.none) == [Int](repeating: 0, count: Order.count))
        #expect(Fragmentation(blockCounts: Self.none).externalFragmentation(for: .max) == 0)
    }

    @Test("one block half as large as asked for: the index falls below 0")
    func belowZero() throws {
        var counts = Self.none
        counts[8] = 1
        let nine = try #require(Order(9))
        #expect(Fragmentation(blockCounts: counts).fragmentationIndex(for: nine) == -500)
        counts[8] = 2
        #expect(Fragmentation(blockCounts: counts).fragmentationIndex(for: nine) == 0)
    }

    @Test("the share of small blocks in per cent truncates")
    func externalFragmentation() {
        let dma = Fragmentation(blockCounts: Self.dma)
        #expect(
            Self.orders.map(dma.externalFragmentation) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 20])
        let normal = Fragmentation(blockCounts: Self.normal)
        #expect(normal.externalFragmentation(for: .max) == 54)
    }

    /// 1000 - (1000 + free·1000/2^4)/blocks, with blocks of order 0 and 3 only.
    @Test(
        "compaction is for fragmentation, and for any failure of an order that is not costly",
        arguments: [
            ([UInt64(4), 0, 0, 0], 688, true), ([0, 0, 0, 2], 0, false),
            ([1, 0, 0, 2], 313, false),
            ([2, 0, 0, 2], 469, false), ([3, 0, 0, 2], 563, true), ([0, 0, 0, 1], -500, true),
        ])
    func compaction(counts: [UInt64], index: Int, isWorthwhile: Bool) throws {
        let zone = Fragmentation(
            blockCounts: counts + [UInt64](repeating: 0, count: Order.count - counts.count))
        let costly = try #require(Order(4))
        #expect(zone.fragmentationIndex(for: costly) == index)
        #expect(zone.isCompactionWorthwhile(for: costly) == isWorthwhile)
        #expect(zone.isCompactionWorthwhile(for: Fragmentation.costlyOrder))
        #expect(zone.isCompactionWorthwhile(for: costly, threshold: index) == (index < 0))
    }

    @Test(
        "marks of proactive compaction",
        arguments: [(20, 80, 90), (0, 100, 100), (95, 5, 15), (100, 5, 15), (5, 95, 100)])
    func marks(proactiveness: Int, low: Int, high: Int) throws {
        let compaction = try #require(ProactiveCompaction(proactiveness: proactiveness))
        #expect(compaction.lowScore == low)
        #expect(compaction.highScore == high)
        #expect(!compaction.starts(atScore: high))
        #expect(compaction.starts(atScore: high + 1) == (proactiveness > 0))
    }

    @Test func proactivenessIsAPercentage() {
        #expect(ProactiveCompaction(proactiveness: -1) == nil)
        #expect(ProactiveCompaction(proactiveness: 101) == nil)
        #expect(ProactiveCompaction()?.proactiveness == 20)
    }

    @Test("each zone's part of the score is truncated before the sum")
    func score() {
        // 150·33/301 = 16 and 150·33/301 = 16, where the sum of both is 32.89.
        var third = Self.none
        third[9] = 2
        third[8] = 2
        let zone = ProactiveCompaction.Zone(
            presentPages: 150, fragmentation: Fragmentation(blockCounts: third))
        #expect(zone.fragmentation.externalFragmentation(for: ProactiveCompaction.order) == 33)
        #expect(ProactiveCompaction.score(ofNode: [zone]) == 32)
        #expect(ProactiveCompaction.score(ofNode: [zone, zone]) == 32)
        #expect(ProactiveCompaction.score(ofNode: [zone, zone, zone]) == 30)
        #expect(ProactiveCompaction.score(ofNode: []) == 0)
    }
}
