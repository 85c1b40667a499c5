import PageAllocator

/// What an import had to assume, one line a kind.
struct AssumptionNotes {
    private(set) var lines: [String] = []

    private let zoneNames: [String]

    /// Without zones to name.
    init() {
        zoneNames = []
    }

    /// Zones are named by their kind, and on machines with several nodes by their node too.
    init(of zoneinfo: Zoneinfo) {
        let isNUMA = zoneinfo.nodes.count > 1
        zoneNames = zoneinfo.zones.map { zone in
            isNUMA ? "node \(zone.node.rawValue) \(zone.type.name)" : zone.type.name
        }
    }

    mutating func add(_ line: String) {
        lines.append(line)
    }

    /// A line that names each zone with the pages that the assumption is about; no line where those
    /// are 0 everywhere. `pages` has one element a zone.
    mutating func add(_ assumption: String, _ pages: [UInt64]) {
        let zones = zip(zoneNames, pages).filter { $0.1 > 0 }.map { "\($0.0) (\($0.1) pages)" }
        guard !zones.isEmpty else { return }
        lines.append("\(assumption): \(zones.joined(separator: ", "))")
    }

    /// A line that names nodes; no line for none.
    mutating func add(_ assumption: String, _ nodes: [NodeID]) {
        guard !nodes.isEmpty else { return }
        lines.append("\(assumption) \(nodes.map { "\($0.rawValue)" }.joined(separator: ", "))")
    }

    /// A line that names zones; no line for none. `isTouched` has one element a zone.
    mutating func add(_ assumption: String, _ isTouched: [Bool]) {
        let zones = zip(zoneNames, isTouched).filter(\.1).map(\.0)
        guard !zones.isEmpty else { return }
        lines.append("\(assumption) \(zones.joined(separator: ", "))")
    }
}
