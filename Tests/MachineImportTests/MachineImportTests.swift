import MachineImport
import PageAllocator
import Testing

/// What an import decides where texts are silent, contradict each other, or are wrong.
@Suite struct MachineImportTests {
    /// A zone of a text with as few words as possible.
    private static func zone(
        _ node: Int = 0, _ name: String = "Normal", start: UInt64 = 0, spanned: UInt64 = 100,
        present: UInt64 = 100, managed: UInt64 = 100, extra: String = "",
        protection: String = "(0)"
    ) -> String {
        """
        Node \(node), zone \(name)
          pages free 1
                min 10
                low 12
                high 14
                spanned \(spanned)
                present \(present)
                managed \(managed)
                protection: \(protection)
        \(extra)
          start_pfn: \(start)

        """
    }

    private static func frames(_ lower: UInt64, _ upper: UInt64) -> FrameRange {
        FrameRange(PageFrameNumber(lower), PageFrameNumber(upper))
    }

    /// System RAM from page `lower` up to, but without, page `upper`.
    private static func ram(_ lower: UInt64, _ upper: UInt64) -> String {
        "\(String(lower, radix: 16))000-\(String(upper - 1, radix: 16))fff : System RAM\n"
    }

    private static func failure(_ zoneinfo: String, iomem: String? = nil) -> ImportFailure? {
        do throws(ImportFailure) {
            _ = try MachineImport.machine(zoneinfo: zoneinfo, iomem: iomem)
            return nil
        } catch {
            return error
        }
    }

    /// The line that the failure names; nil for none and for another text.
    private static func line(_ failure: ImportFailure?, of source: ImportFailure.Source) -> Int? {
        guard case .text(source, let line, _) = failure else { return nil }
        return line
    }

    // MARK: Present pages

