// Controls that are kept: the round of nodes that one goes through, whoever uses it and however
// often the process starts anew; and those that every machine has.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("Stored controls")
struct StoredControlTests {
    // MARK: Rounds

    @Test("an interleaving control goes on where it stood, over restarts")
    func interleaveOverRestarts() throws {
        let ledger = MemoryLedger()
        let first = try ServiceBench(over: ledger)
        try first.put(
            "spread", Self.interleave([0, 2, 3]),
            on: first.create("m", TestWorld.fourNodes.machine))
        try first.service.commit()
        var nodes: [Int] = []
        for _ in 0..<7 {
            let bench = try ServiceBench(over: ledger)
            let machine = try bench.service.machine(named: "m")
            nodes.append(try Self.node(of: bench.allocate(by: "spread", on: machine)))
            try bench.service.commit()
        }
        #expect(nodes == [0, 2, 3, 0, 2, 3, 0])
    }

    @Test("a weighted round goes on where it stood, over restarts")
    func weightedInterleaveOverRestarts() throws {
        var control = Self.interleave([0, 1, 2])
        control.memoryPolicy?.mode = .weightedInterleave
        control.memoryPolicy?.weights = [(0, 3), (1, 1), (2, 2)].map {
            MemoryPolicy.Weight(node: NodeID(sketched: $0.0), pages: $0.1)
        }
        let ledger = MemoryLedger()
        let first = try ServiceBench(over: ledger)
        try first.put(
            "spread", control, on: first.create("m", TestWorld.fourNodes.machine))
        try first.service.commit()
        var nodes: [Int] = []
        for _ in 0..<8 {
            let bench = try ServiceBench(over: ledger)
            let machine = try bench.service.machine(named: "m")
            nodes.append(try Self.node(of: bench.allocate(by: "spread", on: machine)))
            try bench.service.commit()
        }
        #expect(nodes == [0, 0, 0, 1, 2, 2, 0, 0])
    }

