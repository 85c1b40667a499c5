// A machine's bytes: there and back, and what becomes of bytes that are no machine's.

import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite struct MachineCanonicalBytesTests {
    @Test(arguments: [Machine.caseMachine, .normalOnly(pages: 1), scattered, smallest])
    func aMachineComesBackEqual(machine: Machine) throws {
        let bytes = machine.canonicalBytes
        let read = try Machine(canonicalBytes: bytes)
        #expect(read == machine)
        #expect(read.canonicalBytes == bytes)
    }

    @Test func theLayoutStaysAsItIs() throws {
        let machine = try Machine(
            dialect: .linux61, nodes: [Node(id: NodeID(sketched: 258), cpus: [3])],
            zoneTypes: [.normal],
            zones: [
                Zone(
                    node: NodeID(sketched: 258), type: .normal, startPFN: PageFrameNumber(0x100),
                    spannedPages: 2, presentRanges: [FrameRange(sketched: 0x100..<0x102)],
                    managedRanges: [FrameRange(sketched: 0x101..<0x102)],
                    watermarks: Watermarks(min: 1, low: 2, high: 3, promo: nil),
                    lowmemReserve: [4])
            ],
            distances: [[10]], assumptions: ["é"])
        let expected: [UInt8] =
            Array("gfpM".utf8) + [1, 0]
            + [9, 0, 0, 0] + Array("linux-6.1".utf8)
            + [1, 0, 2, 1, 1, 0, 3, 0]
            + [1, 2]
            + [1, 0, 2, 1, 2] + word(0x100) + word(2)
            + [1, 0] + word(0x100) + word(0x102)
            + [1, 0] + word(0x101) + word(0x102)
            + word(1) + word(2) + word(3) + [0] + [1] + word(4)
            + [10]
            + [1, 0, 2, 0, 0, 0, 0xc3, 0xa9]
        #expect(machine.canonicalBytes == expected)
    }

    @Test func whatIsCutOffIsRefused() {
        let bytes = scattered.canonicalBytes
        for count in bytes.indices {
            #expect(throws: CanonicalBytesFailure.self, "the first \(count) bytes") {
                try Machine(canonicalBytes: Array(bytes[..<count]))
            }
        }
    }

    @Test func whatFollowsIsRefused() {
        let bytes = Machine.caseMachine.canonicalBytes
        #expect(throws: CanonicalBytesFailure.trailingBytes(offset: bytes.count)) {
            try Machine(canonicalBytes: bytes + [0])
        }
    }

    @Test func otherBytesAreRefusedByName() {
        #expect(throws: CanonicalBytesFailure.notAMachine) { try Machine(canonicalBytes: []) }
        #expect(throws: CanonicalBytesFailure.notAMachine) {
            try Machine(canonicalBytes: Array("gfpX".utf8) + [1, 0])
        }
        #expect(throws: CanonicalBytesFailure.unknownVersion(0x0201)) {
            try Machine(canonicalBytes: Array("gfpM".utf8) + [1, 2])
        }
    }

    @Test func anInvalidMachineIsRefusedByItsRule() {
        // The last four bytes: a count of no assumptions, after the one distance.
        var bytes = Machine.normalOnly(pages: 1).canonicalBytes
        bytes[bytes.count - 3] = 11
        #expect {
            try Machine(canonicalBytes: bytes)
        } throws: { error in
            guard case .invalidMachine(let fault) = error as? CanonicalBytesFailure else {
                return false
            }
            return fault.subject == .distances
        }
    }

    /// Whatever is read is a machine with just these bytes, or a failure; never a trap.
    @Test(arguments: [UInt64(1), 2, 3])
    func mutatedBytesAreAMachineOrAFailure(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let originals = [Machine.caseMachine, scattered, smallest].map(\.canonicalBytes)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = random.pick(originals)
            for _ in 0...random.below(4) {
                mutate(&bytes, &random)
            }
            do throws(CanonicalBytesFailure) {
                let machine = try Machine(canonicalBytes: bytes)
                #expect(machine.canonicalBytes == bytes, "seed \(seed)")
            } catch {
                refused += 1
            }
        }
        #expect((1..<20_000).contains(refused), "seed \(seed): both must occur")
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let position = random.below(bytes.count)
        switch random.below(6) {
        case 0: bytes[position] ^= 1 << UInt8(random.below(8))
        case 1: bytes[position] = random.pick([0, 1, 0x7f, 0x80, 0xff])
        case 2: bytes[position] = UInt8(random.below(256))
        case 3: bytes.remove(at: position)
        case 4: bytes.insert(UInt8(random.below(256)), at: position)
        default:
            for index in position..<min(position + 8, bytes.count) {
                bytes[index] = 0xff
            }
        }
    }

    private func word(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// Everything that a machine can have: several nodes, gaps, holes, reserved pages, empty zones,
    /// marks with and without promo, assumptions.
    private static let scattered = described {
        try Machine(
            dialect: .linux61,
            nodes: [
                Node(id: NodeID(sketched: 0), cpus: [0, 2]),
                Node(id: NodeID(sketched: 8), cpus: []),
                Node(id: NodeID(sketched: 1023), cpus: [8191]),
            ],
            zoneTypes: ZoneType.allCases,
            zones: [
                zone(0, .dma, 1..<0x1000, promo: 7), zone(0, .normal, 0x100000..<0x180000),
                Zone(
                    node: NodeID(sketched: 8), type: .normal,
                    startPFN: PageFrameNumber((1 << 52) - 64), spannedPages: 64,
                    presentRanges: [
                        FrameRange(sketched: (1 << 52) - 64..<(1 << 52) - 32),
                        FrameRange(sketched: (1 << 52) - 16..<1 << 52),
                    ],
                    managedRanges: [FrameRange(sketched: (1 << 52) - 60..<(1 << 52) - 40)],
                    watermarks: Watermarks(min: 1, low: 2, high: 3, promo: (1 << 52) - 1),
                    lowmemReserve: [0, 1, 2, 3, (1 << 52) - 1]),
                Zone(
                    node: NodeID(sketched: 1023), type: .device, startPFN: PageFrameNumber(0),
                    spannedPages: 0, presentRanges: [], managedRanges: [],
                    watermarks: Watermarks(min: 0, low: 0, high: 0, promo: nil),
                    lowmemReserve: [0, 0, 0, 0, 0]),
            ],
            distances: [[10, 20, 255], [20, 10, 21], [11, 21, 10]],
            assumptions: ["", "a line\nand another", "Grüße"])
    }

    /// One page.
    private static let smallest = described {
        try Machine(
            dialect: .linux612, nodes: [Node(id: NodeID(sketched: 0), cpus: [])],
            zoneTypes: [.normal], zones: [zone(0, .normal, 0..<1, columns: 1)], distances: [[10]])
    }

    private static func zone(
        _ node: Int, _ type: ZoneType, _ frames: Range<UInt64>, promo: UInt64? = nil,
        columns: Int = ZoneType.allCases.count
    ) -> Zone {
        Zone(
            node: NodeID(sketched: node), type: type, startPFN: PageFrameNumber(frames.lowerBound),
            spannedPages: UInt64(frames.count), presentRanges: [FrameRange(sketched: frames)],
            managedRanges: [FrameRange(sketched: frames)],
            watermarks: Watermarks(min: 1, low: 2, high: 3, promo: promo),
            lowmemReserve: [UInt64](repeating: 5, count: columns))
    }

    private static func described(_ build: () throws -> Machine) -> Machine {
        do { return try build() } catch { preconditionFailure("not a machine: \(error)") }
    }

    private var scattered: Machine { Self.scattered }
    private var smallest: Machine { Self.smallest }
}
