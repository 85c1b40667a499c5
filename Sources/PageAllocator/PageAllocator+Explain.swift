// Why a request was refused: each zone of the walk, in the order tried, with what it holds and what
// became of it.

/// The walk over the zonelist of the starting node.
public struct Explanation: Hashable, Sendable {
    /// The highest zone that the request may use: the column of `lowmem_reserve` that holds for it.
    public let highestZone: ZoneType

    /// In the order tried.
    public let zones: [ZoneExplanation]

    /// What would be granted; nil for a refusal.
    public let wouldGrant: Grant?

    /// For a refusal.
    public let certificate: Certificate?

    /// What the kernel would try next and this allocator does not: nil where it would fail too.
    public let kernelWouldTry: Unmodelled?

    /// Which of the kernel's rules this allocator does not apply, by name.
    public static let notModelled = [
        "per-cpu lists", "reclaim", "compaction", "OOM killer", "memory cgroups", "CMA",
    ]

    /// Ways to free memory that are not modelled.
    public enum Unmodelled: String, CaseIterable, Hashable, Sendable {
        case reclaim
        case compaction
    }

    public init(
        highestZone: ZoneType, zones: [ZoneExplanation], wouldGrant: Grant? = nil,
        certificate: Certificate? = nil, kernelWouldTry: Unmodelled? = nil
    ) {
        self.highestZone = highestZone
        self.zones = zones
        self.wouldGrant = wouldGrant
        self.certificate = certificate
        self.kernelWouldTry = kernelWouldTry
    }
}

/// One zone of the walk.
public struct ZoneExplanation: Hashable, Sendable {
    /// The zone's position in the machine's `zones`.
    public let zone: Int
    public let freePages: UInt64

    /// Free blocks of each order, 0 first.
    public let freeBlocks: [UInt64]

    /// The mark of the last attempt at the zone, boost and reserves of the request reckoned in:
    /// after the grant, more than this and `lowmemReserve` must stay free. nil: no mark held.
    public let watermark: UInt64?

    /// Pages that the zone keeps from requests that a higher zone could have met.
    public let lowmemReserve: UInt64
    public let verdict: ZoneVerdict

    public init(
        zone: Int, freePages: UInt64, freeBlocks: [UInt64], watermark: UInt64? = nil,
        lowmemReserve: UInt64 = 0, verdict: ZoneVerdict
    ) {
        self.zone = zone
        self.freePages = freePages
        self.freeBlocks = freeBlocks
        self.watermark = watermark
        self.lowmemReserve = lowmemReserve
        self.verdict = verdict
    }
}

extension PageAllocator {
    /// What `allocatePages` would do with the same request, decided by the same code. Changes
    /// nothing.
    ///
    /// - Throws: `AllocationFailure.unsatisfiable`. What merely does not fit now is an explanation
    ///   without `wouldGrant`.
    public func explain(_ request: AllocationRequest) throws(AllocationFailure) -> Explanation {
        let settled = try settle(request)
        let outlook = outlook(of: settled)
        guard outlook.wouldGrant != nil || settled.canEverBeMet(on: machine) else {
            throw .unsatisfiable(.noBlockInBoundaries)
        }
        return explanation(of: request, settled, outlook)
    }

    @inline(__always)
    func settle(
        _ request: borrowing AllocationRequest
    ) throws(AllocationFailure) -> SettledRequest {
        do {
            return try SettledRequest(request, on: machine)
        } catch {
            throw .unsatisfiable(error)
        }
    }

    /// What became of each zone of the walk, and what would be granted.
    typealias Outlook = (zones: [PlacementDecision.ZoneOutcome], wouldGrant: Grant?)

    func outlook(of settled: borrowing SettledRequest) -> Outlook {
        let decision = settled.decision
        var segments: [FrameRange] = []
        let zones = unsafe zones
        let (outcomes, granted) = decision.outcomes(
            on: machine, counters: { unsafe zones[$0].buddies.counters },
            probe: { zone, attempt in
                let found = unsafe settled.find(in: &zones[zone], zone: zone, attempt, on: machine)
                guard let found else { return unsafe settled.shortfall(of: &zones[zone]) }
                segments = found
                return .granted
            })
        let wouldGrant = granted.map { zone, attempt in
            var grant = settled.grant(of: segments, fromZone: zone)
            grant.numa = decision.numaCount(ofGrantFrom: zone, attempt: attempt, on: machine)
            return grant
        }
        return (outcomes, wouldGrant)
    }

    func explanation(
        of request: AllocationRequest, _ settled: borrowing SettledRequest, _ outlook: Outlook
    ) -> Explanation {
        let wouldGrant = outlook.wouldGrant
        return Explanation(
            highestZone: settled.decision.highestZone,
            zones: outlook.zones.map { outcome in
                ZoneExplanation(
                    zone: outcome.zone, freePages: freePages(inZone: outcome.zone),
                    freeBlocks: freeBlocks(inZone: outcome.zone), watermark: outcome.watermark,
                    lowmemReserve: outcome.lowmemReserve, verdict: outcome.verdict)
            },
            wouldGrant: wouldGrant,
            certificate: wouldGrant == nil ? certificate(for: request) : nil,
            kernelWouldTry: wouldGrant == nil ? settled.decision.kernelWouldTry : nil)
    }
}
