// A machine as bytes: one fixed binary layout, so that the same machine is the same bytes for ever.
// The ledger keeps machines this way. What follows from the description (fallback orders,
// zonelists) is not written but worked out anew.
//
// All integers are unsigned and little-endian. Text is its length in bytes (u32) and UTF-8. There
// is no padding, and nothing after the last field.
//
//   magic               4 bytes "gfpM"
//   version             u16     1
//   dialect             text    "linux-6.1" …
//   nodes               u16     count, and for each:
//     id                u16
//     cpus              u16     count, and for each: u16
//   zone types          u8      count, and for each: u8 (`ZoneType.rawValue`)
//   zones               u16     count, and for each:
//     node              u16
//     type              u8
//     start pfn         u64
//     spanned pages     u64
//     present ranges    u16     count, and for each: first frame u64, one past the last u64
//     managed ranges    u16     as present ranges
//     min, low, high    u64 ×3
//     promo             u8      0: not known; 1: u64 follows
//     lowmem_reserve    u8      count, and for each: u64
//   distances           u8      for each pair of nodes, row by row
//   assumptions         u16     count, and for each: text
//
// Reading trusts nothing: each length is checked against the bytes that are left, each value
// against its range, and what results goes through the same validation as any other description.

public import PageAllocator

/// Why bytes are not a machine.
public enum CanonicalBytesFailure: Error, Hashable, Sendable {
    /// They do not begin as a machine's bytes do.
    case notAMachine

    /// A later version wrote them.
    case unknownVersion(UInt16)

    /// They end before the field at this offset does.
    case truncated(offset: Int)

    /// The field at this offset has a value that it cannot have.
    case invalidValue(offset: Int)

    /// The machine ends at this offset, and the bytes do not.
    case trailingBytes(offset: Int)

    /// What they describe breaks a rule of machines.
    case invalidMachine(MachineFault)
}

private enum Layout {
    static let magic: [UInt8] = Array("gfpM".utf8)
    static let version: UInt16 = 1

    /// Bytes of one element in a list, at the least.
    static let minimumNodeSize = 4
    static let minimumZoneSize = 49
    static let rangeSize = 16
    static let minimumTextSize = 4
}

// MARK: Writing

extension Machine {
    /// The machine in its canonical layout, version 1.
    public var canonicalBytes: [UInt8] {
        var writer = CanonicalBuffer()
        writer.write(raw: Layout.magic)
        writer.write(Layout.version)
        writer.write(dialect.rawValue)
        writer.write(count: nodes, as: UInt16.self)
        for node in nodes {
            writer.write(UInt16(node.id.rawValue))
            writer.write(count: node.cpus, as: UInt16.self)
            for cpu in node.cpus {
                writer.write(UInt16(cpu))
            }
        }
        writer.write(count: zoneTypes, as: UInt8.self)
        for type in zoneTypes {
            writer.write(UInt8(type.rawValue))
        }
        writer.write(count: zones, as: UInt16.self)
        for zone in zones {
            writer.write(zone)
        }
        for row in distances {
            for distance in row {
                writer.write(UInt8(distance))
            }
        }
        writer.write(count: assumptions, as: UInt16.self)
        for assumption in assumptions {
            writer.write(assumption)
        }
        return writer.bytes
    }
}

extension CanonicalBuffer {
    fileprivate mutating func write(_ zone: Zone) {
        write(UInt16(zone.node.rawValue))
        write(UInt8(zone.type.rawValue))
        write(zone.startPFN.rawValue)
        write(zone.spannedPages)
        write(zone.presentRanges)
        write(zone.managedRanges)
        write(zone.watermarks.min)
        write(zone.watermarks.low)
        write(zone.watermarks.high)
        write(presence: zone.watermarks.promo)
        if let promo = zone.watermarks.promo {
            write(promo)
        }
        write(count: zone.lowmemReserve, as: UInt8.self)
        for pages in zone.lowmemReserve {
            write(pages)
        }
    }

    private mutating func write(_ ranges: [FrameRange]) {
        write(count: ranges, as: UInt16.self)
        for range in ranges {
            write(range.lowerBound.rawValue)
            write(range.upperBound.rawValue)
        }
    }
}

// MARK: Reading

extension Machine {
    /// The machine whose canonical bytes these are.
    ///
    /// - Throws: `CanonicalBytesFailure`, for any bytes that are not those of a machine.
    public init(canonicalBytes: [UInt8]) throws(CanonicalBytesFailure) {
        var reader = CanonicalReader(bytes: canonicalBytes)
        try reader.readHeader()
        let dialect = try reader.readDialect()
        let nodes = try reader.readNodes()
        let zoneTypes = try reader.readZoneTypes()
        let zones = try reader.readZones()
        let distances = try reader.readDistances(nodeCount: nodes.count)
        let assumptions = try reader.readAssumptions()
        try reader.readEnd()
        do {
            try self.init(
                dialect: dialect, nodes: nodes, zoneTypes: zoneTypes, zones: zones,
                distances: distances, assumptions: assumptions)
        } catch {
            throw .invalidMachine(error)
        }
    }
}

private struct CanonicalReader {
    let bytes: [UInt8]
    var offset = 0

    mutating func readHeader() throws(CanonicalBytesFailure) {
        guard bytes.starts(with: Layout.magic) else { throw .notAMachine }
        offset = Layout.magic.count
        let version = try read(UInt16.self)
        guard version == Layout.version else { throw .unknownVersion(version) }
    }

