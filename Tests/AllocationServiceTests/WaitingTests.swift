// Allocations that wait for frees: oldest first, up to their time, and without a trace until they
// are decided.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("Waiting for frees")
struct WaitingTests {
    private let ledger = MemoryLedger()
    private let bench: ServiceBench
    private let machine: SimulatedMachine

    /// What fills the machine: one page each.
    private let pages: [LedgerEntry]

    private static let pageCount = 16

    init() throws {
        bench = try ServiceBench(over: ledger)
        machine = try bench.create("m", .normalOnly(pages: UInt64(Self.pageCount)))
        pages = try Self.fill(machine, bench)
    }

    private static func fill(
        _ machine: SimulatedMachine, _ bench: ServiceBench
    ) throws -> [LedgerEntry] {
        let record = record()
        return try (0..<pageCount).map { _ in
            try bench.service.allocate(record, on: machine, for: bench.caller)
        }
    }

    /// Of a caller that may sleep, and may take the last page.
    private static func record(_ order: Int = 0, flags: GFPFlags = []) -> AllocationRecord {
        var control = AllocationControl(order: Order(sketched: order))
        control.flags = [.directReclaim, .memAlloc, flags]
        return ServiceBench.record(control)
    }

    private func wait(
        _ order: Int = 0, milliseconds: UInt32 = 1000, on machine: SimulatedMachine? = nil,
        if precondition: Precondition = .none, keyed: KeyedRequest? = nil
    ) throws -> WaitTicket {
        let outcome = try bench.service.allocate(
            Self.record(order), on: machine ?? self.machine, if: precondition,
            waiting: milliseconds, for: .init(requestID: "waiting", keyed: keyed))
        guard case .waiting(let ticket) = outcome else { throw NotWaiting() }
        return ticket
    }

    private struct NotWaiting: Error {}

    private func free(_ position: Int) throws {
        try bench.free(.allocation(AllocationID(pages[position].sequence.rawValue)), on: machine)
    }

    /// What a turn's end decides, in order.
    private func settle() -> [(ticket: WaitTicket, result: Result<LedgerEntry, ServiceFailure>)] {
        var settled: [(WaitTicket, Result<LedgerEntry, ServiceFailure>)] = []
        bench.service.settleWaiting { settled.append(($0, $1)) }
        return settled
    }

    @Test("nothing is recorded until pages are free, and then an ordinary grant is")
    func granted() throws {
        let last = bench.service.state.lastSequence
        let ticket = try wait()
        #expect(bench.service.state.lastSequence == last)
        #expect(settle().isEmpty)
        try free(3)
        let settled = settle()
        #expect(settled.map(\.ticket) == [ticket])
        let entry = try #require(settled.first).result.get()
        #expect(entry.sequence == last.next.next)
        #expect(entry.requestID == "waiting")
        guard case .granted(_, let grant) = entry.event,
            case .granted(_, let freed) = pages[3].event
        else {
            Issue.record("no grant: \(entry)")
            return
        }
        #expect(grant.pfn == freed.pfn)
        #expect(bench.service.timeToNextWait == nil)
        #expect(settle().isEmpty)
        try bench.service.commit()
        #expect(try LedgerState.recover(from: ledger).lastSequence == entry.sequence)
    }

    @Test("the oldest are first, and one that does not fit keeps no other from its pages")
    func order() throws {
        let block = try wait(1)
        let single = try (0..<3).map { _ in try wait() }
        try free(0)
        #expect(settle().map(\.ticket) == [single[0]])
        // Two pages that are a block: for the oldest, which asked for one.
        try free(8)
        try free(9)
        #expect(settle().map(\.ticket) == [block])
        try free(5)
        try free(7)
        #expect(settle().map(\.ticket) == [single[1], single[2]])
    }

    @Test("who comes in the turn of the free stands behind those that wait")
    func newcomers() throws {
        let old = try wait()
        try free(0)
        let new = try wait()
        #expect(settle().map(\.ticket) == [old])
        try free(1)
        #expect(settle().map(\.ticket) == [new])
    }

