// Giving pages back, frame by frame.

public import PageAllocator

/// What a free gave back, frame by frame.
public struct FreedFrames: Hashable, Sendable {
    public let allocation: AllocationID
    public let pfn: PageFrameNumber

    /// nil for all of a run.
    public let order: Order?
    public let zone: Int
    public let frames: [UInt64]
    public let endsGrant: Bool

    init(
        _ frames: [UInt64], pfn: PageFrameNumber, order: Order?, of grant: Grant,
        _ id: AllocationID, endsGrant: Bool
    ) {
        allocation = id
        self.pfn = pfn
        self.order = order
        zone = grant.zone
        self.frames = frames
        self.endsGrant = endsGrant
    }

    /// The same of what the allocator under test freed.
    public init(_ freed: Freed) {
        allocation = freed.allocation
        pfn = freed.pfn
        order = freed.order
        zone = freed.zone
        frames = freed.ranges.flatMap { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        endsGrant = freed.endsGrant
    }
}

extension ReferenceAllocator {
    public mutating func free(_ id: AllocationID) -> Result<FreedFrames, FreeFailure> {
        let held = frames(heldBy: id)
        guard let grant = grants[id], !held.isEmpty else { return .failure(.unknownAllocation) }
        release(held, of: grant)
        liveGrants.removeAll { $0 == id }
        return .success(
            FreedFrames(held, pfn: grant.pfn, order: grant.order, of: grant, id, endsGrant: true))
    }

    public mutating func freeAPage(_ pfn: PageFrameNumber) -> Result<FreedFrames, FreeFailure> {
        switch holder(of: pfn) {
        case .failure(let failure): return .failure(failure)
        case .success(let (id, grant)):
            guard grant.isCompound else { return free([pfn.rawValue], .zero, of: grant, id) }
            guard pfn == grant.pfn else { return .failure(.notHead(grant.pfn)) }
            return free(id)
        }
    }

    public mutating func freeSomePages(
        _ pfn: PageFrameNumber, order: Order
    ) -> Result<FreedFrames, FreeFailure> {
        switch holder(of: pfn) {
        case .failure(let failure): return .failure(failure)
        case .success(let (id, grant)):
            if grant.isCompound, pfn != grant.pfn { return .failure(.notHead(grant.pfn)) }
            let size = UInt64(1) << UInt64(order.rawValue)
            if size > grant.pageCount || (grant.isCompound && size != grant.pageCount) {
                return .failure(.wrongOrder(asked: order, head: grant.pfn, granted: grant.order))
            }
            if grant.isCompound { return free(id) }
            guard pfn.rawValue % size == 0 else { return .failure(.misaligned) }
            let block = Array(pfn.rawValue..<pfn.rawValue + size)
            let granted = Set(Self.frames(of: grant))
            guard block.allSatisfy(granted.contains) else { return .failure(.notAllocated) }
            let held = Set(frames(heldBy: id))
            guard block.allSatisfy(held.contains) else { return .failure(.alreadyFreed) }
            return free(block, order, of: grant, id)
        }
    }

    private func holder(
        of pfn: PageFrameNumber
    ) -> Result<(AllocationID, Grant), FreeFailure> {
        if let id = holder(pfn.rawValue), let grant = grants[id] { return .success((id, grant)) }
        let isManaged = machine.zones.contains { zone in
            zone.managedRanges.contains { $0.lowerBound <= pfn && pfn < $0.upperBound }
        }
        return .failure(isManaged ? .notAllocated : .noSuchPage)
    }

    private func holder(_ frame: UInt64) -> AllocationID? {
        guard frame >= origin, frame - origin < UInt64(holders.count) else { return nil }
        return holders[Int(frame - origin)]
    }

    private mutating func free(
        _ block: [UInt64], _ order: Order, of grant: Grant, _ id: AllocationID
    ) -> Result<FreedFrames, FreeFailure> {
        release(block, of: grant)
        let endsGrant = frames(heldBy: id).isEmpty
        if endsGrant { liveGrants.removeAll { $0 == id } }
        return .success(
            FreedFrames(
                block, pfn: PageFrameNumber(block[0]), order: order, of: grant, id,
                endsGrant: endsGrant))
    }

    /// Each run of frames goes back as a whole.
    private mutating func release(_ frames: [UInt64], of grant: Grant) {
        var runs: [Range<UInt64>] = []
        for frame in frames {
            precondition(holder(frame) != nil, "the reference frees a page that is not held")
            holders[Int(frame - origin)] = nil
            if let last = runs.last, last.upperBound == frame {
                runs[runs.count - 1] = last.lowerBound..<frame + 1
            } else {
                runs.append(frame..<frame + 1)
            }
        }
        for run in runs {
            zones[grant.zone].hold(run, movable: false)
            zones[grant.zone].free(run)
        }
    }

    // MARK: What is alive

    /// The frames that a grant was given, ascending.
    private static func frames(of grant: Grant) -> [UInt64] {
        grant.segments.flatMap { $0.lowerBound.rawValue..<$0.upperBound.rawValue }.sorted()
    }

    /// The frames that a grant still holds, ascending.
    public func frames(heldBy id: AllocationID) -> [UInt64] {
        grants[id].map { Self.frames(of: $0).filter { holder($0) == id } } ?? []
    }
}
