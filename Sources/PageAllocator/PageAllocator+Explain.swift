// Why a request was refused: each zone of the walk, in the order tried, with what it holds and what
// became of it.

/// The walk over the zonelist of the starting node.
public struct Explanation: Hashable, Sendable {
    /// The highest zone that the request may use: the column of `lowmem_reserve` that holds for it.
    public let highestZone: ZoneType

    /// In the order tried.
    public let zones: [ZoneExplanation]

    /// Which of the kernel's rules this allocator does not apply, by name.
    public static let notModelled = [
        "watermarks", "lowmem_reserve", "migratetype fallback", "per-cpu lists", "reclaim",
        "compaction", "OOM killer", "memory cgroups",
    ]

    public init(highestZone: ZoneType, zones: [ZoneExplanation]) {
        self.highestZone = highestZone
        self.zones = zones
    }
}

/// One zone of the walk.
public struct ZoneExplanation: Hashable, Sendable {
    /// The zone's position in the machine's `zones`.
    public let zone: Int
    public let freePages: UInt64

    /// Free blocks of each order, 0 first.
    public let freeBlocks: [UInt64]
    public let verdict: ZoneVerdict

    public init(zone: Int, freePages: UInt64, freeBlocks: [UInt64], verdict: ZoneVerdict) {
        self.zone = zone
        self.freePages = freePages
        self.freeBlocks = freeBlocks
        self.verdict = verdict
    }
}

extension PageAllocator {
    func explanation(_ decision: PlacementDecision) -> Explanation {
        Explanation(
            highestZone: decision.highestZone,
            zones: machine.zonelists[decision.node].map { zone in
                ZoneExplanation(
                    zone: zone, freePages: freePages(inZone: zone),
                    freeBlocks: freeBlocks(inZone: zone), verdict: verdict(decision, on: zone))
            })
    }

    private func verdict(_ decision: PlacementDecision, on zone: Int) -> ZoneVerdict {
        let exclusion = unsafe decision.exclusion(
            node: zones[zone].node, type: zones[zone].type, span: zones[zone].span)
        if let exclusion { return exclusion }
        if unsafe zones[zone].buddies.canAllocate(decision.order, within: decision.window) {
            return .granted
        }
        let isLargeEnough = freeBlocks(inZone: zone)[decision.order.rawValue...].contains { $0 > 0 }
        return isLargeEnough ? .noBlockInRange : .noBlockOfOrder
    }
}
