// Format 1 has distances between all objects of one level, in the order of the document, as
// multiples of a base:
//
//     <distances nbobjs="2" relative_depth="1" latency_base="10.000000">
//       <latency value="1.000000"/> …
//
// `relative_depth` says which level, counted from the object that the element is in. Exporters
// count differently, and levels with as many objects as there are nodes may have matrices too. But
// only the kernel says 10 of an object to itself.
//
// Source: `hwloc__xml_export_object`, src/topology-xml.c, hwloc 1.11;
// `hwloc___xml_v1export_object_contents`, hwloc/topology-xml.c, hwloc 2.

import PageAllocator
import XML

/// A matrix of format 1, while it is read and then as it stands in the file.
struct HwlocLevelMatrix {
    /// The line of its element.
    let line: Int

    let count: Int

    private let base: Double
    private(set) var values: [UInt64] = []

    /// nil for a matrix that is none of NUMA nodes, of which there are at most 64.
    init?(_ element: borrowing XMLElement) throws(XMLFault) {
        line = element.line
        let count = try element.number("nbobjs")
        base = try element.decimal("latency_base")
        guard (1...UInt64(Machine.maximumNodes)).contains(count) else { return nil }
        self.count = Int(count)
    }

    mutating func addValue(_ element: borrowing XMLElement) throws(XMLFault) {
        values.append(UInt64((try element.decimal("value") * base).rounded()))
        guard values.count <= count * count else {
            throw XMLFault(line: element.line, valuesRule)
        }
    }

    /// Called once all of it is read.
    func check() throws(XMLFault) {
        guard values.count == count * count else { throw XMLFault(line: line, valuesRule) }
    }

    /// Whether the kernel told it.
    var isOfNodes: Bool {
        (0..<count).allSatisfy { values[$0 * count + $0] == UInt64(Machine.localDistance) }
    }

    private var valuesRule: String {
        "there must be \(count * count) latencies, a row and a column for each of \(count) objects"
    }
}

extension XMLElement {
    /// A number below 10,000 that the element must have, with or without a fraction.
    fileprivate borrowing func decimal(_ name: String) throws(XMLFault) -> Double {
        let text = attribute(name) ?? ""
        let isPlain = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
        }
        guard isPlain, let number = Double(text), number < 10_000 else {
            throw XMLFault(line: line, "\(name) must be a decimal number below 10000")
        }
        return number
    }
}
