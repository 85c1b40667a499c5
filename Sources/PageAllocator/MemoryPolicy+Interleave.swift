// Whose turn it is. An interleave gives each of its nodes one page after the other; a weighted one
// gives each as many in a row as its weight. Either counts requests, not pages granted: a turn has
// passed also when the pages came from elsewhere, or not at all.
//
// A task's turns follow from where it stands (`InterleaveState`); those of a mapping from an index,
// so that a page's node does not depend on who touches it first.
//
// Source: `interleave_nodes`, `weighted_interleave_nodes`, `interleave_nid`,
// `weighted_interleave_nid`, `reduce_interleave_weights`, mm/mempolicy.c.

extension MemoryPolicy {
    /// The sum that weights made from bandwidths share out: `weightiness`.
    private static let automaticWeightSum: UInt64 = 32

    /// The node whose turn is next, and where the round stands afterwards; nil for other modes and
    /// where no node is left.
    func turn(
        after state: InterleaveState, among nodes: NodeMask, on machine: Machine
    ) -> (node: Int, state: InterleaveState)? {
        switch mode {
        case .interleave:
            return Self.next(after: state.previous, among: nodes, on: machine).map {
                ($0, InterleaveState(previous: machine.nodes[$0].id, weightLeft: 0))
            }
        case .weightedInterleave:
            if state.weightLeft > 0, let node = machine.index(of: state.previous),
                nodes.contains(node)
            {
                let left = state.weightLeft - 1
                return (node, InterleaveState(previous: state.previous, weightLeft: left))
            }
            return Self.next(after: state.previous, among: nodes, on: machine).map {
                let number = machine.nodes[$0].id
                return (
                    $0, InterleaveState(previous: number, weightLeft: weight(of: number) - 1)
                )
            }
        case .default, .preferred, .bind, .local, .preferredMany:
            return nil
        }
    }

    private static func next(
        after previous: NodeID, among nodes: NodeMask, on machine: Machine
    ) -> Int? {
        nodes.positions.first { machine.nodes[$0].id > previous } ?? nodes.first
    }

    /// Pages in a row: 1 where none is given.
    private func weight(of node: NodeID) -> UInt8 {
        max(1, weights.first { $0.node == node }?.pages ?? 1)
    }

    /// The node of the index-th page of a mapping that interleaves over `nodes`, which are in
    /// force; nil for other modes and for no nodes.
    public func node(atIndex index: UInt64, among nodes: [NodeID]) -> NodeID? {
        guard !nodes.isEmpty else { return nil }
        switch mode {
        case .interleave:
            return nodes[Int(index % UInt64(nodes.count))]
        case .weightedInterleave:
            var rest = index % nodes.reduce(0) { $0 + UInt64(weight(of: $1)) }
            for node in nodes {
                let weight = UInt64(weight(of: node))
                if rest < weight { return node }
                rest -= weight
            }
            return nil
        case .default, .preferred, .bind, .local, .preferredMany:
            return nil
        }
    }

    /// Weights in proportion to the nodes' bandwidths, in any one unit that keeps 32 times their
    /// sum within 64 bits: at least 1 each, without a common divisor. Linux 6.16 and later give
    /// them to nodes that nobody gave one.
    public static func automaticWeights(bandwidths: [UInt64]) -> [UInt8] {
        let sum = bandwidths.reduce(0, +)
        guard sum > 0 else { return bandwidths.map { _ in 1 } }
        let weights = bandwidths.map { max(1, automaticWeightSum * $0 / sum) }
        let divisor = weights.reduce(0, greatestCommonDivisor)
        return weights.map { UInt8($0 / divisor) }
    }

    private static func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }
}

extension AllocationRequest {
    /// Where the control's round of nodes stands after this call, granted or refused; nil where no
    /// interleaving policy is asked, and where it is not valid on the machine.
    public func interleaveAfter(on machine: Machine) -> InterleaveState? {
        interleaveTurn(on: machine)?.state
    }

    /// The node whose turn this call is; nil as above.
    public func interleaveNode(on machine: Machine) -> NodeID? {
        interleaveTurn(on: machine).map { machine.nodes[$0.node].id }
    }

    private func interleaveTurn(on machine: Machine) -> (node: Int, state: InterleaveState)? {
        guard asksPolicy, let policy = control.memoryPolicy,
            policy.mode == .interleave || policy.mode == .weightedInterleave
        else { return nil }
        let allowed = machine.nodeMask(allowedTo: control)
        guard let nodes = try? policy.effectiveNodes(allowed: allowed, on: machine) else {
            return nil
        }
        return policy.turn(after: interleave, among: nodes, on: machine)
    }
}
