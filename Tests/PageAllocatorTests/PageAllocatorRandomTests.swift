// Long random lives of small machines: each answer of the allocator, whole, against that of the
// slow reference, and the whole state after each call. A failure names the seed, and the fewest
// calls found that show it.

import PageAllocator
import TestSupport
import Testing

@Suite("PageAllocator at random")
struct PageAllocatorRandomTests {
    /// A part of the lives, so that parts run side by side.
    static let parts = 0..<8

    /// Machines a part, and calls a machine. In all 1,004,800 calls.
    static let lives: [(scale: Machine.Scale, machines: Int, calls: Int, largestOrder: Int)] = [
        (.tiny, 400, 300, 4), (.small, 6, 500, 9), (.wide, 4, 600, 10), (.large, 1, 200, 10),
    ]

    @Test("answers as the reference does", arguments: parts, Machine.Scale.allCases.indices)
    func lives(part: Int, kind: Int) throws {
        let (scale, machines, calls, largestOrder) = Self.lives[kind]
        var outcomes: [String: Int] = [:]
        for number in 0..<machines {
            let seed = UInt64(part) << 32 | UInt64(kind) << 24 | UInt64(number)
            var random = SeededGenerator(seed: seed)
            let dialect = random.pick(KernelDialect.allCases)
            let machine = Machine.random(scale, dialect: dialect, random: &random)
            var steps = RandomSteps(
                on: machine, largestOrder: largestOrder, era: calls / 4, random: random)
            let fault = RandomLife.fault(
                on: machine, steps: &steps, count: calls, outcomes: &outcomes)
            try #require(fault == nil, "seed \(seed), \(machine.sketch)")
        }
        #expect(outcomes.keys.count >= 8, "dull lives: \(outcomes)")
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
