// The last entry that the ledger was seen to have: what tells a ledger that ends there from one
// that has lost its end.
//
// A damaged page of the ledger's tree may take the rows behind it along, and what is left is a
// sound ledger that is shorter: the next entries would get the sequences of those that are lost.
// Nothing in the table can tell. So `history.db`, another file, notes once a second and at the end
// with which entry the ledger ends, and a start compares. Readers see a commit when it is on the
// disk: what was seen cannot go with the power.

import Ledger
import SQLite

extension HistoryDatabase {
    func lastSeen() throws(LedgerFailure) -> Sequence {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let selection = try connection.prepare("SELECT seen FROM origin")
            return try selection.step()
                ? Sequence(UInt64(clamping: selection.integer(at: 0))) : .zero
        }
    }

    /// Writes nothing where that one has been seen already.
    func note(seen last: Sequence) throws(IndexFailure) {
        try transaction(IndexFailure.init(_:)) { () throws(IndexFailure) in
            do throws(SQLiteError) {
                let update = try connection.prepare("UPDATE origin SET seen = ?1 WHERE seen < ?1")
                try update.bind(bitPattern: last.rawValue, at: 1)
                try update.run()
            } catch {
                throw IndexFailure(error)
            }
        }
    }
}
