// Which single change of a refused request would have it granted at this moment.

extension PageAllocator {
    /// Each is asked for before it is named. Those that ease the binding constraint come first, the
    /// others in the order of `Constraint`, a smaller request last. Of each field the change is the
    /// smallest: the lowest `highBoundary`, the highest `lowBoundary`, the largest alignment, the
    /// fewest segments, the nearest node, the largest size. Boundaries are moved for one run, also
    /// where several were allowed.
    func relaxations(
        of request: AllocationRequest, binding: Constraint, largest: FrameRange?
    ) -> [Relaxation] {
        let found =
            flagsToAdd(request) + otherNodes(request) + policyLifted(request)
            + flagsToDrop(request) + lowerBoundaries(request) + higherBoundaries(request)
            + alignments(request) + boundaryLifted(request) + moreSegments(request)
            + smallerSizes(request, largest)
        return found.filter { $0.constraint == binding } + found.filter { $0.constraint != binding }
    }

    private func isGranted(_ request: AllocationRequest, _ relaxation: Relaxation) -> Bool {
        placement(of: request.relaxed(by: relaxation)) != nil
    }

    /// The first of several changes of one field, nearest first.
    private func first(_ request: AllocationRequest, _ changes: [Relaxation]) -> [Relaxation] {
        let tried = changes.prefix(Certificate.maximumZonesTried)
        return tried.first { isGranted(request, $0) }.map { [$0] } ?? []
    }

    // MARK: Who may serve

    /// Rights to more of what is kept back help only where pages are kept back.
    private func flagsToAdd(_ request: AllocationRequest) -> [Relaxation] {
        guard isGranted(request, without: [.watermark]) else { return [] }
        var changes: [Relaxation] = []
        if !request.effectiveFlags.contains(.high) { changes.append(.withFlags(.high)) }
        if request.effectiveFlags.isDisjoint(with: [.memAlloc, .noMemAlloc]) {
            changes.append(.withFlags(.memAlloc))
        }
        return first(request, changes)
    }

    private func otherNodes(_ request: AllocationRequest) -> [Relaxation] {
        guard
            request.isSubject(to: .node) || request.isSubject(to: .policy),
            let decision = try? PlacementDecision(request, on: machine)
        else { return [] }
        let others = machine.fallbackOrders[decision.node].filter { $0 != decision.node }
        return first(request, others.map { .node(machine.nodes[$0].id) })
    }

    private func policyLifted(_ request: AllocationRequest) -> [Relaxation] {
        request.isSubject(to: .policy) ? first(request, [.withoutPolicy]) : []
    }

    private func flagsToDrop(_ request: AllocationRequest) -> [Relaxation] {
        let zones = request.effectiveFlags.intersection([.dma, .dma32])
        let node = request.effectiveFlags.intersection([.thisNode])
        return [zones, node].filter { !$0.isEmpty }.flatMap { first(request, [.withoutFlags($0)]) }
    }

    // MARK: Where the pages may lie

    private func lowerBoundaries(_ request: AllocationRequest) -> [Relaxation] {
        guard request.isSubject(to: .lowBoundary) else { return [] }
        let runs = runs(for: request.without(.lowBoundary), fit: .topdown)
        let boundaries = runs.map { $0.lowerBound.address }.sorted(by: >)
        return first(request, boundaries.map { .lowBoundary($0) })
    }

    private func higherBoundaries(_ request: AllocationRequest) -> [Relaxation] {
        guard request.isSubject(to: .highBoundary) else { return [] }
        let runs = runs(for: request.without(.highBoundary), fit: .first)
        let boundaries = runs.map { $0.upperBound.lastByteBefore }.sorted()
        return first(request, boundaries.map { .highBoundary($0) })
    }

