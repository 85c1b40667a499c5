// /proc/zoneinfo, Linux 6.1 to 6.18: for each zone of each node a head line, counts, `protection`,
// and, where the zone has pages, counters, per-CPU lists and `start_pfn`. Only what a machine is
// made of is read. Lines that are not known are passed over, since every kernel adds some; a line
// that is known must be complete and must come once in its zone.
//
// Source: `zoneinfo_show_print`, mm/vmstat.c.

public import PageAllocator

/// What /proc/zoneinfo says, zone by zone.
public struct Zoneinfo: Hashable, Sendable {
    public struct Zone: Hashable, Sendable {
        public let node: NodeID
        public let type: ZoneType

        /// The number of the zone's head line.
        public let line: Int

        /// As printed: the boost included.
        public let watermarks: Watermarks

        /// `watermark_boost`, in pages.
        public let boost: UInt64

        public let spannedPages: UInt64
        public let presentPages: UInt64
        public let managedPages: UInt64
        public let cmaPages: UInt64

        /// `lowmem_reserve`, in pages, one element for each of the text's `zoneTypes`.
        public let protection: [UInt64]

        /// 0 for a zone without pages, of which the kernel does not print it.
        public let startPFN: PageFrameNumber

        public var span: FrameRange { FrameRange(startPFN, startPFN + spannedPages) }
    }

    /// In node order, low zones first.
    public let zones: [Zone]

    /// The kinds of zone that the text lists, low ones first.
    public let zoneTypes: [ZoneType]

    /// The CPUs that have per-CPU lists, ascending.
    public let cpus: [Int]

    /// - Throws: `ImportFailure.text`: the line, and the rule that it breaks.
    public init(parsing text: String) throws(ImportFailure) {
        var reader = ZoneinfoReader()
        for line in TextLine.lines(of: text) {
            try reader.read(line)
        }
        zones = try reader.finish()
        zoneTypes = reader.zoneTypes
        cpus = reader.hasCPU.indices.filter { reader.hasCPU[$0] }
    }

    /// The numbers of the nodes, ascending.
    public var nodes: [NodeID] {
        var nodes: [NodeID] = []
        for zone in zones where zone.node != nodes.last {
            nodes.append(zone.node)
        }
        return nodes
    }
}

/// The state between two lines.
private struct ZoneinfoReader {
    private var entries: [ZoneEntry] = []

    private(set) var hasCPU = [Bool](repeating: false, count: Machine.cpuLimit)

    var zoneTypes: [ZoneType] {
        ZoneType.allCases.filter { type in entries.contains { $0.type == type } }
    }

    mutating func read(_ line: TextLine) throws(ImportFailure) {
        let words = line.words
        guard let first = words.first else { return }
        if first == "Node" {
            entries.append(try head(words, line: line.number))
            return
        }
        guard !entries.isEmpty else {
            throw .zoneinfo(line.number, "the first line must be \"Node N, zone NAME\"")
        }
        let current = entries.count - 1
        if first == "cpu:" {
            hasCPU[try cpu(words, line: line.number)] = true
        } else if first == "protection:" {
            try entries[current].setProtection(words.dropFirst(), line: line.number)
        } else if let count = ZoneEntry.Count(rawValue: String(first)) {
            try entries[current].set(count, words.dropFirst(), line: line.number)
        }
    }

    func finish() throws(ImportFailure) -> [Zoneinfo.Zone] {
        guard !entries.isEmpty else {
            throw .zoneinfo(1, "the text must list at least one zone")
        }
        let columns = zoneTypes.count
        var zones: [Zoneinfo.Zone] = []
        for entry in entries {
            zones.append(try entry.zone(columns: columns))
        }
        return zones.sorted { ($0.node, $0.type) < ($1.node, $1.type) }
    }

    /// `Node 0, zone      DMA`
    private func head(_ words: [Substring], line: Int) throws(ImportFailure) -> ZoneEntry {
        guard words.count == 4, words[1].last == ",", words[2] == "zone" else {
            throw .zoneinfo(line, "a line about a node must be \"Node N, zone NAME\"")
        }
        guard let number = UInt64(decimal: words[1].dropLast()),
            let node = Int(exactly: number).flatMap(NodeID.init)
        else {
            throw .zoneinfo(line, "a node number must be 0 to \(NodeID.limit - 1)")
        }
        guard let type = ZoneType(name: String(words[3])) else {
            throw .zoneinfo(
                line,
                "a zone must be one of "
                    + ZoneType.allCases.map(\.name).joined(separator: ", "))
        }
        guard !entries.contains(where: { $0.node == node && $0.type == type }) else {
            throw .zoneinfo(line, "a zone must be listed once")
        }
        guard entries.count < Machine.maximumZones else {
            throw .zoneinfo(line, "there must be at most \(Machine.maximumZones) zones")
        }
        return ZoneEntry(node: node, type: type, line: line)
    }

