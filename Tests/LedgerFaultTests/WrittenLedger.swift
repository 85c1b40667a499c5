// A closed ledger of a scripted life in a directory of its own, and what must be read from it
// whatever becomes of the files beside it.

import Ledger
import TestSupport
import Testing

@testable import SQLiteLedger

struct WrittenLedger {
    let directory = TemporaryDirectory(in: "/dev/shm")
    let entries: [LedgerEntry]

    private let entriesOfOwners: [[LedgerEntry]]

    /// After each of the entries, none first.
    private let states: [LedgerStateImage]

    init(batches: Int) throws {
        let ledger = try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path), checkpointThreshold: 64)
        var life = ScriptedLife()
        var entries: [LedgerEntry] = []
        var state = LedgerState()
        var states = [LedgerStateImage(state)]
        for number in 1...batches {
            for entry in life.batch(number) {
                try ledger.append(entry)
                try state.apply(entry)
                entries.append(entry)
                states.append(LedgerStateImage(state))
            }
            try ledger.commit()
        }
        try ledger.close()
        self.entries = entries
        entriesOfOwners = (0..<ScriptedLife.owners).map { number in
            entries.filter { EntryFacts($0).owner == "owner-\(number)" }
        }
        self.states = states
    }

    /// Over SQLite's own VFS.
    func history(
        _ shape: IndexShape, snapshotInterval: UInt64, report: @escaping (String) -> Void
    ) throws -> SQLiteHistory {
        try SQLiteHistory.open(
            in: LedgerDirectory(path: directory.path), shape: shape,
            snapshotInterval: snapshotInterval, report: report)
    }

    /// Asks for the entries of one of `ScriptedLife.owners`.
    func expectEntries(ofOwner number: Int, in history: SQLiteHistory) throws(LedgerFailure) {
        var query = HistoryQuery()
        query.owner = "owner-\(number)"
        query.pageSize = HistoryQuery.maximumPageSize
        let page = try history.page(query)
        #expect(page.entries == entriesOfOwners[number])
        #expect(page.resume == nil)
    }

    /// Asks for the state after so many entries.
    func expectState(at count: Int, in history: SQLiteHistory) throws(LedgerFailure) {
        do throws(RecoveryFailure) {
            expect(try history.state(at: Sequence(UInt64(count))), after: count)
        } catch {
            switch error {
            case .unreadable(let failure): throw failure
            case .contradiction: Issue.record("\(error)")
            }
        }
    }

    func expect(_ state: LedgerState, after count: Int) {
        #expect(LedgerStateImage(state) == states[count], "the state at entry \(count)")
    }

    /// The ledger says what was written, and its chain holds.
    func expectUnchanged() throws {
        let ledger = try LedgerInspection.open(in: LedgerDirectory(path: directory.path))
        let verification = try ledger.verifyEntries()
        #expect(verification.misfit == nil)
        #expect(verification.head.hash == entries.last?.hash)
        #expect(try ledger.findings() == [])
    }
}
