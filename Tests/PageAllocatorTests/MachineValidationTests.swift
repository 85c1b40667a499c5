import PageAllocator
import Testing

/// Each rule that a machine keeps, by a description that breaks it alone.
@Suite struct MachineValidationTests {
    private static func fault(
        nodes: [Node] = [Node(id: node(0), cpus: [0])], zoneTypes: [ZoneType] = [.normal],
        zones: [Zone] = [zone()], distances: [[Int]]? = nil
    ) -> MachineFault? {
        do throws(MachineFault) {
            _ = try Machine(
                dialect: .linux612, nodes: nodes, zoneTypes: zoneTypes, zones: zones,
                distances: distances ?? Machine.distances(ofNodes: nodes.count))
            return nil
        } catch {
            return error
        }
    }

    private static let twoNodes = [Node(id: node(0), cpus: [0]), Node(id: node(1), cpus: [1])]

    @Test func theDescriptionThatTheOthersVaryIsAMachine() {
        #expect(Self.fault() == nil)
        #expect(Self.fault(nodes: Self.twoNodes) == nil)
    }

    @Test func nodes() {
        #expect(Self.fault(nodes: [])?.subject == .nodes)
        let reversed = Array(Self.twoNodes.reversed())
        #expect(Self.fault(nodes: reversed)?.subject == .node(node(0)))
        let twice = [Node(id: node(0), cpus: []), Node(id: node(0), cpus: [])]
        #expect(Self.fault(nodes: twice)?.subject == .node(node(0)))
    }

    @Test func cpus() {
        for cpus in [[-1], [Machine.cpuLimit], [3, 3]] {
            let nodes = [Node(id: node(0), cpus: cpus)]
            #expect(Self.fault(nodes: nodes)?.subject == .node(node(0)))
        }
        let shared = [Node(id: node(0), cpus: [5]), Node(id: node(1), cpus: [5])]
        #expect(Self.fault(nodes: shared)?.subject == .node(node(1)))
        #expect(Self.fault(nodes: [Node(id: node(0), cpus: [Machine.cpuLimit - 1])]) == nil)
    }

    @Test(arguments: [
        [[10]], [[10, 20], [20]], [[10, 20, 20], [20, 10, 20]], [[10, 9], [20, 10]],
        [[10, 256], [20, 10]], [[10, 10], [20, 10]], [[11, 20], [20, 10]],
        [[Int.min, Int.max], [20, 10]],
    ])
    func distances(matrix: [[Int]]) {
        #expect(Self.fault(nodes: Self.twoNodes, distances: matrix)?.subject == .distances)
    }

    @Test func asymmetricDistancesAreAllowed() {
        #expect(Self.fault(nodes: Self.twoNodes, distances: [[10, 255], [11, 10]]) == nil)
    }

    @Test func zoneTypes() {
        let table: [[ZoneType]] = [[], [.dma], [.normal, .dma], [.normal, .normal]]
        for types in table {
            #expect(Self.fault(zoneTypes: types)?.subject == .zoneTypes)
        }
    }

    @Test func zonesOfTheMachine() {
        #expect(Self.fault(zones: [])?.subject == .machine)
        #expect(Self.fault(zones: [zone(managed: [])])?.subject == .machine)
        let twice = [zone(), zone(.normal, at: frames(64, 128))]
        #expect(Self.fault(zones: twice)?.subject == .zone(node(0), .normal))
        let reversed = [
            zone(of: node(1), at: frames(0, 64)), zone(of: node(0), at: frames(64, 128)),
        ]
        #expect(
            Self.fault(nodes: Self.twoNodes, zones: reversed)?.subject == .zone(node(0), .normal))
        let half = Machine.maximumSpannedPages / 2
        let large = [
            zone(of: node(0), at: frames(0, half)), zone(of: node(1), at: frames(half, 2 * half)),
        ]
        #expect(Self.fault(nodes: Self.twoNodes, zones: large) == nil)
        let tooLarge = [
            zone(of: node(0), at: frames(0, half)),
            zone(of: node(1), at: frames(half, 2 * half + 1)),
        ]
        #expect(Self.fault(nodes: Self.twoNodes, zones: tooLarge)?.subject == .machine)
    }

    @Test func memoryInTwoZones() {
        let zones = [zone(of: node(0), at: frames(0, 64)), zone(of: node(1), at: frames(63, 128))]
        #expect(Self.fault(nodes: Self.twoNodes, zones: zones)?.subject == .zone(node(1), .normal))
        // Spans may interleave, pages may not.
        let interleaved = [
            zone(of: node(0), at: frames(0, 100), present: [frames(0, 10), frames(90, 100)]),
            zone(of: node(1), at: frames(10, 90)),
        ]
        #expect(Self.fault(nodes: Self.twoNodes, zones: interleaved) == nil)
    }

    @Test func oneZone() {
        let manyRanges = (0...UInt64(Machine.maximumRangesPerZone)).map {
            frames(2 * $0, 2 * $0 + 1)
        }
        let marks = [(3, 2, 4, 5), (1, 3, 2, 5), (1, 2, 4, 3), (1, 2, 1 << 52, nil)]
            .map { Watermarks(min: $0.0, low: $0.1, high: $0.2, promo: $0.3) }
        let limit = PageFrameNumber.limit.rawValue
        let zones =
            [
                zone(of: node(1)),
                zone(.dma),
                zone(lowmemReserve: []),
                zone(lowmemReserve: [1 << 52]),
                zone(at: frames(0, Machine.maximumSpannedPages + 1)),
                zone(at: frames(limit - 4, limit + 4)),
                zone(at: frames(limit, limit)),
                zone(present: [frames(0, 65)]),
                zone(present: [frames(8, 9), frames(0, 1)]),
                zone(present: [frames(0, 8), frames(8, 16)]),
                zone(present: [frames(0, 8), frames(4, 16)]),
                zone(present: [frames(4, 4)]),
                zone(at: frames(0, 1 << 20), present: manyRanges),
                zone(present: [frames(0, 8)], managed: [frames(0, 9)]),
                zone(present: [frames(0, 8), frames(9, 16)], managed: [frames(7, 10)]),
            ] + marks.map { zone(watermarks: $0) }
        for broken in zones {
            #expect(
                Self.fault(zones: [broken])?.subject == .zone(broken.node, broken.type), "\(broken)"
            )
        }
    }
}
