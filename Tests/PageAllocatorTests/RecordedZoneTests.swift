import TestSupport
import Testing

@testable import PageAllocator

/// The decision put to a recorded state: what its masks let a zone serve.
@Suite struct RecordedZoneTests {
    /// One zone of Normal, without marks.
    private static let machine = Machine.normalOnly(pages: 1 << 16)

    private static func record(
        _ lists: [(Migratetype, UInt16)] = [], free: UInt64 = 60_000, perCPU: UInt16 = 0
    ) -> RecordedZone {
        var orders = FreeOrders()
        for (type, mask) in lists {
            orders[type] = mask
        }
        return RecordedZone(
            counters: ZoneCounters(freePages: free, freeOrders: orders), perCPULists: perCPU)
    }

    private static func isServed(
        _ flags: GFPFlags = .kernel, order: Int = 0, from record: RecordedZone
    ) throws -> Bool {
        let control = AllocationControl(flags: flags, order: Order(sketched: order))
        return try machine.place(AllocationRequest(control: control), amid: [record]) == 0
    }

    private static let atomic: GFPFlags = [.high, .kswapdReclaim]

    @Test("a block of the request's own type, or of another, of its order or above")
    func buddyLists() throws {
        #expect(try Self.isServed(order: 2, from: Self.record([(.unmovable, 0x4)])))
        #expect(try Self.isServed(order: 2, from: Self.record([(.movable, 0x400)])))
        #expect(try Self.isServed(order: 2, from: Self.record([(.reclaimable, 0x8)])))
        #expect(try !Self.isServed(order: 2, from: Self.record([(.movable, 0x3)])))
        #expect(try !Self.isServed(from: Self.record()))
    }

    @Test("the CPU's own list serves where the buddy lists cannot, its own type and order only")
    func perCPULists() throws {
        let low = Self.record(perCPU: 1 << 0)
        #expect(try Self.isServed(from: low))
        #expect(try !Self.isServed([.kernel, .movable], from: low))
        #expect(try Self.isServed([.kernel, .movable], from: Self.record(perCPU: 1 << 1)))
        #expect(try Self.isServed([.kernel, .reclaimable], from: Self.record(perCPU: 1 << 2)))
        // A higher order needs a free block for the watermark check; __GFP_MEMALLOC does not.
        let memAlloc: GFPFlags = [.memAlloc]
        #expect(try Self.isServed(memAlloc, order: 3, from: Self.record(perCPU: 1 << 9)))
        #expect(try !Self.isServed(memAlloc, order: 4, from: Self.record(perCPU: .max)))
        #expect(try Self.isServed(memAlloc, order: 9, from: Self.record(perCPU: 1 << 12)))
        #expect(try !Self.isServed(memAlloc, order: 9, from: Self.record(perCPU: 1 << 13)))
        #expect(
            try Self.isServed(
                [.memAlloc, .movable], order: 9, from: Self.record(perCPU: 1 << 13)))
    }

    @Test("pageblocks of atomic requests serve those, and as a last resort who may not wait")
    func highatomic() throws {
        let reserved = Self.record([(.highAtomic, 0x10)])
        #expect(try Self.isServed(Self.atomic, order: 3, from: reserved))
        #expect(try Self.isServed([], from: reserved))
        #expect(try !Self.isServed([.kernel, .noRetry], from: reserved))
        #expect(try !Self.isServed(.memAlloc, order: 3, from: reserved))
        // Whoever waits long enough gets them released.
        #expect(try Self.isServed(.kernel, from: reserved))
    }

    @Test("a request that no state can meet throws, and one that this state cannot meet is nil")
    func refusals() throws {
        let request = AllocationRequest(control: AllocationControl(flags: [.dma, .dma32]))
        #expect(throws: Unsatisfiable.contradictoryZoneFlags) {
            try Self.machine.place(request, amid: [Self.record()])
        }
        let zone = try Self.machine.place(
            request, amid: [Self.record([(.movable, 1)])], contradictions: .readAsDMA)
        #expect(zone == 0, "a machine without DMA reads it as Normal")
        let masked = try Self.machine.place(
            AllocationRequest(), amid: [Self.record([(.movable, 1)])], nodeMask: [])
        #expect(masked == nil)
    }

    @Test("constants computed anew follow the managed pages")
    func recomputedConstants() throws {
        let machine = try Machine(
            topology: Topology(nodes: [
                Topology.Node(id: node(0), cpus: [0], memory: [pages(1, 0x80_000)])
            ]))
        let settings = Topology.WatermarkSettings(minFreeKbytes: 65536)
        let again = machine.recomputedConstants(settings)
        let direct = try Machine(
            topology: Topology(
                nodes: [Topology.Node(id: node(0), cpus: [0], memory: [pages(1, 0x80_000)])],
                watermarks: settings))
        #expect(again.map(\.watermarks) == direct.zones.map(\.watermarks))
        #expect(again.map(\.lowmemReserve) == direct.zones.map(\.lowmemReserve))
        #expect(again.map(\.watermarks) != machine.zones.map(\.watermarks))
    }
}
