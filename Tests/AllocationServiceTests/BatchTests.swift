// Operations that are carried out together: as they would be one by one, or not at all.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

private typealias Operation = AllocationService.Operation

@Suite("Batches")
struct BatchTests {
    private let ledger = MemoryLedger()
    private let bench: ServiceBench
    private let machine: SimulatedMachine

    init() throws {
        bench = try ServiceBench(over: ledger)
        machine = try bench.create("m", TestWorld.fourNodes.machine)
        let spread = StoredControlTests.interleave([0, 2, 3])
        _ = try bench.put("spread", spread, on: machine)
        try bench.service.commit()
    }

    @discardableResult
    private func carryOut(
        _ operations: [Operation], if precondition: Precondition = .none
    ) throws(AllocationService.BatchFailure) -> [AllocationService.OperationResult] {
        try bench.service.carryOutAll(
            operations, on: machine, if: precondition, for: bench.caller)
    }

    private func allocation(
        order: Int = 0, node: Int? = nil, ttlSeconds: UInt32? = nil
    ) -> Operation {
        let control = AllocationControl(
            order: Order(sketched: order), node: node.map { NodeID(sketched: $0) })
        return .allocate(ServiceBench.record(control, ttlSeconds: ttlSeconds))
    }

    private func spread() throws -> Operation {
        .allocate(try bench.record(by: "spread", on: machine))
    }

    /// What must not change where nothing is carried out: all but the last entry.
    private var image: [LedgerStateImage.MachineImage] {
        LedgerStateImage(bench.service.state).machines
    }

    // MARK: All

    @Test("each operation is an entry, and frees what those before it were granted")
    func all() throws {
        let first = bench.service.state.lastSequence.rawValue + 1
        let results = try carryOut([
            allocation(order: 2), allocation(ttlSeconds: 5),
            .free(.allocation(AllocationID(first))),
            allocation(), .free(.allocation(AllocationID(first + 3))),
        ])
        #expect(ledger.pending.map(\.sequence.rawValue) == Array(first..<first + 5))
        #expect(ledger.pending.map(\.kind) == [.allocate, .allocate, .free, .allocate, .free])
        #expect(Set(ledger.pending.map(\.requestID)).count == 1)
        let entries = results.map { result in
            switch result {
            case .granted(let entry), .freed(_, let entry): entry
            }
        }
        #expect(entries == ledger.pending)
        #expect(machine.allocator.liveGrantCount == 1)
        #expect(machine.leases.all.map(\.id.rawValue) == [first + 1])
        try expectRecovered()
    }

    @Test("a lease that is granted and freed in one batch is no lease")
    func leaseWithin() throws {
        let id = AllocationID(bench.service.state.lastSequence.rawValue + 1)
        try carryOut([allocation(ttlSeconds: 5), .free(.allocation(id))])
        #expect(machine.leases.isEmpty)
        #expect(bench.service.timeToNextExpiry == nil)
    }

    @Test("a batch of nothing is done, and records nothing")
    func nothing() throws {
        #expect(try carryOut([]) == [])
        #expect(ledger.pending == [])
        let isOnTrial = machine.allocator.isOnTrial
        #expect(!isOnTrial)
    }

    @Test("the rounds of stored controls go on within a batch, and after it")
    func rounds() throws {
        try carryOut([spread(), spread(), spread(), spread()])
        let nodes = ledger.pending.compactMap { EntryFacts($0).node?.rawValue }
        #expect(nodes == [0, 2, 3, 0])
        try bench.allocate(by: "spread", on: machine)
        #expect(ledger.pending.last.flatMap { EntryFacts($0).node?.rawValue } == 2)
        try expectRecovered()
    }

