// A plain block, taken from a zone that may serve: the buddy lists answer for it.

extension PlacementDecision {
    /// Takes the block from a zone above the attempt's mark; nil, with nothing changed, where it
    /// cannot serve.
    @inline(__always)
    func takeBlock(
        from zone: inout PageAllocator.ZoneState, zone position: Int, _ attempt: Attempt,
        numa: @autoclosure () -> NUMACount, on machine: borrowing Machine
    ) -> Grant? {
        var changes: [ZoneChange] = []
        var undo: [ZoneChange] = []
        guard
            releaseHighatomic(
                of: &zone, position, attempt, on: machine, changes: &changes, undo: &undo),
            let pfn = zone.buddies.allocate(
                order, for: migratetype, with: attempt.flags, within: window, changes: &changes)
        else { return nil }
        return Grant(
            pfn: pfn, order: order, zone: position, migratetype: migratetype,
            isCompound: isCompound, changes: changes, numa: numa())
    }

    /// What `takeBlock` would take, nothing changed.
    func findBlock(
        in zone: inout PageAllocator.ZoneState, zone position: Int, _ attempt: Attempt,
        on machine: borrowing Machine
    ) -> FrameRange? {
        var changes: [ZoneChange] = []
        var undo: [ZoneChange] = []
        defer { apply(undo.reversed(), to: &zone) }
        guard
            releaseHighatomic(
                of: &zone, position, attempt, on: machine, changes: &changes, undo: &undo)
        else { return nil }
        return zone.buddies.block(order, for: migratetype, with: attempt.flags, within: window)
            .map { FrameRange(block: $0, order: order) }
    }

    /// A single page is never compound: `prep_compound_page` is for order > 0.
    var isCompound: Bool { effectiveFlags.contains(.compound) && pages > 1 }

    /// Whether the grant is a block as was asked for, where it was asked for.
    @inline(__always)
    func isMet(byBlock grant: borrowing Grant) -> Bool {
        window.contains(grant.frames) && grant.pfn.isAligned(to: order)
    }

    // MARK: Pageblocks kept for atomic requests

    /// For an attempt that releases pageblocks: releases them, one by one, until the zone is above
    /// the attempt's mark and has a block; false, with nothing changed, where all of them would not
    /// be enough.
    private func releaseHighatomic(
        of zone: inout PageAllocator.ZoneState, _ position: Int,
        _ attempt: Attempt, on machine: borrowing Machine,
        changes: inout [ZoneChange], undo: inout [ZoneChange]
    ) -> Bool {
        guard attempt.releasesHighatomic else { return true }
        guard
            zone.buddies.canAllocate(
                order, for: migratetype, with: attempt.searchFlags,
                within: window)
        else { return false }
        var released = attempt
        released.releasesHighatomic = false
        while watermarkVerdict(
            on: zone.buddies.counters, ofZone: position, attempt: released, machine: machine) != nil
            || !zone.buddies.canAllocate(
                order, for: migratetype, with: attempt.flags,
                within: window)
        {
            let isReleased = zone.buddies.releaseHighatomic(
                to: migratetype, changes: &changes, undo: &undo)
            guard isReleased else {
                apply(undo.reversed(), to: &zone)
                (changes, undo) = ([], [])
                return false
            }
        }
        return true
    }

    private func apply(
        _ changes: ReversedCollection<[ZoneChange]>, to zone: inout PageAllocator.ZoneState
    ) {
        for change in changes {
            zone.buddies.apply(change)
        }
    }
}
