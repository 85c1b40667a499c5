import PageAllocator
import Testing

/// The constants of synthetic machines, against numbers that kernels printed and numbers by hand.
@Suite struct MachineFormulasTests {
    /// One node with these many managed pages in DMA, DMA32, Normal and Movable.
    private static func machine(
        _ managed: [UInt64], dialect: KernelDialect = .linux612,
        settings: Topology.WatermarkSettings = Topology.WatermarkSettings()
    ) throws -> Machine {
        let starts: [UInt64] = [0, 0x1000, 0x10_0000]
        let memory = zip(starts, managed).filter { $0.1 > 0 }.map { pages($0.0, $0.0 + $0.1) }
        let top = pages(0x8000_0000, 0x8000_0000 + managed[3])
        return try Machine(
            topology: Topology(
                dialect: dialect,
                nodes: [
                    Topology.Node(
                        id: node(0), memory: memory + (managed[3] > 0 ? [top] : []),
                        movableBytes: managed[3] << 12)
                ], watermarks: settings))
    }

    /// Linux 6.18.44, as it printed them.
    @Test func liveKernel() throws {
        let machine = try Self.machine(
            [3840, 772_917, 819_200, 0],
            settings: Topology.WatermarkSettings(minFreeKbytes: 67_584))
        #expect(
            machine.zones.map(\.watermarks) == [
                Watermarks(min: 40, low: 50, high: 60, promo: 70),
                Watermarks(min: 8182, low: 10_227, high: 12_272, promo: 14_317),
                Watermarks(min: 8672, low: 10_840, high: 13_008, promo: 15_176),
            ])
        #expect(
            machine.zones.map(\.lowmemReserve) == [
                [0, 3019, 6219, 6219], [0, 0, 3200, 3200], [0, 0, 0, 0],
            ])
    }

    @Test(
        "min_free_kbytes is 4 times the root of the memory below Movable, within bounds",
        arguments: [
            (1, 128), (256, 128), (257, 128), (260, 129), (65_536, 2048),
            (1_048_576, 8192), (1_048_575, 8191), (Machine.maximumSpannedPages, 262_144),
        ] as [(UInt64, UInt64)])
    func defaultMinFree(pageCount: UInt64, kbytes: UInt64) throws {
        let memory = pages(0, pageCount)
        let machine = try Machine(
            topology: Topology(
                nodes: [Topology.Node(id: node(0), memory: [memory])],
                zoneLimits: Topology.ZoneLimits(dma: nil, dma32: nil)))
        #expect(machine.zones.map(\.watermarks.min) == [kbytes / 4])
    }

    @Test("memory in Movable does not raise min_free_kbytes")
    func defaultMinFreeWithoutMovable() throws {
        let machine = try Self.machine([0, 0, 65_536, 1_000_000])
        #expect(machine.zones.map(\.watermarks.min) == [512, 128])
    }

    @Test(
        "6.12 caps the min of Movable at 1/1024 of it, 32 to 128; the steps follow its share",
        arguments: [(1000, 32), (102_400, 100), (1_000_000, 128)] as [(UInt64, UInt64)])
    func movableCapped(managed: UInt64, lowest: UInt64) throws {
        let machine = try Self.machine(
            [0, 0, 100_000, managed],
            settings: Topology.WatermarkSettings(minFreeKbytes: 40_000))
        let step = managed / 40
        #expect(
            machine.zones.last?.watermarks
                == Watermarks(
                    min: lowest, low: lowest + step, high: lowest + 2 * step,
                    promo: lowest + 3 * step))
        #expect(machine.zones.first?.watermarks.min == 10_000)
    }

    @Test("6.1 counts Movable in, gives it its share, and prints no promo mark")
    func movableShared() throws {
        let machine = try Self.machine(
            [0, 0, 100_000, 300_000], dialect: .linux61,
            settings: Topology.WatermarkSettings(minFreeKbytes: 40_000))
        #expect(
            machine.zones.map(\.watermarks) == [
                Watermarks(min: 2500, low: 3125, high: 3750, promo: nil),
                Watermarks(min: 7500, low: 9375, high: 11_250, promo: nil),
            ])
    }

    @Test("a scale factor takes over once it gives more than a quarter of min")
    func scaleFactor() throws {
        let settings = Topology.WatermarkSettings(minFreeKbytes: 400, watermarkScaleFactor: 3000)
        let machine = try Self.machine([0, 0, 100_000, 0], settings: settings)
        #expect(
            machine.zones.map(\.watermarks)
                == [Watermarks(min: 100, low: 30_100, high: 60_100, promo: 90_100)])
    }

    @Test("a ratio of 0 keeps nothing, and an empty zone keeps nothing")
    func ratios() throws {
        let settings = Topology.WatermarkSettings(lowmemReserveRatio: [0, 10, 3, 7])
        let machine = try Self.machine([4096, 1000, 500, 250], settings: settings)
        #expect(
            machine.zones.map(\.lowmemReserve) == [
                [0, 0, 0, 0], [0, 0, 50, 75], [0, 0, 0, 83], [0, 0, 0, 0],
            ])
    }

    @Test("reserves count the zones of the same node only")
    func reservesPerNode() throws {
        let machine = try Machine(
            topology: Topology(nodes: [
                Topology.Node(
                    id: node(0), memory: [pages(0x1000, 0x2000), pages(0x10_0000, 0x10_6400)]),
                Topology.Node(id: node(1), memory: [pages(0x11_0000, 0x18_0000)]),
            ]))
        #expect(
            machine.zones.map(\.lowmemReserve) == [[0, 0, 100, 100], [0, 0, 0, 0], [0, 0, 0, 0]])
    }

    @Test("a zone whose pages are all reserved is listed, with nothing to hand out")
    func allReserved() throws {
        let machine = try Machine(
            topology: Topology(
                nodes: [Topology.Node(id: node(0), memory: [pages(0, 0x2000)])],
                reserved: [pages(0, 0x1000)]))
        #expect(machine.zones.map(\.managedPages) == [0, 0x1000])
        #expect(machine.zones[0].watermarks == Watermarks(min: 0, low: 0, high: 0, promo: 0))
        #expect(machine.zones[0].lowmemReserve == [0, 0, 0, 0])
    }
}
