// A short sum of one row of the ledger, by which what was derived from it knows it again.

import Ledger
import SQLite

/// 64 bits that depend on all that a row holds, NULLs left out: columns that later versions add do
/// not change it. It tells ledgers apart; it proves nothing against who means to deceive.
struct EntryMark: Hashable {
    let bits: UInt64

    /// That of an entry that is missing.
    static let missing = EntryMark(bits: 0)

    init(bits: UInt64) {
        self.bits = bits
    }

    /// nil where there is no such entry.
    static func mark(
        at sequence: Sequence, in ledger: Connection
    ) throws(LedgerFailure) -> EntryMark? {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let selection = try ledger.prepare("SELECT * FROM ledger WHERE sequence = ?")
            defer { selection.reset() }
            try selection.bind(bitPattern: sequence.rawValue, at: 1)
            return try selection.step() ? EntryMark(row: selection) : nil
        }
    }

    private init(row: Statement) {
        var sum = Checksum()
        for column in 0..<Int32(row.columnCount) {
            switch row.storageClass(at: column) {
            case .null, .real:
                continue
            case .integer:
                sum.add(UInt64(column))
                sum.add(UInt64(bitPattern: row.integer(at: column)))
            case .text, .blob:
                sum.add(UInt64(column))
                let bytes = row.bytes(at: column)
                unsafe sum.add(bytes.span.bytes)
            }
        }
        bits = sum.value
    }
}
