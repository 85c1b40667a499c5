import TestSupport
import Testing

@testable import PageAllocator

/// The watermark check, against the table of who may go how low and worked values.
@Suite struct WatermarkCheckTests {
    /// Zone 0 has min 1000, low 1250, and for each highest zone a reserve of its own. The others
    /// are there for their kinds, and hold nothing.
    private static func machine(_ dialect: KernelDialect = .linux612) throws -> Machine {
        try Machine(
            dialect: dialect,
            nodes: [Node(id: node(0), cpus: [0]), Node(id: node(1), cpus: [])],
            zoneTypes: [.dma32, .normal, .movable],
            zones: [
                zone(
                    .dma32, at: frames(0x1000, 0x11000),
                    watermarks: Watermarks(min: 1000, low: 1250, high: 1500, promo: nil),
                    lowmemReserve: [0, 70, 90]),
                zone(.normal, of: node(1), at: frames(0x20000, 0x20040), lowmemReserve: [0, 0, 0]),
                zone(
                    .movable, of: node(1), at: frames(0x30000, 0x30040), lowmemReserve: [0, 0, 0]),
            ], distances: Machine.distances(ofNodes: 2))
    }

    /// What zone 0 makes of a request that finds these counters there.
    private static func walk<Taken>(
        _ decision: PlacementDecision, on machine: Machine, _ counters: ZoneCounters,
        take: (PlacementDecision.Attempt) -> Taken?
    ) -> Taken? {
        decision.walk(
            on: machine,
            counters: { $0 == 0 ? counters : ZoneCounters(freePages: 0, freeOrders: FreeOrders()) },
            take: { zone, attempt in zone == 0 ? take(attempt) : nil })
    }

    /// Whether a request is served where the zone holds that.
    private static func isServed(
        _ flags: GFPFlags, order: Int = 0, _ counters: ZoneCounters,
        dialect: KernelDialect = .linux612
    ) throws -> Bool {
        let machine = try machine(dialect)
        let control = AllocationControl(flags: flags, order: Order(sketched: order))
        let decision = try PlacementDecision(AllocationRequest(control: control), on: machine)
        return walk(decision, on: machine, counters) { $0.releasesHighatomic ? nil : true } ?? false
    }

    private static func counters(
        free: UInt64, boost: UInt64 = 0, reserved: UInt64 = 0, freeHighatomic: UInt64 = 0,
        orders: UInt16 = 0x7ff, highatomic: UInt16 = 0
    ) -> ZoneCounters {
        var lists = FreeOrders()
        lists[.unmovable] = orders
        lists[.highAtomic] = highatomic
        return ZoneCounters(
            freePages: free, boost: boost, reservedHighatomic: reserved,
            freeHighatomic: freeHighatomic, freeOrders: lists)
    }

    private static let atomic: GFPFlags = [.high, .kswapdReclaim]

