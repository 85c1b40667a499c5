// Giving pages back. The grants are known, so what the kernel leaves to the caller's honesty is
// checked: the order, the head of a compound page, a second free.
//
// Source: the RFC's `free_a_page` ("may be of higher order if allocated with GFP_COMP set") and
// `free_some_pages` ("higher orders allocated without GFP_COMP"); `__free_pages`, mm/page_alloc.c.
// The prototype's `free_a_page` freed order 0 whatever the page was.

/// What one call freed.
public struct Freed: Hashable, Sendable {
    public let allocation: AllocationID

    /// The block that the call named: for a whole grant, that of the grant. Its frames that had
    /// been freed before are not among `ranges`.
    public let pfn: PageFrameNumber

    /// nil for a whole grant that is a run of pages.
    public let order: Order?

    /// The zone's position in the machine's `zones`.
    public let zone: Int

    /// The lowest of what was freed; mostly all of it.
    let firstRange: FrameRange

    /// The rest of it.
    var furtherRanges: [FrameRange] = []

    /// Whether the grant holds nothing any more.
    public let endsGrant: Bool

    /// What was freed: disjoint, ascending.
    public var ranges: [FrameRange] { [firstRange] + furtherRanges }

    public var pages: UInt64 { furtherRanges.reduce(firstRange.count) { $0 + $1.count } }
}

extension PageAllocator {
    /// Frees a page: of a compound page, named by its head, all of it; else that one page.
    ///
    /// - Throws: `FreeFailure`; nothing has changed then.
    public mutating func freeAPage(_ pfn: PageFrameNumber) throws(FreeFailure) -> Freed {
        let (first, block) = try block(holding: pfn)
        guard block.isCompound else { return release(pfn, order: .zero, first: first, block) }
        return releaseAll(of: try compound(block, freedBy: pfn))
    }

    /// Frees the 2^order pages from `pfn`, which one grant must hold: a whole grant, or an aligned
    /// part of one that is not compound.
    ///
    /// - Throws: `FreeFailure`; nothing has changed then.
    public mutating func freeSomePages(
        _ pfn: PageFrameNumber, order: Order
    ) throws(FreeFailure) -> Freed {
        let (first, block) = try block(holding: pfn)
        if block.isCompound {
            let live = try compound(block, freedBy: pfn)
            guard live.grant.pageCount == order.pageCount else {
                throw .wrongOrder(asked: order, head: live.grant.pfn, granted: live.grant.order)
            }
            return releaseAll(of: live)
        }
        // Of a whole block, as it mostly is, nothing else can be wrong.
        if pfn != first || order != block.order { try check(pfn, order, partOf: block) }
        return release(pfn, order: order, first: first, block)
    }

    /// Whether the 2^order pages from `pfn`, which lies in the block, are a part of it.
    private func check(
        _ pfn: PageFrameNumber, _ order: Order, partOf block: LiveBlock
    ) throws(FreeFailure) {
        let grant = live(block).grant
        guard order.pageCount <= grant.pageCount else {
            throw .wrongOrder(asked: order, head: grant.pfn, granted: grant.order)
        }
        guard pfn.isAligned(to: order) else { throw .misaligned }
        let frames = FrameRange(block: pfn, order: order)
        guard grant.segments.joined().contains(where: { $0.contains(frames) }) else {
            throw .notAllocated
        }
        // An aligned part of a grant that is live as a whole lies in one of its blocks.
        guard order <= block.order else { throw .alreadyFreed }
    }

    /// Frees all that a grant still holds.
    ///
    /// - Throws: `unknownAllocation` where no grant of that name is alive. Whether there was one
    ///   is for the ledger to say.
    public mutating func free(_ id: AllocationID) throws(FreeFailure) -> Freed {
        guard let live = grants[id] else { throw .unknownAllocation }
        return releaseAll(of: live)
    }

    private func block(
        holding pfn: PageFrameNumber
    ) throws(FreeFailure) -> (first: PageFrameNumber, block: LiveBlock) {
        if let found = grants.block(holding: pfn) { return found }
        let isManaged = machine.zones.contains { zone in
            zone.managedRanges.contains { $0.contains(pfn) }
        }
        throw isManaged ? .notAllocated : .noSuchPage
    }

    private func live(_ block: LiveBlock) -> LiveGrant {
        guard let live = grants[block.allocation] else {
            preconditionFailure("a live block without its grant")
        }
        return live
    }

    /// The compound page of which `block` is part, named by its head.
    private func compound(
        _ block: LiveBlock, freedBy pfn: PageFrameNumber
    ) throws(FreeFailure) -> LiveGrant {
        let live = live(block)
        guard pfn == live.grant.pfn else { throw .notHead(live.grant.pfn) }
        return live
    }

    private mutating func release(
        _ pfn: PageFrameNumber, order: Order, first: PageFrameNumber, _ block: LiveBlock
    ) -> Freed {
        let frames = FrameRange(block: pfn, order: order)
        let (zone, endsGrant) = release(frames, from: first)
        return Freed(
            allocation: block.allocation, pfn: pfn, order: order, zone: zone, firstRange: frames,
            endsGrant: endsGrant)
    }

    mutating func releaseAll(of live: LiveGrant) -> Freed {
        let grant = live.grant
        if let order = grant.order, live.livePages == order.pageCount {
            // A block that is live as a whole was never split.
            release(grant.frames, from: grant.pfn)
            return Freed(
                allocation: live.id, pfn: grant.pfn, order: order, zone: grant.zone,
                firstRange: grant.frames, endsGrant: true)
        }
        let ranges = grants.removeAll(of: live)
        for range in ranges {
            unsafe zones[grant.zone].buddies.free(range, for: grant.migratetype)
        }
        let freed = Freed(
            allocation: live.id, pfn: grant.pfn, order: grant.order, zone: grant.zone,
            firstRange: ranges[0], furtherRanges: Array(ranges.dropFirst()), endsGrant: true)
        precondition(freed.pages == live.livePages, "a grant's live pages were miscounted")
        return freed
    }
}
