import Foundation
import PageAllocator
import Testing

@testable import MachineImport

/// Numbers of real files, put back into text: it must be the file, byte for byte.
@Suite struct KernelTextTests {
    typealias KernelSet = GroundTruth.KernelSet

    private static func words(_ line: Substring) -> [Substring] {
        line.split(separator: " ")
    }

    private static func machine(of set: KernelSet, _ snapshot: String) throws -> Machine {
        try MachineImport.machine(
            zoneinfo: set.text("\(snapshot)/zoneinfo"), iomem: nil, dialect: set.dialect)
    }

    /// The counts of each zone, "node name", as a reader in a hurry takes them: each type's
    /// numbers from the right end of its row.
    private static func counts(in text: String) throws -> [String: PagetypeCounts] {
        var rows: [String: [[UInt64]]] = [:]
        var pageblocks: [String: [UInt64]] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("Node ") {
            let words = words(line)
            let zone = words[1].filter { $0 != "," } + " " + words[3].filter { $0 != "," }
            if words[4] == "type" {
                rows[zone, default: []].append(words[6...].compactMap { UInt64($0) })
            } else {
                pageblocks[zone] = words[4...].compactMap { UInt64($0) }
            }
        }
        var counts: [String: PagetypeCounts] = [:]
        for (zone, rows) in rows {
            // The fifth type is isolation: nothing was isolated at any of these moments.
            #expect(rows.count == 5 && rows[4].allSatisfy { $0 == 0 })
            let blocks = try #require(pageblocks[zone])
            #expect(blocks.count == 5 && blocks[4] == 0)
            counts[zone] = PagetypeCounts(
                freeBlocks: Array(rows[..<4]), pageblocks: Array(blocks[..<4]))
        }
        return counts
    }

    private static let noCounts = PagetypeCounts(
        freeBlocks: [[UInt64]](
            repeating: [UInt64](repeating: 0, count: Order.count), count: 4),
        pageblocks: [0, 0, 0, 0])

    @Test("pagetypeinfo is the kernel's own text", arguments: KernelSet.allCases)
    func pagetypeinfo(set: KernelSet) throws {
        for snapshot in set.snapshots {
            let text = try set.text("\(snapshot)/pagetypeinfo")
            let machine = try Self.machine(of: set, snapshot)
            let counts = try Self.counts(in: text)
            #expect(counts.count == machine.zones.count(where: \.isPopulated))
            let byZone = machine.zones.map {
                counts["\($0.node.rawValue) \($0.type.name)"] ?? Self.noCounts
            }
            #expect(KernelText.pagetypeinfo(of: machine, counts: byZone) == text, "\(snapshot)")
        }
    }

    @Test("a list is counted up to 100,000 blocks")
    func countLimit() throws {
        let machine = try Machine(
            dialect: .linux612, nodes: [Node(id: #require(NodeID(12)), cpus: [0])],
            zoneTypes: [.normal],
            zones: [
                Zone(
                    node: #require(NodeID(12)), type: .normal, startPFN: PageFrameNumber(0),
                    spannedPages: 1 << 20,
                    presentRanges: [FrameRange(PageFrameNumber(0), PageFrameNumber(1 << 20))],
                    managedRanges: [FrameRange(PageFrameNumber(0), PageFrameNumber(1 << 20))],
                    watermarks: Watermarks(min: 0, low: 0, high: 0, promo: nil),
                    lowmemReserve: [0])
            ], distances: [[10]])
        var freeBlocks = Self.noCounts.freeBlocks
        freeBlocks[1] = [99_999, 100_000, 100_001, 7, 0, 0, 0, 0, 0, 0, 123]
        let text = KernelText.pagetypeinfo(
            of: machine,
            counts: [PagetypeCounts(freeBlocks: freeBlocks, pageblocks: [1, 2047, 0, 0])])
        #expect(
            text.split(separator: "\n")[4]
                == "Node   12, zone   Normal, type      Movable  99999 >100000 >100000      7"
                + "      0      0      0      0      0      0    123 ")
        #expect(
            text.hasSuffix(
                "\nNode 12, zone   Normal            1         2047            0            0"
                    + "            0 \n"))
    }

