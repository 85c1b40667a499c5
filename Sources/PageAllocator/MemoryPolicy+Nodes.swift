// Which of a policy's nodes count, and what the policy says of one request.
//
// A policy names nodes as its caller sees them. With `static_nodes`, and by default at the moment
// it is set, they are the nodes of those numbers; with `relative_nodes` they are places among the
// allowed nodes, folded round when there are fewer. What is not allowed or has no memory drops out;
// a policy of which nothing is left is an error.
//
// Source: `mpol_new`, `mpol_set_nodemask`, `mpol_relative_nodemask`, `mpol_rebind_nodemask`,
// `policy_nodemask`, `apply_policy_zone`, `sanitize_mpol_flags`, mm/mempolicy.c.

/// Where a request's walk starts, and to which nodes it is limited.
struct NodeChoice {
    /// A position in the machine's `nodes`.
    let node: Int

    /// nil: the walk is not limited.
    var nodeMask: NodeMask?

    /// `default` where no policy is asked.
    var mode = MemoryPolicy.Mode.default

    /// What `node` or the policy of the request's control says.
    ///
    /// - Parameters:
    ///   - local: the position of the caller's node.
    ///   - zoneByFlags: the highest zone that the flags allow.
    /// - Throws: why the node or the policy means nothing on the machine.
    @inline(__always)
    static func of(
        _ request: AllocationRequest, local: Int, zoneByFlags: ZoneType, on machine: Machine
    ) throws(Unsatisfiable) -> NodeChoice {
        if request.control.memoryPolicy == nil, request.control.node == nil {
            return NodeChoice(node: local)
        }
        return try named(request, local: local, zoneByFlags: zoneByFlags, on: machine)
    }

    private static func named(
        _ request: AllocationRequest, local: Int, zoneByFlags: ZoneType, on machine: Machine
    ) throws(Unsatisfiable) -> NodeChoice {
        let policy = request.control.memoryPolicy
        let allowed = machine.nodeMask(allowedTo: request.control)
        let nodes = try policy?.effectiveNodes(allowed: allowed, on: machine) ?? []
        if let number = request.control.node {
            guard let node = machine.index(of: number) else { throw .noSuchNode }
            return NodeChoice(node: node)
        }
        guard let policy, request.asksPolicy else { return NodeChoice(node: local) }
        return policy.choice(
            among: nodes, request.interleave, local: local, zoneByFlags: zoneByFlags, on: machine)
    }
}

extension MemoryPolicy {
    fileprivate func choice(
        among nodes: NodeMask, _ interleave: InterleaveState, local: Int, zoneByFlags: ZoneType,
        on machine: Machine
    ) -> NodeChoice {
        let home = homeNode.flatMap { machine.index(of: $0) } ?? local
        switch mode {
        case .default, .local:
            return NodeChoice(node: local, mode: mode)
        case .preferred:
            return NodeChoice(node: nodes.first ?? local, mode: mode)
        case .preferredMany:
            return NodeChoice(node: home, nodeMask: nodes, mode: mode)
        case .bind:
            // Requests for a lower zone are not bound: its pages may be on other nodes only.
            let lowest =
                nodes.isDisjoint(with: machine.placement.nodesBelowMovable)
                ? .movable : machine.placement.policyZone
            return NodeChoice(
                node: home, nodeMask: zoneByFlags >= lowest ? nodes : nil, mode: mode)
        case .interleave, .weightedInterleave:
            let turn = turn(after: interleave, among: nodes, on: machine)
            return NodeChoice(node: turn?.node ?? local, mode: mode)
        }
    }

    /// The nodes that count on the machine where those in `allowed` are allowed; none for a policy
    /// of the caller's own node.
    ///
    /// - Throws: `invalidPolicy`, `homeNodeNotSupported`, `noSuchNode` for a home node that the
    ///   machine has not.
    func effectiveNodes(
        allowed: NodeMask, on machine: Machine
    ) throws(Unsatisfiable) -> NodeMask {
        try validate(on: machine)
        guard !nodes.isEmpty else { return [] }
        let eligible = allowed.intersection(machine.placement.nodesWithMemory)
        let effective =
            flags.contains(.relativeNodes)
            ? Self.relative(nodes, to: eligible)
            : machine.nodeMask(of: nodes).intersection(eligible)
        guard !effective.isEmpty else { throw .invalidPolicy }
        return effective
    }

    /// The rules that hold on every set of allowed nodes.
    private func validate(on machine: Machine) throws(Unsatisfiable) {
        let known: Flags = [.staticNodes, .relativeNodes, .numaBalancing]
        let places: Flags = [.staticNodes, .relativeNodes]
        let takesHome = mode == .bind || mode == .preferredMany
        if homeNode != nil, !takesHome { throw .homeNodeNotSupported }
        if let homeNode, machine.index(of: homeNode) == nil { throw .noSuchNode }
        guard known.isSuperset(of: flags), !flags.isSuperset(of: places),
            takesHome || !flags.contains(.numaBalancing),
            mode != .weightedInterleave || machine.dialect != .linux61
        else { throw .invalidPolicy }
        let isValid =
            switch mode {
            case .default: nodes.isEmpty
            case .local: nodes.isEmpty && flags.isDisjoint(with: places)
            case .preferred: !nodes.isEmpty || flags.isDisjoint(with: places)
            case .bind, .interleave, .preferredMany, .weightedInterleave: !nodes.isEmpty
            }
        guard isValid else { throw .invalidPolicy }
    }

    /// `nodes_fold`, then `nodes_onto`: number n stands for place n modulo their count.
    private static func relative(_ nodes: [NodeID], to allowed: NodeMask) -> NodeMask {
        guard !allowed.isEmpty else { return [] }
        return NodeMask(
            nodes.compactMap { allowed.member(at: $0.rawValue % allowed.count) }
                .map(NodeMask.init(node:)))
    }

    /// What the policy's nodes are after the allowed ones have changed.
    ///
    /// - Parameters:
    ///   - effective: what they are now.
    ///   - old: the nodes allowed until now.
    ///   - new: the nodes allowed from now on. All are ascending, each once.
    public func nodes(
        from effective: [NodeID], whenAllowedChangesFrom old: [NodeID], to new: [NodeID]
    ) -> [NodeID] {
        let remapped: [NodeID]
        if flags.contains(.staticNodes) {
            remapped = nodes.filter(new.contains)
        } else if flags.contains(.relativeNodes) {
            remapped = new.isEmpty ? [] : nodes.map { new[$0.rawValue % new.count] }
        } else {
            // The n-th of the old ones becomes the n-th of the new ones, round and round.
            remapped = effective.map { node in
                guard let place = old.firstIndex(of: node), !new.isEmpty else { return node }
                return new[place % new.count]
            }
        }
        let ascending = remapped.sorted()
        let distinct = ascending.indices.filter { $0 == 0 || ascending[$0 - 1] != ascending[$0] }
            .map { ascending[$0] }
        return distinct.isEmpty ? new : distinct
    }
}

extension AllocationRequest {
    /// Whether the control's policy is asked: not where a node is named, nor for
    /// `__GFP_THISNODE`, which means the caller's own. Source: `alloc_pages_noprof`.
    var asksPolicy: Bool {
        control.memoryPolicy != nil && control.node == nil && !effectiveFlags.contains(.thisNode)
    }
}
