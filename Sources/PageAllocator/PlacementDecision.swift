// Which zones may serve a request, and in which order.
//
// What follows from the request and the machine's constants alone is settled first, here, before
// any free page is looked at: the highest zone, the starting node, the window in page frames. What
// is settled is a value, so that allocating and explaining walk the same zones with the same
// verdicts.
//
// 1. The flags give the highest zone (`gfp_zone`); a kind that the machine lacks reads as Normal.
// 2. The window lowers it to the highest zone that overlaps the window on any node. A boundary acts
//    as GFP_DMA and GFP_DMA32 do, for any layout of zones. The prototype tested against
//    MAX_DMA32_ADDRESS first and so never reached ZONE_DMA for a 16 MiB device.
// 3. The zonelist of the starting node is walked; `__GFP_THISNODE` ends it with that node.
//
// Watermarks, migratetypes and memory policies are not part of this decision yet: an allocation
// succeeds as long as a conforming block is free.

struct PlacementDecision {
    let order: Order
    let effectiveFlags: GFPFlags
    let migratetype: Migratetype

    /// Where the walk starts, as an index into the machine's `nodes`.
    let node: Int

    /// The highest zone that the flags allow on this machine.
    let zoneByFlags: ZoneType

    /// The highest zone that the request may use: `highest_zoneidx`.
    let highestZone: ZoneType

    /// The frames that the grant may cover.
    let window: FrameRange

    /// - Throws: why no state of the machine's free pages could meet the request.
    init(_ request: AllocationRequest, on machine: Machine) throws(Unsatisfiable) {
        let control = request.control
        effectiveFlags = request.effectiveFlags
        order = control.order
        window = control.window
        guard let zone = effectiveFlags.highestZone else { throw .contradictoryZoneFlags }
        guard let migratetype = effectiveFlags.migratetype else { throw .contradictoryMobility }
        self.migratetype = migratetype
        zoneByFlags = machine.zoneTypes.contains(zone) ? zone : .normal
        node = try Self.startingNode(request, on: machine)
        guard window.count >= order.pageCount else { throw .windowTooSmall }
        highestZone = min(zoneByFlags, machine.highestZone(overlapping: window) ?? zoneByFlags)
    }

    /// `node` names it; else it is the node of the caller's CPU.
    private static func startingNode(
        _ request: AllocationRequest, on machine: Machine
    ) throws(Unsatisfiable) -> Int {
        var local = machine.defaultNodeIndex
        if let cpu = request.cpu {
            guard let node = machine.nodeIndex(ofCPU: cpu) else { throw .noSuchCPU }
            local = node
        }
        guard let node = request.control.node else { return local }
        guard let index = machine.index(of: node) else { throw .noSuchNode }
        return index
    }

    /// Why a zone cannot serve the request, whatever it holds; nil where it may.
    func exclusion(
        node zoneNode: Int, type: ZoneType, span: FrameRange
    ) -> ZoneVerdict? {
        if effectiveFlags.contains(.thisNode), zoneNode != node { return .excludedByPolicy }
        if type > zoneByFlags { return .excludedByZoneModifier }
        if type > highestZone || window.intersection(span) == nil { return .outsideBoundaries }
        return nil
    }
}

extension Machine {
    /// The highest kind of zone, on any node, that has a frame in the window.
    func highestZone(overlapping window: FrameRange) -> ZoneType? {
        var highest: ZoneType?
        for zone in zones where zone.isPopulated && window.intersection(zone.span) != nil {
            highest = max(highest ?? zone.type, zone.type)
        }
        return highest
    }
}

/// What became of one zone in the walk.
public enum ZoneVerdict: String, CaseIterable, Hashable, Sendable {
    case granted
    case excludedByPolicy = "excluded_by_policy"
    case excludedByZoneModifier = "excluded_by_zone_modifier"
    case outsideBoundaries = "outside_boundaries"

    /// No free block is large enough, wherever it lies.
    case noBlockOfOrder = "no_block_of_order"

    /// Large enough blocks are free, but none within the boundaries.
    case noBlockInRange = "no_block_in_range"
}