    @Test("a node's numastat is the kernel's own text", arguments: KernelSet.allCases)
    func numastat(set: KernelSet) throws {
        for snapshot in set.snapshots {
            let files = try set.text("\(snapshot)/nodes").components(beginning: "== ")
                .filter { $0.split(separator: "\n")[0].hasSuffix("/numastat") }
            #expect(!files.isEmpty)
            for file in files {
                let numbers = file.split(separator: "\n").dropFirst()
                    .compactMap { UInt64(Self.words($0)[1]) }
                try #require(numbers.count == 6)
                let counts = NUMACounts(
                    hit: numbers[0], miss: numbers[1], foreign: numbers[2],
                    interleaveHit: numbers[3], localNode: numbers[4], otherNode: numbers[5])
                let lines = file.split(separator: "\n", maxSplits: 1)
                #expect(KernelText.numastat(counts) == lines[1], "\(snapshot)")
            }
        }
    }

    @Test(
        "thousandths as the kernel prints them",
        arguments: [
            (0, "0.000 ", " 0.000 "), (66, "0.066 ", " 0.066 "), (1000, "1.000 ", " 1.000 "),
            (867, "0.867 ", " 0.867 "),
        ])
    func thousandths(index: Int, unusable: String, extfrag: String) {
        #expect(KernelText.unusableIndex(index) == unusable)
        #expect(KernelText.extfragIndex(index) == extfrag)
    }

    @Test(
        "thousandths below 0 as C prints them",
        arguments: [(-1000, "-1.000 "), (-500, " 0.-500 "), (-7, " 0.-07 ")])
    func thousandthsBelowZero(index: Int, extfrag: String) {
        #expect(KernelText.extfragIndex(index) == extfrag)
    }

    @Test("the indexes of a running kernel's zones")
    func indexes() throws {
        let machine = try Self.machine(of: .host, "before")
        var freeBlocks = [[UInt64]](
            repeating: [UInt64](repeating: 0, count: Order.count), count: machine.zones.count)
        freeBlocks[0] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3]
        freeBlocks[1] = [500, 20, 3, 0, 0, 0, 0, 0, 0, 0, 0]
        freeBlocks[2] = [3095, 504, 414, 583, 1727, 1231, 870, 475, 439, 345, 400]
        #expect(
            KernelText.unusableIndex(of: machine, freeBlocks: freeBlocks) == """
                Node 0, zone      DMA 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.066 \
                0.200\u{20}
                Node 0, zone    DMA32 0.000 0.905 0.978 1.000 1.000 1.000 1.000 1.000 1.000 1.000 \
                1.000\u{20}
                Node 0, zone   Normal 0.000 0.003 0.004 0.006 0.011 0.042 0.086 0.149 0.217 0.343 \
                0.541\u{20}

                """)
        let would = [String](repeating: "-1.000 ", count: Order.count).joined()
        #expect(
            KernelText.extfragIndex(of: machine, freeBlocks: freeBlocks) == """
                Node 0, zone      DMA \(would)
                Node 0, zone    DMA32 -1.000 -1.000 -1.000  0.867  0.933  0.966  0.982  0.990 \
                 0.994  0.997  0.998\u{20}
                Node 0, zone   Normal \(would)

                """)
    }
}

extension String {
    /// The parts that begin with `prefix` at the start of a line, each without it.
    fileprivate func components(beginning prefix: String) -> [Substring] {
        var parts: [Substring] = []
        var rest = self[...]
        while let start = rest.range(of: prefix) {
            rest = rest[start.upperBound...]
            let end = rest.range(of: "\n" + prefix).map { rest.index(after: $0.lowerBound) }
            parts.append(rest[..<(end ?? rest.endIndex)])
        }
        return parts
    }
}
