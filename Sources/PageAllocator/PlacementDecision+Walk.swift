// The one walk over zones behind allocating, explaining and answering for a recorded state.
//
// Attempt after attempt, in the kernel's order, and in each attempt zone after zone of the starting
// node's list: whoever is not left out and above the attempt's mark is asked to serve. The walk
// itself changes nothing; what `take` does is the caller's.
//
// Source: `get_page_from_freelist`, mm/page_alloc.c.

extension PlacementDecision {
    /// - Parameters:
    ///   - counters: what the zone at a position of the machine's `zones` holds now. Asked for each
    ///     zone tried, each time.
    ///   - passedOver: told of each zone that an attempt did not ask, and why.
    ///   - take: serves from a zone that passed; nil: it cannot, the walk goes on.
    /// - Returns: what `take` gave first; nil for a refusal.
    @inline(__always)
    func walk<Taken>(
        on machine: Machine, counters: (_ zone: Int) -> ZoneCounters,
        passedOver: (_ zone: Int, _ attempt: Attempt, _ verdict: ZoneVerdict) -> Void = {
            _, _, _ in
        },
        take: (_ zone: Int, _ attempt: Attempt) -> Taken?
    ) -> Taken? {
        var attempts = Attempts(of: self, on: machine)
        while let attempt = attempts.next(of: self, on: machine) {
            var firstNode: Int?
            for zone in machine.zonelists[node] {
                let constants = machine.placement.zones[zone]
                if let exclusion = exclusion(of: constants, nodes: attempt.nodes) {
                    passedOver(zone, attempt, exclusion)
                    continue
                }
                // An attempt that avoids fragments is given up where another node's zones begin.
                if attempt.isLocal, (firstNode ?? constants.node) != constants.node { break }
                firstNode = constants.node
                let verdict = watermarkVerdict(
                    on: counters(zone), ofZone: zone, attempt: attempt, machine: machine)
                if let verdict {
                    passedOver(zone, attempt, verdict)
                } else if let taken = take(zone, attempt) {
                    return taken
                }
            }
        }
        return nil
    }

    /// Why a zone with these counters may not serve the attempt; nil where it may. For an attempt
    /// that releases pageblocks of atomic requests: whether enough is free once all are released.
    @inline(__always)
    func watermarkVerdict(
        on counters: ZoneCounters, ofZone zone: Int, attempt: Attempt, machine: Machine
    ) -> ZoneVerdict? {
        WatermarkCheck(
            pages: pages, order: isPlainBlock ? order : nil, flags: effectiveFlags,
            dialect: dialect
        ).verdict(
            on: counters, of: machine.placement.zones[zone],
            lowmemReserve: machine.placement.lowmemReserve(ofZone: zone, against: highestZone),
            attempt: attempt)
    }

    /// What an explanation says of one zone, beside what it holds.
    struct ZoneOutcome: Hashable, Sendable {
        /// The zone's position in the machine's `zones`.
        let zone: Int

        /// Of the last attempt that tried it; where none did, why it was left out.
        let verdict: ZoneVerdict

        /// What had to stay free beside `lowmemReserve` in that attempt, boost and reserves of the
        /// request reckoned in, in pages; nil: no mark held, or the zone was not tried.
        let watermark: UInt64?

        /// Pages that the zone keeps from requests that a higher zone could have met.
        let lowmemReserve: UInt64
    }

    /// The same walk, asked instead of carried out.
    ///
    /// - Parameter probe: what serving from a zone that passed would come to: `granted`, or why
    ///   not.
    /// - Returns: one outcome for each zone that the walk came by, left out or tried, in the order
    ///   of the zonelist; and the zone that would serve, and in which attempt.
    func outcomes(
        on machine: Machine, counters: (_ zone: Int) -> ZoneCounters,
        probe: (_ zone: Int, _ attempt: Attempt) -> ZoneVerdict
    ) -> (zones: [ZoneOutcome], granted: (zone: Int, attempt: Attempt)?) {
        var last = [ZoneOutcome?](repeating: nil, count: machine.zones.count)
        func note(_ zone: Int, _ attempt: Attempt, _ verdict: ZoneVerdict) {
            let excluded = exclusion(of: machine.placement.zones[zone], nodes: attempt.nodes) != nil
            guard !excluded || last[zone] == nil else { return }
            last[zone] = outcome(
                of: zone, verdict, excluded ? nil : attempt, counters: counters(zone), on: machine)
        }
        let granted = walk(on: machine, counters: counters, passedOver: note) {
            zone, attempt -> (zone: Int, attempt: Attempt)? in
            let verdict = probe(zone, attempt)
            note(zone, attempt, verdict)
            return verdict == .granted ? (zone, attempt) : nil
        }
        return (machine.zonelists[node].compactMap { last[$0] }, granted)
    }

    private func outcome(
        of zone: Int, _ verdict: ZoneVerdict, _ attempt: Attempt?, counters: ZoneCounters,
        on machine: Machine
    ) -> ZoneOutcome {
        let constants = machine.placement
        return ZoneOutcome(
            zone: zone, verdict: verdict,
            watermark: attempt.flatMap {
                WatermarkCheck.floor(of: constants.zones[zone], counters: counters, attempt: $0)
            },
            lowmemReserve: UInt64(constants.lowmemReserve(ofZone: zone, against: highestZone)))
    }
}
