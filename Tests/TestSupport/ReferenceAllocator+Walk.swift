// The attempts at a request, and for each the walk over the zonelist: `__alloc_pages_noprof`,
// `__alloc_pages_slowpath`, `get_page_from_freelist`, mm/page_alloc.c.

import PageAllocator

extension ReferenceAllocator {
    /// Which mark an attempt keeps.
    enum Mark {
        case low
        case min
        case none
    }

    /// One walk over the zonelist.
    struct Attempt {
        var mark: Mark
        var flags: AllocFlags

        /// nil: any node.
        var nodeMask: Set<Int>?

        /// The cpuset's nodes, where the attempt keeps to them.
        var cpuset: Set<Int>?

        /// The walk ends where the zones of another node begin.
        var zonesOfNode: Int?

        /// Whether each zone that refuses gives back its reserved pageblocks, one by one.
        var releasesHighatomic = false
    }

    /// What became of each zone when it was last tried.
    struct WalkLog {
        var last: [Int: (verdict: ZoneVerdict, mark: Int?)] = [:]
    }

    mutating func search(
        _ request: ReferenceRequest, offered: Grant?, log: inout WalkLog
    ) -> Found? {
        for attempt in attempts(request) {
            if let found = walk(request, attempt, offered, &log) { return found }
        }
        return nil
    }

    /// All that may be tried, in order.
    func attempts(_ request: ReferenceRequest) -> [Attempt] {
        guard request.prefersMask else {
            return attempts(request, flags: request.flags, request.nodeMask)
        }
        let preferring =
            request.flags & ~(GFPFlags.directReclaim.rawValue | GFPFlags.noFail.rawValue)
        return attempts(request, flags: preferring, request.nodeMask)
            + attempts(request, flags: request.flags, nil)
    }

    /// One call of `__alloc_pages_noprof`. A mask without any zone for the request ends it after
    /// the first attempt, whatever its rights.
    private func attempts(
        _ request: ReferenceRequest, flags: UInt32, _ mask: Set<Int>?
    ) -> [Attempt] {
        let fast = fastAttempts(request, mask)
        let slow = slowAttempts(request, flags, mask)
        let masked = Attempt(mark: .min, flags: [], nodeMask: mask)
        return candidates(request, masked).isEmpty
            ? fast : fast + slow + lastAttempts(request, flags, slow)
    }

    private func has(_ flags: UInt32, _ flag: GFPFlags) -> Bool { flags & flag.rawValue != 0 }

    /// At the low mark, within the cpuset; where it can, first without breaking up pageblocks as
    /// long as the preferred node's zones last.
    private func fastAttempts(_ request: ReferenceRequest, _ mask: Set<Int>?) -> [Attempt] {
        let fast = Attempt(
            mark: .low, flags: [], nodeMask: mask ?? request.allowedNodes,
            cpuset: request.allowedNodes)
        guard let preferred = candidates(request, fast).first, avoidsFragmentation(preferred)
        else { return [fast] }
        var whole = fast
        whole.flags.insert(.noFragment)
        whole.zonesOfNode = nodePosition(ofZone: preferred)
        return [whole, fast]
    }

    /// `alloc_flags_nofragment`.
    private func avoidsFragmentation(_ preferred: Int) -> Bool {
        guard machine.zones[preferred].type == .normal, machine.zoneTypes.contains(.dma32) else {
            return false
        }
        return machine.nodes.count == 1
            || machine.zones.contains {
                $0.node == machine.zones[preferred].node && $0.type == .dma32
                    && !$0.presentRanges.isEmpty
            }
    }

