// Leases: over at the microsecond, in order, before anything else is decided, and across restarts.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("Leases")
struct LeaseTests {
    private let ledger = MemoryLedger()
    private let bench: ServiceBench
    private let machine: SimulatedMachine

    init() throws {
        bench = try ServiceBench(over: ledger)
        machine = try bench.create("m", .normalOnly(pages: 16))
    }

    /// The ids that entries of kind `lease_expired` free, in the ledger's order.
    private var expired: [AllocationID] {
        (ledger.committed + ledger.pending).compactMap { entry in
            guard case .leaseExpired(let freed) = entry.event else { return nil }
            return freed.allocation
        }
    }

    private func pfn(of id: AllocationID) throws -> PageFrameNumber {
        let live = machine.allocator.liveGrant(id)
        return try #require(live).grant.pfn
    }

    private func isLive(_ id: AllocationID) -> Bool { machine.allocator.liveGrant(id) != nil }

    @Test("a lease is over when its seconds are, and not a microsecond before")
    func exactEnd() throws {
        let id = try bench.lease(
            AllocationControl(order: Order(sketched: 2)), seconds: 10, on: machine)
        #expect(machine.leases.expiry(of: id) == Timestamp(microseconds: 11_000_000))
        bench.clock.now = Timestamp(microseconds: 10_999_999)
        bench.service.endLeases()
        #expect(isLive(id))
        #expect(bench.service.timeToNextExpiry == .microseconds(1))
        bench.clock.advance(microseconds: 1)
        #expect(bench.service.timeToNextExpiry == .zero)
        bench.service.endLeases()
        #expect(!isLive(id))
        #expect(machine.allocator.freePages == 16)
        #expect(bench.service.timeToNextExpiry == nil)
        let entry = try #require(ledger.pending.last)
        #expect(entry.kind == .leaseExpired)
        #expect(entry.outcome == .done)
        #expect(entry.time == Timestamp(microseconds: 11_000_000))
        #expect(entry.requestID == AllocationService.expiryRequestID)
        guard case .leaseExpired(let freed) = entry.event else { return }
        #expect(freed.pages == 4)
        bench.service.endLeases()
        #expect(ledger.pending.last == entry)
    }

    @Test("leases end in the order in which they are over, on all machines, then by id")
    func order() throws {
        let other = try bench.create("n", .normalOnly(pages: 16))
        let third = try bench.lease(seconds: 5, on: machine)
        let first = try bench.lease(seconds: 2, on: other)
        let fourth = try bench.lease(seconds: 5, on: other)
        let second = try bench.lease(seconds: 3, on: machine)
        let fifth = try bench.lease(seconds: 5, on: machine)
        let later = try bench.lease(seconds: 9, on: other)
        bench.clock.advance(seconds: 5)
        bench.service.endLeases()
        #expect(expired == [first, second, third, fourth, fifth])
        #expect(other.leases.first?.id == later)
        #expect(machine.leases.isEmpty)
    }

    @Test("what has been freed of a grant is not freed again")
    func partlyFreed() throws {
        let id = try bench.lease(
            AllocationControl(order: Order(sketched: 2)), seconds: 1, on: machine)
        let pfn = try pfn(of: id)
        try bench.free(.page(pfn + 1, order: nil), on: machine)
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        guard case .leaseExpired(let freed) = ledger.pending.last?.event else {
            Issue.record("no expiry")
            return
        }
        #expect(freed.pages == 3)
        #expect(machine.allocator.freePages == 16)
    }

    @Test("a grant that is freed has no lease left")
    func freedBefore() throws {
        let whole = try bench.lease(seconds: 1, on: machine)
        let pagewise = try bench.lease(
            AllocationControl(order: Order(sketched: 1)), seconds: 1, on: machine)
        try bench.free(.allocation(whole), on: machine)
        let pfn = try pfn(of: pagewise)
        try bench.free(.page(pfn, order: nil), on: machine)
        #expect(bench.service.timeToNextExpiry == .seconds(1))
        try bench.free(.page(pfn + 1, order: nil), on: machine)
        #expect(bench.service.timeToNextExpiry == nil)
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        #expect(expired == [])
    }

    // MARK: Before any other decision

