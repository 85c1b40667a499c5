import PageAllocator
import TestSupport
import Testing

/// How a description of memory is cut into zones.
@Suite struct MachineTopologyTests {
    /// What a test looks at in a zone.
    private struct Outline: Equatable {
        var node = 0
        var type: ZoneType
        var present: [FrameRange]
        var managed: [FrameRange]?
    }

    private static func outlines(of machine: Machine) -> [Outline] {
        machine.zones.map {
            Outline(
                node: $0.node.rawValue, type: $0.type, present: $0.presentRanges,
                managed: $0.managedRanges == $0.presentRanges ? nil : $0.managedRanges)
        }
    }

    private static func machine(
        _ memory: [AddressRange], movableBytes: UInt64 = 0,
        limits: Topology.ZoneLimits = Topology.ZoneLimits(), reserved: [AddressRange] = []
    ) throws -> Machine {
        try Machine(
            topology: Topology(
                nodes: [
                    Topology.Node(
                        id: node(0), cpus: [1, 0], memory: memory, movableBytes: movableBytes)
                ], zoneLimits: limits, reserved: reserved))
    }

    // MARK: Zones

    @Test("the example of the contract: two nodes, three kinds of zone")
    func example() throws {
        let topology = Topology(
            nodes: [
                Topology.Node(
                    id: node(0), cpus: [0, 1],
                    memory: [AddressRange(first: 0x1000, last: 0x1_7fff_ffff)]),
                Topology.Node(
                    id: node(1), cpus: [2, 3],
                    memory: [AddressRange(first: 0x1_8000_0000, last: 0x1_ffff_ffff)]),
            ], distances: [[10, 20], [20, 10]],
            reserved: [AddressRange(first: 0x9f000, last: 0xf_ffff)],
            watermarks: Topology.WatermarkSettings(minFreeKbytes: 67_584))
        let machine = try Machine(topology: topology)
        #expect(machine.dialect == .linux612)
        #expect(machine.zoneTypes == [.dma, .dma32, .normal, .movable])
        #expect(machine.assumptions.isEmpty)
        #expect(
            Self.outlines(of: machine) == [
                Outline(
                    type: .dma, present: [frames(1, 0x1000)],
                    managed: [frames(1, 0x9f), frames(0x100, 0x1000)]),
                Outline(type: .dma32, present: [frames(0x1000, 0x10_0000)]),
                Outline(type: .normal, present: [frames(0x10_0000, 0x18_0000)]),
                Outline(node: 1, type: .normal, present: [frames(0x18_0000, 0x20_0000)]),
            ])
    }

    @Test("each zone boundary, one page on either side")
    func zoneBoundaries() throws {
        for (boundary, low, high) in [
            (UInt64(0x1000), ZoneType.dma, ZoneType.dma32), (0x10_0000, .dma32, .normal),
        ] {
            let below = try Self.machine([pages(boundary - 1, boundary)])
            #expect(below.zones.map(\.type) == [low])
            let above = try Self.machine([pages(boundary, boundary + 1)])
            #expect(above.zones.map(\.type) == [high])
            let across = try Self.machine([pages(boundary - 1, boundary + 1)])
            #expect(
                Self.outlines(of: across) == [
                    Outline(type: low, present: [frames(boundary - 1, boundary)]),
                    Outline(type: high, present: [frames(boundary, boundary + 1)]),
                ])
        }
    }

    @Test("a zone that is not configured leaves its memory to the next one up")
    func zonesNotConfigured() throws {
        let memory = [pages(0, 0x20_0000)]
        let table: [(Topology.ZoneLimits, [ZoneType], [Outline])] = [
            (
                Topology.ZoneLimits(dma: nil), [.dma32, .normal, .movable],
                [
                    Outline(type: .dma32, present: [frames(0, 0x10_0000)]),
                    Outline(type: .normal, present: [frames(0x10_0000, 0x20_0000)]),
                ]
            ),
            (
                Topology.ZoneLimits(dma32: nil), [.dma, .normal, .movable],
                [
                    Outline(type: .dma, present: [frames(0, 0x1000)]),
                    Outline(type: .normal, present: [frames(0x1000, 0x20_0000)]),
                ]
            ),
            (
                Topology.ZoneLimits(dma: nil, dma32: nil), [.normal, .movable],
                [Outline(type: .normal, present: [frames(0, 0x20_0000)])]
            ),
            (
                Topology.ZoneLimits(dma: 0xfff, dma32: 0xfff),
                [.dma, .dma32, .normal, .movable],
                [
                    Outline(type: .dma, present: [frames(0, 1)]),
                    Outline(type: .normal, present: [frames(1, 0x20_0000)]),
                ]
            ),
            (
                Topology.ZoneLimits(dma: 0xfff, dma32: .max), [.dma, .dma32, .normal, .movable],
                [
                    Outline(type: .dma, present: [frames(0, 1)]),
                    Outline(type: .dma32, present: [frames(1, 0x20_0000)]),
                ]
            ),
        ]
        for (limits, types, outlines) in table {
            let machine = try Self.machine(memory, limits: limits)
            #expect(machine.zoneTypes == types)
            #expect(Self.outlines(of: machine) == outlines)
        }
    }

    @Test("a zone spans from its first to its last page, holes included")
    func holes() throws {
        let machine = try Self.machine([pages(0x3000, 0x3004), pages(0x2000, 0x2001)])
        let zone = try #require(machine.zones.first)
        #expect(machine.zones.count == 1)
        #expect(zone.presentRanges == [frames(0x2000, 0x2001), frames(0x3000, 0x3004)])
        #expect(zone.startPFN == PageFrameNumber(0x2000))
        #expect(zone.spannedPages == 0x1004)
        #expect(zone.presentPages == 5)
    }

    // MARK: Pages

    @Test(
        "a page that is memory only in part is left out",
        arguments: [
            (0x2000, 0x3fff, [frames(2, 4)]),
            (0x2001, 0x3fff, [frames(3, 4)]),
            (0x1fff, 0x3fff, [frames(2, 4)]),
            (0x2000, 0x3ffe, [frames(2, 3)]),
            (0x2000, 0x4000, [frames(2, 4)]),
        ] as [(UInt64, UInt64, [FrameRange])])
    func partialPages(first: UInt64, last: UInt64, present: [FrameRange]) throws {
        let machine = try Self.machine([AddressRange(first: first, last: last)])
        #expect(machine.zones.map(\.presentRanges) == [present])
    }

    @Test("two ranges that meet within a page make it whole")
    func rangesThatMeet() throws {
        let machine = try Self.machine([
            AddressRange(first: 0x2000, last: 0x27ff), AddressRange(first: 0x2800, last: 0x3fff),
        ])
        #expect(machine.zones.map(\.presentRanges) == [[frames(2, 4)]])
    }

    @Test("of two nodes that share a page, none has it")
    func nodesThatShareAPage() throws {
        let machine = try Machine(
            topology: Topology(nodes: [
                Topology.Node(id: node(0), memory: [AddressRange(first: 0, last: 0x27ff)]),
                Topology.Node(id: node(1), memory: [AddressRange(first: 0x2800, last: 0x4fff)]),
            ]))
        #expect(machine.zones.map(\.presentRanges) == [[frames(0, 2)], [frames(3, 5)]])
    }

    @Test(
        "a page that is reserved in part is reserved",
        arguments: [
            (0x2000, 0x2fff, [frames(0, 2), frames(3, 8)]),
            (0x2fff, 0x2fff, [frames(0, 2), frames(3, 8)]),
            (0x2fff, 0x3000, [frames(0, 2), frames(4, 8)]),
            (0, 0, [frames(1, 8)]),
            (0x7fff, .max, [frames(0, 7)]),
            (0x8000, .max, [frames(0, 8)]),
        ] as [(UInt64, UInt64, [FrameRange])])
    func partiallyReserved(first: UInt64, last: UInt64, managed: [FrameRange]) throws {
        let machine = try Self.machine(
            [pages(0, 8)], reserved: [AddressRange(first: first, last: last)])
        #expect(machine.zones.map(\.presentRanges) == [[frames(0, 8)]])
        #expect(machine.zones.map(\.managedRanges) == [managed])
    }

    @Test("reserved ranges may overlap, come in any order and lie outside of memory")
    func reservedRanges() throws {
        let machine = try Self.machine(
            [pages(4, 8), pages(16, 20)],
            reserved: [pages(18, 30), pages(0, 5), pages(3, 6), pages(100, 101)])
        #expect(machine.zones.map(\.managedRanges) == [[frames(6, 8), frames(16, 18)]])
    }

    // MARK: Movable

    @Test(
        "Movable is the top of the node, rounded up to whole pages",
        arguments: [
            (0, [frames(0x1000, 0x1004), frames(0x10_0000, 0x10_0004)]),
            (1, [frames(0x1000, 0x1004), frames(0x10_0000, 0x10_0003)]),
            (0x1000, [frames(0x1000, 0x1004), frames(0x10_0000, 0x10_0003)]),
            (0x1001, [frames(0x1000, 0x1004), frames(0x10_0000, 0x10_0002)]),
            (0x4000, [frames(0x1000, 0x1004)]),
            (0x5000, [frames(0x1000, 0x1003)]),
            (0x8000, []),
        ] as [(UInt64, [FrameRange])])
    func movable(bytes: UInt64, fixed: [FrameRange]) throws {
        let memory = [pages(0x1000, 0x1004), pages(0x10_0000, 0x10_0004)]
        let machine = try Self.machine(memory, movableBytes: bytes)
        let all = [frames(0x1000, 0x1004), frames(0x10_0000, 0x10_0004)]
        let others = machine.zones.filter { $0.type != .movable }.flatMap(\.presentRanges)
        #expect(others == fixed)
        let top = machine.zones.filter { $0.type == .movable }.flatMap(\.presentRanges)
        #expect(top == all.subtracting(others))
    }

    @Test("a node may be all Movable, in either dialect", arguments: KernelDialect.allCases)
    func allMovable(dialect: KernelDialect) throws {
        let machine = try Machine(
            topology: Topology(
                dialect: dialect,
                nodes: [
                    Topology.Node(id: node(0), memory: [pages(0, 0x4000)], movableBytes: 0x400_0000)
                ]))
        #expect(machine.zones.map(\.type) == [.movable])
        #expect(machine.zones.map(\.managedPages) == [0x4000])
    }

    // MARK: Nodes

    @Test("nodes without memory, gaps in node numbers, default distances, sorted CPUs")
    func nodes() throws {
        let machine = try Machine(
            topology: Topology(nodes: [
                Topology.Node(id: node(0), cpus: [3, 1]),
                Topology.Node(id: node(8), cpus: [2], memory: [pages(0x100, 0x200)]),
            ]))
        #expect(machine.nodes.map(\.cpus) == [[1, 3], [2]])
        #expect(machine.distances == [[10, 20], [20, 10]])
        #expect(machine.zones.map(\.node) == [node(8)])
        #expect(machine.zonelists == [[0], [0]])
    }

    // MARK: Faults

    private static func fault(_ topology: Topology) -> MachineFault? {
        do throws(MachineFault) {
            _ = try Machine(topology: topology)
            return nil
        } catch {
            return error
        }
    }

    private static func oneNode(_ memory: AddressRange...) -> [Topology.Node] {
        [Topology.Node(id: node(0), memory: memory)]
    }

    @Test("each rule names its subject")
    func faults() {
        let memory = pages(0, 16)
        let reversed = AddressRange(first: 0x2000, last: 0x1fff)
        var notAscending = Topology(nodes: Self.oneNode(memory))
        notAscending.zoneLimits = Topology.ZoneLimits(dma: 0xffff_ffff, dma32: 0xffff_efff)
        var withinAPage = Topology(nodes: Self.oneNode(memory))
        withinAPage.zoneLimits = Topology.ZoneLimits(dma: 0xff_fffe)
        var overflowing = Topology(nodes: Self.oneNode(memory))
        overflowing.zoneLimits = Topology.ZoneLimits(dma32: 0x1_0000_0000)
        let tooManyNodes = (0...Machine.maximumNodes).map {
            Topology.Node(id: node($0), memory: [pages(UInt64($0), UInt64($0) + 1)])
        }
        let table: [(Topology, MachineFault.Subject)] = [
            (Topology(nodes: []), .nodes),
            (Topology(nodes: tooManyNodes), .nodes),
            (Topology(nodes: [Topology.Node(id: node(0), cpus: [0])]), .machine),
            (Topology(nodes: Self.oneNode(AddressRange(first: 1, last: 0x1ffe))), .machine),
            (Topology(nodes: Self.oneNode(memory), reserved: [memory]), .machine),
            (Topology(nodes: Self.oneNode(memory, reversed)), .memory(node(0), range: 1)),
            (Topology(nodes: Self.oneNode(memory, pages(15, 17))), .memory(node(0), range: 1)),
            (
                Topology(nodes: Self.oneNode(memory, AddressRange(first: 0xffff, last: 0x1_ffff))),
                .memory(node(0), range: 1)
            ),
            (
                Topology(
                    nodes: Self.oneNode(pages(0, 4))
                        + [Topology.Node(id: node(1), memory: [pages(8, 9), pages(3, 4)])]),
                .memory(node(1), range: 1)
            ),
            (
                Topology(nodes: Self.oneNode(memory), reserved: [memory, reversed]),
                .reserved(range: 1)
            ),
            (notAscending, .zoneLimit(.dma32)),
            (withinAPage, .zoneLimit(.dma)),
            (overflowing, .zoneLimit(.dma32)),
            (
                Topology(nodes: [
                    Topology.Node(id: node(3), memory: [memory], movableBytes: 0x1_0001)
                ]), .node(node(3))
            ),
            (
                Topology(nodes: [
                    Topology.Node(id: node(3), memory: [memory], movableBytes: .max)
                ]), .node(node(3))
            ),
            (Topology(nodes: Self.oneNode(memory), distances: [[10, 20]]), .distances),
            (
                Topology(nodes: Self.oneNode(AddressRange(first: 0, last: .max))),
                .zone(node(0), .normal)
            ),
            (
                Topology(
                    nodes: Self.oneNode(pages(1, 2), pages(Machine.maximumSpannedPages, 1 << 31))),
                .machine
            ),
        ]
        for (topology, subject) in table {
            #expect(Self.fault(topology)?.subject == subject, "\(topology)")
        }
    }

    @Test("settings that a kernel would refuse")
    func settingFaults() {
        for settings in [
            Topology.WatermarkSettings(minFreeKbytes: UInt64(Int32.max) + 1),
            Topology.WatermarkSettings(minFreeKbytes: .max),
            Topology.WatermarkSettings(watermarkScaleFactor: 0),
            Topology.WatermarkSettings(watermarkScaleFactor: 3001),
            Topology.WatermarkSettings(lowmemReserveRatio: [256, 256, 32]),
            Topology.WatermarkSettings(lowmemReserveRatio: [256, 256, 32, 0, 0]),
        ] {
            let topology = Topology(nodes: Self.oneNode(pages(0, 16)), watermarks: settings)
            #expect(Self.fault(topology)?.subject == .watermarkSettings)
        }
    }

    @Test("the last page of the 64-bit address space is a page like any other")
    func lastPage() throws {
        let last = AddressRange(first: .max - 0xfff, last: .max)
        let machine = try Self.machine([last], limits: Topology.ZoneLimits(dma32: .max))
        let limit = PageFrameNumber.limit.rawValue
        #expect(machine.zones.map(\.presentRanges) == [[frames(limit - 1, limit)]])
        #expect(machine.zones.map(\.type) == [.dma32])
    }

    @Test("no description traps, whatever its numbers")
    func extremes() {
        var generator = SeededGenerator(seed: 12)
        let corners: [UInt64] = [
            0, 1, 0xfff, 0x1000, 0xff_ffff, 0x100_0000, 0xffff_ffff, 1 << 42, 1 << 63, .max - 0xfff,
            .max - 1, .max,
        ]
        func corner() -> UInt64 {
            let base = corners[Int.random(in: corners.indices, using: &generator)]
            return base &+ UInt64.random(in: 0...2, using: &generator) &- 1
        }
        func range() -> AddressRange {
            let (one, other) = (corner(), corner())
            // One in sixteen stays as it fell, possibly reversed.
            return UInt64.random(in: 0..<16, using: &generator) == 0
                ? AddressRange(first: one, last: other)
                : AddressRange(first: min(one, other), last: max(one, other))
        }
        var outcomes = (machines: 0, faults: 0)
        for _ in 0..<20_000 {
            let topology = Topology(
                dialect: Bool.random(using: &generator) ? .linux61 : .linux612,
                nodes: (0..<Int.random(in: 1...2, using: &generator)).map {
                    Topology.Node(
                        id: node($0), memory: [range()],
                        movableBytes: Bool.random(using: &generator) ? 0 : corner())
                },
                zoneLimits: Topology.ZoneLimits(
                    dma: Bool.random(using: &generator) ? nil : corner() | 0xfff,
                    dma32: Bool.random(using: &generator) ? nil : corner() | 0xfff),
                reserved: Bool.random(using: &generator) ? [] : [range()],
                watermarks: Topology.WatermarkSettings(
                    minFreeKbytes: Bool.random(using: &generator) ? nil : corner() >> 33))
            if Self.fault(topology) == nil {
                outcomes.machines += 1
            } else {
                outcomes.faults += 1
            }
        }
        #expect(outcomes.machines > 100 && outcomes.faults > 100, "\(outcomes)")
    }
}