    @Test("the last entry carries the key")
    func keyed() throws {
        let key = IdempotencyKey(key: "k", fingerprint: [])
        for operations in [
            [allocation(), allocation(), allocation()], [allocation(), allocation(order: 9)],
        ] {
            let keyed = KeyedRequest(key)
            let caller = AllocationService.Caller(requestID: "r", keyed: keyed)
            _ = try? bench.service.carryOutAll(operations, on: machine, for: caller)
            #expect(keyed.entry == bench.service.state.lastSequence)
            #expect(
                ledger.pending.filter { $0.idempotency != nil } == [
                    try #require(ledger.pending.last)
                ])
            try bench.service.commit()
        }
    }

    // MARK: None

    @Test("where one is refused nothing changes but for the entry that says so")
    func refused() throws {
        let held = try bench.lease(seconds: 9, on: machine)
        try bench.allocate(by: "spread", on: machine)
        let image = self.image
        let entries = ledger.pending.count
        let sequence = bench.service.state.lastSequence.next
        let failure = #expect(throws: AllocationService.BatchFailure.self) {
            try carryOut([
                spread(), .free(.allocation(held)), allocation(order: 2), spread(),
                .free(.allocation(held)), allocation(),
            ])
        }
        // The refusal tells of the machine as the operations before it had left it.
        #expect(failure?.operation == 4)
        #expect(failure?.reason == .freeRefused(.alreadyFreed, sequence))
        #expect(ledger.pending.count == entries + 1)
        #expect(ledger.pending.last?.outcome == .refused)
        #expect(self.image.map(\.allocator) == image.map(\.allocator))
        #expect(self.image.map(\.controls) == image.map(\.controls))
        #expect(self.image.map(\.leases) == image.map(\.leases))
        try expectRecovered()
    }

    @Test("a refused allocation takes no turn, and names what it asked for")
    func refusedAllocation() throws {
        var large = try bench.record(by: "spread", on: machine)
        large.request.control.order = .max
        let image = self.image
        let sequence = bench.service.state.lastSequence.next
        let failure = #expect(throws: AllocationService.BatchFailure.self) {
            try carryOut([spread(), .allocate(large)])
        }
        #expect(failure?.operation == 1)
        #expect(failure?.reason == .refused(.unsatisfiable(.noBlockInBoundaries), sequence))
        #expect(
            ledger.pending.last?.event
                == .refused(large, reason: .unsatisfiable(.noBlockInBoundaries)))
        #expect(self.image.map(\.controls) == image.map(\.controls))
        try expectRecovered()
    }

    @Test("a batch as a whole is refused like any call")
    func refusedBeforehand() throws {
        let version = machine.lastSequence
        try bench.lease(seconds: 1, on: machine)
        let failed = #expect(throws: AllocationService.BatchFailure.self) {
            try carryOut([allocation()], if: .matches([version]))
        }
        #expect(failed?.operation == nil)
        #expect(failed?.reason == .preconditionFailed(current: version.next))
        // A lease that is over is a version of its own.
        bench.clock.advance(seconds: 1)
        let moved = #expect(throws: AllocationService.BatchFailure.self) {
            try carryOut([allocation()], if: .matches([version.next]))
        }
        #expect(moved?.reason == .preconditionFailed(current: version.next.next))
    }

    @Test("a ledger that fails within a batch is the end", arguments: 3...5)
    func failingLedger(append: Int) throws {
        let faulty = FaultyLedger(.append(append))
        let bench = try ServiceBench(over: faulty)
        let machine = try bench.create("m", .normalOnly(pages: 16))
        try bench.allocate(on: machine)
        let failure = #expect(throws: AllocationService.BatchFailure.self) {
            try bench.service.carryOutAll(
                [allocation(), allocation(), allocation()], on: machine, for: bench.caller)
        }
        #expect(failure?.reason == .ledger(FaultyLedger.failure))
        #expect(failure?.operation == nil)
        #expect(throws: FaultyLedger.failure) { try bench.service.commit() }
        #expect(faulty.callsAfterFailure == 0)
    }

    // MARK: At random

    /// The same operations, one by one, on a service that the same ledger led to: what the batch
    /// must come to.
    @Test("random batches come to what their operations come to", arguments: UInt64(1)...12)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var (done, undone) = (0, 0)
        for _ in 0..<60 {
            try bench.service.commit()
            let twin = try ServiceBench(over: MemoryLedger(ledger.committed))
            bench.clock.advance(seconds: Int64(random.below(3)))
            twin.clock.now = bench.clock.now
            let operations = try (0..<random.below(9)).map { _ in try operation(&random) }
            bench.service.endLeases()
            twin.service.endLeases()
            let before = image
            let first = bench.service.state.lastSequence.next
            let refusal = try refusal(of: operations, by: twin)
            do {
                try carryOut(operations)
                #expect(refusal == nil)
                done += 1
                #expect(
                    LedgerStateImage(bench.service.state) == LedgerStateImage(twin.service.state))
            } catch {
                undone += 1
                #expect(error.operation == refusal)
                #expect(bench.service.state.lastSequence == first)
                #expect(image.map(\.allocator) == before.map(\.allocator))
                #expect(image.map(\.controls) == before.map(\.controls))
                #expect(image.map(\.leases) == before.map(\.leases))
            }
            machine.allocator.checkInvariants()
            try expectRecovered()
        }
        #expect(done > 5 && undone > 5, "\(done) done, \(undone) not")
    }

    /// The place of the first operation that is refused; none after it is asked for.
    private func refusal(of operations: [Operation], by twin: ServiceBench) throws -> Int? {
        let machine = try twin.service.machine(named: "m")
        for (position, operation) in operations.enumerated() {
            do {
                switch operation {
                case .allocate(let record):
                    _ = try twin.service.allocate(record, on: machine, for: twin.caller)
                case .free(let target): try twin.free(target, on: machine)
                }
            } catch {
                return position
            }
        }
        return nil
    }

    private func operation(_ random: inout SeededGenerator) throws -> Operation {
        let newest = bench.service.state.lastSequence.rawValue
        switch random.below(10) {
        case 0...4:
            let ttl = random.chance(percent: 30) ? UInt32(1 + random.below(4)) : nil
            let node = random.chance(percent: 30) ? random.below(4) : nil
            return allocation(
                order: random.below(random.chance(percent: 10) ? 4 : 2), node: node,
                ttlSeconds: ttl)
        case 5: return try spread()
        case 6...7:
            let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
            let isKnown = !live.isEmpty && random.chance(percent: 80)
            return .free(
                .allocation(
                    isKnown ? random.pick(live).id : AllocationID(newest + UInt64(random.below(4))))
            )
        default:
            let order = random.chance(percent: 50) ? Order(sketched: random.below(2)) : nil
            return .free(.page(PageFrameNumber(UInt64(random.below(64))), order: order))
        }
    }

    private func expectRecovered() throws {
        try bench.service.commit()
        let recovered = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(bench.service.state))
    }
}