    /// The outermost free run in each zone.
    private func runs(for request: AllocationRequest, fit: Fit) -> [FrameRange] {
        var single = request
        single.control.fit = fit
        single.control.maxSegments = 1
        guard let query = try? RunQuery(single) else { return [] }
        return zonesThatMayServe(request).compactMap { unsafe zones[$0].buddies.findRun(query) }
    }

    /// What lies at an alignment lies at each smaller one, so that halving the range of exponents
    /// finds the largest. The phase stays, and so the alignment stays above it.
    private func alignments(_ request: AllocationRequest) -> [Relaxation] {
        let control = request.control
        guard request.isSubject(to: .alignment) else { return [] }
        var found: Relaxation?
        if control.phase == 0 {
            guard isGranted(request, .alignment(0)) else { return [] }
            found = .alignment(0)
        }
        var low = max(
            Int(PageFrameNumber.pageShift), UInt64.bitWidth - control.phase.leadingZeroBitCount)
        var high = control.alignment.trailingZeroBitCount
        while low < high {
            let middle = (low + high) / 2
            if isGranted(request, .alignment(1 << UInt64(middle))) {
                found = .alignment(1 << UInt64(middle))
                low = middle + 1
            } else {
                high = middle
            }
        }
        return found.map { [$0] } ?? []
    }

    private func boundaryLifted(_ request: AllocationRequest) -> [Relaxation] {
        request.isSubject(to: .boundary) ? first(request, [.boundary(0)]) : []
    }

    // MARK: How many, in how many pieces

    private func moreSegments(_ request: AllocationRequest) -> [Relaxation] {
        var divided = request
        divided.control.maxSegments = Certificate.maximumSegmentsTried
        guard
            request.control.pages != nil,
            request.control.maxSegments < Certificate.maximumSegmentsTried,
            let query = try? RunQuery(divided)
        else { return [] }
        let counts = zonesThatMayServe(request).compactMap { zone in
            unsafe zones[zone].buddies.findSegments(query, atMost: query.maxSegments)?.count
        }
        return first(
            request,
            counts.filter { $0 > request.control.maxSegments }.sorted().map { .maxSegments($0) })
    }

    private func smallerSizes(
        _ request: AllocationRequest, _ largest: FrameRange?
    ) -> [Relaxation] {
        guard let largest else { return [] }
        guard request.control.pages == nil else { return first(request, [.pages(largest.count)]) }
        return first(request, [.order(Order(unchecked: largest.count.trailingZeroBitCount))])
    }
}

extension PageFrameNumber {
    /// The last byte before the frame.
    fileprivate var lastByteBefore: UInt64 { rawValue << Self.pageShift &- 1 }
}

extension Relaxation {
    /// The rule that the change eases.
    fileprivate var constraint: Constraint {
        switch self {
        case .order, .pages: .contiguity
        case .lowBoundary: .lowBoundary
        case .highBoundary: .highBoundary
        case .alignment: .alignment
        case .boundary: .boundary
        case .maxSegments: .maxSegments
        case .node: .node
        case .withoutPolicy: .policy
        case .withoutFlags(let flags): flags.contains(.thisNode) ? .node : .zoneModifier
        case .withFlags: .watermark
        }
    }
}

extension AllocationRequest {
    /// The request with the one field changed.
    func relaxed(by relaxation: Relaxation) -> AllocationRequest {
        var request = self
        switch relaxation {
        case .order(let order): request.control.order = order
        case .pages(let pages): request.control.pages = pages
        case .lowBoundary(let address): request.control.lowBoundary = address
        case .highBoundary(let address): request.control.highBoundary = address
        case .alignment(let alignment): request.control.alignment = alignment
        case .boundary(let boundary): request.control.boundary = boundary
        case .maxSegments(let count): request.control.maxSegments = count
        case .node(let node): request.control.node = node
        case .withoutPolicy: request = request.without(.policy)
        case .withoutFlags(let flags): request.remove(flags)
        case .withFlags(let flags): request.additionalFlags.formUnion(flags)
        }
        return request
    }
}
