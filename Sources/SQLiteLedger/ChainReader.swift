// The chain, checked from disk a stretch at a time. Each stretch is a read of its own, since a long
// one would keep the write-ahead log from beginning again.

import Ledger
import SQLite

struct ChainReader {
    let connection: Connection

    /// Of what is committed.
    func head() throws(LedgerFailure) -> ChainHead {
        try ChainStart.head(of: connection)?.head ?? .empty
    }

    /// To look at the entries of a range; nil for the first and the last one there is. What of the
    /// range is not there is not looked at. Entries older than the chain cannot be looked at one by
    /// one: where the range holds any, all of them are.
    func verification(
        from: Sequence?, to: Sequence?
    ) throws(LedgerFailure) -> ChainVerification {
        let start = try ChainStart.read(connection)
        let head = try head()
        var last = min(to ?? head.sequence, head.sequence)
        var first = max(from ?? Sequence(1), Sequence(1))
        if first <= start.sequence && first <= last {
            first = Sequence(1)
            last = max(last, start.sequence)
        }
        guard first.rawValue > 1, first <= last else {
            return ChainVerification(after: .empty, through: first <= last ? last : .zero)
        }
        let before = Sequence(first.rawValue - 1)
        let hash = try ChainStart.hash(at: before, start, connection)
        var verification = ChainVerification(
            after: ChainHead(sequence: before, hash: hash ?? .zero), through: last)
        if hash == nil { verification.fail("the entry before has no hash") }
        return verification
    }

    /// Looks at so many entries more, at the most.
    ///
    /// - Parameter body: is given each entry that fits the chain, and may find that it does not fit
    ///   otherwise.
    func advance(
        _ verification: inout ChainVerification, limit: Int,
        _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(LedgerFailure) {
        guard !verification.isDone else { return }
        let check = try ChainCheck(after: verification.head, on: connection)
        let rows = try LedgerFailure.converting { () throws(SQLiteError) in
            let rows = try connection.prepare(EntryRow.selectionOfStretch)
            try rows.bind(bitPattern: verification.head.sequence.rawValue, at: 1)
            try rows.bind(Int64(limit), at: 2)
            return rows
        }
        let row = EntryRow(rows)
        for _ in 0..<limit where !verification.isDone {
            do throws(LedgerFailure) {
                let entry = try next(rows, row, after: verification.head.sequence)
                try check.advance(by: entry)
                try Self.calling(body, entry)
                verification.pass(check.hash)
            } catch {
                guard error.kind == .corrupt else { throw error }
                verification.fail(error.detail)
            }
        }
    }

    private func next(
        _ rows: Statement, _ row: EntryRow, after last: Sequence
    ) throws(LedgerFailure) -> LedgerEntry {
        let isFound = try LedgerFailure.converting { () throws(SQLiteError) in try rows.step() }
        guard isFound, row.sequence == last.next else {
            throw LedgerFailure(.corrupt, "entry \(last.next.rawValue): it is missing")
        }
        return try row.entry()
    }

    private static func calling(
        _ body: (LedgerEntry) throws(RecoveryFailure) -> Void, _ entry: LedgerEntry
    ) throws(LedgerFailure) {
        do throws(RecoveryFailure) {
            try body(entry)
        } catch {
            switch error {
            case .unreadable(let failure): throw failure
            case .contradiction(let sequence, let reason):
                throw LedgerFailure(.corrupt, "entry \(sequence.rawValue): \(reason)")
            }
        }
    }
}