    @Test(
        "a request is served while more than its floor stays free",
        arguments: [
            ([.kernel, .dma32], 1000), ([.dma32, .kswapdReclaim], 1000),
            ([.kernel, .dma32, .high], 500), ([.high, .kswapdReclaim, .dma32], 375),
            ([.high, .kswapdReclaim, .dma32, .noMemAlloc], 500),
            ([.kernel, .dma32, .noFail], 500),
            ([.kernel], 1070), ([.kernel, .highmem, .movable], 1090),
            ([.high, .kswapdReclaim], 445),
        ] as [(GFPFlags, UInt64)], KernelDialect.allCases)
    func floors(row: (flags: GFPFlags, floor: UInt64), dialect: KernelDialect) throws {
        #expect(
            try !Self.isServed(row.flags, Self.counters(free: row.floor), dialect: dialect))
        #expect(
            try Self.isServed(row.flags, Self.counters(free: row.floor + 1), dialect: dialect))
    }

    @Test("__GFP_MEMALLOC has no floor but the pages themselves")
    func memAlloc() throws {
        #expect(try Self.isServed([.memAlloc], Self.counters(free: 0)))
        #expect(try !Self.isServed([.memAlloc, .noMemAlloc], Self.counters(free: 0)))
    }

    @Test("an OOM victim's right halves the mark, and nothing more")
    func oomVictim() throws {
        let machine = try Self.machine()
        let decision = try PlacementDecision(AllocationRequest(), on: machine)
        let attempt = PlacementDecision.Attempt(mark: .min, flags: .oom, nodes: .all)
        func verdict(free: UInt64) -> ZoneVerdict? {
            decision.watermarkVerdict(
                on: Self.counters(free: free), ofZone: 0, attempt: attempt, machine: machine)
        }
        #expect(verdict(free: 570) == .belowWatermark)
        #expect(verdict(free: 571) == nil)
    }

    @Test("the first attempt is made at low")
    func lowMark() throws {
        let machine = try Self.machine()
        let decision = try PlacementDecision(
            AllocationRequest(control: AllocationControl(flags: [.kernel, .dma32])), on: machine)
        func firstAttempt(free: UInt64) -> PlacementDecision.Attempt.Mark? {
            Self.walk(decision, on: machine, Self.counters(free: free)) { $0.mark }
        }
        #expect(firstAttempt(free: 1251) == .low)
        #expect(firstAttempt(free: 1250) == .min)
    }

    @Test("a block of 2^order takes 2^order - 1 pages more than a page does")
    func higherOrders() throws {
        for order in 0...10 {
            let floor = 1000 + (UInt64(1) << UInt64(order)) - 1
            let flags: GFPFlags = [.dma32]
            #expect(try !Self.isServed(flags, order: order, Self.counters(free: floor)))
            #expect(try Self.isServed(flags, order: order, Self.counters(free: floor + 1)))
        }
    }

    @Test("a block must be there, of that order or above, in a list of ordinary pages")
    func blockMustBeThere() throws {
        let flags: GFPFlags = [.dma32]
        #expect(try Self.isServed(flags, order: 3, Self.counters(free: 5000, orders: 0x8)))
        #expect(try Self.isServed(flags, order: 3, Self.counters(free: 5000, orders: 0x400)))
        #expect(try !Self.isServed(flags, order: 3, Self.counters(free: 5000, orders: 0x7)))
        let reserved = Self.counters(free: 5000, orders: 0x7, highatomic: 0x8)
        #expect(try !Self.isServed(flags, order: 3, reserved))
        #expect(try Self.isServed([Self.atomic, .dma32], order: 3, reserved))
        // A single page needs no list: what is free above the mark is somewhere.
        #expect(try Self.isServed(flags, Self.counters(free: 5000, orders: 0)))
    }

    @Test(
        "pages of atomic requests are hidden: 6.1 hides all that are reserved, 6.12 the free ones")
    func highatomicReserve() throws {
        let held = Self.counters(free: 1600, reserved: 1024, freeHighatomic: 512)
        let flags: GFPFlags = [.kernel, .dma32]
        #expect(try !Self.isServed(flags, held, dialect: .linux61))
        #expect(try Self.isServed(flags, held, dialect: .linux612))
        // Whoever may not wait, or may go below min, sees them.
        #expect(try Self.isServed([.dma32], held, dialect: .linux61))
        #expect(try Self.isServed([.kernel, .high, .dma32], held, dialect: .linux61))
    }

    @Test("more reserved than free is below every mark, not far above it")
    func signedArithmetic() throws {
        let held = Self.counters(free: 100, reserved: 1024, freeHighatomic: 1024)
        for dialect in KernelDialect.allCases {
            #expect(try !Self.isServed([.kernel, .dma32], held, dialect: dialect))
        }
        #expect(try !Self.isServed([.kernel, .dma32], order: 10, Self.counters(free: 5)))
    }

    @Test("a boost raises both marks; a single page of __GFP_HIGH is looked at again without it")
    func boost() throws {
        func held(_ free: UInt64) -> ZoneCounters { Self.counters(free: free, boost: 800) }
        #expect(try !Self.isServed([.dma32], held(1800)))
        #expect(try Self.isServed([.dma32], held(1801)))
        #expect(try Self.isServed([Self.atomic, .dma32], held(376)))
        #expect(try !Self.isServed([Self.atomic, .dma32], held(375)))
        #expect(try Self.isServed([.kernel, .high, .dma32], held(501)))
        // Linux 6.1 asks for __GFP_ATOMIC instead.
        let high: GFPFlags = [.high, .dma32]
        #expect(try Self.isServed(high, held(376)))
        #expect(try !Self.isServed(high, held(376), dialect: .linux61))
        #expect(try Self.isServed([high, .atomic], held(376), dialect: .linux61))
        // With more than one page the boost counts: 3/8 of 1800, and a page beside.
        #expect(try !Self.isServed([Self.atomic, .dma32], order: 1, held(676)))
        #expect(try Self.isServed([Self.atomic, .dma32], order: 1, held(677)))
    }

    @Test("a request that waits may have the reserve of atomic requests released before it fails")
    func releasingHighatomic() throws {
        let machine = try Self.machine()
        let decision = try PlacementDecision(
            AllocationRequest(
                control: AllocationControl(
                    flags: [.kernel, .dma32], order: Order(sketched: 1))), on: machine)
        let held = Self.counters(
            free: 1300, reserved: 1024, freeHighatomic: 1024, orders: 1, highatomic: 0x200)
        let releases = Self.walk(decision, on: machine, held) { $0.releasesHighatomic }
        #expect(releases == true)
        let attempt = PlacementDecision.Attempt(
            mark: .min, flags: [.cpuset, .kswapd], nodes: .all, releasesHighatomic: true)
        #expect(attempt.searchFlags.contains(.oom) && !attempt.flags.contains(.oom))
    }

    @Test("a run of pages counts as what it is long, and no list is asked")
    func runs() throws {
        let machine = try Self.machine()
        var control = AllocationControl(flags: [.dma32])
        control.pages = 300
        let decision = try PlacementDecision(AllocationRequest(control: control), on: machine)
        func isServed(free: UInt64) -> Bool {
            Self.walk(decision, on: machine, Self.counters(free: free, orders: 1)) { _ in true }
                ?? false
        }
        #expect(!isServed(free: 1299))
        #expect(isServed(free: 1300))
    }
}
