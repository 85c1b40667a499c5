// Every state that a small machine can come to in a few calls, and from each of them every call of
// a small family: each answer and each state that follows, against the slow reference.

import PageAllocator
import TestSupport
import Testing

@Suite("PageAllocator in small worlds")
struct PageAllocatorSmallWorldTests {
    /// A machine, what is asked of it, and how many calls deep.
    struct World: Sendable, CustomStringConvertible {
        let description: String
        let machine: Machine
        let family: [AllocationRequest]
        let depth: Int
    }

    private static func block(
        _ order: Int, _ flags: GFPFlags = .kernel, within frames: Range<UInt64>? = nil
    ) -> AllocationRequest {
        var control = AllocationControl(flags: flags, order: Order(sketched: order))
        if let frames {
            control.lowBoundary = frames.lowerBound << 12
            control.highBoundary = frames.upperBound << 12 - 1
        }
        return AllocationRequest(control: control)
    }

    private static func run(
        _ pages: UInt64, _ fit: Fit, alignment: UInt64 = 0, boundary: UInt64 = 0, segments: Int = 1
    ) -> AllocationRequest {
        var control = AllocationControl()
        control.pages = pages
        control.fit = fit
        control.alignment = alignment << 12
        control.boundary = boundary << 12
        control.maxSegments = segments
        return AllocationRequest(control: control)
    }

    private static let blocks = [
        block(0), block(1), block(2, [.kernel, .movable]), block(0, [.kernel, .reclaimable]),
        block(1, [.kernel, .compound]), block(0, within: 5..<9), block(2, within: 3..<16),
    ]

    private static let runs = [
        block(0), run(3, .first), run(5, .best, alignment: 2), run(3, .topdown, boundary: 4),
        run(2, .next), run(9, .first, segments: 3), run(4, .buddy, boundary: 2, segments: 4),
    ]

    private static let atomic = [
        block(0, [.kswapdReclaim, .high]), block(0), block(2), block(1, [.kernel, .memAlloc]),
        block(0, [.kernel, .movable, .highmem]), block(3, [.kernel, .noFail]),
        block(0, [.kernel, .dma]), block(1, [.kernel, .thisNode]),
    ]

    static let worlds: [World] = KernelDialect.allCases.flatMap { dialect in
        [
            World(
                description: "blocks, \(dialect.rawValue)",
                machine: .drawn(
                    [ZoneSketch(0, .normal, [0..<16])], zoneTypes: [.normal], dialect: dialect),
                family: blocks, depth: 5),
            World(
                description: "runs, \(dialect.rawValue)",
                machine: .drawn(
                    [ZoneSketch(0, .normal, [3..<12, 13..<21])], zoneTypes: [.normal],
                    dialect: dialect),
                family: runs, depth: 4),
            World(
                description: "marks, \(dialect.rawValue)", machine: marked(dialect),
                family: atomic, depth: 5),
        ]
    }

    /// Two nodes of 16 pages with marks and reserves: 32 pages in all.
    private static func marked(_ dialect: KernelDialect) -> Machine {
        func zone(
            _ node: Int, _ type: ZoneType, _ frames: Range<UInt64>, reserve: [UInt64]
        ) -> Zone {
            let range = FrameRange(sketched: frames)
            return Zone(
                node: NodeID(sketched: node), type: type, startPFN: range.lowerBound,
                spannedPages: range.count, presentRanges: [range], managedRanges: [range],
                watermarks: Watermarks(min: 2, low: 4, high: 6, promo: 8), lowmemReserve: reserve)
        }
        do {
            return try Machine(
                dialect: dialect,
                nodes: [
                    Node(id: NodeID(sketched: 0), cpus: [0]),
                    Node(id: NodeID(sketched: 1), cpus: [1]),
                ], zoneTypes: [.dma, .normal, .movable],
                zones: [
                    zone(0, .dma, 0..<6, reserve: [0, 1, 1]),
                    zone(0, .normal, 6..<16, reserve: [0, 0, 0]),
                    zone(1, .normal, 16..<26, reserve: [0, 0, 1]),
                    zone(1, .movable, 26..<32, reserve: [0, 0, 0]),
                ], distances: [[10, 20], [20, 10]])
        } catch {
            preconditionFailure("the test draws a machine that is none: \(error)")
        }
    }

    /// What makes a state another: not the names of grants, nor how the pages came to them.
    private struct State: Hashable {
        let zones: [PageAllocatorImage.ZoneImage]
        let held: [[FrameRange]]

        init(_ image: PageAllocatorImage) {
            zones = image.zones
            held = image.held.sorted { $0[0].lowerBound < $1[0].lowerBound }
        }
    }

    @Test("every call from every state within reach", arguments: worlds)
    func everyCall(world: World) throws {
        var seen: Set<State> = []
        var paths: [[RandomStep]] = [[]]
        var calls = 0
        for depth in 1...world.depth {
            var longer: [[RandomStep]] = []
            for path in paths {
                for step in steps(after: path, in: world) {
                    let steps = path + [step]
                    var life = RandomLife(on: world.machine)
                    for step in steps {
                        let difference = life.make(step)
                        try #require(difference == nil, "\(steps)")
                    }
                    calls += 1
                    let isNew = seen.insert(State(life.image)).inserted
                    if isNew, depth < world.depth { longer.append(steps) }
                }
            }
            paths = longer
        }
        #expect(calls > 2_000 && seen.count > 400, "\(calls) calls, \(seen.count) states")
    }

    /// Every request of the family, and every free of what the path left alive.
    private func steps(after path: [RandomStep], in world: World) -> [RandomStep] {
        var life = RandomLife(on: world.machine)
        for step in path { _ = life.make(step) }
        let image = life.image
        let id = AllocationID(UInt64(path.count) + 1)
        let frees = zip(image.grants, image.held).flatMap { live, held in
            [RandomStep.free(live.id)]
                + held.flatMap { range in
                    [
                        .freeAPage(range.lowerBound),
                        .freeSomePages(range.lowerBound, Order(sketched: 1)),
                    ]
                }
        }
        return world.family.map { .allocate($0, id) } + frees
    }
}
