// Machines from hwloc's exports: real ones against a plain reading of the same files, small ones
// for what a file may leave open, and a table of faults.

import MachineImport
import PageAllocator
import Testing

/// A small export around what a test is about.
private struct Export {
    var version = " version=\"2.0\""
    var architecture: String? = "x86_64"
    var objects = Export.node(0, "0x3", 1 << 30) + Export.pu(0) + Export.pu(1)
    var after = ""

    var text: String {
        let info = architecture.map { "<info name=\"Architecture\" value=\"\($0)\"/>" } ?? ""
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <!DOCTYPE topology SYSTEM "hwloc2.dtd">
            <topology\(version)>
            <object type="Machine">\(info)
            \(objects)</object>
            \(after)</topology>
            """
    }

    static func node(
        _ number: Int, _ cpus: String, _ bytes: UInt64, _ more: String = "", in inner: String = ""
    ) -> String {
        "<object type=\"NUMANode\" os_index=\"\(number)\" cpuset=\"\(cpus)\""
            + " gp_index=\"\(number + 100)\" local_memory=\"\(bytes)\" \(more)>\(inner)</object>\n"
    }

    static func pu(_ number: Int) -> String { "<object type=\"PU\" os_index=\"\(number)\"/>\n" }

    static func matrix(
        _ indexes: String, _ values: String, count: Int = 2, kind: Int = 5,
        indexing: String = "os"
    ) -> String {
        """
        <distances2 type="NUMANode" nbobjs="\(count)" kind="\(kind)" indexing="\(indexing)">
        <indexes>\(indexes)</indexes>
        <u64values>\(values)</u64values>
        </distances2>

        """
    }

    static func two(_ after: String = "") -> Export {
        Export(objects: node(0, "0x1", 1 << 30) + node(1, "0x2", 1 << 30), after: after)
    }

    func machine() throws(ImportFailure) -> Machine {
        try MachineImport.machine(hwloc: Array(text.utf8))
    }
}

struct HwlocTests {
    // MARK: Real machines

    @Test(arguments: HwlocFiles.names)
    func aRealMachineIsWhatItsFileSays(name: String) throws {
        let contents = try HwlocFiles.contents(name)
        let plain = NaiveTopology(String(decoding: contents, as: UTF8.self))
        let machine = try MachineImport.machine(hwloc: contents)

        #expect(machine.nodes.map(\.id.rawValue) == plain.nodes.map(\.id))
        #expect(Set(machine.nodes.flatMap(\.cpus)) == plain.cpus)
        for (node, stated) in zip(machine.nodes, plain.nodes) {
            let zones = machine.zones.filter { $0.node == node.id }
            #expect(zones.reduce(0) { $0 + $1.managedPages } == stated.bytes / 4096)
            #expect(zones.reduce(0) { $0 + $1.presentPages } == stated.bytes / 4096)
            let near = plain.nodes.filter { $0.cpus == stated.cpus }
            let usual = near.first { $0.subtype == nil || $0.subtype == "DRAM" } ?? near[0]
            #expect(Set(node.cpus) == (usual.id == stated.id ? stated.cpus : []), "\(node.id)")
        }
        for (row, from) in zip(machine.distances, plain.nodes) {
            for (distance, to) in zip(row, plain.nodes) {
                let stated = plain.distances[from.id]?[to.id] ?? (from.id == to.id ? 10 : 20)
                #expect(distance == stated, "\(from.id) to \(to.id)")
            }
        }
        #expect(!machine.assumptions.isEmpty)
    }

    @Test(arguments: HwlocFiles.names)
    func eachNodeOfARealMachineHandsOutItsOwnPages(name: String) throws {
        let machine = try MachineImport.machine(hwloc: try HwlocFiles.contents(name))
        var allocator = PageAllocator(machine: machine)
        for (number, node) in machine.nodes.enumerated()
        where machine.zones.contains(where: { $0.node == node.id }) {
            let control = AllocationControl(
                flags: GFPFlags.kernel.union(.thisNode), node: node.id)
            let grant = try allocator.allocatePages(
                control, as: AllocationID(UInt64(number + 1)))
            #expect(machine.zones[grant.zone].node == node.id)
        }
    }

    // MARK: What a file leaves open

    /// Where each zone lies: first and last byte.
    private static func zones(_ machine: Machine) -> [String] {
        machine.zones.map { zone in
            let last = (zone.startPFN.rawValue + zone.spannedPages) * 4096 - 1
            let first = String(zone.startPFN.rawValue * 4096, radix: 16)
            return "\(zone.node.rawValue) \(zone.type.name) \(first)-\(String(last, radix: 16))"
        }
    }

    private static let layouts: [(architecture: String?, zones: [String])] = [
        (
            "x86_64",
            [
                "0 DMA 100000-ffffff", "0 DMA32 1000000-bfffffff",
                "0 Normal 100000000-1400fffff", "5 Normal 148000000-187ffffff",
            ]
        ),
        (
            "aarch64",
            [
                "0 DMA 80000000-ffffffff", "0 Normal 100000000-17fffffff",
                "5 Normal 180000000-1bfffffff",
            ]
        ),
        (
            "riscv64",
            [
                "0 DMA32 80000000-ffffffff", "0 Normal 100000000-17fffffff",
                "5 Normal 180000000-1bfffffff",
            ]
        ),
        ("ppc64le", ["0 Normal 0-ffffffff", "5 Normal 100000000-13fffffff"]),
        (
            "s390x",
            ["0 DMA 0-7fffffff", "0 Normal 80000000-ffffffff", "5 Normal 100000000-13fffffff"]
        ),
    ]

    @Test func memoryLiesWhereTheArchitectureHasIt() throws {
        for (architecture, zones) in Self.layouts {
            let export = Export(
                architecture: architecture,
                objects: Export.node(5, "0x2", 1 << 30) + Export.node(0, "0x1", 4 << 30))
            #expect(Self.zones(try export.machine()) == zones)
        }
        for unknown in [nil, "vax"] {
            let machine = try Export(architecture: unknown).machine()
            #expect(Self.zones(machine) == ["0 DMA 100000-ffffff", "0 DMA32 1000000-400fffff"])
            let zones = "zones end where a kernel for x86_64 ends them: the architecture"
            #expect(machine.assumptions.contains { $0.hasPrefix(zones) })
        }
    }

    /// `GFP_DMA32` finds the memory of a machine whose DMA ends where DMA32 does.
    @Test func anEmptyDMA32FallsBackToDMA() throws {
        let machine = try Export(architecture: "aarch64").machine()
        #expect(machine.zoneTypes == [.dma, .dma32, .normal, .movable])
        var allocator = PageAllocator(machine: machine)
        let control = AllocationControl(flags: GFPFlags.kernel.union(.dma32))
        let grant = try allocator.allocatePages(control, as: AllocationID(1))
        #expect(machine.zones[grant.zone].type == .dma)
    }

    @Test func whatIsAssumedIsSaid() throws {
        let machine = try Export(
            objects: Export.node(0, "0x3", 1 << 30, in: "<page_type size=\"65536\" count=\"1\"/>")
                + Export.node(1, "0x3", 4097, "subtype=\"HBM\"") + Export.pu(0) + Export.pu(2)
        ).machine()
        #expect(
            machine.assumptions == [
                "zones end where a kernel for x86_64 ends them",
                "memory lies node after node from 0x100000 upwards, without 0xc0000000 to"
                    + " 0xffffffff, each node after the first at a multiple of 128 MiB",
                "all pages of memory are handed out: a size is what the kernel managed",
                "sizes were rounded down to pages of 4096 bytes: nodes 1",
                "pages have 4096 bytes; those of the source had 65536",
                "a CPU near several nodes belongs to one of them, and none is left for nodes 1",
                "CPUs near no node (1) belong to node 0",
                "the distance is 10 within a node and 20 between any two",
                "watermarks and lowmem_reserve are those of the kernel's formulas",
            ])
        #expect(machine.nodes.map(\.cpus) == [[0, 2], []])
        #expect(machine.zones.map(\.managedPages).reduce(0, +) == (1 << 18) + 1)
    }

    @Test func aCPUBelongsToTheNearestUsualMemory() throws {
        let machine = try Export(
            objects: Export.node(0, "0xf", 1 << 20)
                + Export.node(1, "0x3", 1 << 20, "subtype=\"HBM\"")
                + Export.node(2, "0x3", 1 << 20)
                + Export.node(3, "0x3", 1 << 20, "subtype=\"DRAM\"")
                + Export.node(4, "0x80000000,,0x8", 1 << 20)
                + [0, 1, 2, 3, 95].map(Export.pu).joined()
        ).machine()
        #expect(machine.nodes.map(\.cpus) == [[2], [], [0, 1], [], [3, 95]])
    }

    /// CPUs without memory and memory without CPUs, numbers with gaps, memory page by page.
    @Test func nodesMayLackMemoryOrCPUs() throws {
        let pages =
            "<page_type size=\"4096\" count=\"7\"/><page_type size=\"2097152\" count=\"1\"/>"
        let machine = try Export(
            objects: "<object type=\"NUMANode\" os_index=\"1023\">\(pages)</object>"
                + Export.node(7, "0x1", 0) + Export.pu(0)
        ).machine()
        #expect(machine.nodes.map(\.id.rawValue) == [7, 1023])
        #expect(machine.nodes.map(\.cpus) == [[0], []])
        #expect(machine.zones.allSatisfy { $0.node.rawValue == 1023 })
        #expect(machine.managedPages == 7 + 512)
        var allocator = PageAllocator(machine: machine)
        let grant = try allocator.allocatePages(AllocationControl(), as: AllocationID(1))
        #expect(machine.zones[grant.zone].node.rawValue == 1023)
    }

    @Test func theKernelsLatenciesAreTheDistances() throws {
        let user = Export.matrix("0 1", "10 99 99 10", kind: 6)
        let bandwidth = Export.matrix("0 1", "1 2 3 4", kind: 9)
        let split = """
            <distances2 nbobjs="1" kind="5" type="PU"><indexes>0</indexes></distances2>
            <distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os">
            <indexes length="2">1 </indexes><indexes length="1">0</indexes>
            <u64values>10 21 </u64values><u64values>31</u64values><u64values> 10
            </u64values></distances2>
            """
        let cases: [(String, [[Int]])] = [
            (split, [[10, 31], [21, 10]]), (user + split + bandwidth, [[10, 31], [21, 10]]),
            (user, [[10, 99], [99, 10]]), (bandwidth, [[10, 20], [20, 10]]),
            ("", [[10, 20], [20, 10]]),
            (Export.matrix("1", "10", count: 1), [[10, 20], [20, 10]]),
            (Export.matrix("101 100", "10 31 21 10", indexing: "gp"), [[10, 21], [31, 10]]),
            // None of a kernel's: a node is 10 from itself and farther from others.
            (Export.matrix("0 1", "11 20 20 10"), [[10, 20], [20, 10]]),
            (Export.matrix("0 1", "10 10 30 10"), [[10, 20], [20, 10]]),
            (Export.matrix("0 1", "10 30 256 10"), [[10, 20], [20, 10]]),
        ]
        for (matrix, distances) in cases {
            #expect(try Export.two(matrix).machine().distances == distances, "\(matrix)")
        }
    }

    // MARK: Format 1

    /// Nodes are around packages; of two matrices over two objects, one is theirs.
    private static let firstFormat = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE topology SYSTEM "hwloc.dtd">
        <topology>
          <object type="Machine" os_index="0" cpuset="0x0000000f">
            <info name="Architecture" value="ppc64"/>
            <distances nbobjs="2" relative_depth="3" latency_base="1.000000">
              <latency value="1.000000"/><latency value="4.000000"/>
              <latency value="4.000000"/><latency value="1.000000"/>
            </distances>
            <distances nbobjs="2" relative_depth="2" latency_base="10.000000">
              <latency value="1.000000"/><latency value="2.100000"/>
              <latency value="3.200000"/><latency value="1.000000"/>
            </distances>
            <object type="Group" cpuset="0x0000000f">
              <object type="NUMANode" os_index="8" cpuset="0x00000003" local_memory="1073741824">
                <page_type size="65536" count="16384"/>
                <object type="Socket" os_index="0" cpuset="0x00000003">
                  <object type="PU" os_index="0"/><object type="PU" os_index="1"/>
                </object>
              </object>
              <object type="NUMANode" os_index="3" cpuset="0x0000000c" local_memory="4096">
                <object type="Socket" os_index="0" cpuset="0x0000000c">
                  <object type="PU" os_index="2"/><object type="PU" os_index="3"/>
                </object>
              </object>
            </object>
          </object>
        </topology>
        """

    @Test func theFirstFormatIsRead() throws {
        let machine = try MachineImport.machine(hwloc: Array(Self.firstFormat.utf8))
        #expect(machine.nodes.map(\.id.rawValue) == [3, 8])
        #expect(machine.nodes.map(\.cpus) == [[2, 3], [0, 1]])
        #expect(machine.distances == [[10, 32], [21, 10]])
        #expect(Self.zones(machine) == ["3 Normal 0-fff", "8 Normal 8000000-47ffffff"])
        let pages = "pages have 4096 bytes; those of the source had 65536"
        #expect(machine.assumptions.contains(pages))

        let elsewhere = Self.firstFormat.replacing("10.000000", with: "11.000000")
        let usual = try MachineImport.machine(hwloc: Array(elsewhere.utf8))
        #expect(usual.distances == [[10, 20], [20, 10]])
    }

    @Test func aMachineOfTheFirstFormatMayHaveNoNodes() throws {
        let text = """
            <!DOCTYPE topology SYSTEM "hwloc.dtd">
            <topology><object type="Machine" cpuset="0x3" local_memory="1073741824">
            <object type="PU" os_index="0"/><object type="PU" os_index="1"/>
            </object></topology>
            """
        let machine = try MachineImport.machine(hwloc: Array(text.utf8))
        #expect(machine.nodes == [Node(id: NodeID(0)!, cpus: [0, 1])])
        #expect(machine.managedPages == 1 << 18)
        #expect(!machine.assumptions.contains { $0.contains("CPU") })
    }

    @Test(arguments: ["2.0", "2.1", "3.0", "3"])
    func versionsTaken(version: String) throws {
        _ = try Export(version: " version=\"\(version)\"").machine()
    }

    @Test func theLargestMachineIsTaken() throws {
        let limit = HwlocTopology.maximumBytes
        let nodes = (0..<64).map { Export.node($0 * 16, "0x0", limit / 64) }.joined()
        let cpus = (0..<8192).map(Export.pu).joined()
        let machine = try Export(objects: nodes + cpus).machine()
        #expect(machine.managedPages == Machine.maximumSpannedPages)
        #expect(machine.nodes[0].cpus.count == 8192)
    }
}
