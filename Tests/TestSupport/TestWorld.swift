// Small machines, each with the fallback orders that it must have, written down by hand or taken
// from a running kernel, so that a reference need not ask the code under test.

public import PageAllocator

public struct TestWorld: Sendable, CustomStringConvertible {
    public let name: String
    public let machine: Machine

    /// For each node of the machine: the nodes in the order tried, as positions.
    public let fallbackOrders: [[Int]]

    public var description: String { name }

    /// Page frames from the machine's first to its last.
    public var frames: Range<UInt64> {
        let spans = machine.zones.filter(\.isPopulated).map(\.span)
        let first = spans.map(\.lowerBound.rawValue).min() ?? 0
        return first..<(spans.map(\.upperBound.rawValue).max() ?? first)
    }

    /// The four kinds of zone on 63 pages of one node.
    public static let oneNode = TestWorld(
        name: "one node",
        machine: .drawn([
            ZoneSketch(0, .dma, [1..<16]),
            ZoneSketch(0, .dma32, [16..<32]),
            ZoneSketch(0, .normal, [32..<56]),
            ZoneSketch(0, .movable, [56..<64]),
        ]),
        fallbackOrders: [[0]])

    /// One zone of 16 pages, on a kernel without the other kinds.
    public static let normalAlone = TestWorld(
        name: "Normal alone", machine: .normalOnly(pages: 16, from: 7), fallbackOrders: [[0]])

    /// Zones with holes and reserved frames, whose ends are multiples of nothing and straddle a
    /// border of the largest blocks.
    public static let holes = TestWorld(
        name: "holes",
        machine: .drawn([
            ZoneSketch(
                0, .dma32, [1001..<1009, 1011..<1012, 1015..<1021], reserved: [1012..<1014]),
            ZoneSketch(0, .normal, [1021..<1034, 1037..<1043], reserved: [1043..<1045]),
        ]),
        fallbackOrders: [[0]])

    /// Four nodes at equal distances; the orders are those of mm/page_alloc.c for 10/20.
    public static let fourNodes = TestWorld(
        name: "four nodes",
        machine: .drawn(
            [
                ZoneSketch(0, .dma, [1..<8]), ZoneSketch(0, .dma32, [8..<16]),
                ZoneSketch(1, .dma32, [16..<24]), ZoneSketch(1, .normal, [24..<32]),
                ZoneSketch(2, .normal, [32..<44]), ZoneSketch(2, .movable, [44..<48]),
                ZoneSketch(3, .normal, [48..<64]),
            ], nodes: [(0, [0, 1]), (1, [2]), (2, [3]), (3, [4, 5])]),
        fallbackOrders: [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]])

    /// Three nodes whose distances and orders are those of a running Debian 6.12.95; the numbers
    /// have gaps, and the memory of the first two interleaves.
    public static let interleaved = TestWorld(
        name: "interleaved",
        machine: .drawn(
            [
                ZoneSketch(0, .dma32, [2..<16]), ZoneSketch(0, .normal, [16..<22, 30..<36]),
                ZoneSketch(8, .normal, [22..<30, 36..<44]),
                ZoneSketch(255, .normal, [44..<52]), ZoneSketch(255, .movable, [52..<64]),
            ], nodes: [(0, [0]), (8, [1]), (255, [])],
            distances: [[10, 20, 14], [20, 10, 26], [14, 26, 10]]),
        fallbackOrders: [[0, 2, 1], [1, 0, 2], [2, 0, 1]])

    /// A node with CPUs and no memory beside one with memory; no ZONE_DMA in this kernel.
    public static let memoryless = TestWorld(
        name: "memoryless node",
        machine: .drawn(
            [
                ZoneSketch(0, .normal, []), ZoneSketch(1, .dma32, [3..<24]),
                ZoneSketch(1, .normal, [24..<50]),
            ], nodes: [(0, [0]), (1, [1])], zoneTypes: [.dma32, .normal]),
        fallbackOrders: [[1], [1]])

    /// Blocks of every order: 4,000 pages around two borders of the largest blocks.
    public static let wide = TestWorld(
        name: "wide",
        machine: .drawn(
            [
                ZoneSketch(0, .dma32, [500..<2047]),
                ZoneSketch(1, .normal, [2047..<3100, 3200..<4600]),
            ], nodes: [(0, [0]), (1, [1])]),
        fallbackOrders: [[0, 1], [1, 0]])

    /// The worlds that a reference can go through page by page at each step.
    public static let tiny = [oneNode, normalAlone, holes, fourNodes, interleaved, memoryless]
}
