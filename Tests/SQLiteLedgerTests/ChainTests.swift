// Each row says which entry it was, and which entries went before it.

import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct ChainTests {
    private let bench = LedgerBench()

    @Test func theHeadIsWhatTheDefinitionSays() throws {
        let entries = EntryGenerator.entries(40, seed: 71)
        let ledger = try bench.open()
        #expect(ledger.head == .empty)
        for entry in entries {
            try ledger.append(entry)
            #expect(ledger.head == ChainHead(sequence: entry.sequence, hash: try hash(of: entry)))
        }
        #expect(try bench.history().head() == .empty)
        try ledger.commit()
        #expect(try bench.history().head() == ledger.head)
        try ledger.close()
        #expect(try bench.open().head.hash == entries.last?.hash)
    }

    private func hash(of entry: LedgerEntry) throws -> EntryHash { try #require(entry.hash) }

    /// Values that an entry can have, so that only the hash tells: by kind of the entry spoilt.
    static let changes: [(kind: LedgerKind, change: String)] = [
        (.allocate, "time = time + 1"), (.allocate, "machine = machine + 1"),
        (.allocate, "request_id = request_id || 'x'"), (.allocate, "owner = 'somebody else'"),
        (.allocate, "principal = 'somebody else'"), (.allocate, "ttl_seconds = 77"),
        (.allocate, "flags = flags + 1"), (.allocate, "additional_flags = 12345"),
        (.allocate, "low_boundary = 7"), (.allocate, "high_boundary = 77"),
        (.allocate, "request_node = 3"), (.allocate, "request_cpu = 77"),
        (.allocate, "labels = 'a=c'"), (.allocate, "control = 'another'"),
        (.free, "allocation = allocation + 1"), (.free, "node = coalesce(1 - min(node, 1), 3)"),
        (.free, "owner = 'nobody'"), (.machineDeleted, "block_order = 0"),
        (.controlPut, "control = 'another'"), (.machineDeleted, "machine_name = 'another'"),
        (.leaseRenewed, "ttl_seconds = 77"), (.leaseExpired, "zone = (zone + 1) % 5"),
        (.allocate, "hash = zeroblob(32)"), (.allocate, "hash = NULL"),
        (.allocate, "idempotency_key = 'other', fingerprint = zeroblob(32)"),
    ]

    @Test(arguments: 0..<changes.count)
    func aChangedRowIsSeenByWhoeverReadsIt(position: Int) throws {
        let (kind, change) = Self.changes[position]
        let entries = EntryGenerator.entries(300, seed: 72)
        try bench.fill(entries)
        // Not the first one, so that there are others before it.
        let spoilt = try #require(entries.last { $0.kind == kind && $0.sequence.rawValue < 300 })
        try bench.spoil(
            "UPDATE ledger SET \(change) WHERE sequence = \(spoilt.sequence.rawValue)")
        let history = try bench.history()
        var verification = try history.chainVerification(from: nil, to: nil)
        while !verification.isDone { try history.advance(&verification, limit: 50) }
        #expect(verification.misfit?.sequence == spoilt.sequence, "\(change)")
        #expect(verification.entries == spoilt.sequence.rawValue - 1)
        #expect(throws: RecoveryFailure.self) { try bench.recovered() }
        if change != "hash = NULL" {
            #expect(throws: LedgerFailure.self) { try history.entry(at: spoilt.sequence) }
        }
        #expect(try history.entry(at: Sequence(1)) == entries[0])
    }

    @Test func entriesThatChangedPlacesAreSeen() throws {
        let entries = EntryGenerator.entries(20, seed: 73)
        try bench.fill(entries)
        try bench.spoil(
            """
            UPDATE ledger SET sequence = 99 WHERE sequence = 7;
            UPDATE ledger SET sequence = 7 WHERE sequence = 8;
            UPDATE ledger SET sequence = 8 WHERE sequence = 99;
            """)
        #expect(try verified(from: nil, to: nil).misfit?.sequence == Sequence(7))
    }

    @Test func anEntryThatIsMissingIsNamed() throws {
        try bench.fill(EntryGenerator.entries(20, seed: 74))
        try bench.spoil("DELETE FROM ledger WHERE sequence = 7")
        let misfit = try #require(try verified(from: nil, to: nil).misfit)
        #expect(misfit.sequence == Sequence(7))
        #expect(misfit.reason == "entry 7: it is missing")
    }

    @Test(arguments: [
        (1, 20, 20), (5, 9, 5), (20, 20, 1), (3, 99, 18), (21, 30, 0), (9, 5, 0),
    ])
    func aRangeIsLookedAtAlone(from: UInt64, to: UInt64, entries: UInt64) throws {
        let all = EntryGenerator.entries(20, seed: 75)
        try bench.fill(all)
        let verification = try verified(from: Sequence(from), to: Sequence(to))
        #expect(verification.entries == entries)
        #expect(verification.misfit == nil)
        if entries > 0 {
            #expect(verification.head.hash == all[Int(min(to, 20)) - 1].hash)
        }
    }

    @Test func aRangeBehindADamagedEntryFits() throws {
        try bench.fill(EntryGenerator.entries(20, seed: 76))
        try bench.spoil("UPDATE ledger SET request_id = 'x' WHERE sequence = 7")
        #expect(try verified(from: Sequence(8), to: nil).misfit == nil)
        #expect(try verified(from: Sequence(7), to: Sequence(7)).misfit?.sequence == Sequence(7))
        #expect(try verified(from: nil, to: Sequence(6)).misfit == nil)
    }

    @Test func entriesOlderThanTheChainAreCheckedTogether() throws {
        try Version2Ledger.write(to: bench)
        let ledger = try bench.open()
        let start = ledger.head
        var generator = EntryGenerator(seed: 77)
        generator.skip(to: Timestamp(microseconds: 1_800_000_000_000_000))
        for _ in 0..<5 { try ledger.append(generator.entry(after: ledger.head)) }
        try ledger.commit()
        try ledger.close()
        #expect(start.sequence == Sequence(Version2Ledger.entries))
        #expect(try verified(from: nil, to: nil).entries == start.sequence.rawValue + 5)
        #expect(try verified(from: Sequence(3), to: Sequence(4)).head == start)
        #expect(try verified(from: start.sequence.next, to: nil).entries == 5)
        try bench.spoil("UPDATE ledger SET request_id = 'x' WHERE sequence = 4")
        #expect(try verified(from: Sequence(3), to: Sequence(4)).misfit?.sequence == start.sequence)
        #expect(try verified(from: start.sequence.next, to: nil).misfit == nil)
        #expect(throws: RecoveryFailure.self) { try bench.recovered() }
    }

    @Test func aLostStartOfTheChainIsNotMadeUp() throws {
        try Version2Ledger.write(to: bench)
        let ledger = try bench.open()
        var generator = EntryGenerator(seed: 78)
        generator.skip(to: Timestamp(microseconds: 1_800_000_000_000_000))
        try ledger.append(generator.entry(after: ledger.head))
        try ledger.commit()
        try ledger.close()
        try bench.raw().execute(
            "DROP TRIGGER chain_start_is_never_deleted; DELETE FROM chain_start")
        #expect(throws: LedgerFailure(.corrupt, "the start of the chain is missing")) {
            try bench.open()
        }
    }

    private func verified(from: Sequence?, to: Sequence?) throws -> ChainVerification {
        let history = try bench.history()
        var verification = try history.chainVerification(from: from, to: to)
        while !verification.isDone { try history.advance(&verification, limit: 3) }
        return verification
    }
}
