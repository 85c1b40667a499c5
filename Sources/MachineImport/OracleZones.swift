// The constants of a running kernel's zones, as a module read them from its own structures:
//
//     zone     0  DMA32     start_pfn=1000 spanned=258048 … lowmem_reserve=0/0/975/975/975 …
//     zonelist 0  fallback  0.Normal 0.DMA32 0.DMA 1.Normal
//     node     1  start_pfn=140000 spanned=524288 present=524288
//     cpu      1  node=1 mem_node=1
//
// Columns are parted by tabs; start_pfn is hexadecimal, all else decimal, in pages. Lines that mean
// nothing here are passed over.

public import PageAllocator

/// What `zones` says.
public struct OracleZones: Sendable {
    /// In the order of the text.
    public private(set) var zones: [OracleZone] = []

    /// The zones of each node's `fallback` list, in the order tried.
    public private(set) var fallbackLists: [(node: NodeID, zones: [OracleZone.Name])] = []

    /// As `node` lines name them.
    public private(set) var nodes: [NodeID] = []

    /// For each CPU its own node, and the nearest that has memory.
    public private(set) var cpus: [(number: Int, node: NodeID, memoryNode: NodeID)] = []

    public init(parsing text: String) {
        for line in TextLine.lines(of: text) {
            let words = line.words
            guard words.count >= 2,
                let number = UInt64(decimal: words[1]).flatMap(Int.init(exactly:))
            else { continue }
            switch (words[0], NodeID(number)) {
            case ("zone", let node?):
                guard let zone = OracleZone(node: node, words.dropFirst(2)) else { break }
                zones.append(zone)
            case ("zonelist", let node?) where words.count > 2 && words[2] == "fallback":
                let zones = words.dropFirst(3).compactMap { OracleZone.Name($0.utf8) }
                fallbackLists.append((node, zones))
            case ("node", let node?):
                nodes.append(node)
            case ("cpu", _):
                let values = OracleValues(words.dropFirst(2))
                guard let node = values.node("node") else { break }
                cpus.append((number, node, values.node("mem_node") ?? node))
            default:
                break
            }
        }
    }
}

/// A `zone` line.
public struct OracleZone: Hashable, Sendable {
    /// Which zone: `1.Normal`.
    public struct Name: Hashable, Sendable {
        public let node: NodeID
        public let type: ZoneType

        public init(node: NodeID, type: ZoneType) {
            self.node = node
            self.type = type
        }

        /// nil for anything but a node's number, a dot and a kind of zone.
        init?(_ text: Substring.UTF8View) {
            let parts = Substring(text).split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let type = ZoneType(name: String(parts[1])),
                let number = UInt64(decimal: parts[0]),
                let node = Int(exactly: number).flatMap(NodeID.init)
            else { return nil }
            self.init(node: node, type: type)
        }
    }

    public let name: Name
    public let startPFN: PageFrameNumber

    /// Pages.
    public let presentPages: UInt64
    public let managedPages: UInt64
    public let watermarks: Watermarks

    /// For DMA, DMA32, Normal, Movable and Device, in pages; 0 for what the line does not give.
    public let lowmemReserve: [UInt64]

    fileprivate init?(node: NodeID, _ words: ArraySlice<Substring>) {
        let values = OracleValues(words.dropFirst())
        guard let word = words.first, let type = ZoneType(name: String(word)),
            let start = values["start_pfn"].flatMap({ UInt64(hexadecimal: $0) }),
            start < PageFrameNumber.limit.rawValue,
            let present = values.count("present"), let managed = values.count("managed"),
            let min = values.count("min"), let low = values.count("low"),
            let high = values.count("high")
        else { return nil }
        let reserve = (values["lowmem_reserve"] ?? "").split(separator: "/").map {
            UInt64(decimal: $0) ?? 0
        }
        name = Name(node: node, type: type)
        startPFN = PageFrameNumber(start)
        presentPages = present
        managedPages = managed
        watermarks = Watermarks(min: min, low: low, high: high, promo: nil)
        lowmemReserve = ZoneType.allCases.indices.map { $0 < reserve.count ? reserve[$0] : 0 }
    }
}

/// The words `key=value` of a line.
struct OracleValues {
    private let words: ArraySlice<Substring>

    init(_ words: ArraySlice<Substring>) {
        self.words = words
    }

    subscript(key: String) -> Substring? {
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == key { return parts[1] }
        }
        return nil
    }

    func count(_ key: String) -> UInt64? {
        self[key].flatMap { UInt64(decimal: $0) }
    }

    func node(_ key: String) -> NodeID? {
        count(key).flatMap(Int.init(exactly:)).flatMap(NodeID.init)
    }
}
