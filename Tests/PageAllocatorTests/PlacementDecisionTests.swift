import TestSupport
import Testing

@testable import PageAllocator

/// The walk over zones: which attempts are made, which zones each may use, what ends them.
@Suite struct PlacementDecisionTests {
    private typealias Attempt = PlacementDecision.Attempt

    /// Frames enough for marks of a thousand pages.
    private static func largeZone(
        _ node: Int, _ type: ZoneType, from start: UInt64, min: UInt64 = 1000,
        reserve: [UInt64] = [0, 0, 0, 0]
    ) -> Zone {
        zone(
            type, of: NodeID(sketched: node), at: frames(start, start + 0x10000),
            watermarks: Watermarks(min: min, low: min + 250, high: min + 500, promo: nil),
            lowmemReserve: reserve)
    }

    /// DMA32 and Normal on node 0, Normal on node 1: zones 0, 1 and 2.
    private static func machine(dialect: KernelDialect = .linux612) throws -> Machine {
        try Machine(
            dialect: dialect,
            nodes: [Node(id: node(0), cpus: [0]), Node(id: node(1), cpus: [1])],
            zoneTypes: Machine.usualZoneTypes,
            zones: [
                largeZone(0, .dma32, from: 0x10000, reserve: [0, 0, 400, 400]),
                largeZone(0, .normal, from: 0x100000), largeZone(1, .normal, from: 0x200000),
            ], distances: Machine.distances(ofNodes: 2))
    }

    private static func decision(
        _ flags: GFPFlags, order: Int = 0, on machine: Machine, policy: MemoryPolicy? = nil,
        allowed: [Int]? = nil, cpu: Int? = nil, mask: [Int]? = nil
    ) throws -> PlacementDecision {
        var control = AllocationControl(flags: flags, order: Order(sketched: order))
        control.memoryPolicy = policy
        control.allowedNodes = allowed?.map(NodeID.init(sketched:))
        return try PlacementDecision(
            AllocationRequest(control: control, cpu: cpu), on: machine,
            nodeMask: mask?.map(NodeID.init(sketched:)))
    }

    private static func attempts(
        _ decision: PlacementDecision, on machine: Machine
    ) -> [Attempt] {
        var attempts = PlacementDecision.Attempts(of: decision, on: machine)
        var result: [Attempt] = []
        while let attempt = attempts.next(of: decision, on: machine) {
            result.append(attempt)
        }
        return result
    }

    private static func counters(
        free: UInt64, orders: UInt16 = 0x7ff, highatomic: UInt16 = 0
    ) -> ZoneCounters {
        var lists = FreeOrders()
        lists[.movable] = orders
        lists[.highAtomic] = highatomic
        return ZoneCounters(freePages: free, freeOrders: lists)
    }

    /// The zone that serves where the zones hold these pages.
    private static func zoneTaken(
        serving decision: PlacementDecision, on machine: Machine, free: [UInt64]
    ) -> Int? {
        decision.walk(
            on: machine, counters: { counters(free: free[$0]) }, take: { zone, _ in zone })
    }

    private static let atomic: GFPFlags = [.high, .kswapdReclaim]
    private static let both = NodeMask.all

    // MARK: Attempts

