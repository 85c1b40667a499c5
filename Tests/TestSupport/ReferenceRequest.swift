// What a request comes to on a machine, before any free page is looked at: which zones in which
// order, for how many pages, at which places.

public import PageAllocator

struct ReferenceRequest {
    let flags: UInt32
    let type: Migratetype

    /// nil for a run of pages.
    let order: Int?
    let pages: UInt64
    let control: AllocationControl

    /// The highest zone by the flags alone, and with the boundaries.
    let zoneByFlags: ZoneType
    let highestZone: ZoneType

    /// Positions in the machine's `nodes`.
    let localNode: Int
    let startNode: Int

    /// The policy's nodes; nil: any.
    let nodeMask: Set<Int>?

    /// The cpuset's nodes; nil: all.
    let allowedNodes: Set<Int>?

    /// `MPOL_PREFERRED_MANY`: the mask first, then any node.
    let prefersMask: Bool

    /// Whether a plain interleave chose `startNode`.
    let isInterleaved: Bool

    func has(_ flag: GFPFlags) -> Bool { flags & flag.rawValue != 0 }

    /// Whole page frames within the boundaries.
    let window: Range<UInt64>

    /// `__GFP_COMP` of more than one page.
    var isCompound: Bool { has(.compound) && pages > 1 }

    static let pageSize: UInt64 = 4096

    /// Whether a segment of `pages` frames may begin at `first`.
    func conforms(_ first: UInt64, _ pages: UInt64) -> Bool {
        guard window.lowerBound <= first, first + pages <= window.upperBound else { return false }
        // A compound page lies at a multiple of its size, asked for by order or by pages.
        let isBlock = order != nil || has(.compound)
        if isBlock, first % self.pages != 0 { return false }
        let address = first * Self.pageSize
        if control.alignment > 0, address % control.alignment != control.phase { return false }
        let last = address + pages * Self.pageSize - 1
        return control.boundary == 0 || address / control.boundary == last / control.boundary
    }
}

extension ReferenceAllocator {
    /// `gfp_zone()` on x86-64: two bits for each combination of the four zone bits, and the
    /// combinations that are none (include/linux/gfp.h).
    private static let zoneTable: UInt32 = 0x132_0122
    private static let badZones: UInt32 = 0xe8e8

    /// What a request comes to; or the rules that it breaks, none before another.
    enum Settled {
        case possible(ReferenceRequest)
        case breaks(Set<Unsatisfiable>)
    }

    func settle(_ request: AllocationRequest) -> Settled {
        let control = request.control
        let flags = control.flags.rawValue | request.additionalFlags.rawValue
        let zoneByFlags = zoneByFlags(flags)
        let type = flags & 0x18 == 0x18 ? nil : Migratetype(rawValue: Int(flags & 0x18) >> 3)
        let pages = control.pages ?? 1 << UInt64(control.order.rawValue)
        let window = Self.window(of: control)
        var broken: Set<Unsatisfiable> = []
        if zoneByFlags == nil { broken.insert(.contradictoryZoneFlags) }
        if type == nil { broken.insert(.contradictoryMobility) }
        if control.pages != nil, flags & GFPFlags.compound.rawValue != 0,
            pages.nonzeroBitCount != 1 || control.maxSegments != 1
        {
            broken.insert(.compoundNotPowerOfTwo)
        }
        if isImpossible(control, pages) { broken.insert(.crossesBoundary) }
        let isBlock = control.pages == nil || flags & GFPFlags.compound.rawValue != 0
        if isBlock, isContradictory(control, pages) { broken.insert(.noBlockInBoundaries) }
        if UInt64(window.count) < pages { broken.insert(.windowTooSmall) }
        let placing = placing(of: request, flags: flags, zoneByFlags ?? .normal, &broken)
        guard broken.isEmpty, let zoneByFlags, let type else { return .breaks(broken) }
        let reached = machine.zones.filter { zone in
            let first = zone.startPFN.rawValue
            return !zone.presentRanges.isEmpty && window.overlaps(first..<first + zone.spannedPages)
        }
        return .possible(
            ReferenceRequest(
                flags: flags, type: type,
                order: control.pages == nil ? control.order.rawValue : nil, pages: pages,
                control: control, zoneByFlags: zoneByFlags,
                highestZone: min(zoneByFlags, reached.map(\.type).max() ?? zoneByFlags),
                localNode: placing.local, startNode: placing.start, nodeMask: placing.mask,
                allowedNodes: placing.allowed, prefersMask: placing.prefersMask,
                isInterleaved: placing.isInterleaved, window: window))
    }

