import TestSupport
import Testing

@testable import PageAllocator

/// Which nodes a policy chooses, by the rules of mm/mempolicy.c.
@Suite struct MemoryPolicyTests {
    /// One node for each number, 64 pages of Normal each, a CPU on each.
    private static func machine(
        nodes: [Int], dialect: KernelDialect = .linux612, types: [ZoneType] = [.normal]
    ) -> Machine {
        Machine.drawn(
            nodes.enumerated().flatMap { position, node in
                types.enumerated().map { place, type in
                    let start = UInt64(place * nodes.count + position) * 0x400
                    return ZoneSketch(node, type, [start..<start + 64])
                }
            },
            nodes: nodes.enumerated().map { (id: $1, cpus: [$0]) }, dialect: dialect)
    }

    private static func request(
        _ policy: MemoryPolicy, flags: GFPFlags = .kernel, node: Int? = nil, cpu: Int? = nil,
        allowed: [Int]? = nil, interleave: InterleaveState = .start
    ) -> AllocationRequest {
        var control = AllocationControl(flags: flags, node: node.map(NodeID.init(sketched:)))
        control.memoryPolicy = policy
        control.allowedNodes = allowed?.map(NodeID.init(sketched:))
        return AllocationRequest(control: control, cpu: cpu, interleave: interleave)
    }

    private static func policy(
        _ mode: MemoryPolicy.Mode, _ nodes: [Int] = [], flags: MemoryPolicy.Flags = [],
        home: Int? = nil, weights: [(node: Int, pages: UInt8)] = []
    ) -> MemoryPolicy {
        MemoryPolicy(
            mode: mode, flags: flags, nodes: nodes.map(NodeID.init(sketched:)),
            homeNode: home.map(NodeID.init(sketched:)),
            weights: weights.map {
                MemoryPolicy.Weight(node: NodeID(sketched: $0.node), pages: $0.pages)
            })
    }

    /// The nodes at which the walks of a row of calls start.
    private static func turns(
        _ policy: MemoryPolicy, count: Int, on machine: Machine, allowed: [Int]? = nil
    ) throws -> [Int] {
        var state = InterleaveState.start
        return try (0..<count).map { _ in
            let request = request(policy, allowed: allowed, interleave: state)
            let decision = try PlacementDecision(request, on: machine)
            state = try #require(request.interleaveAfter(on: machine))
            return machine.nodes[decision.node].id.rawValue
        }
    }

    // MARK: Interleave

