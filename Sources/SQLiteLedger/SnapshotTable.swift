// The snapshots of `history.db`: the state after each so many entries.
//
// A row is believed where its bytes have the hash that was written with them (SHA-256), and where
// the mark of the entry that it is of is that of the ledger's own. So damage is seen, and a
// `history.db` that belongs to another ledger, or to the same one before it was put back from a
// backup. What is not believed is deleted: it will be made again.

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
            SELECT sequence, mark, hash, bytes FROM snapshot WHERE sequence <= ?
            ORDER BY sequence DESC LIMIT 1
            """)
        nearestAtOrBefore = try connection.prepare(
            "SELECT max(sequence) FROM snapshot WHERE sequence <= ?")
        insertion = try connection.prepare(
            "INSERT OR REPLACE INTO snapshot (sequence, mark, hash, bytes) VALUES (?, ?, ?, ?)")
        deletion = try connection.prepare("DELETE FROM snapshot WHERE sequence = ?")
    }

    // MARK: Reading

    func snapshot(atOrBefore sequence: Sequence) -> LedgerSnapshot? {
        do throws(LedgerFailure) {
            while let row = try row(atOrBefore: sequence) {
                guard let fault = try fault(of: row) else { return row.snapshot }
                discard(row.snapshot.sequence, because: fault)
            }
        } catch {
            report("snapshots are not used: \(error.detail)")
        }
        return nil
    }

    private struct Row {
        let snapshot: LedgerSnapshot
        let mark: UInt64
        let hash: [UInt8]
    }

    private func row(atOrBefore sequence: Sequence) throws(LedgerFailure) -> Row? {
        try LedgerFailure.converting { () throws(SQLiteError) in
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
    private func fault(of row: Row) throws(LedgerFailure) -> String? {
        guard SHA256.hash(row.snapshot.bytes).bytes == row.hash else { return "it is damaged" }
        let mark = try EntryMark.mark(at: row.snapshot.sequence, in: ledger)
        return mark?.bits == row.mark ? nil : "it is of another ledger"
    }

    func discard(_ sequence: Sequence, because reason: String) {
        report("the snapshot of entry \(sequence.rawValue) is not used: \(reason)")
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
    /// turn out not to be believed.
    func nearest(atOrBefore sequence: Sequence) throws(LedgerFailure) -> Sequence {
        try LedgerFailure.converting { () throws(SQLiteError) in
            defer { nearestAtOrBefore.reset() }
            try nearestAtOrBefore.bind(bitPattern: sequence.rawValue, at: 1)
            guard try nearestAtOrBefore.step() else { return .zero }
            return Sequence(UInt64(bitPattern: nearestAtOrBefore.integer(at: 0)))
        }
    }

    // MARK: Writing

    /// Keeps the snapshot of a committed entry.
    func insert(_ snapshot: LedgerSnapshot) throws(LedgerFailure) {
        guard let mark = try EntryMark.mark(at: snapshot.sequence, in: ledger) else {
            preconditionFailure("a snapshot of an entry that is not there")
        }
        let hash = SHA256.hash(snapshot.bytes).bytes
        try history.transaction(LedgerFailure.init(_:)) { () throws(LedgerFailure) in
            try LedgerFailure.converting { () throws(SQLiteError) in
                try insertion.bind(bitPattern: snapshot.sequence.rawValue, at: 1)
                try insertion.bind(bitPattern: mark.bits, at: 2)
                try insertion.bind(hash, at: 3)
                try insertion.bind(snapshot.bytes, at: 4)
                try insertion.run()
                insertion.clearBindings()
            }
        }
    }
}
