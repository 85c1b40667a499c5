// The one INSERT of the ledger. SQLite keeps what is bound to a statement from one run to the next,
// and most numbers of a row are those of the row before: so only numbers that differ are bound, and
// only what has no value any more is made NULL.

import Ledger
import SQLite

struct RowInsertion {
    private let statement: Statement

    /// The columns that the next row has a value for: bit n is the column of position n.
    private var filled: UInt64 = 0

    /// The columns that have a value bound to them.
    private var bound: UInt64 = 0

    /// The numbers that are bound, by position.
    private var integers = InlineArray<64, Int64>(repeating: 0)

    init(on connection: Connection) throws(SQLiteError) {
        precondition(LedgerColumn.allCases.count <= integers.count)
        let values = LedgerColumn.allCases.map { _ in "?" }.joined(separator: ", ")
        statement = try connection.prepare(
            "INSERT INTO ledger (\(LedgerColumn.list)) VALUES (\(values))")
    }

    mutating func set(_ column: LedgerColumn, to value: Int64) throws(SQLiteError) {
        let position = Int(column.position)
        guard isNew(column) || integers[position] != value else { return }
        try statement.bind(value, at: column.parameter)
        integers[position] = value
    }

    mutating func set(_ column: LedgerColumn, to text: String) throws(SQLiteError) {
        _ = isNew(column)
        try statement.bind(text, at: column.parameter)
    }

    mutating func set(_ column: LedgerColumn, to bytes: [UInt8]) throws(SQLiteError) {
        _ = isNew(column)
        try statement.bind(bytes, at: column.parameter)
    }

    mutating func set(_ column: LedgerColumn, to hash: EntryHash) throws(SQLiteError) {
        _ = isNew(column)
        try statement.bind(hash.words, at: column.parameter)
    }

    /// Fills the column as in the row before; false where that left it NULL.
    mutating func keep(_ column: LedgerColumn) -> Bool {
        let bit = Self.bit(column)
        filled |= bound & bit
        return bound & bit != 0
    }

    /// Notes that the row fills the column; whether nothing is bound to it yet.
    private mutating func isNew(_ column: LedgerColumn) -> Bool {
        let bit = Self.bit(column)
        filled |= bit
        defer { bound |= bit }
        return bound & bit == 0
    }

    private static func bit(_ column: LedgerColumn) -> UInt64 {
        1 << UInt64(column.position)
    }

    /// Inserts the row. The next one begins without values.
    mutating func insert() throws(SQLiteError) {
        var stale = bound & ~filled
        while stale != 0 {
            try statement.bindNull(at: Int32(stale.trailingZeroBitCount) + 1)
            stale &= stale - 1
        }
        bound = filled
        filled = 0
        try statement.run()
    }
}