    private func zoneByFlags(_ flags: UInt32) -> ZoneType? {
        let zoneBits = flags & 0xf
        guard (Self.badZones >> zoneBits) & 1 == 0 else { return nil }
        let type = ZoneType(rawValue: Int((Self.zoneTable >> (2 * zoneBits)) & 3)) ?? .normal
        return machine.zoneTypes.contains(type) ? type : .normal
    }

    /// By bytes, as they are stated.
    private static func window(of control: AllocationControl) -> Range<UInt64> {
        let size = ReferenceRequest.pageSize
        let first = control.lowBoundary / size + (control.lowBoundary % size == 0 ? 0 : 1)
        let end = control.highBoundary / size + (control.highBoundary % size == size - 1 ? 1 : 0)
        return first..<max(first, end)
    }

    /// No place meets it on any machine: between two boundaries no segment has more than
    /// `boundary - (phase mod boundary)` bytes.
    private func isImpossible(_ control: AllocationControl, _ pages: UInt64) -> Bool {
        guard control.boundary > 0 else { return false }
        let longest =
            (control.boundary - control.phase % control.boundary) / ReferenceRequest.pageSize
        return pages > longest * UInt64(control.maxSegments)
    }

    /// A block's natural alignment and the phase exclude each other.
    private func isContradictory(_ control: AllocationControl, _ pages: UInt64) -> Bool {
        let size = pages * ReferenceRequest.pageSize
        return control.phase % min(max(control.alignment, 1), size) != 0
    }

    // MARK: Nodes

    private struct Placing {
        var local: Int
        var start: Int
        var mask: Set<Int>?
        var allowed: Set<Int>?
        var prefersMask = false
        var isInterleaved = false
    }

    private func placing(
        of request: AllocationRequest, flags: UInt32, _ zoneByFlags: ZoneType,
        _ broken: inout Set<Unsatisfiable>
    ) -> Placing {
        let control = request.control
        var local = 0
        if let cpu = request.cpu ?? machine.nodes.flatMap(\.cpus).min() {
            let node = machine.nodes.firstIndex { $0.cpus.contains(cpu) }
            if node == nil { broken.insert(.noSuchCPU) }
            local = node ?? 0
        }
        var placing = Placing(local: local, start: local)
        if let named = control.node {
            let position = machine.nodes.firstIndex { $0.id == named }
            if position == nil { broken.insert(.noSuchNode) }
            placing.start = position ?? 0
        }
        placing.allowed = allowedNodes(control)
        guard let policy = control.memoryPolicy else { return placing }
        broken.formUnion(brokenRules(of: policy))
        let nodes = effectiveNodes(of: policy, allowed: placing.allowed)
        if Self.needsNodes(policy), nodes.isEmpty { broken.insert(.invalidPolicy) }
        // Asking for a node, or for the caller's own, asks no policy: `alloc_pages_node`, and
        // `alloc_pages` with __GFP_THISNODE.
        if broken.isEmpty, control.node == nil, flags & GFPFlags.thisNode.rawValue == 0 {
            apply(policy, nodes, request, zoneByFlags, to: &placing)
        }
        return placing
    }

    private func allowedNodes(_ control: AllocationControl) -> Set<Int>? {
        control.allowedNodes.map { allowed in
            Set(machine.nodes.indices.filter { allowed.contains(machine.nodes[$0].id) })
        }
    }

    /// `policy_nodemask`, mm/mempolicy.c.
    private func apply(
        _ policy: MemoryPolicy, _ nodes: [Int], _ request: AllocationRequest,
        _ zoneByFlags: ZoneType, to placing: inout Placing
    ) {
        let home = policy.homeNode.flatMap { home in
            machine.nodes.firstIndex { $0.id == home }
        }
        switch policy.mode {
        case .default, .local: break
        case .preferred:
            if let first = nodes.first { placing.start = first }
        case .preferredMany:
            placing.start = home ?? placing.local
            placing.mask = Set(nodes)
            placing.prefersMask = true
        case .bind:
            placing.start = home ?? placing.local
            if bindHolds(nodes, zoneByFlags, placing.allowed) { placing.mask = Set(nodes) }
        case .interleave, .weightedInterleave:
            placing.start = chosenNode(policy, nodes, request.interleave)
            placing.isInterleaved = policy.mode == .interleave
        }
    }

