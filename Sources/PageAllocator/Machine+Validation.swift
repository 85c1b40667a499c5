// The rules of a machine, and the error that says which of them a description breaks.

/// Why a description is not a machine.
public struct MachineFault: Error, Hashable, Sendable {
    /// The part of the description that is at fault.
    public enum Subject: Hashable, Sendable {
        case nodes
        /// The node with that number.
        case node(NodeID)
        case distances
        case zoneTypes
        case zone(NodeID, ZoneType)
        /// Where zones of that kind end, in a topology.
        case zoneLimit(ZoneType)
        /// One range of a node's memory in a topology, by its position.
        case memory(NodeID, range: Int)
        /// One reserved range of a topology, by its position.
        case reserved(range: Int)
        /// The numbers from which a topology's watermarks and reserves are computed.
        case watermarkSettings
        case machine
    }

    public let subject: Subject

    /// The rule, in words: "… must …".
    public let rule: String

    public init(_ subject: Subject, _ rule: String) {
        self.subject = subject
        self.rule = rule
    }
}

extension Machine {
    static func validate(nodes: [Node], distances: [[Int]]) throws(MachineFault) {
        try validate(nodes: nodes)
        try validate(distances: distances, count: nodes.count)
    }

    static func validate(nodes: [Node]) throws(MachineFault) {
        guard (1...maximumNodes).contains(nodes.count) else {
            throw MachineFault(.nodes, "a machine must have 1 to \(maximumNodes) nodes")
        }
        for (previous, next) in zip(nodes, nodes.dropFirst()) where previous.id >= next.id {
            throw MachineFault(.node(next.id), "node numbers must be distinct and ascending")
        }
        try validate(cpusOf: nodes)
    }

    private static func validate(cpusOf nodes: [Node]) throws(MachineFault) {
        var taken = [Bool](repeating: false, count: cpuLimit)
        for node in nodes {
            for cpu in node.cpus {
                guard (0..<cpuLimit).contains(cpu) else {
                    throw MachineFault(.node(node.id), "a CPU number must be below \(cpuLimit)")
                }
                guard !taken[cpu] else {
                    throw MachineFault(.node(node.id), "CPU \(cpu) must belong to one node only")
                }
                taken[cpu] = true
            }
        }
    }

    /// Rules of `numa_set_distance`, mm/numa_memblks.c: a byte each, and local means 10.
    private static func validate(distances: [[Int]], count: Int) throws(MachineFault) {
        guard distances.count == count, distances.allSatisfy({ $0.count == count }) else {
            throw MachineFault(.distances, "distances must be one row and one column for each node")
        }
        for (i, row) in distances.enumerated() {
            for (j, distance) in row.enumerated() {
                guard (localDistance...255).contains(distance) else {
                    throw MachineFault(.distances, "a distance must be \(localDistance) to 255")
                }
                guard (i == j) == (distance == localDistance) else {
                    throw MachineFault(
                        .distances,
                        "the distance of a node to itself, and only that, must be \(localDistance)")
                }
            }
        }
    }

    static func validate(zoneTypes: [ZoneType]) throws(MachineFault) {
        for (previous, next) in zip(zoneTypes, zoneTypes.dropFirst()) where previous >= next {
            throw MachineFault(.zoneTypes, "kinds of zone must be distinct, low ones first")
        }
        guard zoneTypes.contains(.normal) else {
            throw MachineFault(.zoneTypes, "every machine must have the zone Normal")
        }
    }

    static func validate(
        zones: [Zone], nodes: [Node], zoneTypes: [ZoneType]
    ) throws(MachineFault) {
        for (previous, next) in zip(zones, zones.dropFirst())
        where (previous.node, previous.type.rawValue) >= (next.node, next.type.rawValue) {
            throw MachineFault(
                .zone(next.node, next.type), "zones must be in node order, low zones first")
        }
        var spanned: UInt64 = 0
        for zone in zones {
            try validate(zone: zone, nodes: nodes, zoneTypes: zoneTypes)
            spanned += zone.spannedPages
        }
        guard spanned <= maximumSpannedPages else {
            throw MachineFault(
                .machine, "zones must span at most \(maximumSpannedPages) pages in all")
        }
        guard zones.contains(where: { $0.managedPages > 0 }) else {
            throw MachineFault(.machine, "a machine must have at least one page to hand out")
        }
        try validateDisjoint(zones)
    }

    private static func validate(
        zone: Zone, nodes: [Node], zoneTypes: [ZoneType]
    ) throws(MachineFault) {
        let subject = MachineFault.Subject.zone(zone.node, zone.type)
        guard nodes.contains(where: { $0.id == zone.node }) else {
            throw MachineFault(subject, "a zone must belong to a node of the machine")
        }
        guard zoneTypes.contains(zone.type), zone.lowmemReserve.count == zoneTypes.count else {
            throw MachineFault(
                subject, "a zone must have one lowmem_reserve value for each kind of zone")
        }
        let limit = PageFrameNumber.limit.rawValue
        guard zone.startPFN.rawValue < limit, zone.spannedPages <= maximumSpannedPages,
            zone.spannedPages <= limit - zone.startPFN.rawValue
        else {
            throw MachineFault(
                subject,
                "a zone must span at most \(maximumSpannedPages) pages, below 2^64 bytes")
        }
        guard isAscending(zone.presentRanges), isAscending(zone.managedRanges) else {
            throw MachineFault(
                subject,
                "ranges must be ascending, apart, not empty, and at most \(maximumRangesPerZone)")
        }
        guard zone.presentRanges.allSatisfy({ zone.span.contains($0) }) else {
            throw MachineFault(subject, "present pages must lie within the zone's span")
        }
        guard covers(zone.presentRanges, zone.managedRanges) else {
            throw MachineFault(subject, "managed pages must be present")
        }
        let marks = zone.watermarks
        guard marks.min <= marks.low, marks.low <= marks.high, marks.high <= (marks.promo ?? .max)
        else {
            throw MachineFault(subject, "watermarks must be min <= low <= high <= promo")
        }
        // The watermark check adds a mark and a reserve in signed 64-bit pages.
        guard marks.high < limit, (marks.promo ?? 0) < limit,
            zone.lowmemReserve.allSatisfy({ $0 < limit })
        else {
            throw MachineFault(subject, "watermarks and lowmem_reserve must be below 2^52 pages")
        }
    }

    /// Present memory belongs to one zone. Spans may interleave, as on machines whose nodes do.
    private static func validateDisjoint(_ zones: [Zone]) throws(MachineFault) {
        let owned = zones.flatMap { zone in zone.presentRanges.map { (range: $0, zone: zone) } }
            .sorted { $0.range.lowerBound < $1.range.lowerBound }
        for (previous, next) in zip(owned, owned.dropFirst())
        where next.range.lowerBound < previous.range.upperBound {
            throw MachineFault(
                .zone(next.zone.node, next.zone.type), "memory must belong to one zone only")
        }
    }

    private static func isAscending(_ ranges: [FrameRange]) -> Bool {
        ranges.count <= maximumRangesPerZone && !ranges.contains(where: \.isEmpty)
            && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
    }

    /// Whether each of `inner` lies within one of `outer`; both ascending and apart.
    private static func covers(_ outer: [FrameRange], _ inner: [FrameRange]) -> Bool {
        var position = 0
        for range in inner {
            while position < outer.count, outer[position].upperBound < range.upperBound {
                position += 1
            }
            guard position < outer.count, outer[position].contains(range) else { return false }
        }
        return true
    }
}
