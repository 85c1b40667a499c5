// Exports that are refused: each with the line and the rule. No bytes do worse than that.

import MachineImport
import PageAllocator
import TestSupport
import Testing

struct HwlocFaultTests {
    /// A file in order, a line for each tag.
    private static let sound = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE topology SYSTEM "hwloc2.dtd">
        <topology version="2.0">
        <object type="Machine">
        <info name="Architecture" value="x86_64"/>
        <object type="NUMANode" os_index="0" cpuset="0x1" local_memory="1073741824">
        <page_type size="4096" count="262144"/>
        </object>
        <object type="NUMANode" os_index="1" cpuset="0x2" local_memory="1073741824"/>
        <object type="PU" os_index="0" cpuset="0x1"/>
        <object type="PU" os_index="1" cpuset="0x2"/>
        </object>
        <distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os">
        <indexes length="4">0 1 </indexes>
        <u64values length="12">10 20 20 10 </u64values>
        </distances2>
        </topology>

        """

    private static func fault(of document: some Sequence<UInt8>) -> (line: Int, rule: String)? {
        do throws(ImportFailure) {
            _ = try MachineImport.machine(hwloc: Array(document))
            return nil
        } catch .text(.hwloc, let line, let rule) {
            return (line, rule)
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    static let cpuset =
        "cpuset must be 32-bit hexadecimal words between commas, high ones first, of CPUs below"
        + " 8192"
    static let memory = "NUMA nodes must have at most 4398046511104 bytes of memory in all"
    static let values = "there must be 4 values, a row and a column for each of 2 nodes"
    static let indexes = "there must be 2 indexes, as nbobjs says"
    static let numbers = "indexes and values must be 64-bit numbers"
    static let named = "indexes must name NUMA nodes of the file, each once"
    static let versioned = "a topology must have a version, unless the document type is hwloc.dtd"
    static let declared = "a document must not declare entities or elements"

    /// What of the sound file is replaced by what, and the fault.
    static let faults: [(String, String, line: Int, rule: String)] = [
        ("<topology version=\"2.0\">", "<topology>", 3, versioned),
        ("version=\"2.0\"", "version=\"\"", 3, "the version of a topology must be 2 or 3"),
        ("version=\"2.0\"", "version=\"4.0\"", 3, "the version of a topology must be 2 or 3"),
        ("version=\"2.0\"", "version=\"20\"", 3, "the version of a topology must be 2 or 3"),
        ("topology", "topologydiff", 3, "the root element must be topology"),
        ("<object type=\"Machine\">", "<object>", 4, "an object must have a type"),
        ("\"hwloc2.dtd\"", "\"hwloc2.dtd\" [<!ENTITY a \"x\">]", 2, declared),
        ("\"hwloc2.dtd\"", "\"h\" [<!ENTITY a SYSTEM \"file:///etc/passwd\">]", 2, declared),
        ("\"hwloc2.dtd\"", "\"h\" [<!ENTITY % a SYSTEM \"http://127.0.0.1/\"> %a;]", 2, declared),
        (
            "value=\"x86_64\"", "value=\"&a;\"", 5,
            "an entity must be one of amp, apos, gt, lt, quot"
        ),
        ("UTF-8", "ISO-8859-1", 1, "the encoding must be UTF-8"),
        ("UTF-8", "UTF-16", 1, "the encoding must be UTF-8"),
        (
            "os_index=\"1\" cpuset=\"0x2\" local", "cpuset=\"0x2\" local", 9,
            "os_index must be there"
        ),
        (
            "os_index=\"1\" cpuset=\"0x2\" local", "os_index=\"-1\" local", 9,
            "os_index must be a 64-bit number"
        ),
        (
            "os_index=\"1\" cpuset=\"0x2\" local", "os_index=\"1024\" local", 9,
            "os_index of a NUMANode must be 0 to 1023"
        ),
        (
            "os_index=\"1\" cpuset=\"0x2\" local", "os_index=\"0\" local", 9,
            "os_index of a NUMANode must be that of no other"
        ),
        (
            "<page_type size=\"4096\" count=\"262144\"/>",
            "<object type=\"NUMANode\" os_index=\"3\"/>", 7, "a NUMANode must not be within another"
        ),
        (
            "\"PU\" os_index=\"1\"", "\"PU\" os_index=\"0\"", 11,
            "os_index of a PU must be that of no other"
        ),
        (
            "\"PU\" os_index=\"1\"", "\"PU\" os_index=\"8192\"", 11,
            "os_index of a PU must be 0 to 8191"
        ),
        ("\"PU\" os_index=\"1\"", "\"PU\"", 11, "os_index must be there"),
        ("cpuset=\"0x1\" local", "cpuset=\"\" local", 6, cpuset),
        ("cpuset=\"0x1\" local", "cpuset=\"0xg\" local", 6, cpuset),
        ("cpuset=\"0x1\" local", "cpuset=\"0-3\" local", 6, cpuset),
        ("cpuset=\"0x1\" local", "cpuset=\"0x100000000\" local", 6, cpuset),
        ("cpuset=\"0x1\" local", "cpuset=\"0xf...f,0x1\" local", 6, cpuset),
        (
            "cpuset=\"0x1\" local", "cpuset=\"0x1\(String(repeating: ",", count: 256))\" local", 6,
            cpuset
        ),
        (
            "local_memory=\"1073741824\">", "local_memory=\"-1\">", 6,
            "local_memory must be a 64-bit number"
        ),
        (
            "local_memory=\"1073741824\">", "local_memory=\"0x10\">", 6,
            "local_memory must be a 64-bit number"
        ),
        (
            "local_memory=\"1073741824\">", "local_memory=\"18446744073709551616\">", 6,
            "local_memory must be a 64-bit number"
        ),
        ("local_memory=\"1073741824\">", "local_memory=\"18446744073709551615\">", 6, memory),
        // One byte more than there may be in all: the second node goes beyond.
        ("local_memory=\"1073741824\">", "local_memory=\"4396972769281\">", 9, memory),
        ("size=\"4096\"", "size=\"-4096\"", 7, "size must be a 64-bit number"),
        ("count=\"262144\"", "count=\"18446744073709551615\"", 7, memory),
        ("1073741824", "4095", 3, "a NUMANode must have at least one whole page of memory"),
        ("nbobjs=\"2\"", "nbobjs=\"0\"", 13, "nbobjs must be 1 to 64"),
        ("nbobjs=\"2\"", "nbobjs=\"65\"", 13, "nbobjs must be 1 to 64"),
        ("nbobjs=\"2\"", "", 13, "nbobjs must be there"),
        ("kind=\"5\"", "", 13, "kind must be there"),
        ("indexing=\"os\"", "indexing=\"logical\"", 13, "indexing must be os or gp"),
        ("nbobjs=\"2\"", "nbobjs=\"3\"", 13, "there must be 3 indexes, as nbobjs says"),
        (">0 1 <", ">0 <", 13, indexes), (">0 1 <", ">0 1 2 <", 14, indexes),
        (">0 1 <", ">0 one <", 14, numbers), (">0 1 <", ">0 2 <", 13, named),
        (">0 1 <", ">1 1 <", 13, named),
        ("10 20 20 10 ", "10 20 20 ", 13, values),
        ("10 20 20 10 ", "10 20 20 10 20 ", 15, values),
        ("10 20 20 10 ", "10 20 20 -10 ", 15, numbers),
        ("10 20 20 10 ", "10 20 20 18446744073709551616 ", 15, numbers),
        ("10 20 20 10 ", "10 20.5 20 10 ", 15, numbers),
        ("</distances2>", "</distances>", 16, "XML must be well-formed: mismatched tag"),
        (
            "<info", "\(String(repeating: "<object type=\"Group\">", count: 300))<info", 5,
            "elements must be nested at most 256 deep"
        ),
        (
            "x86_64", String(repeating: "x", count: 1 << 20), 5,
            "a tag must have at most 65536 bytes"
        ),
    ]

    @Test func faultsAreNamed() {
        expect(Self.faults, where: Self.sound)
    }

    /// That a document is sound, and has each of the faults where a text in it is replaced.
    private func expect(
        _ faults: [(old: String, new: String, line: Int, rule: String)], where sound: String
    ) {
        #expect(Self.fault(of: sound.utf8) == nil)
        for (old, new, line, rule) in faults {
            let fault = Self.fault(of: sound.replacing(old, with: new).utf8)
            #expect(fault?.line == line, "\(new.prefix(100))")
            #expect(fault?.rule == rule, "\(new.prefix(100))")
        }
    }

    /// A document of format 1, what is replaced in it, and the fault.
    @Test func faultsOfTheFirstFormatAreNamed() {
        let sound = """
            <!DOCTYPE topology SYSTEM "hwloc.dtd">
            <topology><object type="Machine" cpuset="0x1" local_memory="8192">
            <distances nbobjs="1" relative_depth="1" latency_base="10.000000">
            <latency value="1.000000"/>
            </distances>
            </object></topology>
            """
        let latencies = "there must be 1 latencies, a row and a column for each of 1 objects"
        let faults = [
            ("0x1", "x", 2, Self.cpuset), ("8192", "-1", 2, "local_memory must be a 64-bit number"),
            ("8192", "4398046511105", 2, Self.memory),
            ("8192", "0", 2, "a NUMANode must have at least one whole page of memory"),
            ("<latency value=\"1.000000\"/>", "", 3, latencies),
            ("<latency", "<latency value=\"1\"/><latency", 4, latencies),
            ("nbobjs=\"1\"", "", 3, "nbobjs must be there"),
            ("\"10.000000\"", "\"1e1\"", 3, "latency_base must be a decimal number below 10000"),
            ("\"10.000000\"", "\"10000\"", 3, "latency_base must be a decimal number below 10000"),
            ("\"1.000000\"", "\"-1\"", 4, "value must be a decimal number below 10000"),
            ("\"1.000000\"", "\"nan\"", 4, "value must be a decimal number below 10000"),
            ("\"1.000000\"", "\"\"", 4, "value must be a decimal number below 10000"),
            ("hwloc.dtd", "hwloc2.dtd", 2, Self.versioned),
            (
                "<topology>", "<topology version=\"1\">", 2,
                "the version of a topology must be 2 or 3"
            ),
        ]
        expect(faults, where: sound)
    }

    @Test func thereMayBe64Nodes() {
        let nodes = (0..<65).map {
            "<object type=\"NUMANode\" os_index=\"\($0)\" local_memory=\"4096\"/>\n"
        }
        let text = "<topology version=\"2.0\">\n" + nodes.joined() + "</topology>"
        let fault = Self.fault(of: text.utf8)
        #expect(fault?.line == 66)
        #expect(fault?.rule == "there must be at most 64 NUMA nodes")
    }

    @Test func matricesAndElementsAreLimited() {
        let matrix =
            "<distances2 type=\"NUMANode\" nbobjs=\"1\" kind=\"5\">"
            + "<indexes>0</indexes><u64values>10</u64values></distances2>\n"
        let level =
            "<distances nbobjs=\"1\" relative_depth=\"1\" latency_base=\"10\">"
            + "<latency value=\"1\"/></distances>\n"
        let node = "<object type=\"NUMANode\" os_index=\"0\" local_memory=\"4096\"/>"
        let limit = "there must be at most 64 matrices of latencies"
        for (count, rule) in [(64, nil), (65, limit)] {
            let second =
                "<topology version=\"2.0\">\(node)"
                + String(repeating: matrix, count: count) + "</topology>"
            let first =
                "<!DOCTYPE topology SYSTEM \"hwloc.dtd\"><topology><object type=\"Machine\">"
                + "\(node)\(String(repeating: level, count: count))</object></topology>"
            for text in [first, second] {
                let fault = Self.fault(of: text.utf8)
                #expect(fault?.rule == rule)
                #expect(fault == nil || fault?.line == 65)
            }
        }
        let many = String(repeating: "<a/>", count: HwlocTopology.maximumElements)
        let text = "<topology version=\"2.0\">\n\(many)</topology>"
        #expect(Self.fault(of: text.utf8)?.rule == "there must be at most 200000 elements")
    }

    @Test func eachTruncationIsAFault() {
        let bytes = Array(Self.sound.utf8)
        for count in 0..<bytes.count - 1 {
            let fault = Self.fault(of: bytes.prefix(count))
            #expect(fault?.rule.hasPrefix("XML must be well-formed: ") == true, "\(count)")
        }
    }

    @Test(arguments: HwlocFiles.names)
    func eachTruncationOfARealFileIsAFault(name: String) throws {
        let contents = try HwlocFiles.contents(name)
        for part in 0..<40 {
            #expect(Self.fault(of: contents.prefix(contents.count * part / 40)) != nil)
        }
    }

    @Test func whatIsNotUTF8IsAFault() {
        let bytes = Array(Self.sound.utf8)
        let place = Self.sound.utf8.count / 3
        for wrong in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5], [0]] as [[UInt8]] {
            #expect(Self.fault(of: bytes[..<place] + wrong + bytes[place...]) != nil)
        }
        let utf16 = Self.sound.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        #expect(Self.fault(of: utf16)?.rule == "the encoding must be UTF-8")
        #expect(Self.fault(of: [0xff, 0xfe] + utf16)?.rule == "the encoding must be UTF-8")
    }

    /// Bytes changed, left out, doubled: a machine or a fault, and never a trap.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func noMutationTraps(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sources = [
            Array(Self.sound.utf8), try HwlocFiles.contents("power8gpudistances.xml"),
        ]
        var machines = 0
        var faults = 0
        for _ in 0..<1500 {
            var bytes = random.pick(random.chance(percent: 90) ? [sources[0]] : sources)
            for _ in 0...random.below(3) { Self.mutate(&bytes, &random) }
            do throws(ImportFailure) {
                let machine = try MachineImport.machine(hwloc: bytes)
                #expect(machine.managedPages <= Machine.maximumSpannedPages)
                machines += 1
            } catch {
                guard case .text(.hwloc, let line, let rule) = error else {
                    Issue.record("\(error) of \(String(decoding: bytes, as: UTF8.self))")
                    continue
                }
                #expect(line > 0 && !rule.isEmpty)
                faults += 1
            }
        }
        #expect(machines > 50 && faults > 500)
    }

    /// Half of all changes are of digits, since these still parse.
    private static func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        var place = random.below(bytes.count)
        switch random.below(6) {
        case 0: bytes[place] = UInt8(random.below(256))
        case 1: bytes.remove(at: place)
        case 2:
            let end = min(bytes.count, place + random.below(40))
            bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
        default:
            while place < bytes.count - 1, !(0x30...0x39).contains(bytes[place]) { place += 1 }
            bytes[place] = UInt8(0x30 + random.below(10))
        }
    }
}
