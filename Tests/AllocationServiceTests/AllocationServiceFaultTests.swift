// A ledger that fails, at each place where it can: nothing that was acknowledged is lost, and
// nothing is acknowledged afterwards.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("AllocationService over a failing ledger")
struct AllocationServiceFaultTests {
    static let turns = 30

    @Test("a life without a fault comes back whole")
    func noFault() throws {
        let ledger = FaultyLedger(.append(.max))
        var life = try ServiceLife(over: ledger)
        try life.live(turns: Self.turns)
        #expect(!ledger.hasFailed)
        #expect(life.acknowledged == ledger.committed)
        #expect(Set(ledger.committed.map(\.kind)) == Set(LedgerKind.allCases))
        #expect(ledger.committed.contains { $0.event.takesATurn })
        let recovered = try LedgerState.recover(from: MemoryLedger(ledger.committed))
        #expect(LedgerStateImage(recovered) == LedgerStateImage(life.bench.service.state))
    }

    @Test("the n-th append fails, for every n")
    func everyAppend() throws {
        var appends = 0
        while try fails(at: .append(appends + 1)) { appends += 1 }
        #expect(appends > 100)
    }

    @Test("the n-th commit fails, for every n, the batch lost or kept", arguments: [false, true])
    func everyCommit(isKept: Bool) throws {
        var commits = 0
        while try fails(at: .commit(commits + 1, isKept: isKept)) { commits += 1 }
        #expect(commits == Self.turns)
    }

    @Test("the n-th housekeeping fails, for every n")
    func everyHousekeeping() throws {
        var housekeepings = 0
        while try fails(at: .housekeep(housekeepings + 1)) { housekeepings += 1 }
        #expect(housekeepings == Self.turns)
    }

    @Test("the n-th look-up fails, for every n")
    func everyLookUp() throws {
        var lookUps = 0
        while try fails(at: .lookUp(lookUps + 1)) { lookUps += 1 }
        #expect(lookUps > 5)
    }

    @Test("the n-th answer under a key cannot be kept, or be looked up, for every n")
    func everyKey() throws {
        var (kept, lookedUp) = (0, 0)
        while try fails(at: .keep(kept + 1)) { kept += 1 }
        while try fails(at: .lookUpKey(lookedUp + 1)) { lookedUp += 1 }
        #expect(kept > 3)
        #expect(lookedUp >= kept)
    }

    /// Lives until the fault; false where the life ends before it.
    private func fails(at fault: FaultyLedger.Fault) throws -> Bool {
        let ledger = FaultyLedger(fault)
        var life = try ServiceLife(over: ledger)
        do {
            try life.live(turns: Self.turns)
        } catch let failure as ServiceFailure {
            #expect(failure.isOfTheLedger, "\(fault)")
        } catch let failure as LedgerFailure {
            #expect(failure == FaultyLedger.failure, "\(fault)")
        }
        guard ledger.hasFailed else { return false }
        expectSilence(life.bench, fault)
        #expect(ledger.callsAfterFailure == 0, "\(fault)")

        // What was acknowledged is there, in front; what is there beyond it is a whole batch.
        let committed = ledger.committed
        #expect(Array(committed.prefix(life.acknowledged.count)) == life.acknowledged, "\(fault)")
        let beyond = Array(committed.dropFirst(life.acknowledged.count))
        #expect(beyond.isEmpty || beyond == life.unacknowledged, "\(fault)")
        _ = try LedgerState.recover(from: MemoryLedger(committed))
        return true
    }

    /// Every verb, whatever else would be wrong with it, throws the ledger's failure.
    private func expectSilence(_ bench: ServiceBench, _ fault: FaultyLedger.Fault) {
        let service = bench.service
        #expect(throws: FaultyLedger.failure, "\(fault)") { try service.commit() }
        #expect(throws: FaultyLedger.failure, "\(fault)") { try service.housekeep() }
        let failure = ServiceFailure.ledger(FaultyLedger.failure)
        #expect(throws: failure, "\(fault)") { try bench.create("new", .normalOnly(pages: 1)) }
        for machine in service.state.machines {
            let name = machine.name
            #expect(throws: failure, "\(fault)") { try bench.create(name, .normalOnly(pages: 1)) }
            #expect(throws: failure, "\(fault)") { try bench.allocate(on: machine) }
            #expect(throws: failure, "\(fault)") { try bench.allocate(on: machine, if: .absent) }
            let unknown = FreeRecord.Target.allocation(AllocationID(1))
            #expect(throws: failure, "\(fault)") { try bench.free(unknown, on: machine) }
            #expect(throws: failure, "\(fault)") {
                try bench.free(unknown, on: machine, if: .absent)
            }
            #expect(throws: failure, "\(fault)") {
                try bench.renew(AllocationID(1), seconds: 1, on: machine)
            }
            #expect(throws: AllocationService.BatchFailure.self, "\(fault)") {
                try service.carryOutAll([], on: machine, for: bench.caller)
            }
            #expect(throws: failure, "\(fault)") {
                try service.check(.none, forOperations: 0, on: machine)
            }
            #expect(throws: failure, "\(fault)") {
                try service.answer(under: IdempotencyKey(key: "k", fingerprint: []))
            }
            #expect(throws: failure, "\(fault)") {
                try service.putControl(
                    named: "c", AllocationControl(), on: machine, if: .matches([]),
                    for: bench.caller)
            }
            #expect(throws: failure, "\(fault)") {
                try service.deleteControl(named: "none", on: machine, for: bench.caller)
            }
            for force in [false, true] {
                #expect(throws: failure, "\(fault)") {
                    try service.deleteMachine(machine, force: force, for: bench.caller)
                }
            }
        }
    }
}

