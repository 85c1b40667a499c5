// Why a request was refused: never, or not now; and zone by zone what stood in the way.

import PageAllocator

extension ReferenceAllocator {
    /// The same request put to the empty machine decides.
    func failure(_ request: ReferenceRequest, _ log: WalkLog) -> AllocationFailure {
        var empty = self
        empty.zones = emptyZones
        var emptyLog = WalkLog()
        return empty.search(request, offered: nil, log: &emptyLog) != nil
            ? .outOfMemory(explanation(request, log)) : .unsatisfiable(.noBlockInBoundaries)
    }

    /// Why a zone was never tried: what kept it out of the first attempt.
    private func exclusion(_ request: ReferenceRequest, _ zone: Int) -> ZoneVerdict {
        let node = nodePosition(ofZone: zone)
        let first = attempts(request)[0]
        let isMasked =
            request.has(.thisNode) && node != request.startNode
            || !(first.nodeMask?.contains(node) ?? true) || !(first.cpuset?.contains(node) ?? true)
        if isMasked { return .excludedByPolicy }
        return machine.zones[zone].type > request.zoneByFlags
            ? .excludedByZoneModifier : .outsideBoundaries
    }

    private func explanation(_ request: ReferenceRequest, _ log: WalkLog) -> Explanation {
        Explanation(
            highestZone: request.highestZone,
            zones: zonelists[request.startNode].map { zone in
                let last = log.last[zone]
                return ZoneExplanation(
                    zone: zone, freePages: zones[zone].freePages,
                    freeBlocks: zones[zone].freeBlockCounts,
                    watermark: last?.mark.map { UInt64(max(0, $0)) },
                    lowmemReserve: lowmemReserve(request, zone),
                    verdict: last?.verdict ?? exclusion(request, zone))
            }, kernelWouldTry: kernelWouldTry(request))
    }

    /// `__alloc_pages_slowpath`: compaction comes before reclaim for costly orders and for pages
    /// that cannot be moved.
    private func kernelWouldTry(_ request: ReferenceRequest) -> Explanation.Unmodelled? {
        guard request.has(.directReclaim) else { return nil }
        let isCostly = request.pages > 8
        let hasReserves = request.has(.memAlloc) && !request.has(.noMemAlloc)
        let compacts = isCostly || (request.pages > 1 && request.type != .movable)
        return compacts && !hasReserves ? .compaction : .reclaim
    }
}
