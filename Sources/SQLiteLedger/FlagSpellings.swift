// The names of GFP flags, kept in the ledger beside their numbers: bits move between kernels, and a
// reader of the file should not need this program's tables.

import Ledger
import PageAllocator
import SQLite

/// Writes each pair of dialect and value to `gfp_spelling` when it first occurs.
struct FlagSpellings {
    private struct Spelling: Equatable {
        let dialect: KernelDialect
        let flags: GFPFlags
    }

    private let insertion: Statement

    /// Pairs that are in the table already, each at the place that its bits give; another pair may
    /// drive it out. The table is asked only about those that are not here. Bounded, since callers
    /// choose flags.
    private var known = [Spelling?](repeating: nil, count: 1 << placeBits)

    /// log2 of how many pairs are remembered.
    private static let placeBits = 10

    init(on connection: Connection) throws(SQLiteError) {
        insertion = try connection.prepare(
            "INSERT OR IGNORE INTO gfp_spelling (dialect, value, names) VALUES (?, ?, ?)")
    }

    /// Within the transaction that writes the entry.
    mutating func note(_ flags: GFPFlags, _ dialect: KernelDialect) throws(SQLiteError) {
        let spelling = Spelling(dialect: dialect, flags: flags)
        let place = Self.place(flags)
        guard known[place] != spelling else { return }
        try insertion.bind(dialect.rawValue, at: 1)
        try insertion.bind(Int64(flags.rawValue), at: 2)
        try insertion.bind(Self.names(flags, dialect), at: 3)
        try insertion.run()
        known[place] = spelling
    }

    private static func names(_ flags: GFPFlags, _ dialect: KernelDialect) -> String {
        flags.names(dialect).joined(separator: "|")
    }

    /// Pairs whose names are not those that were written, as `linux-6.1 3264`.
    static func damaged(in connection: Connection) throws(LedgerFailure) -> [String] {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let rows = try connection.prepare("SELECT dialect, value, names FROM gfp_spelling")
            var damaged: [String] = []
            while try rows.step() {
                let dialect = rows.text(at: 0).flatMap { KernelDialect(rawValue: $0) }
                let flags = UInt32(exactly: rows.integer(at: 1)).map { GFPFlags(rawValue: $0) }
                if let dialect, let flags, names(flags, dialect) == rows.text(at: 2) { continue }
                damaged.append("\(rows.text(at: 0) ?? "of no dialect") \(rows.integer(at: 1))")
            }
            return damaged
        }
    }

    /// Fibonacci hashing: the upper bits of a product with 2^32 divided by the golden ratio.
    private static func place(_ flags: GFPFlags) -> Int {
        Int((flags.rawValue &* 0x9e37_79b9) >> (32 - UInt32(placeBits)))
    }
}
