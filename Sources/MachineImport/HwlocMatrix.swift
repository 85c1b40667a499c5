// `<distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os">`, with the
// objects in `<indexes>` and the values, row by row, in `<u64values>`, each divided into as many
// elements as the exporter liked. Of the matrices that a file may hold, the one of latencies that
// the kernel told is what sysfs has as `distance`; those of bandwidths are something else.
//
// Source: hwloc/distances.h for the kinds; `hwloc__xml_v2export_distances`, hwloc/topology-xml.c.

import PageAllocator
import XML

/// A matrix over NUMA nodes, while it is read and then as it stands in the file.
struct HwlocMatrix {
    /// How the file names the nodes.
    enum Indexing: String {
        case osIndex = "os"
        case gpIndex = "gp"
    }

    /// The line of its element.
    let line: Int

    let count: Int
    let isFromOS: Bool
    let indexing: Indexing
    private(set) var indexes: [UInt64] = []

    /// Row by row.
    private(set) var values: [UInt64] = []

    /// nil for a matrix that is not of latencies between NUMA nodes.
    init?(_ element: borrowing XMLElement) throws(XMLFault) {
        guard element.attribute("type") == "NUMANode" else { return nil }
        line = element.line
        let kind = try element.number("kind")
        guard kind & Self.latency != 0 else { return nil }
        isFromOS = kind & Self.fromOS != 0
        let count = try element.number("nbobjs")
        guard (1...UInt64(Machine.maximumNodes)).contains(count) else {
            throw XMLFault(line: line, "nbobjs must be 1 to \(Machine.maximumNodes)")
        }
        self.count = Int(count)
        guard let indexing = Indexing(rawValue: element.attribute("indexing") ?? "os") else {
            throw XMLFault(line: line, "indexing must be os or gp")
        }
        self.indexing = indexing
    }

    /// `HWLOC_DISTANCES_KIND_FROM_OS` and `…_MEANS_LATENCY` (`…_VALUE_LATENCY` since 3.0).
    private static let fromOS: UInt64 = 1 << 0
    private static let latency: UInt64 = 1 << 2

    mutating func addIndexes(_ text: String, line: Int) throws(XMLFault) {
        indexes += try Self.numbers(text, line: line)
        guard indexes.count <= count else {
            throw XMLFault(line: line, indexesRule)
        }
    }

    mutating func addValues(_ text: String, line: Int) throws(XMLFault) {
        values += try Self.numbers(text, line: line)
        guard values.count <= count * count else {
            throw XMLFault(line: line, valuesRule)
        }
    }

    /// Called once all of it is read.
    func check() throws(XMLFault) {
        guard indexes.count == count else {
            throw XMLFault(line: line, indexesRule)
        }
        guard values.count == count * count else {
            throw XMLFault(line: line, valuesRule)
        }
    }

    private var indexesRule: String { "there must be \(count) indexes, as nbobjs says" }

    private var valuesRule: String {
        "there must be \(count * count) values, a row and a column for each of \(count) nodes"
    }

    private static func numbers(_ text: String, line: Int) throws(XMLFault) -> [UInt64] {
        var numbers: [UInt64] = []
        for word in TextLine.lines(of: text).flatMap(\.words) {
            guard let number = UInt64(decimal: word) else {
                throw XMLFault(line: line, "indexes and values must be 64-bit numbers")
            }
            numbers.append(number)
        }
        return numbers
    }

    /// The positions of the matrix's nodes in `nodes`.
    func positions(in nodes: [HwlocTopology.Node]) throws(XMLFault) -> [Int] {
        var positions: [Int] = []
        for index in indexes {
            let position = nodes.firstIndex { node in
                switch indexing {
                case .osIndex: UInt64(node.id.rawValue) == index
                case .gpIndex: node.gpIndex == index
                }
            }
            guard let position, !positions.contains(position) else {
                throw XMLFault(
                    line: line, "indexes must name NUMA nodes of the file, each once")
            }
            positions.append(position)
        }
        return positions
    }
}

extension XMLElement {
    /// A number that the element must have.
    borrowing func number(_ name: String) throws(XMLFault) -> UInt64 {
        guard let number = try optionalNumber(name) else {
            throw XMLFault(line: line, "\(name) must be there")
        }
        return number
    }

    borrowing func optionalNumber(_ name: String) throws(XMLFault) -> UInt64? {
        guard let text = attribute(name) else { return nil }
        guard let number = UInt64(decimal: Substring(text)) else {
            throw XMLFault(line: line, "\(name) must be a 64-bit number")
        }
        return number
    }
}
