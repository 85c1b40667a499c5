// The snapshots of `history.db`: the state after each so many entries.
//
// A row is believed where its bytes have the hash that was written with them (SHA-256), and where
// the mark of the entry that it is of is that of the ledger's own. So damage is seen, and a
// `history.db` that belongs to another ledger, or to the same one before it was put back from a
// backup. What is not believed is deleted: it will be made again. Where the table itself cannot be
// read it is as if it were empty, and `failure` says why.

import Digest
import Ledger
import SQLite

final class SnapshotTable: SnapshotSource {
    private let history: HistoryDatabase
    private let ledger: Connection
    private let newestAtOrBefore: Statement
    private let nearestAtOrBefore: Statement
    private let insertion: Statement
    private let deletion: Statement
    private let report: (String) -> Void

    /// Entries whose snapshots are not believed. They are deleted as well, if the disk lets them.
    private var discarded: Set<Sequence> = []

    /// What reading the table met; nothing is read from it afterwards.
    private(set) var failure: LedgerFailure?

    /// - Parameters:
    ///   - ledger: a connection to the ledger that the snapshots are of.
    ///   - report: is told what was not believed, and why.
    init(
        in history: HistoryDatabase, of ledger: Connection, report: @escaping (String) -> Void
    ) throws(SQLiteError) {
        self.history = history
        self.ledger = ledger
        self.report = report
        let connection = history.connection
        newestAtOrBefore = try connection.prepare(
            """
            SELECT sequence, mark, hash, bytes FROM snapshot
            WHERE sequence BETWEEN 1 AND ?
            ORDER BY sequence DESC LIMIT 1
            """)
        nearestAtOrBefore = try connection.prepare(
            """
            SELECT sequence FROM snapshot WHERE sequence BETWEEN 1 AND ?
            ORDER BY sequence DESC LIMIT 1
            """)
        insertion = try connection.prepare(
            "INSERT OR REPLACE INTO snapshot (sequence, mark, hash, bytes) VALUES (?, ?, ?, ?)")
        deletion = try connection.prepare("DELETE FROM snapshot WHERE sequence = ?")
    }

    // MARK: Reading

    func snapshot(atOrBefore sequence: Sequence) -> LedgerSnapshot? {
        var bound = sequence
        while let row = row(atOrBefore: bound) {
            let found = row.snapshot.sequence
            if !discarded.contains(found) {
                guard let fault = fault(of: row) else { return row.snapshot }
                discard(found, because: fault)
            }
            bound = Sequence(found.rawValue - 1)
        }
        return nil
    }

    private struct Row {
        let snapshot: LedgerSnapshot
        let mark: UInt64
        let hash: [UInt8]
    }

    private func row(atOrBefore sequence: Sequence) -> Row? {
        reading { () throws(SQLiteError) in
            defer { newestAtOrBefore.reset() }
            try newestAtOrBefore.bind(bitPattern: sequence.rawValue, at: 1)
            guard try newestAtOrBefore.step() else { return nil }
            return Row(
                snapshot: LedgerSnapshot(
                    sequence: Sequence(UInt64(bitPattern: newestAtOrBefore.integer(at: 0))),
                    bytes: newestAtOrBefore.bytes(at: 3)),
                mark: UInt64(bitPattern: newestAtOrBefore.integer(at: 1)),
                hash: newestAtOrBefore.bytes(at: 2))
        }
    }

    /// Why a row is not believed; nil where it is.
    private func fault(of row: Row) -> String? {
        guard SHA256.hash(row.snapshot.bytes).bytes == row.hash else { return "it is damaged" }
        do throws(LedgerFailure) {
            let mark = try EntryMark.mark(at: row.snapshot.sequence, in: ledger)
            return mark?.bits == row.mark ? nil : "it is of another ledger"
        } catch {
            return "its entry cannot be read: \(error.detail)"
        }
    }

    func discard(_ sequence: Sequence, because reason: String) {
        report("the snapshot of entry \(sequence.rawValue) is not used: \(reason)")
        discarded.insert(sequence)
        do throws(LedgerFailure) {
            try history.transaction(LedgerFailure.init(_:)) { () throws(LedgerFailure) in
                try LedgerFailure.converting { () throws(SQLiteError) in
                    try deletion.bind(bitPattern: sequence.rawValue, at: 1)
                    try deletion.run()
                }
            }
        } catch {
            report("it could not be deleted: \(error.detail)")
        }
    }

    /// Of which entry the newest snapshot at or before another is; zero where there is none. It may
    /// turn out not to be believed; then it is not found again.
    func nearest(atOrBefore sequence: Sequence) -> Sequence {
        var bound = sequence
        while let found = place(atOrBefore: bound) {
            guard discarded.contains(found) else { return found }
            bound = Sequence(found.rawValue - 1)
        }
        return .zero
    }

    private func place(atOrBefore sequence: Sequence) -> Sequence? {
        reading { () throws(SQLiteError) in
            defer { nearestAtOrBefore.reset() }
            try nearestAtOrBefore.bind(bitPattern: sequence.rawValue, at: 1)
            guard try nearestAtOrBefore.step() else { return nil }
            return Sequence(UInt64(bitPattern: nearestAtOrBefore.integer(at: 0)))
        }
    }

    /// nil where there is nothing, or where the table cannot be read.
    private func reading<Value>(_ body: () throws(SQLiteError) -> Value?) -> Value? {
        guard failure == nil else { return nil }
        do throws(SQLiteError) { return try body() } catch {
            failure = LedgerFailure(error)
            report("snapshots are not used: \(error)")
            return nil
        }
    }

    // MARK: Writing

    /// Keeps the snapshot of a committed entry.
    ///
    /// - Parameter mark: of the entry.
    func insert(_ snapshot: LedgerSnapshot, _ mark: EntryMark) throws(IndexFailure) {
        let hash = SHA256.hash(snapshot.bytes).bytes
        try history.transaction(IndexFailure.init(_:)) { () throws(IndexFailure) in
            do throws(SQLiteError) {
                try insertion.bind(bitPattern: snapshot.sequence.rawValue, at: 1)
                try insertion.bind(bitPattern: mark.bits, at: 2)
                try insertion.bind(hash, at: 3)
                try insertion.bind(snapshot.bytes, at: 4)
                try insertion.run()
                insertion.clearBindings()
            } catch {
                throw IndexFailure(error)
            }
        }
        discarded.remove(snapshot.sequence)
    }
}
