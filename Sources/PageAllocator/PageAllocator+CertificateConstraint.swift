// Which rule it is that keeps a request from free pages.

extension PageAllocator {
    /// The binding constraint of a refused request:
    ///
    /// 1. `freePages` where no zone of the machine has so many free pages.
    /// 2. Else the first rule, in the order of `Constraint`, without which the request would be
    ///    granted, all other rules as they are.
    /// 3. Where no single rule is enough they are lifted one after the other, in that order; the
    ///    one that makes it fit is named.
    ///
    /// Without `watermark` no mark holds and nothing is kept for others; without `zoneModifier` any
    /// kind of zone serves; `node` is `__GFP_THISNODE`, `policy` the memory policy and the allowed
    /// nodes; `alignment` includes the phase, but not the natural alignment of a block. Without
    /// `contiguity`, or `maxSegments` where several segments were allowed, any free pages of a zone
    /// within the boundaries do.
    func bindingConstraint(of request: AllocationRequest) -> Constraint {
        let pages = request.control.pageCount
        let isThere = machine.zones.indices.contains { freePages(inZone: $0) >= pages }
        guard isThere else { return .freePages }
        let rules = Constraint.allCases.filter { request.isSubject(to: $0) }
        if let rule = rules.first(where: { isGranted(request, without: [$0]) }) { return rule }
        for count in 2...max(rules.count, 2) where count <= rules.count {
            let lifted = Array(rules.prefix(count))
            if isGranted(request, without: lifted) { return rules[count - 1] }
        }
        return .freePages
    }

    /// Whether the request would be granted if those rules did not hold.
    func isGranted(_ request: AllocationRequest, without rules: [Constraint]) -> Bool {
        let request = rules.reduce(request) { $0.without($1) }
        let takesPieces = rules.contains(.contiguity) || rules.contains(.maxSegments)
        guard takesPieces || rules.contains(.watermark) else {
            return placement(of: request) != nil
        }
        let candidates =
            rules.contains(.watermark) ? zonesThatMayServe(request) : zonesAboveMark(request)
        return candidates.contains { zone in
            takesPieces
                ? unsafe zones[zone].buddies.hasFreePages(
                    request.control.pageCount, within: request.control.window)
                : unsafe zones[zone].buddies.holds(request)
        }
    }
}

extension AllocationRequest {
    /// Whether the rule can keep anything from the request.
    func isSubject(to rule: Constraint) -> Bool {
        switch rule {
        case .freePages: false
        case .watermark: true
        case .contiguity: control.pageCount > 1 && control.maxSegments == 1
        case .maxSegments: control.pageCount > 1 && control.maxSegments > 1
        case .node, .policy, .zoneModifier, .lowBoundary, .highBoundary, .alignment, .boundary:
            without(rule) != self
        }
    }

    /// The request that does not have the rule; the same request for a rule that is no field of it.
    func without(_ rule: Constraint) -> AllocationRequest {
        var request = self
        switch rule {
        case .node:
            request.remove([.thisNode])
        case .policy:
            request.control.memoryPolicy = nil
            request.control.allowedNodes = nil
        case .zoneModifier:
            // `__GFP_HIGHMEM` and `__GFP_MOVABLE` together: every kind of zone, the highest first.
            request.remove([.dma, .dma32, .reclaimable])
            request.control.flags.formUnion([.highmem, .movable])
        case .lowBoundary:
            request.control.lowBoundary = 0
        case .highBoundary:
            request.control.highBoundary = .max
        case .alignment:
            request.control.alignment = 0
            request.control.phase = 0
        case .boundary:
            request.control.boundary = 0
        case .freePages, .watermark, .contiguity, .maxSegments:
            break
        }
        return request
    }

    mutating func remove(_ flags: GFPFlags) {
        control.flags.subtract(flags)
        additionalFlags.subtract(flags)
    }
}

extension BuddyAllocator {
    /// Whether the free pages hold what the request asks for, whatever lists they stand in.
    mutating func holds(_ request: AllocationRequest) -> Bool {
        guard let query = try? RunQuery(request) else { return false }
        return findSegments(query, atMost: query.maxSegments) != nil
    }

    /// Whether so many pages within the window are free, in whatever pieces.
    mutating func hasFreePages(_ wanted: UInt64, within window: FrameRange) -> Bool {
        let zone = FrameRange(base, base + UInt64(frameCount))
        guard freePages >= wanted, let frames = window.intersection(zone) else { return false }
        if frames == zone { return true }
        guard wanted > Order.max.pageCount else { return hasFewFreePages(wanted, in: frames) }
        prepareRunIndex()
        return countFree(in: frames) >= wanted
    }

    /// Block by block, the largest first: so few that no index need be made for them.
    private func hasFewFreePages(_ wanted: UInt64, in frames: FrameRange) -> Bool {
        var found: UInt64 = 0
        for order in (0..<Order.count).reversed() where freeOrderMask >> UInt16(order) & 1 != 0 {
            let last = (frames.upperBound.rawValue - base.rawValue - 1) >> UInt64(order)
            var next = Int((frames.lowerBound.rawValue - base.rawValue) >> UInt64(order))
            while found < wanted, let block = firstFreeBlock(order, atOrAfter: next), block <= last
            {
                let first = base + UInt64(block << order)
                let part = FrameRange(block: first, order: Order(unchecked: order))
                    .intersection(frames)
                found += part?.count ?? 0
                next = block + 1
            }
        }
        return found >= wanted
    }
}
