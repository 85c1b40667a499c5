import PageAllocator
import Testing

/// The order in which nodes are tried, against kernels and hand-worked tables.
@Suite struct ZonelistTests {
    private struct Vector: CustomTestStringConvertible {
        let testDescription: String
        let distances: [[Int]]
        let orders: [String]
        var nodesWithCPUs: Int?
    }

    private static let vectors = [
        Vector(
            testDescription: "Debian 6.1, 4 nodes, CPUs on 0 to 2",
            distances: [
                [10, 16, 22, 28], [16, 10, 16, 24], [22, 16, 10, 17], [30, 24, 17, 10],
            ],
            orders: ["0123", "1203", "2130", "3210"], nodesWithCPUs: 3),
        Vector(
            testDescription: "Debian 6.12.95, 3 nodes, CPUs on 0 and 1",
            distances: [[10, 20, 14], [20, 10, 26], [14, 26, 10]], orders: ["021", "102", "201"],
            nodesWithCPUs: 2),
        Vector(
            testDescription: "4 nodes, all equally far", distances: Machine.distances(ofNodes: 4),
            orders: ["0123", "1230", "2301", "3012"]),
        Vector(
            testDescription: "2 sockets of 4 nodes",
            distances: (0..<8).map { from in
                (0..<8).map { to in from == to ? 10 : from / 4 == to / 4 ? 12 : 32 }
            },
            orders: [
                "01234567", "12305674", "23016745", "30127456", "45670123", "56741230", "67452301",
                "74563012",
            ]),
        Vector(
            testDescription: "2 nodes with CPUs, 2 of CXL memory",
            distances: [
                [10, 21, 14, 24], [21, 10, 24, 14], [14, 24, 10, 26], [24, 14, 26, 10],
            ],
            orders: ["0213", "1302", "2013", "3102"], nodesWithCPUs: 2),
    ]

    private static func machine(
        distances: [[Int]], nodesWithCPUs: Int? = nil, memoryless: Set<Int> = []
    ) throws -> Machine {
        let nodes = distances.indices.map { position in
            let start = UInt64(position) * 0x100
            return Topology.Node(
                id: node(position),
                cpus: position < nodesWithCPUs ?? distances.count ? [position] : [],
                memory: memoryless.contains(position) ? [] : [pages(start, start + 0x100)])
        }
        return try Machine(topology: Topology(nodes: nodes, distances: distances))
    }

    @Test(arguments: vectors)
    private func fallbackOrders(vector: Vector) throws {
        let machine = try Self.machine(
            distances: vector.distances, nodesWithCPUs: vector.nodesWithCPUs)
        let orders = machine.fallbackOrders.map { $0.map(String.init).joined() }
        #expect(orders == vector.orders)
    }

    @Test("a node without memory is in no list but has one")
    func memorylessNode() throws {
        let machine = try Self.machine(
            distances: [[10, 15, 20], [15, 10, 25], [20, 25, 10]], memoryless: [0])
        #expect(machine.fallbackOrders == [[1, 2], [1, 2], [2, 1]])
    }

    @Test("within a node high zones first, all of them before the next node; empty ones never")
    func zoneOrder() throws {
        let machine = try Machine(
            topology: Topology(nodes: [
                Topology.Node(id: node(0), memory: [pages(0, 0x2000)]),
                Topology.Node(
                    id: node(1), memory: [pages(0xf_0000, 0x20_0000)], movableBytes: 0x1000_0000),
            ]))
        let types = machine.zonelists.map { list in
            list.map { "\(machine.zones[$0].node.rawValue).\(machine.zones[$0].type.name)" }
        }
        #expect(
            types == [
                ["0.DMA32", "0.DMA", "1.Movable", "1.Normal", "1.DMA32"],
                ["1.Movable", "1.Normal", "1.DMA32", "0.DMA32", "0.DMA"],
            ])
    }
}
