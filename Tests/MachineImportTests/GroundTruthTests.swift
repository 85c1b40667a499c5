import Foundation
import MachineImport
import PageAllocator
import TestSupport
import Testing

/// Imports of what running kernels printed.
@Suite struct GroundTruthTests {
    typealias KernelSet = GroundTruth.KernelSet

    private static func machine(
        of set: KernelSet, snapshot: String, withIomem: Bool = true
    ) throws -> Machine {
        let isGuest = set != .host
        let nodes = try isGuest ? SysfsNodes(parsing: set.text("boot/nodes")) : nil
        return try MachineImport.machine(
            zoneinfo: set.text("\(snapshot)/zoneinfo"),
            iomem: withIomem ? set.text(set.iomemPath) : nil, distances: nodes?.distances,
            cpus: nodes?.cpus, dialect: set.dialect)
    }

    @Test func everyZoneinfoFileIsRead() throws {
        let listed = KernelSet.allCases.flatMap(\.snapshots).count
        #expect(try GroundTruth.count(ofFilesNamed: "zoneinfo") == listed)
    }

    @Test("what the text states is taken as stated", arguments: KernelSet.allCases)
    func statedValues(set: KernelSet) throws {
        for snapshot in set.snapshots {
            let expected = NaiveZone.zones(in: try set.text("\(snapshot)/zoneinfo"))
            #expect(!expected.isEmpty)
            for withIomem in [true, false] {
                let machine = try Self.machine(of: set, snapshot: snapshot, withIomem: withIomem)
                #expect(machine.zones.map(NaiveZone.init) == expected, "\(snapshot)")
                #expect(machine.zoneTypes == ZoneType.allCases)
            }
        }
    }

