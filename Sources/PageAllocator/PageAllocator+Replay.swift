// Bringing the state back from what was recorded. Grants are replayed as pages, not as requests: a
// later version with other policies reads an older ledger to the same state.

/// A record that does not fit the state that the records before it led to: the ledger is not one
/// that this allocator wrote.
public enum ReplayFault: Error, Hashable, Sendable {
    /// Not all of the granted block is free in that zone.
    case grantNotFree(AllocationID)

    /// What is recorded with the grant changes what is not in its zone.
    case changeOutsideZone(AllocationID)

    /// The freed block is not what the allocation holds there.
    case freeNotHeld(AllocationID)
}

extension PageAllocator {
    /// Grants exactly these pages, after the changes that the search for them made.
    public mutating func replay(_ grant: Grant, as id: AllocationID) throws(ReplayFault) {
        guard machine.zones.indices.contains(grant.zone) else { throw .grantNotFree(id) }
        let span = machine.zones[grant.zone].span
        // Looked at first: the end of a block beyond all memory cannot be reckoned.
        guard span.contains(grant.pfn), grant.order.map({ grant.pfn.isAligned(to: $0) }) ?? true
        else { throw .grantNotFree(id) }
        for change in grant.changes {
            guard unsafe zones[grant.zone].buddies.canApply(change) else {
                throw .changeOutsideZone(id)
            }
            apply(change, toZone: grant.zone)
        }
        for segment in grant.segments {
            guard span.contains(segment),
                unsafe zones[grant.zone].buddies.take(segment, for: grant.migratetype)
            else { throw .grantNotFree(id) }
        }
        note(grant, as: id)
    }

    private mutating func apply(_ change: ZoneChange, toZone zone: Int) {
        if case .advanced(let pfn) = change {
            unsafe zones[zone].rotor = pfn
        } else {
            unsafe zones[zone].buddies.apply(change)
        }
    }

    /// Frees what `id` still holds of the block, which must be `pages` pages; of the whole grant
    /// where `order` is nil.
    public mutating func replayFree(
        of id: AllocationID, pfn: PageFrameNumber, order: Order?, pages: UInt64
    ) throws(ReplayFault) {
        guard let live = grants[id] else { throw .freeNotHeld(id) }
        guard let order, pfn != live.grant.pfn || order != live.grant.order else {
            guard live.livePages == pages else { throw .freeNotHeld(id) }
            _ = releaseAll(of: live)
            return
        }
        guard pages == order.pageCount, pfn.isAligned(to: order),
            let (first, block) = grants.block(holding: pfn), block.allocation == id,
            order <= block.order
        else { throw .freeNotHeld(id) }
        release(FrameRange(block: pfn, order: order), from: first)
    }
}
