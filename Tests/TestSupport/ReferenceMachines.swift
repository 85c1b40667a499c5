// Random small machines: one to three nodes, any layout of zones, holes, zones that begin and end
// in the middle of a pageblock, marks and reserves that matter at their size.

public import PageAllocator

extension Machine {
    /// How large a random machine is.
    public enum Scale: CaseIterable, Sendable {
        /// 16 to 64 pages: below one pageblock.
        case tiny

        /// A few pageblocks, whole ones and parts.
        case small

        /// 16 to 64 MiB: mobility is grouped, marks are boosted.
        case wide

        /// More than 200 MiB in one zone: 6.12 reserves pageblocks from there on.
        case large

        fileprivate var pages: ClosedRange<Int> {
            switch self {
            case .tiny: 16...64
            case .small: 1024...3000
            case .wide: 4096...16_384
            case .large: 51_200...56_000
            }
        }
    }

    /// The machine of a seed.
    public static func random(
        _ scale: Scale, dialect: KernelDialect, random: inout SeededGenerator
    ) -> Machine {
        let nodeCount = scale == .large ? 1 : 1 + random.below(3)
        var sketches = zoneSpans(scale, nodeCount: nodeCount, random: &random)
        for position in sketches.indices where scale != .large && random.chance(percent: 30) {
            sketches[position].punchHole(&random)
        }
        let types =
            random.chance(percent: 80)
            ? usualZoneTypes
            : usualZoneTypes.filter { type in
                type == .normal || sketches.contains { $0.type == type }
            }
        let nodes = nodes(nodeCount, random: &random)
        let zones = sketches.map { sketch in
            sketch.zone(of: nodes[sketch.node].id, columns: types, among: sketches, &random)
        }
        do {
            return try Machine(
                dialect: dialect, nodes: nodes, zoneTypes: types, zones: zones,
                distances: distances(nodeCount, random: &random))
        } catch {
            preconditionFailure("a random machine that is none: \(error)")
        }
    }

    /// Cuts the machine's pages at random, low kinds of zone first within each node.
    private static func zoneSpans(
        _ scale: Scale, nodeCount: Int, random: inout SeededGenerator
    ) -> [RandomZone] {
        let pages = scale.pages.lowerBound + random.below(scale.pages.count)
        var first = UInt64(random.pick([0, 1, 7, 500, 1000, 1024]))
        let end = first + UInt64(pages)
        var spans: [RandomZone] = []
        for node in 0..<nodeCount {
            let ofNode = (end - first) / UInt64(nodeCount - node)
            let last = node == nodeCount - 1 ? end : first + ofNode
            let types = layout(scale, random: &random)
            for (position, type) in types.enumerated() where first < last {
                let isLast = position == types.count - 1
                let share = isLast ? last - first : 1 + UInt64(random.below(Int(last - first)))
                spans.append(RandomZone(node: node, type: type, first..<first + share))
                first += share
            }
        }
        return spans
    }

    private static func layout(_ scale: Scale, random: inout SeededGenerator) -> [ZoneType] {
        guard scale != .large else { return [random.pick([.normal, .dma32])] }
        return random.pick([
            [.normal], [.dma, .normal], [.dma32, .normal], [.dma, .dma32, .normal],
            [.dma32], [.normal, .movable], [.dma, .dma32, .normal, .movable], [.dma32, .movable],
        ])
    }

    private static func nodes(_ count: Int, random: inout SeededGenerator) -> [Node] {
        let numbers = random.pick([[0, 1, 2], [0, 8, 255], [3, 4, 7]])
        return (0..<count).map { position in
            let cpus = position > 0 && random.chance(percent: 20) ? [] : [position, position + 4]
            return Node(id: NodeID(sketched: numbers[position]), cpus: cpus)
        }
    }

    private static func distances(_ count: Int, random: inout SeededGenerator) -> [[Int]] {
        (0..<count).map { from in
            (0..<count).map { to in
                from == to ? localDistance : random.pick([14, 20, 20, 26])
            }
        }
    }
}

/// A zone before it has its constants.
private struct RandomZone {
    let node: Int
    let type: ZoneType
    var managed: [Range<UInt64>]

    init(node: Int, type: ZoneType, _ frames: Range<UInt64>) {
        self.node = node
        self.type = type
        managed = [frames]
    }

    var pages: UInt64 { managed.reduce(0) { $0 + UInt64($1.count) } }

    mutating func punchHole(_ random: inout SeededGenerator) {
        let frames = managed[0]
        guard frames.count > 4 else { return }
        let start = frames.lowerBound + 1 + UInt64(random.below(frames.count - 3))
        let length = UInt64(1 + random.below(min(5, Int(frames.upperBound - start) - 1)))
        managed = [frames.lowerBound..<start, start + length..<frames.upperBound]
    }

    func zone(
        of number: NodeID, columns: [ZoneType], among all: [RandomZone],
        _ random: inout SeededGenerator
    ) -> Zone {
        let ranges = managed.map(FrameRange.init(sketched:))
        let first = managed[0].lowerBound
        // Marks of a few pages, or so high that the slow path has room.
        let limit = random.chance(percent: 50) ? 64 : pages
        let lowest = UInt64(random.below(Int(min(pages / 8, limit)) + 1))
        let distance = UInt64(random.below(Int(min(pages / 16, limit)) + 1))
        // A divisor of 1 or 2 keeps lower zones for those who need them, even where zones are tiny.
        let divisor = UInt64(random.pick([2, 8, 32, 1000]))
        let reserve = columns.map { column in
            all.filter { $0.node == node && type < $0.type && $0.type <= column }
                .reduce(0) { $0 + $1.pages } / divisor
        }
        return Zone(
            node: number, type: type, startPFN: PageFrameNumber(first),
            spannedPages: managed[managed.count - 1].upperBound - first, presentRanges: ranges,
            managedRanges: ranges,
            watermarks: Watermarks(
                min: lowest, low: lowest + distance, high: lowest + 2 * distance,
                promo: lowest + 3 * distance),
            lowmemReserve: reserve)
    }
}
