// What a placement decision asks of a machine, laid out for asking: one record a zone, one table of
// reserves, one of CPUs. It follows from the machine alone and is worked out once, with it.

struct PlacementConstants: Hashable, Sendable {
    /// One for each of the machine's zones, in the same order.
    let zones: [ZoneConstants]

    /// For each zone one element a `ZoneType`, in pages; 0 for kinds that the machine lacks.
    private let lowmemReserves: [Int64]

    /// For each CPU number the position of its node; -1 where there is no such CPU.
    private let nodesOfCPUs: [Int8]

    /// Bit i: whether the machine has zones of the kind with that number.
    private let configuredTypes: UInt8

    /// The highest kind of which some node has pages.
    let highestPopulatedZone: ZoneType

    /// From the first page of any zone to the last.
    let memory: FrameRange

    /// The highest populated kind of zone below Movable: bind holds for requests from there up.
    let policyZone: ZoneType

    /// Nodes with pages: `N_MEMORY`.
    let nodesWithMemory: NodeMask

    /// Nodes with pages below Movable: `N_HIGH_MEMORY`.
    let nodesBelowMovable: NodeMask

    /// Nodes where a request for Normal first avoids to mix pageblocks, since DMA32 of the same
    /// node can take its place: all nodes of a machine that has one only.
    let nodesAvoidingFragments: NodeMask

    init(nodes: [Node], zones: [Zone], zoneTypes: [ZoneType]) {
        let populated = zones.filter(\.isPopulated)
        func holding(_ isWanted: (ZoneType) -> Bool) -> NodeMask {
            NodeMask(
                nodes.indices.filter { node in
                    populated.contains { $0.node == nodes[node].id && isWanted($0.type) }
                }.map(NodeMask.init(node:)))
        }
        self.zones = zones.map { ZoneConstants($0, among: nodes) }
        lowmemReserves = zones.flatMap { zone in
            ZoneType.allCases.map { type in
                zoneTypes.firstIndex(of: type).map { Int64(zone.lowmemReserve[$0]) } ?? 0
            }
        }
        nodesOfCPUs = Self.nodesOfCPUs(nodes)
        configuredTypes = zoneTypes.reduce(0) { $0 | 1 << UInt8($1.rawValue) }
        highestPopulatedZone = populated.map(\.type).max() ?? .normal
        memory = Self.hull(populated.map(\.span))
        policyZone = populated.map(\.type).filter { $0 < .movable }.max() ?? .dma
        nodesWithMemory = holding { _ in true }
        nodesBelowMovable = holding { $0 < .movable }
        nodesAvoidingFragments = nodes.count == 1 ? .all : holding { $0 == .dma32 }
    }

    /// What the zone keeps from a request that may use zones up to `highest`, in pages.
    @inline(__always)
    func lowmemReserve(ofZone zone: Int, against highest: ZoneType) -> Int64 {
        lowmemReserves[zone * ZoneType.allCases.count + highest.rawValue]
    }

    /// The position of the CPU's node; nil where there is no such CPU.
    func node(ofCPU cpu: Int) -> Int? {
        guard nodesOfCPUs.indices.contains(cpu), nodesOfCPUs[cpu] >= 0 else { return nil }
        return Int(nodesOfCPUs[cpu])
    }

    @inline(__always)
    func isConfigured(_ type: ZoneType) -> Bool {
        configuredTypes >> UInt8(type.rawValue) & 1 == 1
    }

    private static func nodesOfCPUs(_ nodes: [Node]) -> [Int8] {
        let limit = nodes.flatMap(\.cpus).max().map { $0 + 1 } ?? 0
        var result = [Int8](repeating: -1, count: limit)
        for (position, node) in nodes.enumerated() {
            for cpu in node.cpus {
                result[cpu] = Int8(position)
            }
        }
        return result
    }

    private static func hull(_ spans: [FrameRange]) -> FrameRange {
        let lower = spans.map(\.lowerBound).min() ?? PageFrameNumber(0)
        return FrameRange(lower, spans.map(\.upperBound).max() ?? lower)
    }
}

/// The constants of one zone. Marks are pages, signed as in the kernel's arithmetic.
struct ZoneConstants: Hashable, Sendable {
    /// The position of its node.
    let node: Int
    let type: ZoneType
    let span: FrameRange
    let min: Int64
    let low: Int64

    fileprivate init(_ zone: Zone, among nodes: [Node]) {
        guard let node = nodes.firstIndex(where: { $0.id == zone.node }) else {
            preconditionFailure("a zone of an unknown node")
        }
        self.node = node
        type = zone.type
        span = zone.span
        min = Int64(zone.watermarks.min)
        low = Int64(zone.watermarks.low)
    }
}
