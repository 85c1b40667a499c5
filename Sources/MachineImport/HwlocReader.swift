import PageAllocator
import XML

/// What has been read of an hwloc export between two tags.
final class HwlocReader: XMLContentHandler {
    /// An element that has begun and not ended.
    private enum Open {
        case topology, machine, object
        case node
        case matrix, indexes, values
        case levelMatrix

        /// One that nothing is read of, nor of what is in it.
        case passedOver
    }

    /// A node whose element has not ended.
    private struct OpenNode {
        let line: Int
        let id: NodeID
        let gpIndex: UInt64?
        let isSpecial: Bool
        let cpus: HwlocCPUSet
        let statedBytes: UInt64?
        var pages: (bytes: UInt64, smallest: UInt64?) = (0, nil)
    }

    /// Whether the document is of format 1, where NUMA nodes are around the objects that are near
    /// to them, and a machine without any has its memory itself.
    private var isFirstFormat = false

    private var open: [Open] = []
    private var rootLine = 1
    private var openNode: OpenNode?
    private var openMatrix: HwlocMatrix?
    private var openLevelMatrix: HwlocLevelMatrix?

    /// The memory of a machine without nodes.
    private var undivided: OpenNode?

    private var nodes: [HwlocTopology.Node] = []
    private var bytes: UInt64 = 0
    private var matrices: [HwlocMatrix] = []
    private var levelMatrices: [HwlocLevelMatrix] = []

    private(set) var hasCPU = [Bool](repeating: false, count: Machine.cpuLimit)
    private(set) var architecture: String?

    /// A document of format 1 has no version, and is told by this.
    func documentType(_ name: String, systemID: String?) throws(XMLFault) {
        isFirstFormat = systemID == "hwloc.dtd"
    }

    func start(_ element: borrowing XMLElement) throws(XMLFault) {
        open.append(try begin(element))
    }

    private func begin(_ element: borrowing XMLElement) throws(XMLFault) -> Open {
        switch (open.last, element.name) {
        case (nil, _):
            try checkRoot(element)
            rootLine = element.line
            return .topology
        case (.topology, "object"), (.machine, "object"), (.object, "object"), (.node, "object"):
            return try beginObject(element)
        case (.topology, "info"), (.machine, "info"), (.object, "info"), (.node, "info"):
            // Of the whole or of the outermost object, whatever that is.
            if architecture == nil, objectsOpen <= 1,
                element.attribute("name") == "Architecture"
            {
                architecture = element.attribute("value")
            }
        case (.node, "page_type"):
            try addPages(element)
        case (.topology, "distances2"):
            guard let matrix = try HwlocMatrix(element) else { return .passedOver }
            try checkCount(of: matrices, element)
            openMatrix = matrix
            return .matrix
        case (.matrix, "indexes"):
            return .indexes
        case (.matrix, "u64values"):
            return .values
        case (.machine, "distances") where isFirstFormat,
            (.object, "distances") where isFirstFormat,
            (.node, "distances") where isFirstFormat:
            guard let matrix = try HwlocLevelMatrix(element) else { return .passedOver }
            try checkCount(of: levelMatrices, element)
            openLevelMatrix = matrix
            return .levelMatrix
        case (.levelMatrix, "latency"):
            try openLevelMatrix?.addValue(element)
        default: break
        }
        return .passedOver
    }

    func end(_ name: String, text: String, line: Int) throws(XMLFault) {
        switch open.removeLast() {
        case .node: try endNode()
        case .indexes: try openMatrix?.addIndexes(text, line: line)
        case .values: try openMatrix?.addValues(text, line: line)
        case .matrix:
            guard let matrix = openMatrix else { return }
            try matrix.check()
            matrices.append(matrix)
        case .levelMatrix:
            guard let matrix = openLevelMatrix else { return }
            try matrix.check()
            levelMatrices.append(matrix)
        case .topology, .machine, .object, .passedOver: break
        }
    }

    /// Objects that have begun and not ended.
    private var objectsOpen: Int {
        open.count { $0 == .machine || $0 == .object || $0 == .node }
    }

    private func checkRoot(_ element: borrowing XMLElement) throws(XMLFault) {
        guard element.name == "topology" else {
            throw XMLFault(line: element.line, "the root element must be topology")
        }
        guard let version = element.attribute("version") else {
            guard isFirstFormat else {
                throw XMLFault(
                    line: element.line,
                    "a topology must have a version, unless the document type is hwloc.dtd")
            }
            return
        }
        isFirstFormat = false
        guard let major = version.split(separator: ".").first, major == "2" || major == "3" else {
            throw XMLFault(line: element.line, "the version of a topology must be 2 or 3")
        }
    }

    private func checkCount<Matrix>(
        of matrices: [Matrix], _ element: borrowing XMLElement
    ) throws(XMLFault) {
        guard matrices.count < HwlocTopology.maximumMatrices else {
            throw XMLFault(
                line: element.line,
                "there must be at most \(HwlocTopology.maximumMatrices) matrices of latencies")
        }
    }

    // MARK: Objects

    private func beginObject(_ element: borrowing XMLElement) throws(XMLFault) -> Open {
        switch element.attribute("type") {
        case "NUMANode":
            openNode = try node(element)
            return .node
        case "PU":
            try addCPU(element)
            return .object
        case "Machine":
            if isFirstFormat { undivided = try undividedMemory(element) }
            return .machine
        case nil: throw XMLFault(line: element.line, "an object must have a type")
        default: return .object
        }
    }

