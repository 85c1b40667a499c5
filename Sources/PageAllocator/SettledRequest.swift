// A request as far as the machine's constants settle it: where it may look, and for what.
// Allocating and explaining both go on from here, so that they cannot differ.

/// It is asked on the way of every request and large: borrowed, never copied.
struct SettledRequest: ~Copyable {
    let decision: PlacementDecision

    /// What the exact search looks for; nil for a plain block, which the buddy lists answer.
    let query: RunQuery?

    /// The order that the grant is said to have; nil for runs of pages.
    let order: Order?

    /// - Throws: why no state of the machine's free pages could meet the request.
    @inline(__always)
    init(
        _ request: borrowing AllocationRequest, on machine: borrowing Machine
    ) throws(Unsatisfiable) {
        let decision = try PlacementDecision(request, on: machine)
        let query = request.control.isPlainBlock ? nil : try RunQuery(request)
        self.decision = decision
        self.query = query
        order = request.control.pages == nil ? request.control.order : nil
    }

    /// Takes what is asked for from a zone above the attempt's mark; nil, with nothing changed,
    /// where it cannot serve.
    @inline(__always)
    func take(
        from zone: inout PageAllocator.ZoneState, zone position: Int,
        _ attempt: PlacementDecision.Attempt, on machine: borrowing Machine
    ) -> Grant? {
        if query != nil {
            var grant = takeRuns(from: &zone, zone: position)
            grant?.numa = decision.numaCount(ofGrantFrom: position, attempt: attempt, on: machine)
            return grant
        }
        return decision.takeBlock(
            from: &zone, zone: position, attempt,
            numa: decision.numaCount(ofGrantFrom: position, attempt: attempt, on: machine),
            on: machine)
    }

    /// The grant of these pages of a zone.
    func grant(of segments: [FrameRange], fromZone zone: Int) -> Grant {
        guard let order else {
            return Grant(
                segments: segments, zone: zone, migratetype: decision.migratetype,
                isCompound: decision.isCompound)
        }
        return Grant(
            pfn: segments[0].lowerBound, order: order, zone: zone,
            migratetype: decision.migratetype, isCompound: decision.isCompound)
    }

    /// What `take` would take, nothing changed.
    func find(
        in zone: inout PageAllocator.ZoneState, zone position: Int,
        _ attempt: PlacementDecision.Attempt, on machine: borrowing Machine
    ) -> [FrameRange]? {
        if query != nil { return findRuns(in: &zone) }
        return decision.findBlock(in: &zone, zone: position, attempt, on: machine).map { [$0] }
    }
}

// MARK: Runs

extension SettledRequest {
    /// Why a zone that is above the mark has nothing for the request.
    func shortfall(of zone: inout PageAllocator.ZoneState) -> ZoneVerdict {
        guard var query else {
            let isLargeEnough = zone.buddies.freeBlocks[decision.order.rawValue...]
                .contains { $0 > 0 }
            return isLargeEnough ? .noBlockInRange : .noBlockOfOrder
        }
        // Without the rules for the place, within the window; then anywhere in the zone.
        query.alignment = 1
        query.phase = 0
        query.boundary = 0
        if findRuns(query, in: &zone) != nil { return .wrongAlignment }
        query.window = FrameRange(PageFrameNumber(0), .limit)
        return findRuns(query, in: &zone) != nil ? .noBlockInRange : .noBlockOfOrder
    }

    private func takeRuns(from zone: inout PageAllocator.ZoneState, zone position: Int) -> Grant? {
        guard let query, let segments = findRuns(in: &zone), let last = segments.last else {
            return nil
        }
        for segment in segments {
            let isTaken = zone.buddies.take(segment, for: decision.migratetype)
            precondition(isTaken, "a run was found that is not free")
        }
        var grant = grant(of: segments, fromZone: position)
        if query.fit == .next {
            zone.rotor = last.upperBound
            grant.changes = [.advanced(to: last.upperBound)]
        }
        return grant
    }

    private func findRuns(in zone: inout PageAllocator.ZoneState) -> [FrameRange]? {
        guard var query else { return nil }
        query.rotor = zone.rotor
        return findRuns(query, in: &zone)
    }

    private func findRuns(
        _ query: RunQuery, in zone: inout PageAllocator.ZoneState
    ) -> [FrameRange]? {
        if let run = zone.buddies.findRun(query) { return [run] }
        guard query.maxSegments > 1 else { return nil }
        return zone.buddies.findSegments(query, atMost: query.maxSegments)
    }

    /// Whether the grant has the pages that were asked for, where they were asked for.
    func isMet(by grant: borrowing Grant) -> Bool {
        guard let query else { return decision.isMet(byBlock: grant) }
        return grant.pageCount == decision.pages
            && grant.furtherSegments.count < query.maxSegments
            && grant.segments.allSatisfy { query.admits($0) }
    }
}

// MARK: The empty machine

extension SettledRequest {
    /// Whether the request would be granted if every managed page were free.
    func canEverBeMet(on machine: Machine) -> Bool {
        decision.walk(
            on: machine, counters: { ZoneCounters(ofEmpty: machine.zones[$0]) },
            take: { zone, _ in fits(machine.zones[zone].managedRanges) ? true : nil }) ?? false
    }

    private func fits(_ ranges: [FrameRange]) -> Bool {
        guard let query else {
            return ranges.contains {
                $0.intersection(decision.window)?.firstBlock(of: decision.order) != nil
            }
        }
        return query.fits(in: ranges, segments: query.maxSegments)
    }
}

extension ZoneCounters {
    /// Of a zone whose managed pages are all free. Which orders have a block is not said exactly:
    /// the search for the place says it.
    fileprivate init(ofEmpty zone: Zone) {
        var orders = FreeOrders()
        orders[.movable] = 1 << UInt16(Order.count) - 1
        self.init(freePages: zone.managedPages, freeOrders: orders)
    }
}
