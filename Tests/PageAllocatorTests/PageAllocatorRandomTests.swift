// Long random lives of small machines: each answer of the allocator, whole, against that of the
// slow reference, and the whole state after each call. A failure names the seed, and the fewest
// calls found that show it.

import PageAllocator
import TestSupport
import Testing

@Suite("PageAllocator at random")
struct PageAllocatorRandomTests {
    /// Lives side by side. In all 1,017,600 calls, 988,800 of them on tiny machines.
    static let parts = 0..<16

    /// What every life must have seen, or it tests little.
    private static let usual = ["granted", "out of memory", "freed", "freed in part"]

    @Test("tiny machines answer as the reference does", arguments: parts)
    func tiny(part: Int) throws {
        try live(
            .tiny, part, machines: 200, calls: 309, largestOrder: 4,
            expecting: Self.usual + ["advanced", "in segments", "reserved"])
    }

    @Test("machines of a few pageblocks answer as the reference does", arguments: parts)
    func small(part: Int) throws {
        try live(.small, part, machines: 3, calls: 300, largestOrder: 9, expecting: Self.usual)
    }

    @Test("machines that group by mobility answer as the reference does", arguments: parts)
    func wide(part: Int) throws {
        try live(
            .wide, part, machines: 2, calls: 300, largestOrder: 10,
            expecting: Self.usual + ["retyped"])
    }

    @Test("machines that reserve pageblocks answer as the reference does", arguments: 0..<4)
    func large(part: Int) throws {
        try live(
            .large, part, machines: 1, calls: 1200, largestOrder: 10,
            expecting: Self.usual + ["retyped", "boosted"])
    }

    private func live(
        _ scale: Machine.Scale, _ part: Int, machines: Int, calls: Int, largestOrder: Int,
        expecting expected: [String]
    ) throws {
        var outcomes: [String: Int] = [:]
        for number in 0..<machines {
            let seed = UInt64(part) << 32 | UInt64(number)
            var random = SeededGenerator(seed: seed)
            // 6.1 reserves pageblocks on machines of any size.
            let dialect = scale == .large ? .linux612 : random.pick(KernelDialect.allCases)
            let machine = Machine.random(scale, dialect: dialect, random: &random)
            var steps = RandomSteps(
                on: machine, largestOrder: largestOrder, era: calls / 6, random: random)
            let fault = RandomLife.fault(
                on: machine, steps: &steps, count: calls, outcomes: &outcomes)
            try #require(fault == nil, "seed \(seed), \(machine.sketch)")
        }
        let missing = expected.filter { outcomes[$0] == nil }
        #expect(missing.isEmpty, "dull lives: \(outcomes)")
    }
}

extension Machine {
    /// A machine in a line, for the message of a failure.
    fileprivate var sketch: String {
        let zones = zones.map { zone in
            let ranges = zone.managedRanges.map {
                "\($0.lowerBound.rawValue)..<\($0.upperBound.rawValue)"
            }.joined(separator: ",")
            let marks = "\(zone.watermarks.min)/\(zone.watermarks.low)/\(zone.watermarks.high)"
            return "\(zone.node.rawValue).\(zone.type.name) \(ranges) marks \(marks) reserve "
                + "\(zone.lowmemReserve)"
        }.joined(separator: "; ")
        let nodes = nodes.map { "\($0.id.rawValue): \($0.cpus)" }
        return "\(dialect.rawValue) \(zoneTypes.map(\.name)) \(zones); CPUs \(nodes); distances "
            + "\(distances)"
    }
}
