// The JSON topology document.

import JSON
import PageAllocator

extension JSONReader {
    /// A topology document; `nodes` must be there.
    ///
    /// - Parameter dialect: where the document names none.
    mutating func readTopology(_ dialect: KernelDialect) throws(JSONError) -> Topology {
        var topology = Topology(nodes: [])
        topology.dialect = dialect
        var hasNodes = false
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "dialect": topology.dialect = try reader.readDialect()
            case "page_size": try reader.readPageSize()
            case "nodes":
                hasNodes = true
                topology.nodes = try reader.readNodes()
            case "distances": topology.distances = try reader.readDistances()
            case "zones": topology.zoneLimits = try reader.readZoneLimits()
            case "reserved": topology.reserved = try reader.readRanges()
            case "watermarks": topology.watermarks = try reader.readWatermarkSettings()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard hasNodes else { throw failure("must have the member nodes") }
        return topology
    }

    mutating func readDialect() throws(JSONError) -> KernelDialect {
        guard let dialect = KernelDialect(rawValue: try readString()) else {
            let names = KernelDialect.allCases.map(\.rawValue).joined(separator: ", ")
            throw failure("must be one of \(names)")
        }
        return dialect
    }

    private mutating func readPageSize() throws(JSONError) {
        guard try readUInt64() == PageFrameNumber.pageSize else {
            throw failure("must be \(PageFrameNumber.pageSize)")
        }
    }

    private mutating func readNodes() throws(JSONError) -> [Topology.Node] {
        var nodes: [Topology.Node] = []
        try readArray { (_, reader) throws(JSONError) in
            guard nodes.count < Machine.maximumNodes else {
                throw reader.failure("must be one of at most \(Machine.maximumNodes) nodes")
            }
            nodes.append(try reader.readTopologyNode())
        }
        return nodes
    }

    private mutating func readTopologyNode() throws(JSONError) -> Topology.Node {
        var id: NodeID?
        var node: (cpus: [Int], memory: [AddressRange], movable: UInt64) = ([], [], 0)
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "id":
                id = try reader.readNode()
                if id == nil { throw reader.failure("must be a node number from 0") }
            case "cpus": node.cpus = try reader.readCPUs()
            case "memory": node.memory = try reader.readRanges()
            case "movable_bytes": node.movable = try reader.readAddress()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard let id else { throw failure("must have the member id") }
        return Topology.Node(
            id: id, cpus: node.cpus, memory: node.memory, movableBytes: node.movable)
    }

    mutating func readCPUs() throws(JSONError) -> [Int] {
        var cpus: [Int] = []
        try readArray { (_, reader) throws(JSONError) in
            guard cpus.count < Machine.cpuLimit else {
                throw reader.failure("must be one of at most \(Machine.cpuLimit) CPUs")
            }
            cpus.append(try reader.readCPU())
        }
        return cpus
    }

    mutating func readDistances() throws(JSONError) -> [[Int]] {
        var rows: [[Int]] = []
        try readArray { (_, reader) throws(JSONError) in
            guard rows.count < Machine.maximumNodes else {
                throw reader.failure("must be one of at most \(Machine.maximumNodes) rows")
            }
            var row: [Int] = []
            try reader.readArray { (_, reader) throws(JSONError) in
                guard row.count < Machine.maximumNodes else {
                    throw reader.failure("must be one of at most \(Machine.maximumNodes) columns")
                }
                row.append(try reader.readInt())
            }
            rows.append(row)
        }
        return rows
    }

    /// The last byte of each zone; null for one that is not configured.
    private mutating func readZoneLimits() throws(JSONError) -> Topology.ZoneLimits {
        var limits = Topology.ZoneLimits()
        if try readNull() { return Topology.ZoneLimits(dma: nil, dma32: nil) }
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "DMA": limits.dma = try reader.readOptionalAddress()
            case "DMA32": limits.dma32 = try reader.readOptionalAddress()
            default: throw JSONReader.unknownMember(key)
            }
        }
        return limits
    }

    private mutating func readOptionalAddress() throws(JSONError) -> UInt64? {
        try readNull() ? nil : try readAddress()
    }

    /// Ranges of bytes: `start` and `end`, the last byte.
    private mutating func readRanges() throws(JSONError) -> [AddressRange] {
        var ranges: [AddressRange] = []
        try readArray { (_, reader) throws(JSONError) in
            guard ranges.count < Machine.maximumRangesPerZone else {
                throw reader.failure(
                    "must be one of at most \(Machine.maximumRangesPerZone) ranges")
            }
            ranges.append(try reader.readRange())
        }
        return ranges
    }

    private mutating func readRange() throws(JSONError) -> AddressRange {
        var start: UInt64?
        var end: UInt64?
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "start": start = try reader.readAddress()
            case "end": end = try reader.readAddress()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard let start, let end else { throw failure("must have the members start and end") }
        return AddressRange(first: start, last: end)
    }

    private mutating func readWatermarkSettings() throws(JSONError) -> Topology.WatermarkSettings {
        var settings = Topology.WatermarkSettings()
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "min_free_kbytes": settings.minFreeKbytes = try reader.readUInt64()
            case "watermark_scale_factor":
                settings.watermarkScaleFactor = try reader.readUInt64()
            case "lowmem_reserve_ratio":
                settings.lowmemReserveRatio = try reader.readRatios()
            default: throw JSONReader.unknownMember(key)
            }
        }
        return settings
    }

    private mutating func readRatios() throws(JSONError) -> [UInt64] {
        var ratios: [UInt64] = []
        try readArray { (_, reader) throws(JSONError) in
            guard ratios.count < ZoneType.allCases.count else {
                throw reader.failure("must be one of at most \(ZoneType.allCases.count) ratios")
            }
            ratios.append(try reader.readUInt64())
        }
        return ratios
    }
}
