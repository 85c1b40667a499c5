// Memory policies, and what a request asks of its pages' place, as the contract spells them.

import JSON
import PageAllocator

extension JSONReader {
    /// A `mempol`; `mode` must be there.
    mutating func readMemoryPolicy() throws(JSONError) -> MemoryPolicy {
        var policy = MemoryPolicy(mode: .default)
        var hasMode = false
        try readObject { (key, reader) throws(JSONError) in
            switch key {
            case "mode":
                hasMode = true
                policy.mode = try reader.readWord(among: MemoryPolicy.Mode.names)
            case "nodes": policy.nodes = try reader.readNodes()
            case "flags": policy.flags = try reader.readPolicyFlags()
            case "weights": policy.weights = try reader.readWeights()
            case "home_node": policy.homeNode = try reader.readNodeNumber()
            default: throw JSONReader.unknownMember(key)
            }
        }
        guard hasMode else { throw failure("must have the member mode") }
        return policy
    }

    private mutating func readPolicyFlags() throws(JSONError) -> MemoryPolicy.Flags {
        var flags: MemoryPolicy.Flags = []
        try readArray { (_, reader) throws(JSONError) in
            let flag = try reader.readWord(among: MemoryPolicy.Flags.names)
            guard flags.insert(flag).inserted else {
                throw reader.failure("must not be named more than once")
            }
        }
        return flags
    }

    /// The weight of each node, by its number.
    private mutating func readWeights() throws(JSONError) -> [MemoryPolicy.Weight] {
        var weights: [MemoryPolicy.Weight] = []
        try readObject { (key, reader) throws(JSONError) in
            let node = try reader.node(named: key.text)
            let pages = try reader.readInt()
            guard let pages = UInt8(exactly: pages), pages > 0 else {
                throw reader.failure("must be a weight from 1 to \(UInt8.max)")
            }
            weights.append(MemoryPolicy.Weight(node: node, pages: pages))
        }
        return weights.sorted { $0.node < $1.node }
    }

    /// The nodes of a cpuset: one at least.
    mutating func readNodeMask() throws(JSONError) -> [NodeID] {
        let nodes = try readNodes()
        guard !nodes.isEmpty else { throw failure("must name one node at least") }
        return nodes
    }

    /// Node numbers, each once, in any order; ascending.
    private mutating func readNodes() throws(JSONError) -> [NodeID] {
        var nodes: [NodeID] = []
        try readArray { (_, reader) throws(JSONError) in
            let node = try reader.readNodeNumber()
            guard !nodes.contains(node) else {
                throw reader.failure("must not be named more than once")
            }
            nodes.append(node)
        }
        return nodes.sorted()
    }

    private mutating func readNodeNumber() throws(JSONError) -> NodeID {
        guard let node = NodeID(try readInt()) else {
            throw failure("must be a node number from 0 to \(NodeID.limit - 1)")
        }
        return node
    }

    /// A power of two, in bytes; 0: nothing is asked.
    mutating func readPowerOfTwo() throws(JSONError) -> UInt64 {
        let bytes = try readByteCount()
        guard bytes & (bytes &- 1) == 0 else { throw failure("must be a power of two, or 0") }
        return bytes
    }

    mutating func readPageCount() throws(JSONError) -> UInt64 {
        let pages = try readUInt64()
        guard (1...ControlLimits.pages).contains(pages) else {
            throw failure("must be from 1 to \(ControlLimits.pages) pages")
        }
        return pages
    }

    mutating func readSegmentCount() throws(JSONError) -> Int {
        let segments = try readInt()
        guard (1...ControlLimits.segments).contains(segments) else {
            throw failure("must be from 1 to \(ControlLimits.segments) segments")
        }
        return segments
    }

    mutating func readFit() throws(JSONError) -> Fit {
        try readWord(among: Fit.allCases.map { ($0.rawValue, $0) })
    }

    /// One of a closed set of words.
    private mutating func readWord<Value>(
        among values: [(name: String, Value)]
    ) throws(JSONError) -> Value {
        let word = try readString()
        guard let value = values.first(where: { $0.name == word })?.1 else {
            let names = values.map(\.name).joined(separator: ", ")
            throw failure("must be one of \(names)")
        }
        return value
    }
}

extension MemoryPolicy.Mode {
    static let names: [(name: String, Self)] = allCases.map { ($0.name, $0) }
}

extension MemoryPolicy.Flags {
    /// The names in <linux/mempolicy.h>, without `MPOL_F_` and in lower case.
    static let names: [(name: String, Self)] = [
        ("static_nodes", .staticNodes), ("relative_nodes", .relativeNodes),
        ("numa_balancing", .numaBalancing),
    ]
}
