// What one request tries, one after the other, until something is granted.
//
// - The fast path: the low mark, within mask and cpuset. Where the preferred zone is Normal and
//   DMA32 of its node can step in, first without mixing pageblocks.
// - The slow path: the min mark, with what the flags allow below it. The cpuset holds unless the
//   request can neither wait nor be put off (GFP_ATOMIC).
// - Once more without the mask, where the cpuset does not hold or `__GFP_MEMALLOC` allows all.
// - Before memory is given up as lost: with the pageblocks kept for atomic requests released.
// - For `__GFP_NOFAIL`, half of min: within the cpuset, then anywhere.
//
// preferred_many does all of it twice: within its nodes without waiting, then anywhere.
//
// An attempt that can give nothing but what the one before it gave is left out: nothing is freed
// between two of them. So is the last look at the high mark before the OOM killer.
//
// Source: `__alloc_pages_noprof`, `__alloc_pages_slowpath`, `__alloc_pages_cpuset_fallback`,
// `unreserve_highatomic_pageblock`, mm/page_alloc.c; `alloc_pages_preferred_many`, mm/mempolicy.c.

extension PlacementDecision {
    /// One look at the whole zonelist.
    struct Attempt: Hashable, Sendable {
        enum Mark: Sendable {
            case low, min, none
        }

        /// What must stay free, before boost and rights.
        let mark: Mark
        var flags: AllocFlags

        /// The nodes whose zones may serve.
        let nodes: NodeMask

        /// Whether the walk ends where the zones of another node than the first begin.
        var isLocal = false

        /// Whether a zone may first release the pageblocks that it keeps for atomic requests, one
        /// by one, as long as that is what keeps it from serving.
        var releasesHighatomic = false

        /// For a search that changes nothing: a released block would be found in another list, a
        /// block yet to be released is found where it is.
        var searchFlags: AllocFlags { releasesHighatomic ? flags.union(.oom) : flags }
    }

    /// Where a walk stands in the row of its decision's attempts.
    struct Attempts {
        private enum Step {
            case avoidingFragments, fast, slow, withoutMask, releasing, noFailInCpuset, noFail
            case nextPass
        }

        private var step: Step

        /// The flags and the mask of this pass.
        private var flags: GFPFlags
        private var nodeMask: NodeMask?
        private var isLastPass: Bool

        @inline(__always)
        init(of decision: PlacementDecision, on machine: borrowing Machine) {
            flags = decision.effectiveFlags
            nodeMask = decision.nodeMask
            isLastPass = decision.mode != .preferredMany
            if !isLastPass {
                flags.subtract([.directReclaim, .noFail])
            }
            step = decision.avoidsFragments(on: machine) ? .avoidingFragments : .fast
        }

        /// The next attempt; nil after the last.
        @inline(__always)
        mutating func next(
            of decision: PlacementDecision, on machine: Machine
        ) -> Attempt? {
            switch step {
            case .avoidingFragments:
                step = .fast
                var attempt = fast(decision)
                attempt.flags.insert(.noFragment)
                attempt.isLocal = true
                return attempt
            case .fast:
                step = .slow
                return fast(decision)
            default:
                return nextSlow(of: decision, on: machine)
            }
        }

        private func fast(_ decision: PlacementDecision) -> Attempt {
            Attempt(
                mark: .low, flags: flags.contains(.kswapdReclaim) ? .kswapd : [],
                nodes: decision.nodes(within: nodeMask).intersection(decision.allowedNodes))
        }

        private mutating func nextSlow(
            of decision: PlacementDecision, on machine: Machine
        ) -> Attempt? {
            // A mask without any zone for the request ends it, whatever its rights.
            if step == .slow,
                decision.preferredZone(decision.nodes(within: nodeMask), on: machine) == nil
            {
                step = .nextPass
            }
            while step != .nextPass {
                if let attempt = slowAttempt(decision) { return attempt }
            }
            guard !isLastPass else { return nil }
            isLastPass = true
            flags = decision.effectiveFlags
            nodeMask = nil
            step = .fast
            return next(of: decision, on: machine)
        }

        /// The attempt of this step, and on to the next step; nil where the request does not make
        /// it.
        private mutating func slowAttempt(_ decision: PlacementDecision) -> Attempt? {
            switch step {
            case .slow:
                step = .withoutMask
                return slow(decision)
            case .withoutMask:
                step = .releasing
                return withoutMask(decision)
            case .releasing:
                step = .noFailInCpuset
                return mayWaitForTheOOMKiller(decision) ? releasing(decision) : nil
            case .noFailInCpuset:
                guard flags.isSuperset(of: [.noFail, .directReclaim]) else {
                    step = .nextPass
                    return nil
                }
                step = .noFail
                return attempt(decision, [.minReserve, .cpuset])
            case .noFail:
                step = .nextPass
                return attempt(decision, .minReserve)
            case .avoidingFragments, .fast, .nextPass:
                preconditionFailure("not a step of the slow path")
            }
        }

        private func slow(_ decision: PlacementDecision) -> Attempt {
            let order = decision.isPlainBlock ? decision.order : .zero
            return attempt(decision, AllocFlags(slowPath: flags, order: order))
        }

        /// nil where it would repeat the attempt before.
        private mutating func withoutMask(_ decision: PlacementDecision) -> Attempt? {
            if let reserves = AllocFlags(reserves: flags) {
                nodeMask = nil
                return attempt(decision, reserves, mark: .none)
            }
            guard !slow(decision).flags.contains(.cpuset), nodeMask != nil else { return nil }
            nodeMask = nil
            return slow(decision)
        }

        /// The slow path once more: it works out the reserves anew before each walk.
        private func releasing(_ decision: PlacementDecision) -> Attempt {
            let reserves = AllocFlags(reserves: flags)
            var attempt =
                reserves.map { self.attempt(decision, $0, mark: .none) } ?? slow(decision)
            attempt.releasesHighatomic = true
            return attempt
        }

        private func attempt(
            _ decision: PlacementDecision, _ flags: AllocFlags, mark: Attempt.Mark = .min
        ) -> Attempt {
            let nodes = decision.nodes(within: nodeMask)
            return Attempt(
                mark: mark, flags: flags,
                nodes: flags.contains(.cpuset)
                    ? nodes.intersection(decision.allowedNodes) : nodes)
        }

        private func mayWaitForTheOOMKiller(_ decision: PlacementDecision) -> Bool {
            flags.contains(.directReclaim) && !flags.contains(.noRetry)
                && (!decision.isCostly || flags.contains(.retryMayFail)) && decision.isPlainBlock
        }
    }

    /// The nodes of a mask that `__GFP_THISNODE` leaves.
    @inline(__always)
    private func nodes(within mask: NodeMask?) -> NodeMask {
        let nodes = mask ?? .all
        return effectiveFlags.contains(.thisNode)
            ? nodes.intersection(NodeMask(node: node)) : nodes
    }

    /// Whether the first attempt avoids to mix pageblocks: the preferred zone is Normal, and DMA32
    /// of its node, or the only node there is, can step in. Source: `alloc_flags_nofragment`.
    private func avoidsFragments(on machine: Machine) -> Bool {
        guard isPlainBlock, highestZone >= .normal else { return false }
        let nodes = nodes(within: nodeMask).intersection(allowedNodes)
        guard let preferred = preferredZone(nodes, on: machine) else { return false }
        let zone = machine.placement.zones[preferred]
        return zone.type == .normal
            && machine.placement.nodesAvoidingFragments.contains(zone.node)
    }
}
