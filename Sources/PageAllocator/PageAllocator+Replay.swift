// Bringing the state back from what was recorded. Grants are replayed as pages, not as requests: a
// later version with other policies reads an older ledger to the same state.

/// A record that does not fit the state that the records before it led to: the ledger is not one
/// that this allocator wrote.
public enum ReplayFault: Error, Hashable, Sendable {
    /// Not all of the granted block is free in that zone.
    case grantNotFree(AllocationID)

    /// The freed block is not what the allocation holds there.
    case freeNotHeld(AllocationID)
}

extension PageAllocator {
    /// Grants exactly these pages.
    public mutating func replay(_ grant: Grant, as id: AllocationID) throws(ReplayFault) {
        guard machine.zones.indices.contains(grant.zone), grant.pfn < .limit,
            machine.zones[grant.zone].span.contains(grant.frames), claim(grant, as: id)
        else { throw .grantNotFree(id) }
    }

    /// Frees what `id` still holds of the block, which must be `pages` pages.
    public mutating func replayFree(
        of id: AllocationID, pfn: PageFrameNumber, order: Order, pages: UInt64
    ) throws(ReplayFault) {
        guard let live = grants[id] else { throw .freeNotHeld(id) }
        if pfn == live.grant.pfn, order == live.grant.order {
            guard live.livePages == pages else { throw .freeNotHeld(id) }
            _ = releaseAll(of: live)
            return
        }
        guard pages == order.pageCount, pfn.isAligned(to: order),
            let (first, block) = grants.block(holding: pfn), block.allocation == id,
            order <= block.order
        else { throw .freeNotHeld(id) }
        release(FrameRange(block: pfn, order: order), of: live, from: first)
    }
}
