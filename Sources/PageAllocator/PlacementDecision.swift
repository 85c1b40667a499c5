// Which zones may serve a request, and in which order.
//
// What follows from the request and the machine's constants alone is settled first, here, before
// any free page is looked at: the highest zone, the starting node, the nodes that may serve, the
// window in page frames. What is settled is a value, so that allocating, explaining and answering
// for a recorded state walk the same zones with the same verdicts (`PlacementDecision+Walk.swift`).
//
// 1. The flags give the highest zone (`gfp_zone`); a kind that the machine lacks reads as Normal.
// 2. The window lowers it to the highest zone that overlaps the window on any node. A boundary acts
//    as GFP_DMA and GFP_DMA32 do, for any layout of zones. The prototype tested against
//    MAX_DMA32_ADDRESS first and so never reached ZONE_DMA for a 16 MiB device.
// 3. `node` or the policy gives the node whose zonelist is walked, and the nodes on it that may
//    serve; `__GFP_THISNODE` ends the walk with that node, and the policy is not asked then.
//
// The nodes allowed to a control are its cpuset. It has no ancestor to turn to: it is taken for a
// hardwalled one.
//
// Source: `alloc_pages_noprof`, `policy_nodemask`, mm/mempolicy.c; `prepare_alloc_pages`,
// `alloc_flags_nofragment`, `zone_statistics`, mm/page_alloc.c.

struct PlacementDecision {
    let order: Order

    /// Pages that the grant has: 2^order, or the length of a run.
    let pages: UInt64

    /// Whether the buddy lists alone can answer (`AllocationControl.isPlainBlock`).
    let isPlainBlock: Bool
    let effectiveFlags: GFPFlags
    let migratetype: Migratetype

    /// Where the walk starts, as an index into the machine's `nodes`.
    let node: Int

    /// The node of the caller's CPU.
    let localNode: Int

    /// The highest zone that the flags allow on this machine.
    let zoneByFlags: ZoneType

    /// The highest zone that the request may use: `highest_zoneidx`.
    let highestZone: ZoneType

    /// The frames that the grant may cover.
    let window: FrameRange

    /// The nodes to which the policy or the caller limits the walk; nil: it is not limited.
    let nodeMask: NodeMask?

    /// The cpuset.
    let allowedNodes: NodeMask

    /// The policy in force; `default` too where it is not asked.
    let mode: MemoryPolicy.Mode
    let dialect: KernelDialect

    /// - Parameters:
    ///   - contradictions: how zone bits are read that contradict each other.
    ///   - nodeMask: the nodes that the caller limits the walk to, as `__alloc_pages` takes them
    ///     beside a node; nil: none.
    /// - Throws: why no state of the machine's free pages could meet the request.
    init(
        _ request: borrowing AllocationRequest, on machine: borrowing Machine,
        contradictions: ContradictoryZoneBits = .refused, nodeMask: [NodeID]? = nil
    ) throws(Unsatisfiable) {
        effectiveFlags = request.effectiveFlags
        order = request.control.order
        pages = request.control.pageCount
        isPlainBlock = request.control.isPlainBlock
        window = request.control.window
        dialect = machine.dialect
        zoneByFlags = try Self.zone(effectiveFlags, contradictions, on: machine)
        guard let migratetype = effectiveFlags.migratetype else { throw .contradictoryMobility }
        self.migratetype = migratetype
        localNode = try Self.localNode(request, on: machine)
        guard window.count >= pages else { throw .windowTooSmall }
        highestZone = min(
            zoneByFlags, machine.highestZone(overlapping: window) ?? zoneByFlags)
        allowedNodes = machine.nodeMask(allowedTo: request.control)
        let choice = try NodeChoice.of(
            request, local: localNode, zoneByFlags: zoneByFlags, on: machine)
        node = choice.node
        mode = choice.mode
        if let nodeMask {
            self.nodeMask = machine.nodeMask(of: nodeMask)
        } else {
            self.nodeMask = choice.nodeMask
        }
    }

    private static func zone(
        _ flags: GFPFlags, _ contradictions: ContradictoryZoneBits, on machine: Machine
    ) throws(Unsatisfiable) -> ZoneType {
        var zone = flags.highestZone
        if zone == nil, contradictions == .readAsDMA { zone = .dma }
        guard let zone else { throw .contradictoryZoneFlags }
        return machine.placement.isConfigured(zone) ? zone : .normal
    }