    @Test("an ordinary request: low, min, and a look at the reserve of atomic requests")
    func ordinaryAttempts() throws {
        let machine = try Self.machine()
        let attempts = Self.attempts(try Self.decision(.kernel, on: machine, cpu: 1), on: machine)
        #expect(
            attempts == [
                Attempt(mark: .low, flags: .kswapd, nodes: .all),
                Attempt(mark: .min, flags: [.cpuset, .kswapd], nodes: .all),
                Attempt(
                    mark: .min, flags: [.cpuset, .kswapd], nodes: .all, releasesHighatomic: true),
            ])
    }

    @Test("Normal above DMA32 of its node first avoids fragments, on that node")
    func avoidingFragments() throws {
        let machine = try Self.machine()
        let first = Self.attempts(try Self.decision(.kernel, on: machine), on: machine)[0]
        #expect(
            first
                == Attempt(
                    mark: .low, flags: [.kswapd, .noFragment], nodes: .all, isLocal: true))
        for flags in [.dma32, [.kernel, .dma32]] as [GFPFlags] {
            let attempts = Self.attempts(try Self.decision(flags, on: machine), on: machine)
            #expect(!attempts[0].isLocal)
        }
        let one = Machine.normalOnly(pages: 64)
        #expect(Self.attempts(try Self.decision(.kernel, on: one), on: one)[0].isLocal)
    }

    @Test("an attempt that avoids fragments ends with its node, and the whole is begun again")
    func fragmentAvoidanceEnds() throws {
        let machine = try Self.machine()
        let decision = try Self.decision(.kernel, on: machine)
        var tried: [[Int]] = []
        let taken: Int? = decision.walk(
            on: machine, counters: { _ in Self.counters(free: 5000) },
            take: { zone, attempt -> Int? in
                tried.append([zone, attempt.isLocal ? 1 : 0])
                return nil
            })
        #expect(taken == nil)
        #expect(tried.prefix(5) == [[1, 1], [0, 1], [1, 0], [0, 0], [2, 0]])
    }

    @Test("each kind of request has the rights of its flags in the slow path")
    func slowPathFlags() {
        let rows: [(GFPFlags, Int, AllocFlags)] = [
            (.kernel, 0, [.cpuset, .kswapd]), (.kernel, 3, [.cpuset, .kswapd]),
            ([.kswapdReclaim, .noWarn], 0, [.cpuset, .kswapd, .nonBlock]),
            ([], 0, [.cpuset, .nonBlock]), (.noMemAlloc, 0, .cpuset),
            ([.kernel, .high], 0, [.cpuset, .kswapd, .minReserve]),
            (Self.atomic, 0, [.kswapd, .minReserve, .nonBlock]),
            (Self.atomic, 2, [.kswapd, .minReserve, .nonBlock, .highatomic]),
            (.kswapdReclaim, 2, [.cpuset, .kswapd, .nonBlock]),
            ([Self.atomic, .noMemAlloc], 2, [.kswapd, .minReserve]),
        ]
        for (flags, order, expected) in rows {
            #expect(AllocFlags(slowPath: flags, order: Order(sketched: order)) == expected)
        }
        #expect(AllocFlags(reserves: .memAlloc) == .noWatermarks)
        #expect(AllocFlags(reserves: [.memAlloc, .kswapdReclaim]) == [.noWatermarks, .kswapd])
        #expect(AllocFlags(reserves: [.memAlloc, .noMemAlloc]) == nil)
        #expect(AllocFlags(reserves: .kernel) == nil)
    }

    @Test("GFP_ATOMIC and __GFP_MEMALLOC drop the mask when all else fails")
    func maskDropped() throws {
        let machine = try Self.machine()
        let only1 = NodeMask(node: 1)
        func nodes(_ flags: GFPFlags) throws -> [NodeMask] {
            Self.attempts(try Self.decision(flags, on: machine, mask: [1]), on: machine)
                .map(\.nodes)
        }
        #expect(try nodes(Self.atomic) == [only1, only1, .all])
        #expect(try nodes([.memAlloc]) == [only1, only1, .all])
        #expect(try nodes([.kernel, .high]) == [only1, only1, only1])
        #expect(try nodes([.kswapdReclaim]) == [only1, only1])
    }

    @Test("a mask without a zone for the request ends it, before any right drops the mask")
    func emptyMask() throws {
        let machine = try Self.machine()
        for flags in [Self.atomic.union(.thisNode), [Self.atomic, .dma32], [.memAlloc, .dma32]] {
            let attempts = Self.attempts(
                try Self.decision(flags, on: machine, mask: [1]), on: machine)
            #expect(attempts.map(\.mark) == [.low])
        }
    }

    @Test("a cpuset holds in the slow path too, but not for GFP_ATOMIC and __GFP_MEMALLOC")
    func cpuset() throws {
        let machine = try Self.machine()
        let only1 = NodeMask(node: 1)
        func nodes(_ flags: GFPFlags) throws -> [NodeMask] {
            Self.attempts(try Self.decision(flags, on: machine, allowed: [1]), on: machine)
                .map(\.nodes)
        }
        #expect(try nodes([.kswapdReclaim]) == [only1, only1])
        #expect(try nodes(Self.atomic) == [only1, .all])
        #expect(try nodes(.memAlloc) == [only1, only1, .all])
        #expect(try nodes([.kernel, .noFail]) == [only1, only1, only1, only1, .all])
    }

    @Test("a request that must not fail gets half of min, within its cpuset and then anywhere")
    func noFail() throws {
        let machine = try Self.machine()
        let attempts = Self.attempts(
            try Self.decision([.kernel, .noFail], on: machine, cpu: 1), on: machine)
        #expect(
            attempts[3..<5] == [
                Attempt(mark: .min, flags: [.minReserve, .cpuset], nodes: .all),
                Attempt(mark: .min, flags: .minReserve, nodes: .all),
            ])
        let cannotWait = Self.attempts(
            try Self.decision([.noFail, .kswapdReclaim], on: machine, cpu: 1), on: machine)
        #expect(cannotWait.count == 2)
    }

    @Test("preferred_many: its nodes without waiting, then all with the request's own flags")
    func preferredMany() throws {
        let machine = try Self.machine()
        let policy = MemoryPolicy(mode: .preferredMany, nodes: [node(1)])
        let attempts = Self.attempts(
            try Self.decision(.kernel, on: machine, policy: policy, cpu: 1), on: machine)
        let only1 = NodeMask(node: 1)
        #expect(
            attempts == [
                Attempt(mark: .low, flags: .kswapd, nodes: only1),
                Attempt(mark: .min, flags: [.cpuset, .kswapd, .nonBlock], nodes: only1),
                Attempt(mark: .low, flags: .kswapd, nodes: .all),
                Attempt(mark: .min, flags: [.cpuset, .kswapd], nodes: .all),
                Attempt(
                    mark: .min, flags: [.cpuset, .kswapd], nodes: .all, releasesHighatomic: true),
            ])
    }

    @Test("pageblocks of atomic requests are released for those who would wait for the OOM killer")
    func releasing() throws {
        let machine = try Self.machine()
        func releases(_ flags: GFPFlags, order: Int = 0) throws -> Bool {
            Self.attempts(try Self.decision(flags, order: order, on: machine), on: machine)
                .contains(where: \.releasesHighatomic)
        }
        #expect(try releases(.kernel))
        #expect(try releases(.kernel, order: 3))
        #expect(try !releases(.kernel, order: 4))
        #expect(try releases([.kernel, .retryMayFail], order: 4))
        #expect(try !releases([.kernel, .noRetry]))
        #expect(try !releases(.kswapdReclaim))
        #expect(try !releases(Self.atomic))
    }

    @Test("what the kernel would go on with: compaction for costly or unmovable blocks, or reclaim")
    func kernelWouldTry() throws {
        let machine = try Self.machine()
        func next(_ flags: GFPFlags, order: Int = 0) throws -> Explanation.Unmodelled? {
            try Self.decision(flags, order: order, on: machine).kernelWouldTry
        }
        #expect(try next(.kernel) == .reclaim)
        #expect(try next(.kernel, order: 1) == .compaction)
        #expect(try next([.kernel, .movable], order: 3) == .reclaim)
        #expect(try next([.kernel, .movable], order: 4) == .compaction)
        #expect(try next([.kernel, .memAlloc], order: 1) == .reclaim)
        #expect(try next(.kswapdReclaim) == nil)
        #expect(try next(Self.atomic, order: 2) == nil)
    }

    // MARK: Zones

    @Test("a far zone above low serves before a near one between min and low")
    func twoPasses() throws {
        let machine = try Self.machine()
        let decision = try Self.decision(.kernel, on: machine)
        #expect(Self.zoneTaken(serving: decision, on: machine, free: [1300, 1100, 1300]) == 2)
        #expect(Self.zoneTaken(serving: decision, on: machine, free: [1300, 1100, 1250]) == 1)
        #expect(Self.zoneTaken(serving: decision, on: machine, free: [1300, 1000, 1000]) == nil)
    }

    @Test("lowmem_reserve keeps a low zone from requests for higher ones, at every mark")
    func lowmemReserve() throws {
        let machine = try Self.machine()
        let normal = try Self.decision(.kernel, on: machine)
        #expect(Self.zoneTaken(serving: normal, on: machine, free: [1400, 0, 0]) == nil)
        #expect(Self.zoneTaken(serving: normal, on: machine, free: [1401, 0, 0]) == 0)
        let dma32 = try Self.decision([.kernel, .dma32], on: machine)
        #expect(Self.zoneTaken(serving: dma32, on: machine, free: [1001, 0, 0]) == 0)
    }

    @Test("a window lowers the highest zone, and with it the reserve that counts")
    func windowLowersTheReserve() throws {
        let machine = try Self.machine()
        let control = AllocationControl(highBoundary: 0xffff_ffff)
        let decision = try PlacementDecision(AllocationRequest(control: control), on: machine)
        #expect(decision.highestZone == .dma32 && decision.zoneByFlags == .normal)
        #expect(Self.zoneTaken(serving: decision, on: machine, free: [1001, 9999, 9999]) == 0)
    }

    @Test("contradictory zone bits are refused, or read as DMA as the kernel does")
    func contradictions() throws {
        let machine = Machine.caseMachine
        for bits in [0x3, 0x5, 0x6, 0x7, 0xb, 0xd, 0xe, 0xf] as [UInt32] {
            let request = AllocationRequest(
                control: AllocationControl(flags: GFPFlags(rawValue: 0xcc0 | bits)))
            #expect(throws: Unsatisfiable.contradictoryZoneFlags) {
                try PlacementDecision(request, on: machine)
            }
            let decision = try PlacementDecision(
                request, on: machine, contradictions: .readAsDMA)
            #expect(decision.highestZone == .dma)
        }
    }

    @Test("a zone that passes but cannot serve is passed by")
    func takeRefuses() throws {
        let machine = try Self.machine()
        let decision = try Self.decision(.kernel, on: machine)
        let zone = decision.walk(
            on: machine, counters: { _ in Self.counters(free: 5000) },
            take: { zone, _ in zone == 2 ? zone : nil })
        #expect(zone == 2)
    }

    // MARK: What is said of it

    @Test("an explanation says of each zone what the last attempt at it came to")
    func outcomes() throws {
        let machine = try Self.machine()
        let decision = try Self.decision([.kernel, .high], on: machine)
        let free: [UInt64] = [900, 400, 500]
        let (zones, granted) = decision.outcomes(
            on: machine, counters: { Self.counters(free: free[$0]) },
            probe: { _, _ in .granted })
        #expect(granted == nil)
        #expect(zones.map(\.zone) == [1, 0, 2])
        #expect(zones.allSatisfy { $0.verdict == .belowWatermark && $0.watermark == 500 })
        #expect(zones.map(\.lowmemReserve) == [0, 400, 0])
    }

    @Test("what is left out is named with its reason, and a grant ends the list")
    func outcomesOfAGrant() throws {
        let machine = try Self.machine()
        let dma32 = try Self.decision([.kernel, .dma32], on: machine)
        let (zones, granted) = dma32.outcomes(
            on: machine, counters: { _ in Self.counters(free: 5000) },
            probe: { _, _ in .granted })
        #expect(granted?.zone == 0 && granted?.attempt.mark == .low)
        #expect(zones.map(\.verdict) == [.excludedByZoneModifier, .granted])
        #expect(zones.map(\.watermark) == [nil, 1250])

        let masked = try Self.decision(.kswapdReclaim, on: machine, mask: [1])
        let refused = masked.outcomes(
            on: machine, counters: { _ in Self.counters(free: 5000) },
            probe: { _, _ in .noBlockInRange })
        #expect(
            refused.zones.map(\.verdict)
                == [.excludedByPolicy, .excludedByPolicy, .noBlockInRange])
    }

    @Test("explaining and allocating come to the same zone", arguments: 0..<200)
    func outcomesAgree(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let machine = try Self.machine(dialect: seed % 2 == 0 ? .linux61 : .linux612)
        let decision = try Self.decision(
            GFPFlags(rawValue: UInt32.random(in: 0...0xff_ffff, using: &random) & ~0x1b),
            order: Int.random(in: 0...10, using: &random), on: machine,
            cpu: Int.random(in: 0...1, using: &random))
        let held = (0..<3).map { _ in
            Self.counters(
                free: UInt64.random(in: 0...2000, using: &random),
                orders: UInt16.random(in: 0...0x7ff, using: &random))
        }
        let (zones, granted) = decision.outcomes(
            on: machine, counters: { held[$0] }, probe: { _, _ in .granted })
        let served = decision.walk(on: machine, counters: { held[$0] }, take: { zone, _ in zone })
        #expect(granted?.zone == served)
        #expect(zones.count { $0.verdict == .granted } == (served == nil ? 0 : 1))
    }

    // MARK: numastat

    @Test("hits, misses and foreign pages are told by the zone that was preferred")
    func numaCounts() throws {
        let machine = try Self.machine()
        func count(
            _ decision: PlacementDecision, free: [UInt64]
        ) throws -> (NUMACount, zone: Int) {
            let granted = try #require(
                decision.walk(
                    on: machine, counters: { Self.counters(free: free[$0]) },
                    take: { zone, attempt in (zone: zone, attempt: attempt) }))
            return (
                decision.numaCount(
                    ofGrantFrom: granted.zone, attempt: granted.attempt, on: machine),
                granted.zone
            )
        }
        let local = try Self.decision(.kernel, on: machine)
        #expect(
            try count(local, free: [5000, 5000, 5000])
                == (NUMACount(preferred: 0, local: 0, isInterleaveHit: false), 1))
        #expect(
            try count(local, free: [0, 0, 5000])
                == (NUMACount(preferred: 0, local: 0, isInterleaveHit: false), 2))
        // Once the mask is dropped, what is preferred is the first zone of the whole list.
        let atomic = try Self.decision(Self.atomic, on: machine, mask: [1])
        #expect(
            try count(atomic, free: [0, 400, 0])
                == (NUMACount(preferred: 0, local: 0, isInterleaveHit: false), 1))
        #expect(
            try count(atomic, free: [5000, 5000, 400])
                == (NUMACount(preferred: 1, local: 0, isInterleaveHit: false), 2))
    }

    @Test("an interleave hit is a plain interleave's page on its own node")
    func interleaveHits() throws {
        let machine = try Self.machine()
        let attempt = Attempt(mark: .low, flags: [], nodes: .all)
        func isHit(_ mode: MemoryPolicy.Mode, zone: Int) throws -> Bool {
            try Self.decision(
                .kernel, on: machine, policy: MemoryPolicy(mode: mode, nodes: [node(1)])
            ).numaCount(ofGrantFrom: zone, attempt: attempt, on: machine).isInterleaveHit
        }
        #expect(try isHit(.interleave, zone: 2))
        #expect(try !isHit(.interleave, zone: 1))
        #expect(try !isHit(.weightedInterleave, zone: 2))
        #expect(try !isHit(.preferred, zone: 2))
    }
}
