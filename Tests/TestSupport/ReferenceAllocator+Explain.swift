// Why a request was refused: never, or not now; and zone by zone what stood in the way.

import PageAllocator

extension ReferenceAllocator {
    /// The same request put to the empty machine decides.
    func failure(_ request: ReferenceRequest, _ log: WalkLog) -> AllocationFailure {
        var empty = ReferenceAllocator(machine)
        var emptyLog = WalkLog()
        return empty.search(request, offered: nil, log: &emptyLog) != nil
            ? .outOfMemory(explanation(request, log)) : .unsatisfiable(.noBlockInBoundaries)
    }

    /// Why no attempt may take from a zone, whatever it holds.
    private func exclusion(_ request: ReferenceRequest, _ zone: Int) -> ZoneVerdict? {
        let node = nodePosition(ofZone: zone)
        if request.has(.thisNode), node != request.startNode { return .excludedByPolicy }
        if machine.zones[zone].type > request.zoneByFlags { return .excludedByZoneModifier }
        if machine.zones[zone].type > request.highestZone
            || !request.window.overlaps(zones[zone].span)
        {
            return .outsideBoundaries
        }
        return isEverTried(request, node) ? nil : .excludedByPolicy
    }

    /// Whether some attempt's masks let a node through.
    private func isEverTried(_ request: ReferenceRequest, _ node: Int) -> Bool {
        let isAllowed = request.allowedNodes?.contains(node) ?? true
        let isInMask = request.nodeMask?.contains(node) ?? true
        let isAtomic = request.has(.high) && !request.has(.directReclaim)
        let hasReserves = request.has(.memAlloc) && !request.has(.noMemAlloc)
        if isAtomic || hasReserves { return true }
        let keepsMask = !request.prefersMask
        // In its first pass a preferring request does not wait, and is atomic where it is high.
        if !keepsMask, request.has(.high) { return true }
        let mayFailNot = request.has(.noFail) && request.has(.directReclaim)
        return (isAllowed || mayFailNot) && (isInMask || !keepsMask)
    }

    private func explanation(_ request: ReferenceRequest, _ log: WalkLog) -> Explanation {
        Explanation(
            highestZone: request.highestZone,
            zones: zonelists[request.startNode].map { zone in
                let last = log.last[zone]
                let verdict =
                    exclusion(request, zone) ?? last?.verdict ?? .excludedByPolicy
                return ZoneExplanation(
                    zone: zone, freePages: zones[zone].freePages,
                    freeBlocks: zones[zone].freeBlockCounts,
                    watermark: last?.mark.map { UInt64(max(0, $0)) },
                    lowmemReserve: lowmemReserve(request, zone), verdict: verdict)
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
