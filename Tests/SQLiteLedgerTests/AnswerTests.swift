// The answers to keyed requests come back byte for byte, or not at all.

import Ledger
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct AnswerTests {
    private let bench = LedgerBench()
    private let answer = KeptAnswer(
        status: 201, fields: "Location: /v1/x\nETag: \"7\"", body: Array("{\"id\":7}".utf8))

    @Test func anAnswerIsThereAtOnceAndAfterwards() throws {
        let ledger = try bench.open()
        try append("a", fingerprint: 1, answer, to: ledger)
        try append(nil, fingerprint: 0, nil, to: ledger)
        #expect(try ledger.keyed("a")?.answer == answer)
        try ledger.commit()
        try ledger.close()
        let next = try bench.open()
        let kept = try #require(try next.keyed("a"))
        #expect(kept.sequence == Sequence(1))
        #expect(kept.time == Timestamp(microseconds: 1))
        #expect(kept.fingerprint == [UInt8](repeating: 1, count: 32))
        #expect(kept.answer == answer)
        #expect(try next.keyed("b") == nil)
        #expect(try next.keyed("") == nil)
    }

    @Test func theNewestAnswerOfAKeyCounts() throws {
        let ledger = try bench.open()
        let empty = KeptAnswer(status: 204, fields: "", body: [])
        try append("a", fingerprint: 1, answer, to: ledger)
        try append("a", fingerprint: 2, empty, to: ledger)
        // Several entries of one request: the last one has the answer.
        try append("b", fingerprint: 3, nil, to: ledger)
        try append("b", fingerprint: 3, answer, to: ledger)
        #expect(try ledger.keyed("a")?.answer == empty)
        #expect(try ledger.keyed("a")?.fingerprint == [UInt8](repeating: 2, count: 32))
        #expect(try ledger.keyed("b")?.sequence == Sequence(4))
    }

    @Test func anAnswerThatWasNotCommittedIsGoneWithItsEntry() throws {
        let ledger = try bench.open()
        try append("a", fingerprint: 1, answer, to: ledger)
        try ledger.close()
        let next = try bench.open()
        #expect(try next.keyed("a") == nil)
        #expect(next.lastSequence == .zero)
    }

    @Test(arguments: [
        "status = 200", "fields = 'Location: /v1/y'", "body = x'7b7d'", "hash = zeroblob(32)",
        "fields = fields || char(10)",
    ])
    func aChangedAnswerIsNotSent(change: String) throws {
        let ledger = try bench.open()
        try append("a", fingerprint: 1, answer, to: ledger)
        try ledger.commit()
        try ledger.close()
        try bench.raw().execute("DROP TRIGGER answer_is_never_updated; UPDATE answer SET \(change)")
        let next = try bench.open()
        #expect(throws: LedgerFailure.self) { try next.keyed("a") }
        #expect(
            try LedgerInspection.open(directory: bench.directory.path).findings()
                .contains("the answer of entry 1 is not what was kept"))
    }

    @Test(arguments: [
        "UPDATE answer SET status = 1", "DELETE FROM answer", "UPDATE chain_start SET hash = x''",
        "DELETE FROM chain_start",
    ])
    func nobodyChangesThem(sql: String) throws {
        try Version2Ledger.write(to: bench)
        let ledger = try bench.open()
        let head = ledger.head
        var entry = LedgerEntry(
            sequence: head.sequence.next, time: Timestamp(microseconds: .max),
            machine: Sequence(1), requestID: "r", event: .machineDeleted(name: "m"))
        entry.idempotency = IdempotencyKey(key: "a", fingerprint: [])
        try ledger.append(entry)
        try ledger.keep(answer, for: entry.sequence)
        try ledger.commit()
        try ledger.close()
        #expect(throws: SQLiteError.self) { try bench.raw().execute(sql) }
    }

    private func append(
        _ key: String?, fingerprint: UInt8, _ answer: KeptAnswer?, to ledger: SQLiteLedger
    ) throws {
        let sequence = ledger.lastSequence.next
        try ledger.append(
            LedgerEntry(
                sequence: sequence, time: Timestamp(microseconds: Int64(sequence.rawValue)),
                machine: MachineID(1), requestID: "r", event: .machineDeleted(name: "m"),
                idempotency: key.map {
                    IdempotencyKey(
                        key: $0, fingerprint: [UInt8](repeating: fingerprint, count: 32))
                }))
        if let answer { try ledger.keep(answer, for: sequence) }
    }
}