    private func addCPU(_ element: borrowing XMLElement) throws(XMLFault) {
        let number = try element.number("os_index")
        guard number < Machine.cpuLimit else {
            throw XMLFault(
                line: element.line, "os_index of a PU must be 0 to \(Machine.cpuLimit - 1)")
        }
        guard !hasCPU[Int(number)] else {
            throw XMLFault(line: element.line, "os_index of a PU must be that of no other")
        }
        hasCPU[Int(number)] = true
    }

    private func node(_ element: borrowing XMLElement) throws(XMLFault) -> OpenNode {
        guard openNode == nil else {
            throw XMLFault(line: element.line, "a NUMANode must not be within another")
        }
        let number = try element.number("os_index")
        guard let id = Int(exactly: number).flatMap(NodeID.init) else {
            throw XMLFault(
                line: element.line, "os_index of a NUMANode must be 0 to \(NodeID.limit - 1)")
        }
        guard !nodes.contains(where: { $0.id == id }) else {
            throw XMLFault(line: element.line, "os_index of a NUMANode must be that of no other")
        }
        guard nodes.count < Machine.maximumNodes else {
            throw XMLFault(
                line: element.line, "there must be at most \(Machine.maximumNodes) NUMA nodes")
        }
        let subtype = element.attribute("subtype") ?? "DRAM"
        return OpenNode(
            line: element.line, id: id, gpIndex: try element.optionalNumber("gp_index"),
            isSpecial: subtype != "DRAM", cpus: try cpuSet(element),
            statedBytes: try element.optionalNumber("local_memory"))
    }

    /// Node 0, whose CPUs are all that there are.
    private func undividedMemory(
        _ element: borrowing XMLElement
    ) throws(XMLFault) -> OpenNode? {
        guard let bytes = try element.optionalNumber("local_memory"), let id = NodeID(0) else {
            return nil
        }
        return OpenNode(
            line: element.line, id: id, gpIndex: nil, isSpecial: false,
            cpus: try cpuSet(element), statedBytes: bytes)
    }

    private func cpuSet(_ element: borrowing XMLElement) throws(XMLFault) -> HwlocCPUSet {
        guard let text = element.attribute("cpuset") else { return .empty }
        guard let set = HwlocCPUSet(text) else {
            throw XMLFault(line: element.line, "cpuset \(HwlocCPUSet.rule)")
        }
        return set
    }

    /// `<page_type size="4096" count="1024"/>`.
    private func addPages(_ element: borrowing XMLElement) throws(XMLFault) {
        let size = try element.number("size")
        let count = try element.optionalNumber("count") ?? 0
        let (pages, overflows) = size.multipliedReportingOverflow(by: count)
        guard let before = openNode?.pages else { return }
        let (sum, sumOverflows) = before.bytes.addingReportingOverflow(pages)
        guard !overflows, !sumOverflows else {
            throw XMLFault(line: element.line, Self.memoryRule)
        }
        openNode?.pages = (sum, min(before.smallest ?? size, size))
    }

    /// Files in which `local_memory` is missing give the memory page by page, or have none.
    private func endNode() throws(XMLFault) {
        guard let node = openNode else { return }
        openNode = nil
        let memory = node.statedBytes ?? node.pages.bytes
        guard memory <= HwlocTopology.maximumBytes - bytes else {
            throw XMLFault(line: node.line, Self.memoryRule)
        }
        bytes += memory
        nodes.append(
            HwlocTopology.Node(
                id: node.id, gpIndex: node.gpIndex, memoryBytes: memory,
                pageSize: node.pages.smallest, isSpecial: node.isSpecial, cpus: node.cpus))
    }

    private static let memoryRule =
        "NUMA nodes must have at most \(HwlocTopology.maximumBytes) bytes of memory in all"

    // MARK: The whole

    /// Called at the end of the document.
    func finishedNodes() throws(XMLFault) -> [HwlocTopology.Node] {
        if nodes.isEmpty {
            openNode = undivided
            try endNode()
        }
        guard nodes.contains(where: { $0.memoryBytes >= PageFrameNumber.pageSize }) else {
            throw XMLFault(
                line: rootLine, "a NUMANode must have at least one whole page of memory")
        }
        return nodes.sorted { $0.id < $1.id }
    }

    /// Of several matrices, the first that the kernel told, else the first.
    func latencies(
        between nodes: [HwlocTopology.Node]
    ) throws(XMLFault) -> HwlocTopology.Latencies? {
        guard let matrix = matrices.first(where: \.isFromOS) ?? matrices.first else {
            return levelLatencies(between: nodes)
        }
        return HwlocTopology.Latencies(
            positions: try matrix.positions(in: nodes), values: matrix.values)
    }

    /// The same from a document of format 1, whose rows are the nodes as they came.
    private func levelLatencies(
        between sorted: [HwlocTopology.Node]
    ) -> HwlocTopology.Latencies? {
        guard
            let matrix = levelMatrices.first(where: { $0.count == nodes.count && $0.isOfNodes })
        else { return nil }
        let positions = nodes.compactMap { node in sorted.firstIndex { $0.id == node.id } }
        return HwlocTopology.Latencies(positions: positions, values: matrix.values)
    }
}