    /// `apply_policy_zone`: requests for zones below the highest that is not Movable are not bound.
    private func bindHolds(
        _ nodes: [Int], _ zoneByFlags: ZoneType, _ allowed: Set<Int>?
    ) -> Bool {
        let populated = machine.zones.filter { !$0.presentRanges.isEmpty && $0.type != .movable }
        let isMovableOnly = !populated.contains { zone in
            nodes.contains { machine.nodes[$0].id == zone.node }
        }
        let policyZone = isMovableOnly ? .movable : populated.map(\.type).max() ?? .dma
        let isAllowed = allowed.map { !$0.isDisjoint(with: nodes) } ?? true
        return zoneByFlags >= policyZone && isAllowed
    }

    // MARK: Policies

    private var nodesWithMemory: [Int] {
        machine.nodes.indices.filter { node in
            machine.zones.contains {
                $0.node == machine.nodes[node].id && !$0.presentRanges.isEmpty
            }
        }
    }

    /// `sanitize_mpol_flags`, `mpol_new`, `set_mempolicy_home_node`.
    private func brokenRules(of policy: MemoryPolicy) -> Set<Unsatisfiable> {
        var broken: Set<Unsatisfiable> = []
        let isFixed = policy.flags.contains(.staticNodes)
        let isRelative = policy.flags.contains(.relativeNodes)
        let mayHaveHome = policy.mode == .bind || policy.mode == .preferredMany
        let isTooNew = policy.mode == .weightedInterleave && machine.dialect == .linux61
        if isFixed && isRelative || isTooNew { broken.insert(.invalidPolicy) }
        if policy.flags.contains(.numaBalancing), !mayHaveHome { broken.insert(.invalidPolicy) }
        if let home = policy.homeNode {
            if !mayHaveHome { broken.insert(.homeNodeNotSupported) }
            if !machine.nodes.contains(where: { $0.id == home }) { broken.insert(.noSuchNode) }
        }
        let isLocal = policy.mode == .local || (policy.mode == .preferred && policy.nodes.isEmpty)
        if isLocal, isFixed || isRelative { broken.insert(.invalidPolicy) }
        if policy.mode == .default || policy.mode == .local, !policy.nodes.isEmpty {
            broken.insert(.invalidPolicy)
        }
        return broken
    }

    private static func needsNodes(_ policy: MemoryPolicy) -> Bool {
        switch policy.mode {
        case .default, .local: false
        case .preferred: !policy.nodes.isEmpty
        case .preferredMany, .bind, .interleave, .weightedInterleave: true
        }
    }

    /// `mpol_set_nodemask`: the nodes that count, ascending.
    func effectiveNodes(of policy: MemoryPolicy, allowed: Set<Int>?) -> [Int] {
        let base = nodesWithMemory.filter { allowed?.contains($0) ?? true }
        return policy.flags.contains(.relativeNodes)
            ? Self.folded(policy.nodes, onto: base)
            : base.filter { policy.nodes.contains(machine.nodes[$0].id) }
    }

    /// `mpol_relative_nodemask`: node n stands for the (n mod count)-th of `base`.
    private static func folded(_ nodes: [NodeID], onto base: [Int]) -> [Int] {
        base.isEmpty ? [] : Set(nodes.map { base[$0.rawValue % base.count] }).sorted()
    }

    // MARK: Rounds

    /// `interleave_nodes`, `weighted_interleave_nodes`: whose turn it is.
    private func chosenNode(
        _ policy: MemoryPolicy, _ nodes: [Int], _ state: InterleaveState
    ) -> Int {
        let numbers = nodes.map { machine.nodes[$0].id }
        if policy.mode == .weightedInterleave, state.weightLeft > 0,
            let stay = numbers.firstIndex(of: state.previous)
        {
            return nodes[stay]
        }
        return nodes[numbers.firstIndex { state.previous < $0 } ?? 0]
    }

    /// Where the control stands after the call, granted or refused for whatever reason; nil where
    /// it has no round.
    public func interleaveAfter(_ request: AllocationRequest) -> InterleaveState? {
        guard let policy = request.control.memoryPolicy,
            policy.mode == .interleave || policy.mode == .weightedInterleave,
            request.control.node == nil,
            !request.effectiveFlags.contains(.thisNode), brokenRules(of: policy).isEmpty
        else { return nil }
        let nodes = effectiveNodes(of: policy, allowed: allowedNodes(request.control))
        guard !nodes.isEmpty else { return nil }
        let state = request.interleave
        let chosen = machine.nodes[chosenNode(policy, nodes, state)].id
        guard policy.mode == .weightedInterleave else {
            return InterleaveState(previous: chosen, weightLeft: 0)
        }
        let stays = state.weightLeft > 0 && state.previous == chosen
        let weight = policy.weights.first { $0.node == chosen }.map { max(1, $0.pages) } ?? 1
        return InterleaveState(
            previous: chosen, weightLeft: (stays ? state.weightLeft : weight) - 1)
    }
}
