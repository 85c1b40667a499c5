// Answers kept under keys: with the request's last entry, for as long as they are honoured.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("Idempotency keys")
struct IdempotencyTests {
    private let ledger = MemoryLedger()
    private let bench: ServiceBench
    private let machine: SimulatedMachine
    private let answer = KeptAnswer(status: 201, fields: "A: b\r\n", body: [1, 2, 3])

    init() throws {
        bench = try ServiceBench(over: ledger)
        machine = try bench.create("m", .normalOnly(pages: 16))
    }

    private static func key(_ name: String, _ fingerprint: UInt8 = 0) -> IdempotencyKey {
        IdempotencyKey(key: name, fingerprint: Array(repeating: fingerprint, count: 32))
    }

    private func caller(_ keyed: KeyedRequest) -> AllocationService.Caller {
        AllocationService.Caller(requestID: "keyed", keyed: keyed)
    }

    /// One page granted under a key, its answer kept.
    private func grant(_ key: IdempotencyKey) throws {
        let keyed = KeyedRequest(key)
        let record = ServiceBench.record(AllocationControl())
        let entry = try bench.service.allocate(record, on: machine, for: caller(keyed))
        #expect(keyed.entry == entry.sequence)
        #expect(entry.idempotency == key)
        try bench.service.keep(answer, of: keyed)
    }

    @Test("an answer is found at once, after the commit and after a restart")
    func found() throws {
        #expect(try bench.service.answer(under: Self.key("a")) == nil)
        try grant(Self.key("a"))
        #expect(try bench.service.answer(under: Self.key("a")) == answer)
        try bench.service.commit()
        #expect(try bench.service.answer(under: Self.key("a")) == answer)
        let restarted = try ServiceBench(over: ledger)
        #expect(try restarted.service.answer(under: Self.key("a")) == answer)
        #expect(try restarted.service.answer(under: Self.key("b")) == nil)
    }

    @Test("a key that came with another request is refused, by the entry that it is in")
    func otherRequest() throws {
        try grant(Self.key("a", 1))
        let sequence = bench.service.state.lastSequence
        #expect(throws: ServiceFailure.keyReused(sequence)) {
            try bench.service.answer(under: Self.key("a", 2))
        }
    }

    @Test("a key is honoured for its time, and then is new")
    func retention() throws {
        try grant(Self.key("a", 1))
        bench.clock.advance(seconds: Int64(ServiceLimits.keyRetention))
        bench.clock.advance(microseconds: -1)
        #expect(try bench.service.answer(under: Self.key("a", 1)) == answer)
        bench.clock.advance(microseconds: 1)
        #expect(try bench.service.answer(under: Self.key("a", 1)) == nil)
        try grant(Self.key("a", 2))
        #expect(try bench.service.answer(under: Self.key("a", 2)) == answer)
        #expect(throws: ServiceFailure.self) {
            try bench.service.answer(under: Self.key("a", 1))
        }
    }

    @Test("refusals are entries, and keep their answers too")
    func refusals() throws {
        let keyed = KeyedRequest(Self.key("a"))
        #expect(throws: ServiceFailure.self) {
            try bench.service.free(
                .page(PageFrameNumber(1), order: nil), on: machine, for: caller(keyed))
        }
        #expect(keyed.entry == bench.service.state.lastSequence)
        try bench.service.keep(answer, of: keyed)
        #expect(try bench.service.answer(under: Self.key("a")) == answer)
    }

    @Test("what records nothing uses no key")
    func nothingRecorded() throws {
        let keyed = KeyedRequest(Self.key("a"))
        #expect(throws: ServiceFailure.self) {
            try bench.service.free(
                .page(PageFrameNumber(1), order: nil), on: machine, if: .absent,
                for: caller(keyed))
        }
        #expect(keyed.entry == nil)
        try bench.service.keep(answer, of: keyed)
        #expect(try bench.service.answer(under: Self.key("a")) == nil)
    }

    @Test("of several entries the last has the key, whatever is recorded on the way")
    func severalEntries() throws {
        for _ in 0..<3 { try bench.allocate(on: machine) }
        try bench.lease(seconds: 1, on: machine)
        bench.clock.advance(seconds: 1)
        let keyed = KeyedRequest(Self.key("a"))
        let deletion = try bench.service.deleteMachine(machine, force: true, for: caller(keyed))
        #expect(keyed.entry == deletion.entry.sequence)
        try bench.service.keep(answer, of: keyed)
        let entries = ledger.pending.filter { $0.idempotency != nil }
        #expect(entries == [deletion.entry])
        #expect(try bench.service.answer(under: Self.key("a")) == answer)
    }

    @Test("after a failure of the ledger no answer is given")
    func failures() throws {
        for fault in [.lookUpKey(1), .keep(1)] as [FaultyLedger.Fault] {
            let faulty = FaultyLedger(fault)
            let bench = try ServiceBench(over: faulty)
            let machine = try bench.create("m", .normalOnly(pages: 4))
            let keyed = KeyedRequest(Self.key("a"))
            #expect(throws: ServiceFailure.ledger(FaultyLedger.failure)) {
                _ = try bench.service.answer(under: keyed.key)
                let record = ServiceBench.record(AllocationControl())
                _ = try bench.service.allocate(record, on: machine, for: caller(keyed))
                try bench.service.keep(answer, of: keyed)
            }
            #expect(throws: ServiceFailure.self) { try bench.service.answer(under: keyed.key) }
            #expect(throws: FaultyLedger.failure) { try bench.service.commit() }
            #expect(faulty.callsAfterFailure == 0)
        }
    }
}