    @Test("iomem and zoneinfo agree to the page on where memory is", arguments: KernelSet.allCases)
    func iomemAgrees(set: KernelSet) throws {
        let machine = try Self.machine(of: set, snapshot: set.snapshots[0])
        let systemRAM = try Iomem(parsing: set.text(set.iomemPath)).systemRAM
        #expect(machine.zones.flatMap(\.presentRanges).joined() == systemRAM)
        #expect(machine.assumptions.allSatisfy { $0.hasPrefix("reserved pages") })
        #expect(machine.assumptions.count == 3)

        let dma = try #require(machine.zones.first)
        let frame = { (number: UInt64) in PageFrameNumber(number) }
        #expect(
            dma.presentRanges == [
                FrameRange(frame(1), frame(0x9f)), FrameRange(frame(0x100), frame(0x1000)),
            ])
        // The first MiB is what the kernel reserved of ZONE_DMA: free blocks lie above it only.
        #expect(dma.managedRanges == [FrameRange(frame(0x100), frame(0x1000))])
    }

    @Test("without iomem the document says what was assumed")
    func assumptionsWithoutIomem() throws {
        let text = try KernelSet.d1.text("boot/zoneinfo")
        let machine = try MachineImport.machine(zoneinfo: text, dialect: .linux61)
        #expect(
            machine.assumptions == [
                "all CPUs belong to node 0",
                "the distance is 10 within a node and 20 between any two",
                "holes at the end of node 0 DMA, node 0 DMA32",
                "reserved pages at the end of the zone: node 0 DMA (158 pages),"
                    + " node 0 DMA32 (27702 pages), node 0 Normal (12398 pages),"
                    + " node 1 Normal (9009 pages)",
            ])
        #expect(machine.nodes.map(\.cpus) == [[0, 1], []])
    }

    @Test("the kernel's image is reserved where iomem names it")
    func kernelImage() throws {
        let machine = try Self.machine(of: .d1, snapshot: "boot")
        let dma32 = machine.zones[1]
        let image = [
            (UInt64(0x1000), UInt64(0x1e02)), (0x2000, 0x28eb), (0x2a00, 0x2c49), (0x3310, 0x4400),
        ].map { FrameRange(PageFrameNumber($0), PageFrameNumber($1)) }
        #expect(dma32.managedRanges == dma32.managedRanges.subtracting(image))
        #expect(dma32.managedRanges.first?.lowerBound == PageFrameNumber(0x1e02))
        #expect(dma32.managedRanges.last?.lowerBound == PageFrameNumber(0x4400))
    }

    @Test("the order of zones is the kernel's", arguments: KernelSet.allCases)
    func zonelists(set: KernelSet) throws {
        let machine = try Self.machine(of: set, snapshot: set.snapshots[0])
        let lists = machine.zonelists.map { list in
            list.map { "\(machine.zones[$0].node.rawValue).\(machine.zones[$0].type.name)" }
                .joined(separator: " ")
        }
        let recorded = try set.text(set.zonesPath).components(separatedBy: "\n")
            .map { $0.components(separatedBy: "\t") }
            .filter { $0[0] == "zonelist" && $0[2] == "fallback" }
            .map { $0[3].trimmingCharacters(in: .whitespaces) }
        #expect(!recorded.isEmpty)
        #expect(lists == recorded)
    }

    @Test("CPUs are where sysfs says", arguments: KernelSet.guests)
    func cpus(set: KernelSet) throws {
        let machine = try Self.machine(of: set, snapshot: "boot")
        let recorded = try set.text("oracle/zones").components(separatedBy: "\n")
            .map { $0.components(separatedBy: "\t") }.filter { $0[0] == "cpu" }
        #expect(!recorded.isEmpty)
        for columns in recorded {
            let cpu = try #require(Int(columns[1]))
            let index = try #require(machine.nodeIndex(ofCPU: cpu))
            #expect(columns[2].hasPrefix("node=\(machine.nodes[index].id.rawValue) "))
        }
    }

    // MARK: Formulas

    /// A synthetic machine with the memory of the recorded zones, and as much of it reserved.
    private static func topology(
        of zones: [RecordedZone], sysctl: String, dialect: KernelDialect
    ) throws -> Topology {
        let settings = Dictionary(
            uniqueKeysWithValues: sysctl.components(separatedBy: "\n")
                .map { $0.components(separatedBy: ": ") }.filter { $0.count == 2 }
                .map { ($0[0], $0[1]) })
        let ratio = try #require(settings["lowmem_reserve_ratio"]).components(separatedBy: "\t")
        var topology = Topology(
            dialect: dialect, nodes: [],
            watermarks: Topology.WatermarkSettings(
                minFreeKbytes: UInt64(try #require(settings["min_free_kbytes"])),
                watermarkScaleFactor: try #require(
                    settings["watermark_scale_factor"].flatMap { UInt64($0) }),
                lowmemReserveRatio: ratio.prefix(4).compactMap { UInt64($0) }))
        for zone in zones {
            let present = try #require(zone.counts["present"])
            let unmanaged = present - (try #require(zone.counts["managed"]))
            let first = zone.startPFN << 12
            if topology.nodes.last?.id.rawValue != zone.node {
                let id = try #require(NodeID(zone.node))
                topology.nodes.append(Topology.Node(id: id))
            }
            let node = topology.nodes.count - 1
            topology.nodes[node].memory.append(
                AddressRange(first: first, last: first + (present << 12) - 1))
            if zone.type == .movable { topology.nodes[node].movableBytes = present << 12 }
            if unmanaged > 0 {
                topology.reserved.append(
                    AddressRange(first: first, last: first + (unmanaged << 12) - 1))
            }
        }
        return topology
    }

    @Test(
        "the formulas give what kernels compute when min_free_kbytes is written",
        arguments: KernelSet.guests)
    func recomputedConstants(set: KernelSet) throws {
        let recorded = RecordedZone.zones(in: try set.text("oracle/zones-recomputed"))
        let topology = try Self.topology(
            of: recorded, sysctl: set.text("oracle/vm-sysctl"), dialect: set.dialect)
        let machine = try Machine(topology: topology)
        try #require(!recorded.isEmpty && machine.zones.count == recorded.count)
        for (zone, expected) in zip(machine.zones, recorded) {
            #expect(zone.node.rawValue == expected.node && zone.type == expected.type)
            #expect(zone.presentPages == expected.counts["present"])
            #expect(zone.managedPages == expected.counts["managed"])
            #expect(zone.watermarks.min == expected.counts["min"])
            #expect(zone.watermarks.low == expected.counts["low"])
            #expect(zone.watermarks.high == expected.counts["high"])
            // The kernel has a column for Device, a synthetic machine has no such zone.
            #expect(zone.lowmemReserve == Array(expected.lowmemReserve.prefix(4)))
        }
    }

    @Test("and what 6.18 printed, promo marks included")
    func hostConstants() throws {
        let recorded = RecordedZone.zones(in: try KernelSet.host.text("zones"))
        let printed = NaiveZone.zones(in: try KernelSet.host.text("before/zoneinfo"))
            .filter { $0.counts["present"] != 0 }
        let machine = try Machine(
            topology: Self.topology(
                of: recorded, sysctl: KernelSet.host.text("vm-sysctl"), dialect: .linux612))
        try #require(!printed.isEmpty && machine.zones.count == printed.count)
        for (zone, expected) in zip(machine.zones, printed) {
            let computed = NaiveZone(zone).counts
            for mark in ["min", "low", "high", "promo"] {
                #expect(computed[mark] == expected.counts[mark], "\(zone.type.name) \(mark)")
            }
            #expect(zone.lowmemReserve == Array(expected.protection.prefix(4)))
        }
    }

    // MARK: Writing

    @Test("zoneinfo of the empty machine is the kernel's text again", arguments: KernelSet.allCases)
    func zoneinfoText(set: KernelSet) throws {
        for snapshot in set.snapshots {
            let machine = try Self.machine(of: set, snapshot: snapshot)
            let text = KernelText.zoneinfo(
                of: machine, freePages: machine.zones.map(\.managedPages))
            let original = try set.text("\(snapshot)/zoneinfo")
            #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"))
            #expect(
                text.dropLast().components(separatedBy: "\n")
                    == Self.modelledLines(of: original, machine: machine))
        }
    }

    /// The lines of a kernel's text that are written too, with the free pages of an empty machine.
    private static func modelledLines(of text: String, machine: Machine) -> [String] {
        let kept = [
            "pages", "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma",
            "protection:", "nr_free_pages", "start_pfn:",
        ]
        var position = -1
        return text.components(separatedBy: "\n").compactMap { line in
            let words = line.components(separatedBy: " ").filter { !$0.isEmpty }
            if words.first == "Node" {
                position += 1
                return line
            }
            guard let first = words.first, kept.contains(first) else { return nil }
            guard first == "pages" || first == "nr_free_pages" else { return line }
            let label = line.dropLast(words[words.count - 1].count)
            return label + String(machine.zones[position].managedPages)
        }
    }

    @Test("buddyinfo is the kernel's text again", arguments: KernelSet.allCases)
    func buddyinfoText(set: KernelSet) throws {
        for snapshot in set.snapshots {
            let machine = try Self.machine(of: set, snapshot: snapshot)
            let original = try set.text("\(snapshot)/buddyinfo")
            var lines = original.components(separatedBy: "\n")[...]
            let counts = machine.zones.map { zone in
                zone.isPopulated
                    ? (lines.popFirst() ?? "").components(separatedBy: " ").filter { !$0.isEmpty }
                        .dropFirst(4).compactMap { UInt64($0) }
                    : [UInt64](repeating: 0, count: Order.count)
            }
            #expect(KernelText.buddyinfo(of: machine, freeBlocks: counts) == original)
        }
    }

    // MARK: Hostile texts

    @Test("a text cut anywhere gives a machine or a failure", arguments: KernelSet.allCases)
    func truncation(set: KernelSet) throws {
        let bytes = Array(try set.text("\(set.snapshots[0])/zoneinfo").utf8)
        let iomem = Array(try set.text(set.iomemPath).utf8)
        for end in stride(from: 0, to: bytes.count, by: 997) {
            let text = String(decoding: bytes[..<end], as: UTF8.self)
            let cutIomem = String(decoding: iomem[..<min(end, iomem.count)], as: UTF8.self)
            Self.expectMachineOrFailure(zoneinfo: text, iomem: cutIomem)
        }
        #expect(throws: ImportFailure.self) { try MachineImport.machine(zoneinfo: "") }
    }

    @Test("a text changed anywhere gives a machine or a failure", arguments: [1, 2, 3, 4])
    func mutation(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let set = KernelSet.guests[Int(seed) - 1]
        // Counters that no machine is made of would only dilute the changes.
        let zoneinfo = try set.text("boot/zoneinfo").components(separatedBy: "\n")
            .filter { !$0.contains("nr_") && !$0.contains("numa_") }.joined(separator: "\n")
        let iomem = try set.text("machine/iomem")
        var machines = 0
        let rounds = 300
        for _ in 0..<rounds {
            let changed = Self.mutate(zoneinfo, using: &generator)
            let changedIomem = Self.mutate(iomem, using: &generator)
            if Self.expectMachineOrFailure(zoneinfo: changed, iomem: changedIomem) {
                machines += 1
            }
        }
        #expect((1..<rounds).contains(machines), "\(machines) of \(rounds)")
    }

    /// Replaces some bytes, and one number by a large or a small one.
    private static func mutate(_ text: String, using generator: inout SeededGenerator) -> String {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            let position = Int.random(in: bytes.indices, using: &generator)
            bytes[position] = UInt8.random(in: 0...255, using: &generator)
        }
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let start = Int.random(in: bytes.indices, using: &generator)
        if let first = bytes[start...].firstIndex(where: digits.contains) {
            let end = bytes[first...].firstIndex { !digits.contains($0) } ?? bytes.endIndex
            let numbers = [
                "0", "1", "4095", "1073741824", "4503599627370496", "9223372036854775808",
                "18446744073709551615", "18446744073709551616",
            ]
            let number = numbers[Int.random(in: numbers.indices, using: &generator)]
            bytes.replaceSubrange(first..<end, with: Array(number.utf8))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether the texts gave a machine. One that they gave has the counts that they state.
    @discardableResult
    private static func expectMachineOrFailure(zoneinfo: String, iomem: String) -> Bool {
        do throws(ImportFailure) {
            let machine = try MachineImport.machine(zoneinfo: zoneinfo, iomem: iomem)
            let stated = try Zoneinfo(parsing: zoneinfo).zones
            #expect(machine.zones.map(\.presentPages) == stated.map(\.presentPages))
            #expect(machine.zones.map(\.managedPages) == stated.map(\.managedPages))
            return true
        } catch {
            return false
        }
    }
}
