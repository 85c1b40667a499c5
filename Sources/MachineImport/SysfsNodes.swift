// The files of /sys/devices/system/node in one text, each after a line `== path`:
//
//     == /sys/devices/system/node/node0/distance
//     10 20 14
//     == /sys/devices/system/node/node0/cpulist
//     0-3,8
//
// Files other than `distance` and `cpulist` are passed over.
//
// Source: `node_read_distance`, `cpulist_show`: drivers/base/node.c; `bitmap_print_to_pagebuf`,
// lib/bitmap-str.c, for lists of CPUs.

public import PageAllocator

/// What sysfs says about distances and CPUs.
public struct SysfsNodes: Hashable, Sendable {
    /// The nodes that the text names, ascending.
    public let nodes: [NodeID]

    /// `distances[i][j]`: from the i-th to the j-th of `nodes`; nil where the text gives none.
    public let distances: [[Int]]?

    /// The CPUs of each node for which the text gives them, ascending.
    public let cpus: [NodeID: [Int]]

    /// - Throws: `ImportFailure.text`: the line, and the rule that it breaks.
    public init(parsing text: String) throws(ImportFailure) {
        var rows: [NodeID: (distances: [Int], line: Int)] = [:]
        var cpus: [NodeID: [Int]] = [:]
        var seen: [NodeID] = []
        var file: (node: NodeID, name: Substring)?
        for line in TextLine.lines(of: text) {
            if line.words.first == "==" {
                file = try Self.path(line)
                if let node = file?.node, !seen.contains(node) { seen.append(node) }
            } else if let (node, name) = file, !line.words.isEmpty {
                if name == "distance" {
                    rows[node] = (try Self.distances(line), line.number)
                } else if name == "cpulist" {
                    cpus[node] = try Self.cpuList(
                        line.words.joined(separator: " "), line: line.number)
                }
            }
        }
        nodes = seen.sorted()
        self.cpus = cpus
        distances = rows.isEmpty ? nil : try Self.matrix(rows, nodes: nodes)
    }

    /// The CPUs of a list in the kernel's form, `0-3,8`, ascending; empty for an empty text.
    ///
    /// - Throws: `ImportFailure.text`: the rule that the list breaks.
    public static func cpuList(_ text: String) throws(ImportFailure) -> [Int] {
        let words = TextLine.lines(of: text).flatMap(\.words)
        return words.isEmpty
            ? [] : try cpuList(words.joined(separator: " "), line: 1, source: .cpulist)
    }

    private static func cpuList(
        _ list: String, line: Int, source: ImportFailure.Source = .nodes
    ) throws(ImportFailure) -> [Int] {
        var cpus: [Int] = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false)
                .map { UInt64(decimal: $0) }
            guard (1...2).contains(bounds.count), let first = bounds[0],
                let last = bounds[bounds.count - 1], first <= last, last < Machine.cpuLimit,
                Int(first) > cpus.last ?? -1
            else {
                throw .text(
                    source, line: line,
                    rule: "a list of CPUs must be ascending numbers and ranges below"
                        + " \(Machine.cpuLimit), as in \"0-3,8\"")
            }
            cpus.append(contentsOf: Int(first)...Int(last))
        }
        return cpus
    }

    /// `== /sys/devices/system/node/node0/distance`
    private static func path(
        _ line: TextLine
    ) throws(ImportFailure) -> (node: NodeID, name: Substring)? {
        let components = line.words.last?.split(separator: "/") ?? []
        guard components.count >= 2, components[components.count - 2].hasPrefix("node") else {
            return nil
        }
        let digits = components[components.count - 2].dropFirst("node".count)
        guard let number = UInt64(decimal: digits) else { return nil }
        guard let node = Int(exactly: number).flatMap(NodeID.init) else {
            throw .text(
                .nodes, line: line.number, rule: "a node number must be 0 to \(NodeID.limit - 1)")
        }
        return (node, components[components.count - 1])
    }

    private static func distances(_ line: TextLine) throws(ImportFailure) -> [Int] {
        let distances = line.words.compactMap { UInt64(decimal: $0) }.compactMap(Int.init(exactly:))
        guard distances.count == line.words.count else {
            throw .text(.nodes, line: line.number, rule: "distances must be numbers")
        }
        return distances
    }

    private static func matrix(
        _ rows: [NodeID: (distances: [Int], line: Int)], nodes: [NodeID]
    ) throws(ImportFailure) -> [[Int]] {
        var matrix: [[Int]] = []
        for node in nodes {
            guard let row = rows[node] else {
                throw .text(
                    .nodes, line: 1,
                    rule: "distances must be given for every node or for none;"
                        + " node \(node.rawValue) has none")
            }
            guard row.distances.count == nodes.count else {
                throw .text(
                    .nodes, line: row.line,
                    rule: "there must be one distance for each of \(nodes.count) nodes")
            }
            matrix.append(row.distances)
        }
        return matrix
    }
}
