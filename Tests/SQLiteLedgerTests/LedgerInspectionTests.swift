// What `gfpd verify` and `gfpd backup` do, beside a writer and without one.

import Glibc
import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct LedgerInspectionTests {
    private let bench = LedgerBench()

    // MARK: Verifying

    @Test func aSoundLedgerIsSound() throws {
        let ledger = try bench.open()
        try write(200, to: ledger)
        // Beside the writer, and after it.
        for isClosed in [false, true] {
            if isClosed { try ledger.close() }
            let inspection = try LedgerInspection.open(directory: bench.directory.path)
            let verification = try inspection.verifyEntries()
            #expect(verification.misfit == nil)
            #expect(verification.entries == 200)
            #expect(try inspection.findings() == [])
        }
    }

    @Test func anEntryThatContradictsTheOnesBeforeIsNamed() throws {
        let ledger = try bench.open()
        try write(20, to: ledger)
        // The chain holds, and the page is not free.
        try ledger.append(grant(at: ledger.lastSequence.next, pfn: 4096))
        try ledger.append(grant(at: ledger.lastSequence.next, pfn: 4096))
        try ledger.commit()
        let verification = try LedgerInspection.open(directory: bench.directory.path)
            .verifyEntries()
        #expect(verification.misfit?.sequence == Sequence(22))
        #expect(verification.misfit?.reason.contains("not free") == true)
    }

    @Test(arguments: [
        ("DROP VIEW ledger_readable", "the schema has no view ledger_readable"),
        ("DROP TRIGGER ledger_is_never_deleted_from", "the schema has no trigger"),
        ("CREATE TABLE theirs (a)", "the schema has a strange table theirs"),
        (
            "INSERT INTO gfp_spelling VALUES ('linux-6.1', 3264, 'GFP_DMA')",
            "the names of the flags linux-6.1 3264 are others"
        ),
    ])
    func whatElseIsWrongIsSaid(sql: String, finding: String) throws {
        let ledger = try bench.open()
        try write(20, to: ledger)
        try ledger.close()
        try bench.raw().execute(sql)
        let findings = try LedgerInspection.open(directory: bench.directory.path).findings()
        #expect(findings.contains { $0.hasPrefix(finding) }, "\(findings)")
    }

    @Test func anOlderLedgerIsNotVerified() throws {
        try Version2Ledger.write(to: bench)
        #expect(throws: LedgerFailure.self) {
            try LedgerInspection.open(directory: bench.directory.path)
        }
        try bench.open().close()
        let verification = try LedgerInspection.open(directory: bench.directory.path)
            .verifyEntries()
        #expect(verification.misfit == nil)
        #expect(verification.entries == Version2Ledger.entries)
    }

    // MARK: Backing up

    @Test(arguments: [0, 1, 9000])
    func aCopyIsTheLedger(count: Int) throws {
        let entries = EntryGenerator.entries(count, seed: 81)
        try bench.fill(entries, batch: 500)
        let copy = LedgerBench()
        let head = try LedgerInspection.open(directory: bench.directory.path)
            .backUp(to: copy.directory.file("gfpd.db"))
        #expect(head.sequence.rawValue == UInt64(count))
        #expect(head.hash == entries.last?.hash ?? .zero)
        #expect(try copy.recovered() == entries)
        for rows in ["gfp_spelling", "answer", "chain_start"] {
            let query = "SELECT count(*) FROM \(rows)"
            #expect(try copy.texts(query) == bench.texts(query))
        }
        #expect(try copy.texts("PRAGMA integrity_check") == ["ok"])
    }

    @Test func aCopyOfAMigratedLedgerHasItsChain() throws {
        try Version2Ledger.write(to: bench)
        let ledger = try bench.open()
        let copy = LedgerBench()
        let head = try LedgerInspection.open(directory: bench.directory.path)
            .backUp(to: copy.directory.file("gfpd.db"))
        #expect(head == ledger.head)
        #expect(try copy.open().head == head)
        #expect(try LedgerInspection.open(directory: copy.directory.path).findings() == [])
    }

    @Test func aCopyBesideAWriterIsAPrefix() async throws {
        let ledger = try bench.open()
        try write(100, to: ledger)
        let copy = LedgerBench()
        let (source, file) = (bench.directory.path, copy.directory.file("gfpd.db"))
        let backup = Task.detached {
            try LedgerInspection.open(directory: source).backUp(to: file)
        }
        for _ in 0..<300 {
            try write(50, to: ledger)
            try ledger.housekeep()
        }
        let head = try await backup.value
        #expect(head.sequence.rawValue >= 100)
        #expect(try ledger.entry(at: head.sequence)?.hash == head.hash)
        let inspection = try LedgerInspection.open(directory: copy.directory.path)
        #expect(try inspection.verifyEntries().head == head)
        #expect(try inspection.findings() == [])
    }

    @Test func anAnswerIsCopiedWithItsEntry() throws {
        let ledger = try bench.open()
        var entry = grant(at: Sequence(1), pfn: 8)
        entry.idempotency = IdempotencyKey(key: "k", fingerprint: [1])
        let answer = KeptAnswer(status: 201, fields: "", body: [1, 2, 3])
        try ledger.append(entry)
        try ledger.keep(answer, for: Sequence(1))
        try ledger.commit()
        let copy = LedgerBench()
        _ = try LedgerInspection.open(directory: bench.directory.path)
            .backUp(to: copy.directory.file("gfpd.db"))
        #expect(try copy.open().keyed("k")?.answer == answer)
    }

    @Test func aDamagedLedgerIsNotCopied() throws {
        try bench.fill(EntryGenerator.entries(50, seed: 82))
        try bench.spoil("UPDATE ledger SET request_id = 'x' WHERE sequence = 7")
        let copy = LedgerBench()
        let file = copy.directory.file("gfpd.db")
        #expect(throws: LedgerFailure.self) {
            try LedgerInspection.open(directory: bench.directory.path).backUp(to: file)
        }
        // Nothing is left, under any name.
        #expect(unsafe rmdir(copy.directory.path) == 0)
        #expect(unsafe mkdir(copy.directory.path, 0o700) == 0)
    }

    @Test func nothingIsReplaced() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 83))
        let inspection = try LedgerInspection.open(directory: bench.directory.path)
        #expect(throws: LedgerFailure.self) {
            try inspection.backUp(to: bench.directory.file("gfpd.db"))
        }
        #expect(throws: LedgerFailure.self) {
            try inspection.backUp(to: bench.directory.file("no/such/directory.db"))
        }
        #expect(try bench.recovered().count == 5)
    }

    /// A machine, and then pages of it that are granted and freed again.
    private func write(_ count: Int, to ledger: SQLiteLedger) throws {
        for _ in 0..<count {
            let next = ledger.lastSequence.next
            if next == Sequence(1) {
                try ledger.append(
                    entry(at: next, .machineCreated(name: "m", machine: .caseMachine)))
            } else if next.rawValue.isMultiple(of: 2) {
                try ledger.append(grant(at: next, pfn: 4097))
            } else {
                let id = AllocationID(next.rawValue - 1)
                try ledger.append(
                    entry(
                        at: next,
                        .freed(
                            FreeRecord(target: .allocation(id)),
                            FreedRecord(
                                allocation: id, pfn: PageFrameNumber(4097), order: .zero,
                                node: NodeID(sketched: 0), zone: .dma32, pages: 1))))
            }
        }
        try ledger.commit()
    }

    private func grant(at sequence: Sequence, pfn: UInt64) -> LedgerEntry {
        entry(
            at: sequence,
            .granted(
                AllocationRecord(request: AllocationRequest(), dialect: .linux612),
                GrantRecord(
                    pfn: PageFrameNumber(pfn), order: .zero, node: NodeID(sketched: 0),
                    zone: .dma32, migratetype: .unmovable, isCompound: false)))
    }

    private func entry(at sequence: Sequence, _ event: LedgerEvent) -> LedgerEntry {
        LedgerEntry(
            sequence: sequence, time: Timestamp(microseconds: 0), machine: MachineID(1),
            requestID: "r", event: event)
    }
}