    /// `gfp_to_alloc_flags`, `__gfp_pfmemalloc_flags`: at the min mark, then with what reserves
    /// allow.
    private func slowAttempts(
        _ request: ReferenceRequest, _ flags: UInt32, _ mask: Set<Int>?
    ) -> [Attempt] {
        var alloc: AllocFlags = []
        if has(flags, .high) { alloc.insert(.minReserve) }
        if !has(flags, .directReclaim), !has(flags, .noMemAlloc) {
            alloc.insert(.nonBlock)
            if (request.order ?? 0) > 0, has(flags, .high) { alloc.insert(.highatomic) }
        }
        let ignoresCpuset = !has(flags, .directReclaim) && has(flags, .high)
        var attempts = [
            Attempt(
                mark: .min, flags: alloc, nodeMask: mask,
                cpuset: ignoresCpuset ? nil : request.allowedNodes)
        ]
        if has(flags, .memAlloc), !has(flags, .noMemAlloc) {
            attempts.append(
                Attempt(mark: .none, flags: .noWatermarks, nodeMask: nil, cpuset: nil))
        } else if ignoresCpuset {
            attempts.append(Attempt(mark: .min, flags: alloc, nodeMask: nil, cpuset: nil))
        }
        return attempts
    }

    /// Before the kernel gives up: reserved pageblocks go back (`should_reclaim_retry`), and
    /// `__GFP_NOFAIL` gets a part of the reserves, within the cpuset and then without.
    private func lastAttempts(
        _ request: ReferenceRequest, _ flags: UInt32, _ slow: [Attempt]
    ) -> [Attempt] {
        guard has(flags, .directReclaim), let last = slow.last else { return [] }
        var attempts: [Attempt] = []
        if !has(flags, .noRetry), request.control.isPlainBlock,
            request.pages <= 8 || has(flags, .retryMayFail)
        {
            attempts.append(last)
            attempts[0].releasesHighatomic = true
        }
        guard has(flags, .noFail) else { return attempts }
        return attempts + [
            Attempt(
                mark: .min, flags: .minReserve, nodeMask: last.nodeMask,
                cpuset: request.allowedNodes),
            Attempt(mark: .min, flags: .minReserve, nodeMask: last.nodeMask, cpuset: nil),
        ]
    }

    // MARK: One walk

    /// Zones that the highest zone, the boundaries and the masks let through, in the order tried.
    func candidates(_ request: ReferenceRequest, _ attempt: Attempt) -> [Int] {
        zonelists[request.startNode].filter { zone in
            let node = nodePosition(ofZone: zone)
            return machine.zones[zone].type <= request.highestZone
                && request.window.overlaps(zones[zone].span)
                && (!request.has(.thisNode) || node == request.startNode)
                && (attempt.nodeMask?.contains(node) ?? true)
                && (attempt.cpuset?.contains(node) ?? true)
        }
    }

    private mutating func walk(
        _ request: ReferenceRequest, _ attempt: Attempt, _ offered: Grant?, _ log: inout WalkLog
    ) -> Found? {
        let zones = candidates(request, attempt)
        for zone in zones {
            if let node = attempt.zonesOfNode, nodePosition(ofZone: zone) != node { break }
            if let found = take(request, attempt, zone, zones[0], offered, &log) { return found }
        }
        return nil
    }

    private mutating func take(
        _ request: ReferenceRequest, _ attempt: Attempt, _ zone: Int, _ preferred: Int,
        _ offered: Grant?, _ log: inout WalkLog
    ) -> Found? {
        let before = zones[zone]
        var segments = takeAboveMark(request, attempt, zone, offered, &log)
        while segments == nil, attempt.releasesHighatomic,
            zones[zone].releaseHighatomic(to: request.type)
        {
            segments = takeAboveMark(request, attempt, zone, offered, &log)
        }
        guard let segments else {
            // What does not help is not kept; the refusal is told as if all had been released.
            if attempt.releasesHighatomic, let (_, mark) = log.last[zone], let mark {
                zones[zone].forgetHighatomic()
                let verdict = refusal(request, attempt, zone, mark) ?? missing(request, zone)
                log.last[zone] = (verdict, mark)
            }
            zones[zone] = before
            return nil
        }
        return Found(
            segments: segments, zone: zone, preferredNode: nodePosition(ofZone: preferred))
    }