    @Test("without iomem the holes are at the end")
    func withoutIomem() throws {
        let machine = try MachineImport.machine(
            zoneinfo: Self.zone(start: 50, present: 80, managed: 70))
        #expect(machine.zones[0].presentRanges == [Self.frames(50, 130)])
        #expect(machine.zones[0].managedRanges == [Self.frames(50, 120)])
        #expect(
            machine.assumptions == [
                "holes at the end of Normal",
                "reserved pages at the end of the zone: Normal (10 pages)",
            ])
    }

    @Test("with iomem the holes are where it says, the reserved pages at the end")
    func withIomem() throws {
        let iomem = Self.ram(1000, 1030) + Self.ram(1040, 1060) + Self.ram(1070, 2000)
        let machine = try MachineImport.machine(
            zoneinfo: Self.zone(start: 1000, present: 80, managed: 45), iomem: iomem)
        #expect(
            machine.zones[0].presentRanges == [
                Self.frames(1000, 1030), Self.frames(1040, 1060), Self.frames(1070, 1100),
            ])
        #expect(
            machine.zones[0].managedRanges == [Self.frames(1000, 1030), Self.frames(1040, 1055)])
        #expect(
            machine.assumptions == ["reserved pages at the end of the zone: Normal (35 pages)"])
    }

    @Test("iomem with more memory than the zone has, and with less")
    func disagreement() throws {
        let zoneinfo = Self.zone(start: 1000, present: 60, managed: 60)
        let more = try MachineImport.machine(zoneinfo: zoneinfo, iomem: Self.ram(900, 1100))
        #expect(more.zones[0].presentRanges == [Self.frames(1000, 1060)])
        #expect(
            more.assumptions
                == ["holes where iomem lists memory, at the end of the zone: Normal (40 pages)"])
        let less = try MachineImport.machine(zoneinfo: zoneinfo, iomem: Self.ram(1010, 1050))
        #expect(
            less.zones[0].presentRanges == [Self.frames(1010, 1050), Self.frames(1080, 1100)])
        #expect(
            less.assumptions
                == ["memory that iomem does not list, at the end of the zone: Normal (20 pages)"])
    }

    @Test("one node's span within the hole of another's")
    func nestedSpans() throws {
        let zoneinfo =
            Self.zone(0, start: 0, spanned: 100, present: 70, managed: 70)
            + Self.zone(1, start: 40, spanned: 30, present: 30, managed: 30)
        let machine = try MachineImport.machine(zoneinfo: zoneinfo)
        #expect(
            machine.zones.map(\.presentRanges) == [
                [Self.frames(0, 40), Self.frames(70, 100)], [Self.frames(40, 70)],
            ])
        #expect(
            machine.assumptions.contains(
                "where spans interleave, a frame belongs to the zone whose span ends first, until"
                    + " that has its pages: node 0 Normal, node 1 Normal"))
    }

    @Test("a zone may have to wait for frames that only it can have")
    func interleavedSpans() throws {
        // Node 1 could take frames 40 to 60, but node 0 has no others.
        let zoneinfo =
            Self.zone(0, start: 0, spanned: 60, present: 60, managed: 60)
            + Self.zone(1, start: 40, spanned: 40, present: 20, managed: 20)
        let machine = try MachineImport.machine(zoneinfo: zoneinfo)
        #expect(
            machine.zones.map(\.presentRanges) == [[Self.frames(0, 60)], [Self.frames(60, 80)]])
    }

    @Test("more pages than the spans hold together are refused")
    func overfullSpans() {
        let zoneinfo = Self.zone(0, start: 0) + Self.zone(1, start: 0)
        #expect(Self.line(Self.failure(zoneinfo), of: .zoneinfo) == 12)
    }

    // MARK: Reserved pages

    @Test("the first MiB goes first, then the kernel's image, as far as the count goes")
    func reservedPages() throws {
        let iomem = """
            00000000-003fffff : System RAM
              00200000-002fffff : Kernel code
              00300000-00300001 : Kernel data
              00380000-0038ffff : Reserved
            """
        let table: [(managed: UInt64, ranges: [FrameRange])] = [
            (1024, [Self.frames(0, 1024)]),
            (1000, [Self.frames(24, 1024)]),
            (768, [Self.frames(256, 1024)]),
            (700, [Self.frames(256, 512), Self.frames(580, 1024)]),
            (511, [Self.frames(256, 512), Self.frames(769, 1024)]),
            (300, [Self.frames(256, 512), Self.frames(769, 813)]),
            (1, [Self.frames(256, 257)]),
        ]
        for (managed, ranges) in table {
            let machine = try MachineImport.machine(
                zoneinfo: Self.zone(spanned: 1024, present: 1024, managed: managed), iomem: iomem)
            #expect(machine.zones[0].managedRanges == ranges)
        }
    }

    // MARK: iomem

    @Test("only System RAM at the outermost level is memory")
    func kindsOfMemory() throws {
        let iomem = try Iomem(
            parsing: """
                00001000-0009fbff : System RAM
                00100000-001fffff : Reserved
                  00100000-00100fff : System RAM
                  00110000-001fffff : Kernel code
                00200000-002fffff : Soft Reserved
                00300000-003fffff : System RAM (kmem)
                00400000-004fffff : CXL Window 0
                  00400000-004fffff : System RAM
                00500000-005fffff : System RAM
                  00500800-005017ff : Crash kernel
                fffffffffffff000-ffffffffffffffff : System RAM
                """)
        let limit = PageFrameNumber.limit.rawValue
        #expect(
            iomem.systemRAM == [
                Self.frames(1, 0x9f), Self.frames(0x500, 0x600), Self.frames(limit - 1, limit),
            ])
        #expect(iomem.kernelImage == [Self.frames(0x500, 0x502)])
        #expect(iomem.hasAddresses)
    }

    @Test("iomem that a reader without privilege got is not used")
    func zeroedIomem() throws {
        let zeroed = """
            00000000-00000000 : Reserved
            00000000-00000000 : System RAM
              00000000-00000000 : Kernel code
            """
        let zoneinfo = Self.zone()
        let machine = try MachineImport.machine(zoneinfo: zoneinfo, iomem: zeroed)
        #expect(
            machine.assumptions
                == ["iomem has no addresses, as for a reader without privilege: it is not used"])
        #expect(machine.zones == (try MachineImport.machine(zoneinfo: zoneinfo)).zones)
        let withoutMemory = try MachineImport.machine(
            zoneinfo: zoneinfo, iomem: "00000000-00000fff : Reserved\n")
        #expect(withoutMemory.assumptions == ["iomem lists no System RAM: it is not used"])
    }

    @Test(
        "lines that are not iomem's",
        arguments: [
            "hello", "0-1", "0-1 :", "0 : System RAM", "-1-2 : System RAM", "+0-1 : System RAM",
            "0x0-0x1 : System RAM", "2-1 : System RAM", "0-10000000000000000 : System RAM",
            "0-1-2 : System RAM", "é-1 : System RAM",
        ])
    func badIomem(text: String) {
        let iomem = "00000000-00000fff : Reserved\n\n\(text)"
        #expect(Self.line(Self.failure(Self.zone(), iomem: iomem), of: .iomem) == 3)
    }

    @Test("more ranges than are read")
    func tooManyRanges() {
        let ranges = (0...UInt64(Iomem.maximumRanges)).map { Self.ram(2 * $0, 2 * $0 + 1) }
        let allowed = ranges.dropLast().joined()
        #expect(Self.failure(Self.zone(), iomem: allowed) == nil)
        let line = Self.line(Self.failure(Self.zone(), iomem: ranges.joined()), of: .iomem)
        #expect(line == ranges.count)
    }

    // MARK: zoneinfo

    @Test("the boost is taken off, CMA is named, unknown lines are passed over")
    func boost() throws {
        let machine = try MachineImport.machine(
            zoneinfo: Self.zone(
                extra: "  promo 16\n  boost 4\n  cma 7\n  something new: 1 2 3\n\u{0}\u{fffd}"))
        #expect(machine.zones[0].watermarks == Watermarks(min: 6, low: 8, high: 10, promo: 12))
        #expect(
            machine.assumptions == [
                "watermarks: the boost was taken off: Normal (4 pages)",
                "CMA pages are handed out like all others: Normal (7 pages)",
            ])
        #expect(Self.line(Self.failure(Self.zone(extra: "  boost 11")), of: .zoneinfo) == 1)
    }

    @Test("a zone without pages is kept, and starts at 0")
    func unpopulated() throws {
        let empty = """
            Node 0, zone Movable
              pages free 0
                    min 32
                    low 32
                    high 32
                    spanned 0
                    present 0
                    managed 0
                    protection: (0, 0)
            """
        let machine = try MachineImport.machine(
            zoneinfo: Self.zone(protection: "(0, 0)") + empty)
        #expect(machine.zones.map(\.type) == [.normal, .movable])
        #expect(machine.zones[1].span == Self.frames(0, 0))
        #expect(machine.zones[1].watermarks == Watermarks(min: 32, low: 32, high: 32, promo: nil))
        #expect(!machine.zones[1].isPopulated)
    }

    @Test("nodes come in ascending order, whatever the text's")
    func nodeOrder() throws {
        let machine = try MachineImport.machine(
            zoneinfo: Self.zone(8, start: 200) + Self.zone(2, start: 0))
        #expect(machine.nodes.map(\.id.rawValue) == [2, 8])
        #expect(machine.zones.map(\.startPFN.rawValue) == [0, 200])
    }

    @Test("lines that are not zoneinfo's, by the line that is named")
    func badZoneinfo() {
        let good = Self.zone()
        func replacing(_ line: String, by other: String) -> String {
            good.replacing(line, with: other)
        }
        let table: [(String, Int)] = [
            ("", 1), ("\n\n", 1), ("  min 1\n" + good, 1), ("hello", 1),
            (replacing("Node 0, zone Normal", by: "Node 0 MemTotal: 1 kB"), 1),
            (replacing("Node 0,", by: "Node 0"), 1),
            (replacing("Node 0,", by: "Node 1024,"), 1),
            (replacing("Node 0,", by: "Node 99999999999999999999,"), 1),
            (replacing("zone Normal", by: "zone HighMem"), 1),
            (replacing("zone Normal", by: "zone normal"), 1),
            (replacing("min 10", by: "min"), 3),
            (replacing("min 10", by: "min -1"), 3),
            (replacing("min 10", by: "min +1"), 3),
            (replacing("min 10", by: "min 18446744073709551616"), 3),
            (replacing("min 10", by: "min 1 2"), 3),
            (replacing("min 10", by: "low 1"), 4),
            (replacing("min 10", by: "least 1"), 1),
            (replacing("present 100", by: "present 101"), 7),
            (replacing("managed 100", by: "managed 101"), 8),
            (replacing("protection: (0)", by: ""), 1),
            (replacing("(0)", by: "(0, 0)"), 9),
            (replacing("(0)", by: "()"), 9),
            (replacing("(0)", by: "(0,)"), 9),
            (replacing("(0)", by: "(-1)"), 9),
            (replacing("(0)", by: "0"), 9),
            (replacing("start_pfn: 0", by: ""), 1),
            (replacing("start_pfn: 0", by: "start_pfn: 4503599627370397"), 11),
            (replacing("start_pfn: 0", by: "start_pfn: 18446744073709551615"), 11),
            (replacing("start_pfn: 0", by: "start_pfn: 0\n cpu: 8192"), 12),
            (replacing("start_pfn: 0", by: "start_pfn: 0\n cpu: x"), 12),
            (good + good, 12),
        ]
        #expect(Self.failure(good) == nil)
        for (text, line) in table {
            #expect(Self.line(Self.failure(text), of: .zoneinfo) == line, "\(text)")
        }
    }

    @Test("the text of a machine that lists no unpopulated zones reads back")
    func syntheticTextReadsBack() throws {
        let first = try #require(NodeID(0))
        let memory = AddressRange(first: 0, last: (64 << 20) - 1)
        let machine = try Machine(
            topology: Topology(nodes: [.init(id: first, cpus: [0], memory: [memory])]))
        let free = machine.zones.map(\.managedPages)
        let text = KernelText.zoneinfo(of: machine, freePages: free)
        let again = try MachineImport.machine(zoneinfo: text)
        #expect(again.zoneTypes == machine.zoneTypes)
        #expect(again.zones.filter(\.isPopulated) == machine.zones.filter(\.isPopulated))
        #expect(again.zones.count == machine.zoneTypes.count)
    }

    @Test("carriage returns do no harm")
    func carriageReturns() {
        #expect(Self.failure(Self.zone().replacing("\n", with: "\r\n")) == nil)
    }

    @Test("texts in order that are no machine together")
    func machineFaults() {
        let large = Machine.maximumSpannedPages + 1
        for text in [
            Self.zone(spanned: large), Self.zone(managed: 0),
            Self.zone(protection: "(4503599627370496)"),
            Self.zone(0, "DMA"),
            (0...64).map { Self.zone($0, start: UInt64($0) * 100) }.joined(),
        ] {
            guard case .machine = Self.failure(text) else {
                Issue.record("\(text.prefix(200)) should be no machine")
                continue
            }
        }
    }

    // MARK: CPUs and distances

    @Test("CPUs and distances that are given are taken, others assumed")
    func cpusAndDistances() throws {
        let zoneinfo =
            Self.zone(0, start: 0, extra: "  cpu: 1\n  cpu: 0") + Self.zone(1, start: 100)
        let assumed = try MachineImport.machine(zoneinfo: zoneinfo)
        #expect(assumed.nodes.map(\.cpus) == [[0, 1], []])
        #expect(assumed.distances == [[10, 20], [20, 10]])
        #expect(assumed.assumptions.count == 2)

        let one = try #require(NodeID(1))
        let given = try MachineImport.machine(
            zoneinfo: zoneinfo, distances: [[10, 31], [32, 10]], cpus: [one: [5, 4]])
        #expect(given.nodes.map(\.cpus) == [[], [4, 5]])
        #expect(given.distances == [[10, 31], [32, 10]])
        #expect(given.assumptions.isEmpty)

        let unknown = try #require(NodeID(7))
        #expect(throws: ImportFailure.self) {
            try MachineImport.machine(zoneinfo: zoneinfo, cpus: [unknown: [0]])
        }
        #expect(throws: ImportFailure.self) {
            try MachineImport.machine(zoneinfo: zoneinfo, distances: [[10]])
        }
    }

    @Test(
        "lists of CPUs",
        arguments: [
            ("", []), ("\n", []), ("0\n", [0]), ("0-3,8", [0, 1, 2, 3, 8]), ("8191", [8191]),
            ("7-7", [7]),
        ] as [(String, [Int])])
    func cpuLists(text: String, cpus: [Int]) throws {
        #expect(try SysfsNodes.cpuList(text) == cpus)
    }

    @Test(
        "lists that are none",
        arguments: [
            "a", "1,", ",1", "1--2", "-1", "3-1", "0-", "0-8192", "1,1", "2,1", "0-3,3-4", "1 2",
            "0-18446744073709551615", "99999999999999999999", "0-10:2/5",
        ])
    func badCPULists(text: String) {
        #expect(throws: ImportFailure.self) { try SysfsNodes.cpuList(text) }
    }

    @Test("sysfs, with a gap in the node numbers and a node without CPUs")
    func sysfs() throws {
        let nodes = try SysfsNodes(
            parsing: """
                == /sys/devices/system/node/node8/distance
                20 10
                == /sys/devices/system/node/node8/cpulist

                == /sys/devices/system/node/node0/meminfo
                Node 0 MemTotal:         992500 kB
                == /sys/devices/system/node/node0/distance
                10 20
                == /sys/devices/system/node/node0/cpulist
                0-1,3
                """)
        #expect(nodes.nodes.map(\.rawValue) == [0, 8])
        #expect(nodes.distances == [[10, 20], [20, 10]])
        let zero = try #require(NodeID(0))
        #expect(nodes.cpus == [zero: [0, 1, 3]])
    }

    @Test("sysfs texts that are wrong, by the line that is named")
    func badSysfs() {
        let table: [(String, Int)] = [
            ("== /sys/devices/system/node/node1024/distance\n10", 1),
            ("== node/node0/distance\nten", 2),
            ("== node/node0/distance\n10 20", 2),
            ("== node/node0/distance\n10 99999999999999999999", 2),
            ("== node/node0/cpulist\n0-9999", 2),
            ("== node/node0/distance\n10 20\n== node/node1/cpulist\n0", 1),
        ]
        for (text, line) in table {
            do throws(ImportFailure) {
                _ = try SysfsNodes(parsing: text)
                Issue.record("\(text) should not be read")
            } catch {
                #expect(Self.line(error, of: .nodes) == line, "\(text)")
            }
        }
    }
}
