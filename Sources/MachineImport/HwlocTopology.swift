// An hwloc export, as `lstopo FILE.xml` writes it: formats 1 to 3. A tree of objects, of which the
// NUMA nodes and the processing units (PU: a CPU as the kernel counts them) matter here, then
// matrices of distances between objects. Everything else, caches, devices, memory attributes, is
// passed over.
//
// Source: hwloc/topology-xml.c; the format is described by doc/examples and hwloc2.dtd.

public import PageAllocator
import XML

/// What an hwloc export says about memory and CPUs.
public struct HwlocTopology: Hashable, Sendable {
    /// The largest sum of the nodes' memory, in bytes.
    public static let maximumBytes = Machine.maximumSpannedPages * PageFrameNumber.pageSize

    /// The most elements of a document: those of 8,192 processing units, each with three caches of
    /// its own, are 50,000.
    public static let maximumElements = 200_000

    /// The most matrices of latencies between nodes.
    public static let maximumMatrices = 64

    public struct Node: Hashable, Sendable {
        public let id: NodeID

        /// hwloc's own number of the object.
        public let gpIndex: UInt64?

        /// Bytes that the kernel manages.
        public let memoryBytes: UInt64

        /// Bytes of the smallest kind of page; nil where the file does not say it.
        public let pageSize: UInt64?

        /// Whether the file calls it something else than usual memory: HBM, GPUMemory, NVM.
        public let isSpecial: Bool

        /// The CPUs that the memory is local to: several nodes may have the same.
        let cpus: HwlocCPUSet
    }

    /// How far nodes are apart, as the file says it.
    public struct Latencies: Hashable, Sendable {
        /// The positions in `nodes` of the matrix's rows.
        public let positions: [Int]

        /// Row by row.
        public let values: [UInt64]
    }

    /// Ascending by number.
    public let nodes: [Node]

    /// The numbers of the processing units, ascending.
    public let cpus: [Int]

    public let latencies: Latencies?

    /// As `uname -m` prints it; nil where the file does not say it.
    public let architecture: String?

    /// - Parameter document: UTF-8.
    /// - Throws: `ImportFailure.text`: the line, and the rule that it breaks.
    public init(parsing document: [UInt8]) throws(ImportFailure) {
        let reader = HwlocReader()
        var limits = XMLLimits()
        limits.elements = Self.maximumElements
        do throws(XMLFault) {
            try XMLReader.read(document, reader, limits: limits)
            nodes = try reader.finishedNodes()
            latencies = try reader.latencies(between: nodes)
        } catch {
            throw .text(.hwloc, line: error.line, rule: error.rule)
        }
        cpus = reader.hasCPU.indices.filter { reader.hasCPU[$0] }
        architecture = reader.architecture
    }

    /// The CPUs of each of `nodes`, and those that no node has.
    ///
    /// A kernel gives a CPU to one node, and hwloc counts it to each whose memory is local to it.
    /// Of these it belongs to the one that is local to the fewest; of equals, to usual memory; of
    /// equals, to the lowest number: memory without CPUs of its own is found after the rest.
    public var cpusByNode: (ofNodes: [[Int]], ofNone: [Int]) {
        var ofNodes = [[Int]](repeating: [], count: nodes.count)
        var ofNone: [Int] = []
        let order = nodes.indices.sorted { left, right in
            let (left, right) = (nodes[left], nodes[right])
            return (left.cpus.count, left.isSpecial ? 1 : 0, left.id)
                < (right.cpus.count, right.isSpecial ? 1 : 0, right.id)
        }
        for cpu in cpus {
            if let node = order.first(where: { nodes[$0].cpus.contains(cpu) }) {
                ofNodes[node].append(cpu)
            } else {
                ofNone.append(cpu)
            }
        }
        return (ofNodes, ofNone)
    }
}
