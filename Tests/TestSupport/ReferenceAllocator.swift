// The page allocator as one would explain it on paper: lists that are searched from end to end, and
// rules in the words of the kernel's source. It is slow and shares no idea of how to be fast with
// the code that it judges: no bitmaps, no summaries, no indexes.
//
// What it says is meant to be compared whole: the grant, or the reason with its explanation, and
// after each call the state.

public import PageAllocator

/// The allocator of one small machine.
public struct ReferenceAllocator {
    public let machine: Machine

    /// One for each of the machine's zones.
    var zones: [ReferenceZone]

    /// The same when all managed pages are free.
    let emptyZones: [ReferenceZone]

    /// Who holds each frame of the machine, from `origin` on; nil: nobody.
    var holders: [AllocationID?]
    let origin: UInt64

    /// Every grant that was ever made.
    var grants: [AllocationID: Grant] = [:]

    /// Grants that hold at least one frame, in the order made.
    public internal(set) var liveGrants: [AllocationID] = []

    /// For each of the machine's nodes.
    public internal(set) var numaCounts: [NUMACounts]

    /// For the i-th of the machine's nodes the zones in the order tried.
    let zonelists: [[Int]]

    /// For each zone the position of its node.
    private let nodeOfZone: [Int]

    /// All managed pages are free.
    public init(_ machine: Machine) {
        self.machine = machine
        let spans = machine.zones.filter { $0.spannedPages > 0 }.map(\.span)
        origin = spans.map(\.lowerBound.rawValue).min() ?? 0
        let end = spans.map(\.upperBound.rawValue).max() ?? origin
        holders = [AllocationID?](repeating: nil, count: Int(end - origin))
        numaCounts = [NUMACounts](repeating: NUMACounts(), count: machine.nodes.count)
        let groups = Self.groupsByMobility(machine)
        emptyZones = machine.zones.map {
            ReferenceZone($0, dialect: machine.dialect, groupsByMobility: groups)
        }
        zones = emptyZones
        nodeOfZone = machine.zones.map { zone in
            guard let node = machine.nodes.firstIndex(where: { $0.id == zone.node }) else {
                preconditionFailure("a zone of no node")
            }
            return node
        }
        let orders = Self.fallbackOrders(machine)
        zonelists = orders.map { order in
            order.flatMap { node in
                [ZoneType.movable, .normal, .dma32, .dma].compactMap { type in
                    machine.zones.firstIndex {
                        $0.node == machine.nodes[node].id && $0.type == type
                            && !$0.presentRanges.isEmpty
                    }
                }
            }
        }
    }

    /// `build_all_zonelists`: there must be a pageblock for each of five migratetypes free above
    /// the high marks.
    private static func groupsByMobility(_ machine: Machine) -> Bool {
        let pages = machine.zones.reduce(0) { sum, zone in
            sum + zone.managedPages - min(zone.managedPages, zone.watermarks.high)
        }
        return pages >= ReferenceZone.pageblockSize * 5
    }

    /// `find_next_best_node` at boot, when no node has CPUs yet.
    private static func fallbackOrders(_ machine: Machine) -> [[Int]] {
        var load = [Int](repeating: 0, count: machine.nodes.count)
        return machine.nodes.indices.map { local in
            var left = machine.nodes.indices.filter { node in
                machine.zones.contains {
                    $0.node == machine.nodes[node].id && !$0.presentRanges.isEmpty
                }
            }
            var order: [Int] = []
            while !left.isEmpty {
                let distances = machine.distances[local]
                let costs = left.map { node in
                    node == local
                        ? -1 : (distances[node] + (node < local ? 1 : 0)) * 1024 + load[node]
                }
                let best = left[costs.firstIndex(of: costs.min() ?? 0) ?? 0]
                if distances[best] != distances[order.last ?? local] { load[best] += 1 }
                order.append(best)
                left.removeAll { $0 == best }
            }
            return order
        }
    }

    // MARK: Allocating

    /// What must be granted, or the reason why nothing can be.
    ///
    /// - Parameter offered: what the allocator under test answered. Where the rules leave a choice,
    ///   of several broken ones or of several segments, this is taken if it keeps them.
    public mutating func allocate(
        _ request: AllocationRequest, as id: AllocationID,
        offered: Result<Grant, AllocationFailure>? = nil
    ) -> Result<Grant, AllocationFailure> {
        let settled: ReferenceRequest
        switch settle(request) {
        case .possible(let found): settled = found
        case .breaks(let rules):
            if case .failure(.unsatisfiable(let rule)) = offered, rules.contains(rule) {
                return .failure(.unsatisfiable(rule))
            }
            let first = Unsatisfiable.allCases.first(where: rules.contains)
            return .failure(.unsatisfiable(first ?? .noBlockInBoundaries))
        }
        let offered = try? offered?.get()
        var log = WalkLog()
        guard let found = search(settled, offered: offered, log: &log) else {
            return .failure(failure(settled, log))
        }
        let grant = grant(of: found, settled)
        for segment in grant.segments {
            let frames = segment.lowerBound.rawValue..<segment.upperBound.rawValue
            zones[grant.zone].hold(frames, movable: grant.migratetype == .movable)
            for frame in frames { holders[Int(frame - origin)] = id }
        }
        grants[id] = grant
        liveGrants.append(id)
        count(grant)
        return .success(grant)
    }

    /// Pages found, and by which attempt.
    struct Found {
        let segments: [Range<UInt64>]
        let zone: Int

        /// Of the first zone that the attempt's masks let through.
        let preferredNode: Int
    }

    private func grant(of found: Found, _ request: ReferenceRequest) -> Grant {
        let node = nodePosition(ofZone: found.zone)
        var grant: Grant
        if request.order != nil {
            grant = Grant(
                pfn: PageFrameNumber(found.segments[0].lowerBound), order: request.control.order,
                zone: found.zone, migratetype: request.type, isCompound: request.isCompound)
        } else {
            grant = Grant(
                segments: found.segments.map(FrameRange.init(sketched:)), zone: found.zone,
                migratetype: request.type, isCompound: request.isCompound)
        }
        grant.numa = NUMACount(
            preferred: found.preferredNode, local: request.localNode,
            isInterleaveHit: request.isInterleaved && node == request.startNode)
        return grant
    }

    /// `zone_statistics`: one count an allocation.
    private mutating func count(_ grant: Grant) {
        guard let numa = grant.numa else { return }
        let node = nodePosition(ofZone: grant.zone)
        if node == numa.preferred {
            numaCounts[node].hit += 1
        } else {
            numaCounts[node].miss += 1
            numaCounts[numa.preferred].foreign += 1
        }
        if node == numa.local {
            numaCounts[node].localNode += 1
        } else {
            numaCounts[node].otherNode += 1
        }
        if numa.isInterleaveHit { numaCounts[node].interleaveHit += 1 }
    }

    func nodePosition(ofZone zone: Int) -> Int { nodeOfZone[zone] }
}