    private static func localNode(
        _ request: AllocationRequest, on machine: Machine
    ) throws(Unsatisfiable) -> Int {
        guard let cpu = request.cpu else { return machine.defaultNodeIndex }
        guard let node = machine.placement.node(ofCPU: cpu) else { throw .noSuchCPU }
        return node
    }

    /// Why a zone cannot serve an attempt that may use those nodes, whatever it holds; nil where
    /// it may.
    @inline(__always)
    func exclusion(of zone: ZoneConstants, nodes: NodeMask) -> ZoneVerdict? {
        if !nodes.contains(zone.node) { return .excludedByPolicy }
        if zone.type > zoneByFlags { return .excludedByZoneModifier }
        if zone.type > highestZone || window.intersection(zone.span) == nil {
            return .outsideBoundaries
        }
        return nil
    }

    /// Whether some attempt may take from the zone.
    func mayUse(zone: Int, on machine: Machine) -> Bool {
        var attempts = Attempts(of: self, on: machine)
        while let attempt = attempts.next(of: self, on: machine) {
            if exclusion(of: machine.placement.zones[zone], nodes: attempt.nodes) == nil {
                return true
            }
        }
        return false
    }

    /// The first zone that the attempt would take: `preferred_zoneref`. A position in the machine's
    /// `zones`; nil where the request may use none.
    func preferredZone(_ nodes: NodeMask, on machine: Machine) -> Int? {
        for zone in machine.zonelists[node]
        where exclusion(of: machine.placement.zones[zone], nodes: nodes) == nil {
            return zone
        }
        return nil
    }

    /// How the kernel would count a grant from the zone at that position.
    func numaCount(ofGrantFrom zone: Int, attempt: Attempt, on machine: Machine) -> NUMACount {
        let preferred = preferredZone(attempt.nodes, on: machine) ?? zone
        return NUMACount(
            preferred: machine.placement.zones[preferred].node, local: localNode,
            isInterleaveHit: mode == .interleave
                && machine.placement.zones[zone].node == node)
    }

    /// What the kernel would do next where all attempts failed and this allocator gives up; nil
    /// where it would give up too.
    ///
    /// Source: `__alloc_pages_slowpath`, mm/page_alloc.c: a costly request and one that cannot
    /// move others' pages compact first.
    var kernelWouldTry: Explanation.Unmodelled? {
        guard effectiveFlags.contains(.directReclaim) else { return nil }
        let compactsFirst = isCostly || (pages > 1 && migratetype != .movable)
        return compactsFirst && AllocFlags(reserves: effectiveFlags) == nil
            ? .compaction : .reclaim
    }

    /// Whether it has more pages than are waited for.
    var isCostly: Bool { pages > Fragmentation.costlyOrder.pageCount }
}

extension Machine {
    /// The highest kind of zone, on any node, that has a frame in the window.
    func highestZone(overlapping window: FrameRange) -> ZoneType? {
        if window.contains(placement.memory) { return placement.highestPopulatedZone }
        var highest: ZoneType?
        for zone in zones where zone.isPopulated && window.intersection(zone.span) != nil {
            highest = max(highest ?? zone.type, zone.type)
        }
        return highest
    }

    /// The cpuset of a control: all nodes where it names none.
    func nodeMask(allowedTo control: AllocationControl) -> NodeMask {
        guard let allowed = control.allowedNodes else { return .all }
        return nodeMask(of: allowed)
    }

    /// The nodes of those numbers that the machine has.
    func nodeMask(of numbers: [NodeID]) -> NodeMask {
        NodeMask(numbers.compactMap { index(of: $0) }.map(NodeMask.init(node:)))
    }
}

/// What to make of zone bits that contradict each other.
public enum ContradictoryZoneBits: Sendable {
    /// There is no such request.
    case refused

    /// ZONE_DMA, silently, as a kernel reads them that was built without CONFIG_DEBUG_VM.
    case readAsDMA
}

/// What became of one zone in the walk.
public enum ZoneVerdict: String, CaseIterable, Hashable, Sendable {
    case granted
    case excludedByPolicy = "excluded_by_policy"
    case excludedByZoneModifier = "excluded_by_zone_modifier"
    case outsideBoundaries = "outside_boundaries"

    /// Too few pages would stay free.
    case belowWatermark = "below_watermark"

    /// No free block is large enough, wherever it lies.
    case noBlockOfOrder = "no_block_of_order"

    /// Large enough blocks are free, but none within the boundaries.
    case noBlockInRange = "no_block_in_range"

    /// Runs within the boundaries are long enough, but none at a place that `alignment`, `phase`
    /// and `boundary` allow.
    case wrongAlignment = "wrong_alignment"
}
