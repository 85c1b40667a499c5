// Decide, record, commit: what the service writes down, in which order, and what it refuses.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("AllocationService")
struct AllocationServiceTests {
    // MARK: Recording

    @Test("each decision is one entry, appended at once, durable with the commit")
    func decideRecordCommit() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 16))
        let grant = try bench.allocate(AllocationControl(order: Order(sketched: 2)), on: machine)
        #expect(ledger.committed.isEmpty)
        #expect(ledger.pending.map(\.kind) == [.machineCreated, .allocate])
        #expect(ledger.pending.last == grant)
        try bench.service.commit()
        #expect(ledger.pending.isEmpty)
        #expect(ledger.committed.map(\.sequence.rawValue) == [1, 2])

        let freed = try bench.free(.allocation(AllocationID(2)), on: machine)
        #expect(freed.freed.pages == 4)
        #expect(ledger.pending == [freed.entry])
        try bench.service.commit()
        try bench.service.housekeep()
        #expect(ledger.commits == 2)
        #expect(ledger.housekeepings == 1)
        #expect(Set(ledger.committed.map(\.requestID)).count == 3)
        #expect(ledger.committed.map(\.machine) == [machine.id, machine.id, machine.id])
    }

    @Test("a grant's entry says what was asked and what was got, and names the allocation")
    func grantEntry() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", TestWorld.fourNodes.machine)
        let request = AllocationRequest(
            control: AllocationControl(order: Order(sketched: 1), node: NodeID(sketched: 2)),
            additionalFlags: [.compound, .movable, .highmem], cpu: 3)
        let record = AllocationRecord(
            controlName: "rx", request: request, dialect: .linux612, owner: "task:1",
            labels: [Label(name: "driver", value: "e1000e")])
        let entry = try bench.service.allocate(record, on: machine, for: bench.caller)
        let grant = GrantRecord(
            pfn: PageFrameNumber(44), order: Order(sketched: 1), node: NodeID(sketched: 2),
            zone: .movable, migratetype: .movable, isCompound: true)
        #expect(entry.event == .granted(record, grant))
        #expect(entry.outcome == .granted)
        let live = machine.allocator.liveGrant(AllocationID(entry.sequence.rawValue))
        #expect(live?.grant.pfn == PageFrameNumber(44))
        #expect(machine.lastSequence == entry.sequence)
    }

    @Test("refusals are entries too, with the reason")
    func refusalsAreRecorded() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 2))
        try bench.allocate(AllocationControl(order: Order(sketched: 1)), on: machine)

        let requests: [(AllocationControl, AllocationRefusal)] = [
            (AllocationControl(), .outOfMemory),
            (AllocationControl(order: Order(sketched: 5)), .unsatisfiable(.noBlockInBoundaries)),
            (AllocationControl(highBoundary: 7), .unsatisfiable(.windowTooSmall)),
            (AllocationControl(node: NodeID(sketched: 3)), .unsatisfiable(.noSuchNode)),
            (AllocationControl(flags: [.dma, .dma32]), .unsatisfiable(.contradictoryZoneFlags)),
            (
                AllocationControl(flags: [.movable, .reclaimable]),
                .unsatisfiable(.contradictoryMobility)
            ),
        ]
        for (control, reason) in requests {
            let failure = #expect(throws: ServiceFailure.self) {
                try bench.allocate(control, on: machine)
            }
            let entry = try #require(ledger.pending.last)
            #expect(entry.event == .refused(ServiceBench.record(control), reason: reason))
            guard case .refused(let why, let sequence) = failure else {
                Issue.record("no refusal")
                continue
            }
            #expect(sequence == entry.sequence)
            #expect(machine.lastSequence == sequence)
            #expect(AllocationRefusal(of: why) == reason)
        }
        let targets: [(FreeRecord.Target, FreeFailure)] = [
            (.allocation(AllocationID(9_999)), .unknownAllocation),
            (.page(PageFrameNumber(9), order: nil), .noSuchPage),
            (
                .page(PageFrameNumber(0), order: Order(sketched: 2)),
                .wrongOrder(
                    asked: Order(sketched: 2), head: PageFrameNumber(0), granted: Order(sketched: 1)
                )
            ),
            (.page(PageFrameNumber(1), order: Order(sketched: 1)), .misaligned),
        ]
        for (target, reason) in targets {
            let sequence = bench.service.state.lastSequence.next
            #expect(throws: ServiceFailure.freeRefused(reason, sequence)) {
                try bench.free(target, on: machine)
            }
            let refused = LedgerEvent.freeRefused(
                FreeRecord(target: target), reason: reason.reason)
            #expect(ledger.pending.last?.event == refused)
        }
        #expect(ledger.pending.count == 2 + requests.count + targets.count)
    }

    @Test("what never became a decision is not recorded")
    func notRecorded() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 2))
        try bench.allocate(on: machine)
        let before = ledger.pending
        #expect(throws: ServiceFailure.machineExists) {
            try bench.create("m", .normalOnly(pages: 2))
        }
        #expect(throws: ServiceFailure.machineNotFound) { try bench.service.machine(named: "n") }
        #expect(throws: ServiceFailure.machineInUse(liveAllocations: 1)) {
            try bench.service.deleteMachine(machine, force: false, for: bench.caller)
        }
        #expect(throws: ServiceFailure.controlNotFound) {
            try bench.service.deleteControl(named: "c", on: machine, for: bench.caller)
        }
        #expect(throws: ServiceFailure.preconditionFailed(current: Sequence(2))) {
            try bench.allocate(on: machine, if: .matches([Sequence(1)]))
        }
        #expect(ledger.pending == before)
        #expect(machine.allocator.freePages == 1)
    }

    // MARK: Already freed, or never granted

    @Test("tells what was freed from what never was, by the ledger")
    func alreadyFreedOrUnknown() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", .normalOnly(pages: 16))
        let other = try bench.create("n", .normalOnly(pages: 16))
        let grant = try bench.allocate(on: machine)
        let id = AllocationID(grant.sequence.rawValue)
        #expect(bench.refusal { try $0.free(.allocation(id), on: other) } == .unknownAllocation)
        try bench.free(.allocation(id), on: machine)
        #expect(bench.refusal { try $0.free(.allocation(id), on: machine) } == .alreadyFreed)
        try bench.service.commit()
        #expect(bench.refusal { try $0.free(.allocation(id), on: machine) } == .alreadyFreed)
        // Entries that granted nothing: the machine's own, a refusal; and none at all.
        for other in [0, machine.id.rawValue, grant.sequence.rawValue + 2, 999, .max] as [UInt64] {
            let refusal = bench.refusal {
                try $0.free(.allocation(AllocationID(other)), on: machine)
            }
            #expect(refusal == .unknownAllocation, "\(other)")
        }
        #expect(
            bench.refusal { try $0.free(.page(PageFrameNumber(0), order: nil), on: machine) }
                == .notAllocated)
    }

    @Test("a grant freed page by page is freed")
    func freedPageByPage() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let machine = try bench.create("m", .normalOnly(pages: 4))
        let grant = try bench.allocate(AllocationControl(order: Order(sketched: 1)), on: machine)
        for pfn in UInt64(0)..<2 {
            try bench.free(.page(PageFrameNumber(pfn), order: nil), on: machine)
        }
        let id = AllocationID(grant.sequence.rawValue)
        #expect(bench.refusal { try $0.free(.allocation(id), on: machine) } == .alreadyFreed)
    }

    // MARK: Preconditions

    @Test("a version that moved on stops every write")
    func preconditions() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let service = bench.service
        let machine = try bench.create("m", .normalOnly(pages: 16))
        let old = machine.lastSequence
        try bench.allocate(on: machine, if: .matches([Sequence(77), old]))
        let current = machine.lastSequence
        #expect(current > old)
        let failed = ServiceFailure.preconditionFailed(current: current)
        #expect(throws: failed) { try bench.allocate(on: machine, if: .matches([old])) }
        #expect(throws: failed) { try bench.allocate(on: machine, if: .matches([])) }
        #expect(throws: failed) { try bench.allocate(on: machine, if: .absent) }
        let target = FreeRecord.Target.allocation(AllocationID(current.rawValue))
        #expect(throws: failed) { try bench.free(target, on: machine, if: .matches([old])) }
        #expect(throws: failed) {
            try service.deleteMachine(machine, force: true, if: .matches([old]), for: bench.caller)
        }
        try bench.free(target, on: machine, if: .exists)
    }

    @Test("a control has a version of its own")
    func controlPreconditions() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let service = bench.service
        let machine = try bench.create("m", .normalOnly(pages: 16))
        let control = AllocationControl(order: Order(sketched: 1))
        #expect(throws: ServiceFailure.preconditionFailed(current: nil)) {
            try service.putControl(named: "c", control, on: machine, if: .exists, for: bench.caller)
        }
        let put = try service.putControl(
            named: "c", control, on: machine, if: .absent, for: bench.caller)
        #expect(put.isNew)
        #expect(put.stored.control == control)
        let version = put.stored.sequence
        try bench.allocate(on: machine)
        #expect(throws: ServiceFailure.preconditionFailed(current: version)) {
            try service.putControl(named: "c", control, on: machine, if: .absent, for: bench.caller)
        }
        #expect(throws: ServiceFailure.preconditionFailed(current: version)) {
            try service.deleteControl(
                named: "c", on: machine, if: .matches([version.next]), for: bench.caller)
        }
        let again = try service.putControl(
            named: "c", AllocationControl(), on: machine, if: .matches([version]), for: bench.caller
        )
        #expect(!again.isNew)
        #expect(again.stored.sequence > version)
        #expect(try service.control(named: "c", on: machine).control == AllocationControl())
        _ = try service.deleteControl(
            named: "c", on: machine, if: .matches([again.stored.sequence]), for: bench.caller)
        #expect(throws: ServiceFailure.controlNotFound) {
            try service.control(named: "c", on: machine)
        }
    }

    // MARK: Limits

    @Test("so many machines and no more; a deletion makes room")
    func machineLimit() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        for number in 0..<ServiceLimits.machines {
            try bench.create("m\(number)", .normalOnly(pages: 1))
        }
        #expect(throws: ServiceFailure.limitReached(.machines)) {
            try bench.create("more", .normalOnly(pages: 1))
        }
        // A name that is taken is the better answer.
        #expect(throws: ServiceFailure.machineExists) {
            try bench.create("m0", .normalOnly(pages: 1))
        }
        let machine = try bench.service.machine(named: "m7")
        _ = try bench.service.deleteMachine(machine, force: false, for: bench.caller)
        try bench.create("more", .normalOnly(pages: 1))
        #expect(bench.service.state.machines.count == ServiceLimits.machines)
    }

    @Test("all machines together span so many pages and no more")
    func spannedPagesLimit() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        try bench.create("small", .normalOnly(pages: 1))
        // One page at each end of a hole: nearly nothing to hand out, a long span.
        let long = Machine.drawn(
            [
                ZoneSketch(
                    0, .normal,
                    [0..<1, Machine.maximumSpannedPages - 1..<Machine.maximumSpannedPages])
            ], zoneTypes: [.normal])
        #expect(throws: ServiceFailure.limitReached(.spannedPages)) {
            try bench.create("long", long)
        }
        #expect(bench.service.state.machines.count == 1)
    }

    @Test("so many controls a machine and no more; one that exists can be replaced")
    func controlLimit() throws {
        let bench = try ServiceBench(over: MemoryLedger())
        let service = bench.service
        let machine = try bench.create("m", .normalOnly(pages: 1))
        for number in 0..<ServiceLimits.controlsPerMachine {
            _ = try service.putControl(
                named: "c\(number)", AllocationControl(), on: machine, for: bench.caller)
        }
        #expect(throws: ServiceFailure.limitReached(.controlsPerMachine)) {
            try service.putControl(
                named: "more", AllocationControl(), on: machine, for: bench.caller)
        }
        let replaced = try service.putControl(
            named: "c3", AllocationControl(), on: machine, for: bench.caller)
        #expect(!replaced.isNew)
        #expect(machine.controls.map(\.name) == machine.controls.map(\.name).sorted())
        #expect(machine.controls.count == ServiceLimits.controlsPerMachine)
    }

    // MARK: Time

    @Test("a clock that goes backwards does not take entries with it")
    func clockGoesBackwards() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", .normalOnly(pages: 16))
        for microseconds in [2_000_000, 500, -7, 1_999_999, 2_000_001] as [Int64] {
            bench.clock.now = Timestamp(microseconds: microseconds)
            try bench.allocate(on: machine)
        }
        let times = ledger.pending.map(\.time.microseconds)
        #expect(times == [1_000_000, 2_000_000, 2_000_000, 2_000_000, 2_000_000, 2_000_001])
        try bench.service.commit()
        // Nor after a restart.
        let restarted = try ServiceBench(over: ledger)
        let entry = try restarted.allocate(on: restarted.service.machine(named: "m"))
        #expect(entry.time == Timestamp(microseconds: 2_000_001))
    }

    // MARK: Deleting machines

    @Test("a forced deletion frees each allocation in the ledger first")
    func forcedDeletion() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let machine = try bench.create("m", TestWorld.oneNode.machine)
        let ids = try [0, 1, 2, 3].map { order in
            let control = AllocationControl(
                flags: [.kernel, .compound], order: Order(sketched: order))
            return try bench.allocate(control, on: machine).sequence.rawValue
        }
        let loose = try bench.allocate(AllocationControl(order: Order(sketched: 2)), on: machine)
        guard case .granted(_, let grant) = loose.event else {
            Issue.record("no grant")
            return
        }
        try bench.free(.page(grant.pfn + 1, order: nil), on: machine)
        let deletion = try bench.service.deleteMachine(machine, force: true, for: bench.caller)
        #expect(deletion.freedAllocations == 5)
        #expect(deletion.freedPages == 1 + 2 + 4 + 8 + 3)
        #expect(deletion.entry.event == .machineDeleted(name: "m"))
        let freed = ledger.pending.compactMap { entry -> UInt64? in
            guard case .freed(_, let record) = entry.event else { return nil }
            return record.allocation.rawValue
        }
        #expect(freed == [loose.sequence.rawValue] + ids + [loose.sequence.rawValue])
        #expect(bench.service.state.machines.isEmpty)
        try bench.service.commit()
        let recovered = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(bench.service.state))
    }

    @Test("a name can be given again, and means the new machine")
    func namesAreReused() throws {
        let ledger = MemoryLedger()
        let bench = try ServiceBench(over: ledger)
        let first = try bench.create("m", .normalOnly(pages: 4))
        let grant = try bench.allocate(on: first)
        _ = try bench.service.putControl(
            named: "c", AllocationControl(), on: first, for: bench.caller)
        _ = try bench.service.deleteMachine(first, force: true, for: bench.caller)
        #expect(throws: ServiceFailure.machineNotFound) { try bench.service.machine(named: "m") }
        let second = try bench.create("m", .normalOnly(pages: 8))
        #expect(second.id != first.id)
        #expect(second.controls.isEmpty)
        #expect(try bench.service.machine(named: "m") === second)
        #expect(bench.service.state.machineIDs(named: "m") == [first.id, second.id])
        // A grant of the first machine means nothing on the second.
        let id = AllocationID(grant.sequence.rawValue)
        #expect(bench.refusal { try $0.free(.allocation(id), on: second) } == .unknownAllocation)
        try bench.service.commit()
        let recovered = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(bench.service.state))
    }
}

extension AllocationRefusal {
    fileprivate init(of failure: AllocationFailure) {
        switch failure {
        case .outOfMemory: self = .outOfMemory
        case .unsatisfiable(let rule): self = .unsatisfiable(rule)
        }
    }
}
