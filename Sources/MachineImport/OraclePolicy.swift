// The policy of the calling task, as a log writes it: `default`, or
// `mode:flags:nodes:il_prev[:il_weight]`, where nodes are those in force.

import PageAllocator

struct OraclePolicy {
    /// nil: the default.
    var policy: MemoryPolicy?
    var interleave = InterleaveState.start

    /// What cannot be read is the default policy.
    init(_ text: String, weights: [MemoryPolicy.Weight]) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 4, let mode = Int(parts[0]).flatMap(MemoryPolicy.Mode.init(rawValue:)),
            mode != .default
        else { return }
        // A list that is none has no nodes, and a policy without nodes is refused later.
        let nodes = (try? SysfsNodes.cpuList(String(parts[2]))) ?? []
        // The flags have done their work on the nodes already. A local policy has none of its own.
        policy = MemoryPolicy(
            mode: mode, nodes: mode == .local ? [] : nodes.compactMap(NodeID.init),
            weights: weights)
        interleave = InterleaveState(
            previous: Int(parts[3]).flatMap(NodeID.init) ?? InterleaveState.start.previous,
            weightLeft: parts.count > 4 ? UInt8(parts[4]) ?? 0 : 0)
    }

    /// Lines `/sys/kernel/mm/mempolicy/weighted_interleave/node0: 5`.
    static func weights(parsing text: String) -> [MemoryPolicy.Weight] {
        TextLine.lines(of: text).compactMap { line in
            let words = line.words
            guard words.count == 2, let file = words[0].split(separator: "/").last,
                file.hasPrefix("node"), file.hasSuffix(":"),
                let node = UInt64(decimal: file.dropFirst("node".count).dropLast())
                    .flatMap(Int.init(exactly:)).flatMap(NodeID.init),
                let pages = UInt64(decimal: words[1]).flatMap(UInt8.init(exactly:))
            else { return nil }
            return MemoryPolicy.Weight(node: node, pages: pages)
        }
    }
}
