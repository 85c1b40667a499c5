// The simulated machine: what a kernel knows about its memory once it has booted.
//
// A `Machine` is a validated value and never changes. Whoever holds one may rely on each rule that
// `MachineFault` names: zones lie in node order, low zones first; the managed ranges of all zones
// are disjoint; counts agree with ranges. What an import stated (watermarks, protection, managed
// pages) is kept as it was stated; what was not stated comes from the kernel's formulas
// (`Machine+Formulas.swift`).
//
// Zones without pages are kept too, since the kernel prints them and their columns count in
// `lowmem_reserve`. They are in no zonelist.

/// A node: its number, and the CPUs for which its memory is local.
public struct Node: Hashable, Sendable {
    public let id: NodeID

    /// CPU numbers, ascending.
    public let cpus: [Int]

    public init(id: NodeID, cpus: [Int]) {
        self.id = id
        self.cpus = cpus
    }
}

/// The marks of a zone, in pages: `WMARK_MIN`, `WMARK_LOW`, `WMARK_HIGH`, `WMARK_PROMO`.
public struct Watermarks: Hashable, Sendable {
    public let min: UInt64
    public let low: UInt64
    public let high: UInt64

    /// nil for a kernel that does not print it (6.1).
    public let promo: UInt64?

    public init(min: UInt64, low: UInt64, high: UInt64, promo: UInt64?) {
        self.min = min
        self.low = low
        self.high = high
        self.promo = promo
    }
}

/// One zone of one node, in page frames.
public struct Zone: Hashable, Sendable {
    public let node: NodeID
    public let type: ZoneType

    /// `zone_start_pfn`.
    public let startPFN: PageFrameNumber

    /// Pages from the zone's first to its last, holes included.
    public let spannedPages: UInt64

    /// Where memory is: disjoint, ascending, within the span. Spanned less the holes.
    public let presentRanges: [FrameRange]

    /// What the buddy lists may hand out: disjoint, ascending, within the present ranges.
    public let managedRanges: [FrameRange]

    public let watermarks: Watermarks

    /// `lowmem_reserve`, in pages: one element for each of the machine's `zoneTypes`, indexed by
    /// the highest zone that a request may use.
    public let lowmemReserve: [UInt64]

    public init(
        node: NodeID, type: ZoneType, startPFN: PageFrameNumber, spannedPages: UInt64,
        presentRanges: [FrameRange], managedRanges: [FrameRange], watermarks: Watermarks,
        lowmemReserve: [UInt64]
    ) {
        self.node = node
        self.type = type
        self.startPFN = startPFN
        self.spannedPages = spannedPages
        self.presentRanges = presentRanges
        self.managedRanges = managedRanges
        self.watermarks = watermarks
        self.lowmemReserve = lowmemReserve
    }

    public var presentPages: UInt64 { presentRanges.reduce(0) { $0 + $1.count } }

    public var managedPages: UInt64 { managedRanges.reduce(0) { $0 + $1.count } }

    public var span: FrameRange { FrameRange(startPFN, startPFN + spannedPages) }

    /// `populated_zone()`: whether the zone is in zonelists.
    public var isPopulated: Bool { !presentRanges.isEmpty }
}

/// A simulated machine: nodes, zones, distances, and the fallback order that follows from them.
public struct Machine: Hashable, Sendable {
    /// The most nodes a machine may have.
    public static let maximumNodes = 64

    /// The most zones a machine may have.
    public static let maximumZones = maximumNodes * ZoneType.allCases.count

    /// The largest sum of spanned pages over all zones: 2^30, 4 TiB. The free-block index takes
    /// about a quarter of a byte a page.
    public static let maximumSpannedPages: UInt64 = 1 << 30

    /// The most separate ranges of memory in one zone.
    public static let maximumRangesPerZone = 4096

    /// The largest CPU number plus one.
    public static let cpuLimit = 8192

    /// The distance of a node to itself: `LOCAL_DISTANCE`.
    public static let localDistance = 10

    /// The distance between two nodes where the firmware says nothing: `REMOTE_DISTANCE`.
    public static let remoteDistance = 20

    public let dialect: KernelDialect

    /// Ascending by number.
    public let nodes: [Node]

    /// The kinds of zone that this machine's kernel was configured with, low ones first: the
    /// columns of `lowmem_reserve`. Always holds `normal`.
    public let zoneTypes: [ZoneType]

    /// In node order, low zones first. Unpopulated ones included.
    public let zones: [Zone]

    /// `distances[i][j]`: from the i-th to the j-th of `nodes`.
    public let distances: [[Int]]

    /// What the source of this machine did not say and was assumed, in words.
    public let assumptions: [String]

    /// For the i-th of `nodes`: the order in which nodes with memory are tried
    /// (`Machine+Zonelists`), as indexes into `nodes`.
    public let fallbackOrders: [[Int]]

    /// The position in `nodes` of the node where a caller runs that names no CPU: the node of the
    /// machine's lowest CPU, or the first node of a machine without CPUs.
    public let defaultNodeIndex: Int

    /// For the i-th of `nodes`: populated zones in the order tried, as indexes into `zones`.
    public let zonelists: [[Int]]

    /// The same machine as a placement decision asks for it.
    let placement: PlacementConstants

    /// Validates a description.
    ///
    /// - Throws: `MachineFault`: which rule the description breaks, and where.
    public init(
        dialect: KernelDialect, nodes: [Node], zoneTypes: [ZoneType], zones: [Zone],
        distances: [[Int]], assumptions: [String] = []
    ) throws(MachineFault) {
        try Self.validate(nodes: nodes, distances: distances)
        try Self.validate(zoneTypes: zoneTypes)
        try Self.validate(zones: zones, nodes: nodes, zoneTypes: zoneTypes)
        self.dialect = dialect
        self.nodes = nodes
        self.zoneTypes = zoneTypes
        self.zones = zones
        self.distances = distances
        self.assumptions = assumptions
        fallbackOrders = Self.fallbackOrders(nodes: nodes, zones: zones, distances: distances)
        let firstCPU = nodes.compactMap { $0.cpus.min() }.min()
        defaultNodeIndex =
            firstCPU.flatMap { cpu in nodes.firstIndex { $0.cpus.contains(cpu) } } ?? 0
        zonelists = fallbackOrders.map { order in
            Self.zonelist(over: order, nodes: nodes, zones: zones)
        }
        placement = PlacementConstants(nodes: nodes, zones: zones, zoneTypes: zoneTypes)
    }

    /// The position of a node in `nodes`; nil where the machine has no such node.
    public func index(of node: NodeID) -> Int? {
        nodes.firstIndex { $0.id == node }
    }

    /// The position in `nodes` of the node to which a CPU belongs; nil where there is no such CPU.
    public func nodeIndex(ofCPU cpu: Int) -> Int? {
        nodes.firstIndex { $0.cpus.contains(cpu) }
    }

    public var presentPages: UInt64 { zones.reduce(0) { $0 + $1.presentPages } }

    public var managedPages: UInt64 { zones.reduce(0) { $0 + $1.managedPages } }
}
