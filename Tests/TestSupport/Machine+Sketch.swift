// Machines for tests, written down zone by zone, as small as the test wants them.

public import PageAllocator

/// A zone as a test draws it: page frame numbers, half-open.
public struct ZoneSketch: Sendable {
    public let node: Int
    public let type: ZoneType

    /// What the buddy lists may hand out; present and managed are the same unless `reserved` says
    /// otherwise.
    public let managed: [Range<UInt64>]

    /// Present frames that are not handed out, each directly after a managed range.
    public let reserved: [Range<UInt64>]

    public init(
        _ node: Int, _ type: ZoneType, _ managed: [Range<UInt64>], reserved: [Range<UInt64>] = []
    ) {
        self.node = node
        self.type = type
        self.managed = managed
        self.reserved = reserved
    }

    fileprivate func zone(columns: Int) -> Zone {
        let managed = managed.map(FrameRange.init(sketched:))
        let present = managed.map { range in
            let tail = reserved.first { $0.lowerBound == range.upperBound.rawValue }
            return tail.map { FrameRange(range.lowerBound, PageFrameNumber($0.upperBound)) }
                ?? range
        }
        let first = present.first?.lowerBound ?? PageFrameNumber(0)
        let end = present.last?.upperBound ?? first
        return Zone(
            node: NodeID(sketched: node), type: type, startPFN: first,
            spannedPages: end.rawValue - first.rawValue, presentRanges: present,
            managedRanges: managed, watermarks: Watermarks(min: 0, low: 0, high: 0, promo: 0),
            lowmemReserve: [UInt64](repeating: 0, count: columns))
    }
}

extension Machine {
    /// What an x86-64 kernel is configured with by default, low ones first.
    public static let usualZoneTypes: [ZoneType] = [.dma, .dma32, .normal, .movable]

    /// A machine with the zones drawn. Watermarks and reserves are zero.
    ///
    /// - Parameters:
    ///   - nodes: number and CPUs of each node.
    ///   - distances: nil: 10 and 20.
    public init(
        sketch zones: [ZoneSketch], nodes: [(id: Int, cpus: [Int])] = [(0, [0])],
        zoneTypes: [ZoneType] = usualZoneTypes, distances: [[Int]]? = nil,
        dialect: KernelDialect = .linux612
    ) throws(MachineFault) {
        let usual = nodes.indices.map { from in
            nodes.indices.map { $0 == from ? Machine.localDistance : Machine.remoteDistance }
        }
        try self.init(
            dialect: dialect, nodes: nodes.map { Node(id: NodeID(sketched: $0.id), cpus: $0.cpus) },
            zoneTypes: zoneTypes, zones: zones.map { $0.zone(columns: zoneTypes.count) },
            distances: distances ?? usual)
    }

    /// A machine that a test draws and that is known to be one.
    public static func drawn(
        _ zones: [ZoneSketch], nodes: [(id: Int, cpus: [Int])] = [(0, [0])],
        zoneTypes: [ZoneType] = usualZoneTypes, distances: [[Int]]? = nil,
        dialect: KernelDialect = .linux612
    ) -> Machine {
        do {
            return try Machine(
                sketch: zones, nodes: nodes, zoneTypes: zoneTypes, distances: distances,
                dialect: dialect)
        } catch {
            preconditionFailure("a test draws a machine that is none: \(error)")
        }
    }

    /// The same memory under another kernel's rules.
    public func under(_ dialect: KernelDialect) -> Machine {
        do {
            return try Machine(
                dialect: dialect, nodes: nodes, zoneTypes: zoneTypes, zones: zones,
                distances: distances)
        } catch {
            preconditionFailure("a machine of \(self.dialect) is none of \(dialect): \(error)")
        }
    }

    /// One node, one zone, `pages` pages from frame `first`.
    public static func normalOnly(pages: UInt64, from first: UInt64 = 0) -> Machine {
        drawn([ZoneSketch(0, .normal, [first..<first + pages])], zoneTypes: [.normal])
    }

    /// The machine of the RFC's complaint: 6 GiB, of which 16 MiB less a page are ZONE_DMA, the
    /// rest below 4 GiB is ZONE_DMA32, and 2 GiB are ZONE_NORMAL.
    public static let caseMachine = drawn([
        ZoneSketch(0, .dma, [0x1..<0x1000]),
        ZoneSketch(0, .dma32, [0x1000..<0x100000]),
        ZoneSketch(0, .normal, [0x100000..<0x180000]),
    ])
}

extension FrameRange {
    public init(sketched frames: Range<UInt64>) {
        self.init(PageFrameNumber(frames.lowerBound), PageFrameNumber(frames.upperBound))
    }
}

extension NodeID {
    /// The node of a number that a test writes down.
    public init(sketched number: Int) {
        guard let node = NodeID(number) else { preconditionFailure("no node number: \(number)") }
        self = node
    }
}

extension Order {
    /// The order that a test writes down.
    public init(sketched order: Int) {
        guard let order = Order(order) else { preconditionFailure("no order: \(order)") }
        self = order
    }
}