    @Test("an entry says where its control stood before and after")
    func entriesSayTheTurn() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        let put = try bench.put("spread", Self.interleave([1, 3]), on: machine)
        #expect(put.interleave == .start)
        var before = InterleaveState.start
        for node in [1, 3, 1] {
            let after = InterleaveState(previous: NodeID(sketched: node), weightLeft: 0)
            let record = try Self.record(of: bench.allocate(by: "spread", on: machine))
            #expect(record.request.interleave == before)
            #expect(record.interleaveAfter == after)
            #expect(try bench.service.control(named: "spread", on: machine).interleave == after)
            before = after
        }
    }

    @Test("a refused call takes its turn too")
    func refusedTurns() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        var control = Self.interleave([0, 2])
        control.order = .max
        try bench.put("large", control, on: machine)
        for node in [0, 2, 0] {
            let sequence = bench.service.state.lastSequence.next
            let failure = ServiceFailure.refused(
                .unsatisfiable(.noBlockInBoundaries), sequence)
            #expect(throws: failure) { try bench.allocate(by: "large", on: machine) }
            let stands = try bench.service.control(named: "large", on: machine).interleave
            #expect(stands.previous == NodeID(sketched: node))
        }
        try bench.service.commit()
        let recovered = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(bench.service.state))
    }

    @Test("a control that is put again begins its round again; a call without it takes no turn")
    func roundsBeginAgain() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        let control = Self.interleave([1, 2])
        try bench.put("spread", control, on: machine)
        #expect(try Self.node(of: bench.allocate(by: "spread", on: machine)) == 1)
        let inline = try bench.allocate(control, on: machine)
        #expect(try Self.record(of: inline).interleaveAfter == nil)
        #expect(try Self.node(of: inline) == 1)
        try bench.put("spread", control, on: machine)
        #expect(try Self.node(of: bench.allocate(by: "spread", on: machine)) == 1)
        #expect(try Self.node(of: bench.allocate(by: "spread", on: machine)) == 2)
    }

    @Test("a call that lays another policy over the control takes no turn of it")
    func otherPolicies() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        try bench.put("spread", Self.interleave([1, 2]), on: machine)
        try bench.allocate(by: "spread", on: machine)
        var other = try bench.record(by: "spread", on: machine)
        other.request.control.memoryPolicy = MemoryPolicy(mode: .local)
        let record = try Self.record(
            of: bench.service.allocate(other, on: machine, for: bench.caller))
        #expect(record.interleaveAfter == nil)
        #expect(record.request.interleave == .start)
        #expect(try Self.node(of: bench.allocate(by: "spread", on: machine)) == 2)
    }

    // MARK: Explaining

    @Test("explaining changes nothing and records nothing, whatever it is asked")
    func explaining() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        try bench.put("spread", Self.interleave([1, 2]), on: machine)
        let before = LedgerStateImage(bench.service.state)
        let recorded = ledger.pending
        let record = try bench.record(by: "spread", on: machine)
        let explanation = try bench.service.explain(record, on: machine)
        #expect(!explanation.zones.isEmpty)
        #expect(try bench.service.explain(record, on: machine) == explanation)
        #expect(throws: ServiceFailure.unsatisfiable(.windowTooSmall)) {
            try bench.service.explain(
                ServiceBench.record(AllocationControl(highBoundary: 7)), on: machine)
        }
        #expect(
            throws: ServiceFailure.preconditionFailed(current: machine.lastSequence)
        ) {
            try bench.service.explain(record, on: machine, if: .matches([machine.id]))
        }
        #expect(LedgerStateImage(bench.service.state) == before)
        #expect(ledger.pending == recorded)
        let granted = try bench.allocate(by: "spread", on: machine)
        #expect(explanation.wouldGrant?.pfn == EntryFacts(granted).pfn)
    }

    // MARK: Built in

    @Test("a built-in control is used like a stored one")
    func builtInControlsAreUsed() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", .caseMachine)
        let entry = try bench.allocate(by: "dma-30bit", on: machine)
        guard case .granted(let record, let grant) = entry.event else {
            Issue.record("no grant")
            return
        }
        #expect(record.controlName == "dma-30bit")
        #expect(record.interleaveAfter == nil)
        #expect(grant.zone == .dma32)
        #expect(grant.frames.upperBound <= PageFrameNumber(1 << 18))
    }

    @Test("nobody can put or delete a built-in control", arguments: ["dma-20bit", "dma-48bit"])
    func builtInControlsStay(name: String) throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 4))
        let built = try bench.service.control(named: name, on: machine)
        for precondition in [Precondition.none, .exists, .absent, .matches([built.sequence])] {
            #expect(throws: ServiceFailure.builtInControl) {
                try bench.service.putControl(
                    named: name, AllocationControl(), on: machine, if: precondition,
                    for: bench.caller)
            }
            #expect(throws: ServiceFailure.builtInControl) {
                try bench.service.deleteControl(
                    named: name, on: machine, if: precondition, for: bench.caller)
            }
        }
        #expect(ledger.pending.map(\.kind) == [.machineCreated])
        #expect(try bench.service.control(named: name, on: machine) == built)
    }

    // MARK: Runs

    @Test("a run is recorded as its segments, and its free as the pages that were freed")
    func runs() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 64))
        var control = AllocationControl()
        control.pages = 11
        let entry = try bench.allocate(control, on: machine)
        guard case .granted(_, let grant) = entry.event else {
            Issue.record("no grant")
            return
        }
        #expect(grant.order == nil)
        #expect(grant.pages == 11)
        #expect(grant.furtherSegments.isEmpty)
        try bench.free(.page(grant.pfn + 5, order: nil), on: machine)
        let freed = try bench.free(
            .allocation(AllocationID(entry.sequence.rawValue)), on: machine)
        guard case .freed(_, let record) = freed.entry.event else {
            Issue.record("nothing freed")
            return
        }
        #expect(record.order == nil)
        #expect(record.pages == 10)
        #expect(
            record.ranges == [
                FrameRange(grant.pfn, grant.pfn + 5), FrameRange(grant.pfn + 6, grant.pfn + 11),
            ])
        #expect(machine.allocator.freePages == 64)
        try bench.service.commit()
        let recovered = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(bench.service.state))
    }

    // MARK: What is asked for

    static func interleave(_ nodes: [Int]) -> AllocationControl {
        var control = AllocationControl()
        control.memoryPolicy = MemoryPolicy(
            mode: .interleave, nodes: nodes.map { NodeID(sketched: $0) })
        return control
    }

    private static func node(of entry: LedgerEntry) throws -> Int {
        try #require(EntryFacts(entry).node).rawValue
    }

    private static func record(of entry: LedgerEntry) throws -> AllocationRecord {
        guard case .granted(let record, _) = entry.event else { throw NoGrant() }
        return record
    }
}

private struct NoGrant: Error {}