    private mutating func takeAboveMark(
        _ request: ReferenceRequest, _ attempt: Attempt, _ zone: Int, _ offered: Grant?,
        _ log: inout WalkLog
    ) -> [Range<UInt64>]? {
        let mark = self.mark(request, attempt, zone)
        if let mark, let verdict = refusal(request, attempt, zone, mark) {
            log.last[zone] = (verdict, mark)
            return nil
        }
        guard let segments = takePages(request, attempt, zone, offered) else {
            log.last[zone] = (missing(request, zone), mark)
            return nil
        }
        log.last[zone] = (.granted, mark)
        return segments
    }

    private mutating func takePages(
        _ request: ReferenceRequest, _ attempt: Attempt, _ zone: Int, _ offered: Grant?
    ) -> [Range<UInt64>]? {
        guard request.control.isPlainBlock, let order = request.order else {
            return takeRuns(request, zone, offered)
        }
        guard
            let first = zones[zone].allocate(
                order, for: request.type, with: attempt.flags, within: request.window)
        else { return nil }
        if attempt.flags.contains(.highatomic) {
            zones[zone].reserveHighatomic(around: first, order: order)
        }
        return [first..<first + (1 << UInt64(order))]
    }

    // MARK: Watermarks

    /// The mark with boost and the request's reserves reckoned in; nil where none holds.
    private func mark(_ request: ReferenceRequest, _ attempt: Attempt, _ zone: Int) -> Int? {
        let marks = machine.zones[zone].watermarks
        switch attempt.mark {
        case .none: return nil
        case .low: return Self.lowered(Int(marks.low + zones[zone].boost), attempt.flags)
        case .min:
            let boosted = Self.lowered(Int(marks.min + zones[zone].boost), attempt.flags)
            guard ignoresBoost(request, attempt),
                refusal(request, attempt, zone, boosted) != nil
            else { return boosted }
            return Self.lowered(Int(marks.min), attempt.flags)
        }
    }

    /// `zone_watermark_fast`: single pages for atomic requests are not kept from a zone by its
    /// boost. 6.1 asks for `__GFP_ATOMIC` itself, a bit that later kernels do not have.
    private func ignoresBoost(_ request: ReferenceRequest, _ attempt: Attempt) -> Bool {
        guard request.order == 0 else { return false }
        return machine.dialect == .linux61
            ? request.flags & 0x200 != 0 : attempt.flags.contains(.minReserve)
    }

    private static func lowered(_ mark: Int, _ flags: AllocFlags) -> Int {
        var mark = mark
        if flags.contains(.minReserve) {
            mark -= mark / 2
            if flags.contains(.nonBlock) { mark -= mark / 4 }
        }
        if flags.contains(.oom) { mark -= mark / 2 }
        return mark
    }

    /// `__zone_watermark_ok`; nil where it holds.
    private func refusal(
        _ request: ReferenceRequest, _ attempt: Attempt, _ zone: Int, _ mark: Int
    ) -> ZoneVerdict? {
        var free = Int(zones[zone].freePages) - (Int(request.pages) - 1)
        let reserves: AllocFlags = [.nonBlock, .minReserve, .highatomic, .oom]
        if attempt.flags.isDisjoint(with: reserves) {
            free -= Int(
                machine.dialect == .linux61
                    ? zones[zone].reservedHighatomic : zones[zone].freeHighatomic)
        }
        if free <= mark + Int(lowmemReserve(request, zone)) { return .belowWatermark }
        guard request.control.isPlainBlock, let order = request.order, order > 0 else { return nil }
        let isUsable = zones[zone].blocks.contains { block in
            block.order >= order
                && (block.type != .highAtomic
                    || !attempt.flags.isDisjoint(with: [.highatomic, .oom]))
        }
        return isUsable ? nil : .noBlockOfOrder
    }

    /// The column is that of the request's highest zone.
    func lowmemReserve(_ request: ReferenceRequest, _ zone: Int) -> UInt64 {
        guard let column = machine.zoneTypes.firstIndex(of: request.highestZone) else {
            preconditionFailure("a kind of zone that the machine does not know")
        }
        return machine.zones[zone].lowmemReserve[column]
    }
}