extension LedgerEvent {
    fileprivate var takesATurn: Bool {
        guard case .granted(let record, _) = self else { return false }
        return record.interleaveAfter != nil
    }
}

/// Turns of a service's life, always the same ones: a few decisions, a commit, housekeeping.
struct ServiceLife {
    let bench: ServiceBench

    /// Entries whose commit returned.
    private(set) var acknowledged: [LedgerEntry] = []

    /// Entries of the open batch.
    private(set) var unacknowledged: [LedgerEntry] = []

    /// Turns whose decision was a refusal.
    private(set) var refusals = 0

    private let ledger: FaultyLedger
    private var random = SeededGenerator(seed: 22)

    init(over ledger: FaultyLedger) throws {
        self.ledger = ledger
        bench = try ServiceBench(over: ledger)
    }

    mutating func live(turns: Int) throws {
        for turn in 0..<turns {
            endLeases()
            for _ in 0..<6 {
                try decide(turn)
            }
            try bench.service.commit()
            acknowledged += unacknowledged
            unacknowledged = []
            try bench.service.housekeep()
        }
    }

    private mutating func endLeases() {
        let before = ledger.lastSequence
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        noteEntries(after: before)
    }

    private mutating func decide(_ turn: Int) throws {
        let before = ledger.lastSequence
        defer { noteEntries(after: before) }
        guard let machine = bench.service.state.machines.first else {
            try bench.create("m\(turn)", TestWorld.oneNode.machine)
            return
        }
        do {
            try decide(on: machine)
        } catch ServiceFailure.refused, ServiceFailure.freeRefused, ServiceFailure.controlNotFound {
            // Refusals are part of a life; they are entries where they are decisions.
            refusals += 1
        }
    }

    private mutating func decide(on machine: SimulatedMachine) throws {
        let service = bench.service
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        switch random.below(20) {
        case 0: _ = try service.deleteMachine(machine, force: true, for: bench.caller)
        case 1...2:
            var control = AllocationControl()
            control.memoryPolicy = MemoryPolicy(
                mode: .weightedInterleave, nodes: machine.allocator.machine.nodes.map(\.id),
                weights: [MemoryPolicy.Weight(node: NodeID(sketched: 0), pages: 9)])
            try bench.put("c", control, on: machine)
        case 3: _ = try service.deleteControl(named: "c", on: machine, for: bench.caller)
        case 12...13 where machine.control(named: "c") != nil:
            try bench.allocate(by: "c", on: machine)
        case 14:
            var control = AllocationControl()
            control.pages = UInt64(random.below(12) + 1)
            try bench.allocate(control, on: machine)
        case 15 where !live.isEmpty:
            let seconds = UInt32(random.below(4) + 1)
            try bench.renew(random.pick(live).id, seconds: seconds, on: machine)
        case 16: try bench.lease(seconds: UInt32(random.below(4) + 1), on: machine)
        case 17: try carryOutAll(order: random.below(5), on: machine)
        case 18: try allocateUnderAKey(on: machine)
        case 4...5:
            let id = AllocationID(machine.id.rawValue + UInt64(random.below(9)))
            try bench.free(.allocation(id), on: machine)
        case 6...9 where !live.isEmpty:
            try bench.free(.allocation(random.pick(live).id), on: machine)
        case 10...11 where !live.isEmpty:
            try bench.free(.page(random.pick(live).grant.pfn, order: nil), on: machine)
        default:
            let order = Order(sketched: random.below(6))
            try bench.allocate(AllocationControl(order: order), on: machine)
        }
    }

    private func carryOutAll(order: Int, on machine: SimulatedMachine) throws(ServiceFailure) {
        let control = AllocationControl(order: Order(sketched: order))
        let operation = AllocationService.Operation.allocate(ServiceBench.record(control))
        do {
            _ = try bench.service.carryOutAll(
                [operation, operation], on: machine, for: bench.caller)
        } catch {
            throw error.reason
        }
    }

    private func allocateUnderAKey(on machine: SimulatedMachine) throws(ServiceFailure) {
        let sequence = bench.service.state.lastSequence.rawValue
        let keyed = KeyedRequest(IdempotencyKey(key: "key-\(sequence)", fingerprint: [1]))
        guard try bench.service.answer(under: keyed.key) == nil else { return }
        _ = try bench.service.allocate(
            ServiceBench.record(AllocationControl()), on: machine,
            for: AllocationService.Caller(requestID: "keyed", keyed: keyed))
        try bench.service.keep(KeptAnswer(status: 201, fields: "", body: [2]), of: keyed)
    }

    /// The ledger is asked, since a refusal or a forced deletion writes entries of its own.
    private mutating func noteEntries(after before: Sequence) {
        unacknowledged += ledger.pending.filter { $0.sequence > before }
    }
}