    /// `    cpu: 0`
    private func cpu(_ words: [Substring], line: Int) throws(ImportFailure) -> Int {
        guard words.count == 2, let number = UInt64(decimal: words[1]), number < Machine.cpuLimit
        else {
            throw .zoneinfo(line, "a CPU number must be 0 to \(Machine.cpuLimit - 1)")
        }
        return Int(number)
    }
}

/// What has been read of one zone.
private struct ZoneEntry {
    /// The counts that a machine is made of, as the kernel spells them.
    enum Count: String {
        case boost, min, low, high, promo, spanned, present, managed, cma
        case startPFN = "start_pfn:"
    }

    let node: NodeID
    let type: ZoneType
    let line: Int

    private var counts: [Count: (value: UInt64, line: Int)] = [:]
    private var protection: (values: [UInt64], line: Int)?

    init(node: NodeID, type: ZoneType, line: Int) {
        self.node = node
        self.type = type
        self.line = line
    }

    mutating func set(
        _ count: Count, _ words: ArraySlice<Substring>, line: Int
    ) throws(ImportFailure) {
        guard counts[count] == nil else {
            throw .zoneinfo(line, "\"\(count.rawValue)\" must come once in a zone")
        }
        guard words.count == 1, let value = words.first.flatMap(UInt64.init(decimal:)) else {
            throw .zoneinfo(line, "\"\(count.rawValue)\" must be followed by one 64-bit number")
        }
        counts[count] = (value, line)
    }

    /// `protection: (0, 954, 954, 954, 954)`, without the first word.
    mutating func setProtection(
        _ words: ArraySlice<Substring>, line: Int
    ) throws(ImportFailure) {
        guard protection == nil else {
            throw .zoneinfo(line, "\"protection:\" must come once in a zone")
        }
        let list = words.joined(separator: " ")
        let numbers = list.dropFirst().dropLast().split(
            separator: ", ", omittingEmptySubsequences: false)
        let values = numbers.compactMap { UInt64(decimal: $0) }
        guard list.first == "(", list.last == ")", list.count > 2, values.count == numbers.count
        else {
            throw .zoneinfo(line, "protection must be 64-bit numbers: \"(0, 1, 2)\"")
        }
        protection = (values, line)
    }

    /// The zone, once all its lines are read.
    func zone(columns: Int) throws(ImportFailure) -> Zoneinfo.Zone {
        let spanned = try value(of: .spanned)
        let present = try value(of: .present, upTo: spanned, "spanned")
        let managed = try value(of: .managed, upTo: present, "present")
        guard let protection else {
            throw .zoneinfo(line, "a zone must have \"protection:\"")
        }
        guard protection.values.count == columns else {
            throw .zoneinfo(
                protection.line,
                "protection must be \(columns) numbers, one for each kind of zone in the text")
        }
        return Zoneinfo.Zone(
            node: node, type: type, line: line,
            watermarks: Watermarks(
                min: try value(of: .min), low: try value(of: .low), high: try value(of: .high),
                promo: counts[.promo]?.value),
            boost: counts[.boost]?.value ?? 0, spannedPages: spanned, presentPages: present,
            managedPages: managed, cmaPages: counts[.cma]?.value ?? 0,
            protection: protection.values,
            startPFN: try start(spanned: spanned, isPopulated: present > 0))
    }

    private func start(
        spanned: UInt64, isPopulated: Bool
    ) throws(ImportFailure) -> PageFrameNumber {
        let start = isPopulated ? try value(of: .startPFN) : counts[.startPFN]?.value ?? 0
        let limit = PageFrameNumber.limit.rawValue
        guard start <= limit, spanned <= limit - start else {
            throw .zoneinfo(
                counts[.startPFN]?.line ?? line, "a zone must end below 2^64 bytes")
        }
        return PageFrameNumber(start)
    }

    private func value(of count: Count) throws(ImportFailure) -> UInt64 {
        guard let found = counts[count] else {
            throw .zoneinfo(line, "a zone must have \"\(count.rawValue)\"")
        }
        return found.value
    }

    private func value(
        of count: Count, upTo limit: UInt64, _ limitName: String
    ) throws(ImportFailure) -> UInt64 {
        let value = try value(of: count)
        guard value <= limit else {
            throw .zoneinfo(
                counts[count]?.line ?? line,
                "\"\(count.rawValue)\" must be at most \"\(limitName)\"")
        }
        return value
    }
}

extension ImportFailure {
    fileprivate static func zoneinfo(_ line: Int, _ rule: String) -> ImportFailure {
        .text(.zoneinfo, line: line, rule: rule)
    }
}