    mutating func readDialect() throws(CanonicalBytesFailure) -> KernelDialect {
        let start = offset
        guard let dialect = KernelDialect(rawValue: try readText()) else {
            throw .invalidValue(offset: start)
        }
        return dialect
    }

    mutating func readNodes() throws(CanonicalBytesFailure) -> [Node] {
        try readList(countedBy: UInt16.self, elementSize: Layout.minimumNodeSize) {
            (reader) throws(CanonicalBytesFailure) in
            let id = try reader.readNodeID()
            let cpus = try reader.readList(countedBy: UInt16.self, elementSize: 2) {
                (reader) throws(CanonicalBytesFailure) in Int(try reader.read(UInt16.self))
            }
            return Node(id: id, cpus: cpus)
        }
    }

    mutating func readNodeID() throws(CanonicalBytesFailure) -> NodeID {
        let start = offset
        guard let id = NodeID(Int(try read(UInt16.self))) else {
            throw .invalidValue(offset: start)
        }
        return id
    }

    mutating func readZoneTypes() throws(CanonicalBytesFailure) -> [ZoneType] {
        try readList(countedBy: UInt8.self, elementSize: 1) {
            (reader) throws(CanonicalBytesFailure) in try reader.readZoneType()
        }
    }

    mutating func readZoneType() throws(CanonicalBytesFailure) -> ZoneType {
        let start = offset
        guard let type = ZoneType(rawValue: Int(try read(UInt8.self))) else {
            throw .invalidValue(offset: start)
        }
        return type
    }

    mutating func readZones() throws(CanonicalBytesFailure) -> [Zone] {
        try readList(countedBy: UInt16.self, elementSize: Layout.minimumZoneSize) {
            (reader) throws(CanonicalBytesFailure) in
            Zone(
                node: try reader.readNodeID(),
                type: try reader.readZoneType(),
                startPFN: PageFrameNumber(try reader.read(UInt64.self)),
                spannedPages: try reader.read(UInt64.self),
                presentRanges: try reader.readRanges(),
                managedRanges: try reader.readRanges(),
                watermarks: try reader.readWatermarks(),
                lowmemReserve: try reader.readList(countedBy: UInt8.self, elementSize: 8) {
                    (reader) throws(CanonicalBytesFailure) in try reader.read(UInt64.self)
                })
        }
    }

    mutating func readRanges() throws(CanonicalBytesFailure) -> [FrameRange] {
        try readList(countedBy: UInt16.self, elementSize: Layout.rangeSize) {
            (reader) throws(CanonicalBytesFailure) in
            let start = reader.offset
            let lower = PageFrameNumber(try reader.read(UInt64.self))
            let upper = PageFrameNumber(try reader.read(UInt64.self))
            guard lower <= upper else { throw .invalidValue(offset: start) }
            return FrameRange(lower, upper)
        }
    }

    mutating func readWatermarks() throws(CanonicalBytesFailure) -> Watermarks {
        let min = try read(UInt64.self)
        let low = try read(UInt64.self)
        let high = try read(UInt64.self)
        let start = offset
        switch try read(UInt8.self) {
        case 0: return Watermarks(min: min, low: low, high: high, promo: nil)
        case 1: return Watermarks(min: min, low: low, high: high, promo: try read(UInt64.self))
        default: throw .invalidValue(offset: start)
        }
    }

    mutating func readDistances(nodeCount: Int) throws(CanonicalBytesFailure) -> [[Int]] {
        let distances = try take(nodeCount * nodeCount)
        return (0..<nodeCount).map { row in
            distances.dropFirst(row * nodeCount).prefix(nodeCount).map { Int($0) }
        }
    }

    mutating func readAssumptions() throws(CanonicalBytesFailure) -> [String] {
        try readList(countedBy: UInt16.self, elementSize: Layout.minimumTextSize) {
            (reader) throws(CanonicalBytesFailure) in try reader.readText()
        }
    }

    mutating func readEnd() throws(CanonicalBytesFailure) {
        guard offset == bytes.count else { throw .trailingBytes(offset: offset) }
    }

    /// A count and that many elements. `elementSize` is the least that one takes, in bytes: a count
    /// beyond what is left is refused before anything is set aside for it.
    mutating func readList<Count: FixedWidthInteger & UnsignedInteger, Element>(
        countedBy: Count.Type, elementSize: Int,
        _ readElement: (inout Self) throws(CanonicalBytesFailure) -> Element
    ) throws(CanonicalBytesFailure) -> [Element] {
        let count = Int(try read(Count.self))
        guard count <= (bytes.count - offset) / elementSize else {
            throw .truncated(offset: offset)
        }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count {
            elements.append(try readElement(&self))
        }
        return elements
    }

    mutating func readText() throws(CanonicalBytesFailure) -> String {
        let start = offset
        let count = Int(try read(UInt32.self))
        let utf8 = try take(count)
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw .invalidValue(offset: start)
        }
        return text
    }

    mutating func read<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type
    ) throws(CanonicalBytesFailure) -> Value {
        try take(Value.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value($1) }
    }

    private mutating func take(_ count: Int) throws(CanonicalBytesFailure) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else { throw .truncated(offset: offset) }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }
}