    @Test("interleave over 0, 2 and 3: 0 2 3 0 2 3 0")
    func interleaveInTurn() throws {
        let machine = Self.machine(nodes: [0, 1, 2, 3])
        #expect(
            try Self.turns(Self.policy(.interleave, [0, 2, 3]), count: 7, on: machine)
                == [0, 2, 3, 0, 2, 3, 0])
    }

    @Test("weights 3, 1, 2: 0 0 0 1 2 2 0 0, in turn and by index")
    func weightedInterleave() throws {
        let machine = Self.machine(nodes: [0, 1, 2])
        let policy = Self.policy(
            .weightedInterleave, [0, 1, 2], weights: [(0, 3), (1, 1), (2, 2)])
        let expected = [0, 0, 0, 1, 2, 2, 0, 0]
        #expect(try Self.turns(policy, count: 8, on: machine) == expected)
        let byIndex = (0..<8).map { policy.node(atIndex: $0, among: policy.nodes)?.rawValue }
        #expect(byIndex == expected)
    }

    @Test("by index, an interleave is the index modulo the nodes")
    func interleaveByIndex() {
        let policy = Self.policy(.interleave, [0, 2, 3])
        let nodes = (0..<7).map { policy.node(atIndex: $0, among: policy.nodes)?.rawValue }
        #expect(nodes == [0, 2, 3, 0, 2, 3, 0])
        #expect(policy.node(atIndex: 5, among: []) == nil)
        #expect(Self.policy(.bind, [0]).node(atIndex: 0, among: policy.nodes) == nil)
    }

    @Test("a node without a weight, or with weight 0, gets one page in a row")
    func weightsDefaultToOne() throws {
        let machine = Self.machine(nodes: [0, 1, 2])
        let policy = Self.policy(.weightedInterleave, [0, 1, 2], weights: [(1, 2), (2, 0)])
        #expect(try Self.turns(policy, count: 6, on: machine) == [0, 1, 1, 2, 0, 1])
    }

    @Test("a weight is cut short when its node is no longer of the policy")
    func weightOfAnotherPolicy() throws {
        let machine = Self.machine(nodes: [0, 1, 2])
        let policy = Self.policy(.weightedInterleave, [0, 2], weights: [(0, 2), (2, 2)])
        let state = InterleaveState(previous: node(1), weightLeft: 5)
        let after = Self.request(policy, interleave: state).interleaveAfter(on: machine)
        #expect(after == InterleaveState(previous: node(2), weightLeft: 1))
    }

    @Test("node numbers with gaps keep their round")
    func gaps() throws {
        let machine = Self.machine(nodes: [0, 8, 255])
        #expect(
            try Self.turns(Self.policy(.interleave, [0, 8, 255]), count: 4, on: machine)
                == [0, 8, 255, 0])
    }

    @Test("a round turns for an asked policy only: not with a node, not for __GFP_THISNODE")
    func unaskedPolicy() {
        let machine = Self.machine(nodes: [0, 1])
        let policy = Self.policy(.interleave, [0, 1])
        #expect(Self.request(policy).interleaveAfter(on: machine)?.previous == node(0))
        #expect(Self.request(policy, node: 1).interleaveAfter(on: machine) == nil)
        let here = Self.request(policy, flags: [.kernel, .thisNode])
        #expect(here.interleaveAfter(on: machine) == nil)
        #expect(AllocationRequest().interleaveAfter(on: machine) == nil)
        #expect(Self.request(Self.policy(.bind, [1])).interleaveAfter(on: machine) == nil)
        #expect(Self.request(Self.policy(.interleave)).interleaveAfter(on: machine) == nil)
    }

    @Test(
        "automatic weights share 32 out and are divided by what they have in common",
        arguments: [
            ([300_000, 60_000], [26, 5]), ([200, 200, 64, 64], [4, 4, 1, 1]), ([7, 7], [1, 1]),
            ([1000, 1], [31, 1]), ([0, 0], [1, 1]),
        ] as [([UInt64], [UInt8])])
    func automaticWeights(bandwidths: [UInt64], weights: [UInt8]) {
        #expect(MemoryPolicy.automaticWeights(bandwidths: bandwidths) == weights)
    }

    // MARK: Nodes

    @Test(
        "relative nodes fold round the allowed ones and are put onto them",
        arguments: [
            ([1, 2], [4, 5, 6], [5, 6]), ([0, 3, 5], [2, 7], [2, 7]), ([5], [2, 7], [7]),
            ([9], [4, 5, 6], [4]),
        ])
    func relativeNodes(named: [Int], allowed: [Int], effective: [Int]) throws {
        let machine = Self.machine(nodes: Array(0..<8))
        let policy = Self.policy(.interleave, named, flags: .relativeNodes)
        let turns = try Self.turns(policy, count: effective.count, on: machine, allowed: allowed)
        #expect(turns == effective)
    }

    @Test("nodes count that are named, allowed and have memory")
    func effectiveNodes() throws {
        let machine = Machine.drawn(
            [
                ZoneSketch(0, .normal, [0..<64]), ZoneSketch(2, .normal, [0x400..<0x440]),
                ZoneSketch(3, .normal, [0x800..<0x840]),
            ], nodes: [(0, [0]), (1, [1]), (2, []), (3, [])])
        for flags in [[], .staticNodes] as [MemoryPolicy.Flags] {
            let policy = Self.policy(.interleave, [0, 1, 2, 3, 9], flags: flags)
            #expect(try Self.turns(policy, count: 4, on: machine) == [0, 2, 3, 0])
            #expect(
                try Self.turns(policy, count: 3, on: machine, allowed: [1, 2, 3]) == [2, 3, 2])
        }
        #expect(throws: Unsatisfiable.invalidPolicy) {
            try PlacementDecision(Self.request(Self.policy(.bind, [1])), on: machine)
        }
        #expect(throws: Unsatisfiable.invalidPolicy) {
            try PlacementDecision(
                Self.request(Self.policy(.preferred, [2]), allowed: [0]), on: machine)
        }
        #expect(throws: Unsatisfiable.invalidPolicy) {
            try PlacementDecision(
                Self.request(
                    Self.policy(.bind, [0], flags: .relativeNodes), allowed: [1]), on: machine)
        }
    }

    private static let validity: [(policy: MemoryPolicy, error: Unsatisfiable?)] = [
        (policy(.default), nil), (policy(.default, [0]), .invalidPolicy),
        (policy(.local), nil), (policy(.local, [0]), .invalidPolicy),
        (policy(.local, flags: .staticNodes), .invalidPolicy),
        (policy(.local, flags: .relativeNodes), .invalidPolicy),
        (policy(.preferred), nil), (policy(.preferred, [1]), nil),
        (policy(.preferred, flags: .staticNodes), .invalidPolicy),
        (policy(.preferred, flags: .relativeNodes), .invalidPolicy),
        (policy(.preferred, [1], flags: .staticNodes), nil),
        (policy(.bind), .invalidPolicy), (policy(.interleave), .invalidPolicy),
        (policy(.preferredMany), .invalidPolicy), (policy(.weightedInterleave), .invalidPolicy),
        (policy(.bind, [0], flags: [.staticNodes, .relativeNodes]), .invalidPolicy),
        (policy(.bind, [0], flags: .numaBalancing), nil),
        (policy(.preferredMany, [0], flags: .numaBalancing), nil),
        (policy(.interleave, [0], flags: .numaBalancing), .invalidPolicy),
        (policy(.bind, [0], flags: MemoryPolicy.Flags(rawValue: 1)), .invalidPolicy),
        (policy(.bind, [0], home: 1), nil), (policy(.preferredMany, [0], home: 1), nil),
        (policy(.interleave, [0], home: 1), .homeNodeNotSupported),
        (policy(.default, home: 1), .homeNodeNotSupported),
        (policy(.bind, [0], home: 7), .noSuchNode), (policy(.bind, [7]), .invalidPolicy),
    ]

    @Test("a policy is taken or refused by the rules of mpol_new", arguments: validity.indices)
    func validation(row: Int) {
        let machine = Self.machine(nodes: [0, 1])
        let (policy, expected) = Self.validity[row]
        var error: Unsatisfiable?
        do throws(Unsatisfiable) {
            _ = try PlacementDecision(Self.request(policy), on: machine)
        } catch let thrown {
            error = thrown
        }
        #expect(error == expected, "\(policy)")
    }

    @Test("Linux 6.1 has no weighted interleave")
    func noWeightsIn61() {
        let policy = Self.policy(.weightedInterleave, [0])
        #expect(throws: Unsatisfiable.invalidPolicy) {
            try PlacementDecision(
                Self.request(policy), on: Self.machine(nodes: [0], dialect: .linux61))
        }
    }

    // MARK: What a mode decides

    @Test("each mode gives the first node and the mask of its row")
    func firstNodeAndMask() throws {
        let machine = Self.machine(nodes: [0, 1, 2])
        func decision(
            _ policy: MemoryPolicy, flags: GFPFlags = .kernel
        ) throws
            -> PlacementDecision
        {
            try PlacementDecision(Self.request(policy, flags: flags, cpu: 1), on: machine)
        }
        let rows: [(MemoryPolicy, Int, NodeMask?)] = [
            (Self.policy(.default), 1, nil), (Self.policy(.local), 1, nil),
            (Self.policy(.preferred), 1, nil), (Self.policy(.preferred, [2]), 2, nil),
            (Self.policy(.preferred, [0, 2]), 0, nil),
            (Self.policy(.preferredMany, [0, 2]), 1, NodeMask(rawValue: 0b101)),
            (Self.policy(.preferredMany, [0, 2], home: 2), 2, NodeMask(rawValue: 0b101)),
            (Self.policy(.bind, [0, 2]), 1, NodeMask(rawValue: 0b101)),
            (Self.policy(.bind, [0, 2], home: 0), 0, NodeMask(rawValue: 0b101)),
            (Self.policy(.interleave, [2]), 2, nil),
            (Self.policy(.weightedInterleave, [2]), 2, nil),
        ]
        for (policy, node, mask) in rows {
            let decision = try decision(policy)
            #expect(decision.node == node, "\(policy)")
            #expect(decision.nodeMask == mask, "\(policy)")
        }
        let here = try decision(Self.policy(.bind, [0]), flags: [.kernel, .thisNode])
        #expect(here.node == 1 && here.nodeMask == nil)
    }

    @Test("a node that is named is asked in place of the policy")
    func namedNode() throws {
        let machine = Self.machine(nodes: [0, 1, 2])
        let request = Self.request(Self.policy(.bind, [0]), node: 2)
        let decision = try PlacementDecision(request, on: machine)
        #expect(decision.node == 2 && decision.nodeMask == nil)
    }

    @Test("bind does not bind requests below the highest zone that all nodes together have")
    func policyZone() throws {
        let machine = Machine.drawn(
            [
                ZoneSketch(0, .dma, [0x1..<0x40]), ZoneSketch(0, .dma32, [0x1000..<0x1040]),
                ZoneSketch(1, .normal, [0x100000..<0x100040]),
            ], nodes: [(0, [0]), (1, [1])])
        let policy = Self.policy(.bind, [1])
        for (flags, isBound) in [(.kernel, true), (.dma, false), (.dma32, false)]
            as [(GFPFlags, Bool)]
        {
            let decision = try PlacementDecision(Self.request(policy, flags: flags), on: machine)
            #expect((decision.nodeMask != nil) == isBound)
        }
        let low = Machine.drawn(
            [ZoneSketch(0, .dma32, [0x1000..<0x1040]), ZoneSketch(1, .dma32, [0x2000..<0x2040])],
            nodes: [(0, [0]), (1, [1])])
        let decision = try PlacementDecision(Self.request(policy, flags: .dma32), on: low)
        #expect(decision.nodeMask == NodeMask(node: 1))
    }

    @Test("bind to nodes that are all Movable holds for movable requests only")
    func movableOnlyNodes() throws {
        let machine = Machine.drawn(
            [
                ZoneSketch(0, .normal, [0x1000..<0x1040]),
                ZoneSketch(1, .movable, [0x2000..<0x2040]),
            ], nodes: [(0, [0]), (1, [])])
        let policy = Self.policy(.bind, [1])
        let kernel = try PlacementDecision(Self.request(policy), on: machine)
        #expect(kernel.nodeMask == nil)
        let movable = try PlacementDecision(
            Self.request(policy, flags: [.kernel, .highmem, .movable]), on: machine)
        #expect(movable.nodeMask == NodeMask(node: 1))
    }

    @Test("the node whose turn is next can be shown before it is used")
    func nextNode() {
        let machine = Self.machine(nodes: [0, 1, 2])
        func next(_ policy: MemoryPolicy, after state: InterleaveState = .start) -> Int? {
            Self.request(policy, interleave: state).interleaveNode(on: machine)?.rawValue
        }
        #expect(next(Self.policy(.interleave, [1, 2])) == 1)
        let state = InterleaveState(previous: node(1), weightLeft: 0)
        #expect(next(Self.policy(.interleave, [1, 2]), after: state) == 2)
        #expect(next(Self.policy(.preferred, [2])) == nil)
        #expect(next(Self.policy(.interleave, [9])) == nil)
    }

    // MARK: A change of the allowed nodes

    @Test(
        "a change of the allowed nodes is followed by number, by place or from place to place",
        arguments: [
            (.staticNodes, [1, 2], [1, 2], [2, 3], [2]),
            (.staticNodes, [1, 2], [1, 2], [3, 4], [3, 4]),
            (.relativeNodes, [1, 2], [1, 2], [4, 5, 6], [5, 6]),
            (.relativeNodes, [0, 3, 5], [0], [2, 7], [2, 7]),
            ([], [0, 1], [0, 1], [4, 5], [4, 5]), ([], [1], [1], [4, 5], [5]),
            ([], [0, 2], [0, 2], [5, 6], [5]),
        ] as [(MemoryPolicy.Flags, [Int], [Int], [Int], [Int])])
    func rebind(
        flags: MemoryPolicy.Flags, named: [Int], effective: [Int], new: [Int], expected: [Int]
    ) {
        let policy = Self.policy(.bind, named, flags: flags)
        let nodes = policy.nodes(
            from: effective.map(NodeID.init(sketched:)),
            whenAllowedChangesFrom: [0, 1, 2, 3].map(NodeID.init(sketched:)),
            to: new.map(NodeID.init(sketched:)))
        #expect(nodes.map(\.rawValue) == expected)
    }
}
