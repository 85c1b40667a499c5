// Whether a zone may give pages away: enough must stay free, and a large enough block must be
// there.
//
// All arithmetic is signed: a zone of which more is reserved than free is below every mark.
//
// Linux 6.1 takes the whole highatomic reserve off what it counts as free, 6.12 only the part of it
// that is free. The reserve rights of 6.1 are those of Linux 6.3 here: its stable releases have
// them (Debian's 6.1.192 does).
//
// Source: `__zone_watermark_ok`, `__zone_watermark_unusable_free`, `zone_watermark_fast`,
// mm/page_alloc.c.

struct WatermarkCheck {
    /// Pages that the request takes away.
    let pages: UInt64

    /// Some list must hold a block of at least this order; nil for a run of pages, which the exact
    /// search looks for.
    let order: Order?
    let flags: GFPFlags
    let dialect: KernelDialect

    /// Why a zone with these counters is passed over by the attempt; nil where it may serve.
    @inline(__always)
    func verdict(
        on counters: ZoneCounters, of zone: ZoneConstants, lowmemReserve: Int64,
        attempt: PlacementDecision.Attempt
    ) -> ZoneVerdict? {
        if attempt.mark == .none { return nil }
        let floor = Self.floor(of: zone, boost: counters.boost, attempt: attempt)
        guard
            isAbove(floor + lowmemReserve, counters, attempt)
                || isAboveWithoutBoost(counters, of: zone, lowmemReserve: lowmemReserve, attempt)
        else { return .belowWatermark }
        return hasBlock(counters.freeOrders, attempt) ? nil : .noBlockOfOrder
    }

    /// What must stay free beside the lowmem reserve: the attempt's mark with the zone's boost,
    /// less what its rights let it use. Pages; nil where no mark holds.
    static func floor(
        of zone: ZoneConstants, counters: ZoneCounters, attempt: PlacementDecision.Attempt
    ) -> UInt64? {
        guard attempt.mark != .none else { return nil }
        return UInt64(max(0, floor(of: zone, boost: counters.boost, attempt: attempt)))
    }

    private static func floor(
        of zone: ZoneConstants, boost: UInt64, attempt: PlacementDecision.Attempt
    ) -> Int64 {
        var floor = (attempt.mark == .low ? zone.low : zone.min) + Int64(boost)
        if attempt.flags.contains(.minReserve) {
            floor -= floor / 2
            if attempt.flags.contains(.nonBlock) { floor -= floor / 4 }
        }
        if attempt.flags.contains(.oom) { floor -= floor / 2 }
        return floor
    }

    private func isAbove(
        _ floor: Int64, _ counters: ZoneCounters, _ attempt: PlacementDecision.Attempt
    ) -> Bool {
        var free = Int64(counters.freePages) - Int64(pages) + 1
        if attempt.flags.isDisjoint(with: .reserves), !attempt.releasesHighatomic {
            free -= Int64(
                dialect == .linux61 ? counters.reservedHighatomic : counters.freeHighatomic)
        }
        return free > floor
    }

    /// A single page for `__GFP_HIGH` (6.1: `__GFP_ATOMIC`) at the min mark: the boost wakes kswapd
    /// early, and is no reason to refuse (`zone_watermark_fast`).
    private func isAboveWithoutBoost(
        _ counters: ZoneCounters, of zone: ZoneConstants, lowmemReserve: Int64,
        _ attempt: PlacementDecision.Attempt
    ) -> Bool {
        let isUrgent =
            dialect == .linux61 ? flags.contains(.atomic) : attempt.flags.contains(.minReserve)
        guard order == .zero, counters.boost > 0, attempt.mark == .min, isUrgent else {
            return false
        }
        let floor = Self.floor(of: zone, boost: 0, attempt: attempt)
        return isAbove(floor + lowmemReserve, counters, attempt)
    }

    /// A single page is there where any is free above the mark; more need a list that has them.
    private func hasBlock(_ free: FreeOrders, _ attempt: PlacementDecision.Attempt) -> Bool {
        guard let order, order > .zero else { return true }
        let orders = free[.unmovable] | free[.movable] | free[.reclaimable]
        if orders >> UInt16(order.rawValue) != 0 { return true }
        let mayUseHighatomic =
            !attempt.flags.isDisjoint(with: [.highatomic, .oom]) || attempt.releasesHighatomic
        return mayUseHighatomic && free[.highAtomic] >> UInt16(order.rawValue) != 0
    }
}

extension AllocFlags {
    /// Rights to more than an ordinary request may have: `ALLOC_RESERVES`.
    static let reserves: Self = [.nonBlock, .minReserve, .highatomic, .oom]

    /// What the slow path allows. Source: `gfp_to_alloc_flags`, mm/page_alloc.c.
    init(slowPath flags: GFPFlags, order: Order) {
        self = .cpuset
        if flags.contains(.high) { insert(.minReserve) }
        if flags.contains(.kswapdReclaim) { insert(.kswapd) }
        if !flags.contains(.directReclaim) {
            if !flags.contains(.noMemAlloc) {
                insert(.nonBlock)
                if order > .zero, flags.contains(.high) { insert(.highatomic) }
            }
            // What cannot wait for its own nodes may use those of others.
            if flags.contains(.high) { remove(.cpuset) }
        }
    }

    /// What the right to free memory for others allows in place of all else; nil without it.
    /// Source: `__gfp_pfmemalloc_flags`, mm/page_alloc.c, for a task like any other.
    init?(reserves flags: GFPFlags) {
        guard flags.contains(.memAlloc), !flags.contains(.noMemAlloc) else { return nil }
        self = flags.contains(.kswapdReclaim) ? [.noWatermarks, .kswapd] : .noWatermarks
    }
}