    @Test("at its time a request is refused, with an entry of then and an explanation")
    func refused() throws {
        let ticket = try wait(milliseconds: 250)
        #expect(bench.service.timeToNextWait == .milliseconds(250))
        bench.clock.advance(microseconds: 249_999)
        #expect(settle().isEmpty)
        #expect(bench.service.timeToNextWait == .microseconds(1))
        bench.clock.advance(microseconds: 1)
        #expect(bench.service.timeToNextWait == .zero)
        let last = bench.service.state.lastSequence
        let settled = settle()
        #expect(settled.map(\.ticket) == [ticket])
        guard
            case .failure(.refused(.outOfMemory(let explanation), let sequence)) = settled[0].result
        else {
            Issue.record("not refused: \(settled)")
            return
        }
        #expect(sequence == last.next)
        #expect(explanation.certificate != nil)
        let entry = try #require(ledger.pending.last)
        #expect(entry.sequence == sequence)
        #expect(entry.outcome == .refused)
        #expect(entry.time == bench.clock.now)
        #expect(settle().isEmpty)
    }

    @Test("only a caller that may sleep waits")
    func atomic() throws {
        for flags in [[], .kswapdReclaim, [.high, .kswapdReclaim]] as [GFPFlags] {
            let record = ServiceBench.record(AllocationControl(flags: flags))
            #expect(throws: ServiceFailure.self) {
                try bench.service.allocate(
                    record, on: machine, waiting: 1000, for: bench.caller)
            }
            #expect(ledger.pending.last?.outcome == .refused)
        }
        #expect(bench.service.timeToNextWait == nil)
    }

    @Test("what fits is granted at once, and what never will is refused at once")
    func atOnce() throws {
        try free(0)
        guard
            case .granted(let entry) = try bench.service.allocate(
                Self.record(), on: machine, waiting: 1, for: bench.caller)
        else {
            Issue.record("it waits")
            return
        }
        #expect(entry.outcome == .granted)
        let last = bench.service.state.lastSequence
        do {
            _ = try wait(10)
            Issue.record("it waits")
        } catch ServiceFailure.refused(.unsatisfiable, let sequence) {
            #expect(sequence == last.next)
        }
    }

    @Test("pages come back by leases, batches, forced deletions, and each is noticed")
    func waysToFree() throws {
        try free(0)
        try bench.lease(Self.record().request.control, seconds: 5, on: machine)
        let first = try wait(milliseconds: 60_000)
        bench.clock.advance(seconds: 5)
        bench.service.endLeases()
        #expect(settle().map(\.ticket) == [first])

        let second = try wait(milliseconds: 60_000)
        let target = FreeRecord.Target.allocation(AllocationID(pages[1].sequence.rawValue))
        _ = try bench.service.carryOutAll([.free(target)], on: machine, for: bench.caller)
        #expect(settle().map(\.ticket) == [second])

        let third = try wait(milliseconds: 60_000)
        let other = try bench.create("n", .normalOnly(pages: UInt64(Self.pageCount)))
        _ = try Self.fill(other, bench)
        _ = try bench.service.deleteMachine(other, force: true, for: bench.caller)
        #expect(settle().isEmpty)
        _ = try bench.service.deleteMachine(machine, force: true, for: bench.caller)
        let settled = settle()
        #expect(settled.map(\.ticket) == [third])
        guard case .failure(.machineNotFound) = settled[0].result else {
            Issue.record("\(settled)")
            return
        }
    }

    @Test("a batch that is not carried out frees nothing")
    func batchThatFails() throws {
        _ = try wait()
        let target = FreeRecord.Target.allocation(AllocationID(pages[1].sequence.rawValue))
        #expect(throws: AllocationService.BatchFailure.self) {
            try bench.service.carryOutAll(
                [.free(target), .free(.allocation(AllocationID(999)))], on: machine,
                for: bench.caller)
        }
        #expect(settle().isEmpty)
    }

    @Test("leases that end while requests are settled are noticed in the next turn")
    func leaseInTheMiddle() throws {
        try free(0)
        try bench.lease(Self.record().request.control, seconds: 1, on: machine)
        let ending = try wait(milliseconds: 1000)
        let staying = try wait(milliseconds: 2000)
        bench.clock.advance(seconds: 1)
        // The end of the lease comes first: its page is for the oldest.
        #expect(settle().map(\.ticket) == [ending])
        #expect(ledger.pending.last?.outcome == .granted)
        #expect(bench.service.timeToNextWait == .zero)
        #expect(settle().isEmpty)
        #expect(bench.service.timeToNextWait == .seconds(1))
        try free(1)
        #expect(settle().map(\.ticket) == [staying])
    }

    @Test("frees of one machine wake nobody on another")
    func machines() throws {
        let other = try bench.create("n", .normalOnly(pages: UInt64(Self.pageCount)))
        let others = try Self.fill(other, bench)
        let here = try wait()
        let there = try wait(on: other)
        try bench.free(.allocation(AllocationID(others[0].sequence.rawValue)), on: other)
        #expect(settle().map(\.ticket) == [there])
        try free(0)
        #expect(settle().map(\.ticket) == [here])
    }

    @Test("who has gone leaves nothing")
    func abandoned() throws {
        let gone = try wait()
        let there = try wait()
        bench.service.abandon(gone)
        try free(0)
        try free(1)
        #expect(settle().map(\.ticket) == [there])
        #expect(machine.allocator.freePages == 1)
        _ = try? wait(4)
        bench.service.abandonWaiting()
        #expect(bench.service.timeToNextWait == nil)
        #expect(settle().isEmpty)
    }

    @Test("a version that must match is asked for at each try")
    func preconditions() throws {
        let version = machine.lastSequence
        let matching = try wait(if: .matches([version]))
        let existing = try wait(if: .exists)
        try free(0)
        let settled = settle()
        #expect(settled.map(\.ticket) == [matching, existing])
        guard case .failure(.preconditionFailed(let current)) = settled[0].result else {
            Issue.record("\(settled)")
            return
        }
        #expect(current == version.next)
        #expect(try settled[1].result.get().outcome == .granted)
    }

    @Test("a key is in use while its request waits, and its answer is kept then")
    func keys() throws {
        let key = IdempotencyKey(key: "a", fingerprint: Array(repeating: 0, count: 32))
        let other = IdempotencyKey(key: "a", fingerprint: Array(repeating: 1, count: 32))
        let keyed = KeyedRequest(key)
        let ticket = try wait(keyed: keyed)
        for asked in [key, other] {
            #expect(throws: ServiceFailure.keyInUse) { try bench.service.answer(under: asked) }
        }
        try free(0)
        let answer = KeptAnswer(status: 201, fields: "A: b\r\n", body: [1])
        bench.service.settleWaiting { settled, result in
            #expect(settled == ticket)
            do { try bench.service.keep(answer, of: keyed) } catch { Issue.record(error) }
        }
        #expect(try bench.service.answer(under: key) == answer)
        // One that was given up has used no key.
        let next = KeyedRequest(IdempotencyKey(key: "b", fingerprint: key.fingerprint))
        bench.service.abandon(try wait(keyed: next))
        #expect(try bench.service.answer(under: next.key) == nil)
    }

    @Test("so many may wait and no more")
    func limit() throws {
        for _ in 0..<ServiceLimits.waitingAllocations { _ = try wait() }
        let last = bench.service.state.lastSequence
        #expect(throws: ServiceFailure.tooManyWaiting) { try wait() }
        #expect(bench.service.state.lastSequence == last)
        try free(0)
        #expect(settle().count == 1)
        _ = try wait()
    }

    @Test("after a failure of the ledger nothing is granted")
    func failures() throws {
        for fault in [.append(19), .commit(1, isKept: false)] as [FaultyLedger.Fault] {
            let faulty = FaultyLedger(fault)
            let bench = try ServiceBench(over: faulty)
            let machine = try bench.create("m", .normalOnly(pages: UInt64(Self.pageCount)))
            let pages = try Self.fill(machine, bench)
            _ = try bench.service.allocate(
                Self.record(), on: machine, waiting: 1000, for: bench.caller)
            try bench.free(
                .allocation(AllocationID(pages[0].sequence.rawValue)), on: machine)
            bench.service.settleWaiting { _, result in
                if case .success = result { #expect(fault == .commit(1, isKept: false)) }
            }
            #expect(throws: FaultyLedger.failure) { try bench.service.commit() }
            #expect(faulty.callsAfterFailure == 0)
        }
    }
}