    @Test("each verb ends the leases that are over before it decides")
    func verbsEndLeasesFirst() throws {
        let all = AllocationControl(order: Order(sketched: 4))
        let first = try bench.lease(all, seconds: 1, on: machine)
        bench.clock.advance(seconds: 1)
        let second = try bench.lease(all, seconds: 1, on: machine)
        #expect(expired == [first])
        #expect(second.rawValue == first.rawValue + 2)

        bench.clock.advance(seconds: 1)
        #expect(bench.refusal { try $0.free(.allocation(second), on: machine) } == .alreadyFreed)
        let third = try bench.lease(all, seconds: 1, on: machine)
        bench.clock.advance(seconds: 1)
        let version = machine.lastSequence
        #expect(throws: ServiceFailure.preconditionFailed(current: version.next)) {
            try bench.allocate(on: machine, if: .matches([version]))
        }
        #expect(expired == [first, second, third])

        try bench.lease(all, seconds: 1, on: machine)
        bench.clock.advance(seconds: 1)
        let deletion = try bench.service.deleteMachine(machine, force: true, for: bench.caller)
        #expect(deletion.freedAllocations == 0)
        #expect(expired.count == 4)
    }

    @Test("a forced deletion frees leased pages like others")
    func forcedDeletion() throws {
        try bench.lease(seconds: 1, on: machine)
        try bench.allocate(on: machine)
        let deletion = try bench.service.deleteMachine(machine, force: true, for: bench.caller)
        #expect(deletion.freedAllocations == 2)
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        #expect(expired == [])
        #expect(bench.service.timeToNextExpiry == nil)
    }

    // MARK: Renewal

    @Test("a renewal sets the end anew: later, sooner, or where there was none")
    func renewal() throws {
        let id = try bench.lease(seconds: 10, on: machine)
        bench.clock.advance(seconds: 9)
        let entry = try bench.renew(id, seconds: 10, on: machine)
        #expect(entry.event == .leaseRenewed(LeaseRecord(allocation: id, ttlSeconds: 10)))
        #expect(machine.leases.expiry(of: id) == Timestamp(microseconds: 20_000_000))
        bench.clock.advance(seconds: 5)
        bench.service.endLeases()
        #expect(isLive(id))
        try bench.renew(id, seconds: 1, on: machine)
        #expect(bench.service.timeToNextExpiry == .seconds(1))
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        #expect(!isLive(id))

        let plain = AllocationID(try bench.allocate(on: machine).sequence.rawValue)
        #expect(machine.leases.expiry(of: plain) == nil)
        try bench.renew(plain, seconds: 3, on: machine)
        #expect(bench.service.timeToNextExpiry == .seconds(3))
    }

    @Test("a renewal comes in time or too late, by a microsecond")
    func renewalRace() throws {
        let first = try bench.lease(seconds: 1, on: machine)
        bench.clock.advance(microseconds: 999_999)
        try bench.renew(first, seconds: 1, on: machine)
        bench.clock.advance(microseconds: 1_000_000)
        let sequence = bench.service.state.lastSequence
        #expect(throws: ServiceFailure.freeRefused(.alreadyFreed, sequence.next.next)) {
            try bench.renew(first, seconds: 1, on: machine)
        }
        #expect(expired == [first])
        let record = LeaseRecord(allocation: first, ttlSeconds: 1)
        #expect(
            ledger.pending.last?.event
                == .leaseRenewalRefused(record, reason: FreeFailure.alreadyFreed.reason))
    }

    @Test("what is not alive is not renewed, and that is recorded")
    func refusedRenewals() throws {
        let freed = try bench.lease(seconds: 5, on: machine)
        try bench.free(.allocation(freed), on: machine)
        let other = try bench.create("n", .normalOnly(pages: 16))
        for (id, on, reason) in [
            (freed, machine, .alreadyFreed), (freed, other, .unknownAllocation),
            (AllocationID(999), machine, .unknownAllocation),
            (AllocationID(.max), machine, .unknownAllocation),
        ] as [(AllocationID, SimulatedMachine, FreeFailure)] {
            let sequence = bench.service.state.lastSequence.next
            #expect(throws: ServiceFailure.freeRefused(reason, sequence)) {
                try bench.renew(id, seconds: 1, on: on)
            }
            #expect(ledger.pending.last?.outcome == .refused)
            #expect(ledger.pending.last?.kind == .leaseRenewed)
        }
        #expect(bench.service.timeToNextExpiry == nil)
        let version = machine.lastSequence
        #expect(throws: ServiceFailure.preconditionFailed(current: version)) {
            try bench.renew(freed, seconds: 1, on: machine, if: .absent)
        }
    }

    // MARK: Restarts and clocks

    @Test("leases go on after a restart, and end at once where they are over by then")
    func restart() throws {
        let short = try bench.lease(seconds: 5, on: machine)
        let long = try bench.lease(seconds: 50, on: machine)
        let renewed = try bench.lease(seconds: 5, on: machine)
        try bench.renew(renewed, seconds: 40, on: machine)
        try bench.service.commit()
        let restarted = try ServiceBench(over: ledger)
        #expect(
            LedgerStateImage(restarted.service.state) == LedgerStateImage(bench.service.state))
        restarted.clock.advance(seconds: 30)
        #expect(restarted.service.timeToNextExpiry == .zero)
        restarted.service.endLeases()
        #expect(expired == [short])
        try restarted.service.commit()
        let again = try ServiceBench(over: ledger)
        again.clock.advance(seconds: 60)
        again.service.endLeases()
        #expect(expired == [short, renewed, long])
        try again.service.commit()
        #expect(
            LedgerStateImage(try LedgerState.recover(from: ledger))
                == LedgerStateImage(again.service.state))
    }

    @Test("time does not go back for leases")
    func clockGoesBackwards() throws {
        let id = try bench.lease(seconds: 5, on: machine)
        bench.clock.advance(seconds: -100)
        #expect(bench.service.timeToNextExpiry == .seconds(5))
        bench.service.endLeases()
        #expect(isLive(id))
        bench.clock.advance(seconds: 105)
        bench.service.endLeases()
        #expect(!isLive(id))
    }

    // MARK: Failures

    @Test("without room on the disk leases wait, and end when there is room")
    func noRoom() throws {
        var free = UInt64.max
        let ledger = MemoryLedger()
        let clock = TestClock()
        let service = try AllocationService(
            ledger: ledger, freeBytes: { () throws(LedgerFailure) in free },
            clock: { clock.now })
        let caller = AllocationService.Caller(requestID: "test")
        let machine = try service.createMachine(
            named: "m", .normalOnly(pages: 4), for: caller)
        let record = ServiceBench.record(AllocationControl(), ttlSeconds: 1)
        _ = try service.allocate(record, on: machine, for: caller)
        try service.commit()
        (free, clock.now) = (0, Timestamp(microseconds: 9_000_000))
        service.endLeases()
        #expect(machine.allocator.freePages == 3)
        // Nobody is to be woken for what cannot be done.
        #expect(service.timeToNextExpiry == nil)
        try service.commit()
        free = .max
        service.endLeases()
        #expect(machine.allocator.freePages == 4)
        try service.commit()
        #expect(ledger.committed.last?.kind == .leaseExpired)
    }

    @Test("a ledger that fails at the end of a lease fails the turn")
    func failingLedger() throws {
        let faulty = FaultyLedger(.append(3))
        let bench = try ServiceBench(over: faulty)
        try bench.lease(seconds: 1, on: try bench.create("m", .normalOnly(pages: 4)))
        bench.clock.advance(seconds: 1)
        bench.service.endLeases()
        #expect(throws: FaultyLedger.failure) { try bench.service.commit() }
        #expect(bench.service.timeToNextExpiry == nil)
        #expect(faulty.callsAfterFailure == 0)
    }

    // MARK: At random

    @Test("random leases end as a model says", arguments: UInt64(1)...8)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var ends: [AllocationID: Timestamp] = [:]
        for _ in 0..<400 {
            bench.clock.advance(microseconds: Int64(random.below(2_000_000)))
            let due = ends.filter { $0.value <= bench.clock.now }
                .sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
            let known = expired
            let live = ends.keys.sorted()
            switch random.below(6) {
            case 0...2:
                let seconds = UInt32(1 + random.below(8))
                guard let id = try? bench.lease(seconds: seconds, on: machine) else { break }
                ends[id] = bench.clock.now.adding(seconds: seconds)
            case 3 where !live.isEmpty:
                let (id, seconds) = (random.pick(live), UInt32(1 + random.below(8)))
                let isDue = due.contains(id)
                let renewal = try? bench.renew(id, seconds: seconds, on: machine)
                #expect((renewal == nil) == isDue)
                if !isDue { ends[id] = bench.clock.now.adding(seconds: seconds) }
            case 4 where !live.isEmpty:
                let id = random.pick(live)
                let isDue = due.contains(id)
                let freed = try? bench.free(.allocation(id), on: machine)
                #expect((freed == nil) == isDue)
                ends[id] = nil
            default: bench.service.endLeases()
            }
            #expect(Array(expired.dropFirst(known.count)) == due)
            for id in due { ends[id] = nil }
            #expect(machine.leases.all.map(\.id) == ends.keys.sorted())
            #expect(machine.leases.first?.expiry == ends.values.min())
            try bench.service.commit()
        }
        machine.allocator.checkInvariants()
        #expect(
            LedgerStateImage(try LedgerState.recover(from: ledger))
                == LedgerStateImage(bench.service.state))
        #expect(expired.count > 20)
    }
}
