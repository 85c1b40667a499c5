// One compiled statement. Parameters are numbered from 1 and columns from 0, as SQLite numbers
// them. What is bound stays bound until it is bound again or cleared; a statement that returned
// rows holds its read transaction open until it is reset.

internal import CSQLite

@safe public final class Statement {
    let handle: OpaquePointer

    /// Kept alive: a connection closes after its statements.
    let connection: Connection

    /// What is bound as text or bytes.
    private let values: BoundValues

    init(_ sql: String, on connection: Connection) throws(SQLiteError) {
        var prepared: OpaquePointer?
        let result = unsafe sqlite3_prepare_v3(
            connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        try connection.check(result, doing: sql)
        guard let statement = unsafe prepared else {
            preconditionFailure("a statement without content was prepared")
        }
        unsafe handle = statement
        self.connection = connection
        values = unsafe BoundValues(count: Int(sqlite3_bind_parameter_count(statement)))
    }

    /// `values` goes after this.
    deinit {
        unsafe sqlite3_finalize(handle)
    }

    /// Runs a statement that returns no rows, once, and readies it for the next time.
    public func run() throws(SQLiteError) {
        defer { reset() }
        while try step() {}
    }

    /// Goes on to the next row; false where there is none.
    public func step() throws(SQLiteError) -> Bool {
        switch unsafe sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let result: throw unsafe SQLiteError(result, connection.handle, doing: sql)
        }
    }

    /// Ends the run, so that the statement can be run again. Its error, if any, is the one that
    /// `step` threw.
    public func reset() {
        unsafe sqlite3_reset(handle)
    }

    /// The statement's text.
    public var sql: String { unsafe String(cString: sqlite3_sql(handle)) }

    /// How many columns its rows have.
    public var columnCount: Int { Int(unsafe sqlite3_column_count(handle)) }
}

// MARK: Parameters

extension Statement {
    public func bind(_ value: Int64, at parameter: Int32) throws(SQLiteError) {
        try check(unsafe sqlite3_bind_int64(handle, parameter, value))
    }

    /// Binds the signed integer with the same bits.
    public func bind(bitPattern value: UInt64, at parameter: Int32) throws(SQLiteError) {
        try bind(Int64(bitPattern: value), at: parameter)
    }

    public func bind(_ text: String, at parameter: Int32) throws(SQLiteError) {
        var text = text
        try check(
            text.withUTF8 { utf8 in
                let kept = unsafe values.keep(UnsafeRawBufferPointer(utf8), of: parameter)
                return unsafe sqlite3_bind_text64(
                    handle, parameter, kept?.assumingMemoryBound(to: CChar.self),
                    UInt64(utf8.count), csqlite_static(), UInt8(SQLITE_UTF8))
            })
    }

    public func bind(_ bytes: [UInt8], at parameter: Int32) throws(SQLiteError) {
        try check(unsafe bytes.withUnsafeBytes { unsafe bind(blob: $0, at: parameter) })
    }

    /// Binds 32 bytes, eight in each word, the first of them lowest, without an array for them.
    public func bind(
        _ words: (UInt64, UInt64, UInt64, UInt64), at parameter: Int32
    ) throws(SQLiteError) {
        let bytes = (
            words.0.littleEndian, words.1.littleEndian, words.2.littleEndian, words.3.littleEndian
        )
        try check(unsafe withUnsafeBytes(of: bytes) { unsafe bind(blob: $0, at: parameter) })
    }

    private func bind(blob bytes: UnsafeRawBufferPointer, at parameter: Int32) -> Int32 {
        let kept = unsafe values.keep(bytes, of: parameter)
        return unsafe sqlite3_bind_blob64(
            handle, parameter, kept, UInt64(bytes.count), csqlite_static())
    }

    /// Binds a value of another statement's present row, whatever it is.
    public func bind(column: Int32, of row: Statement, at parameter: Int32) throws(SQLiteError) {
        try check(
            unsafe sqlite3_bind_value(
                handle, parameter, sqlite3_column_value(row.handle, column)))
    }

    public func bindNull(at parameter: Int32) throws(SQLiteError) {
        try check(unsafe sqlite3_bind_null(handle, parameter))
    }

    /// Makes all parameters NULL, and gives back the memory of their values.
    public func clearBindings() {
        unsafe sqlite3_clear_bindings(handle)
        values.removeAll()
    }

    private func check(_ result: Int32) throws(SQLiteError) {
        guard result == SQLITE_OK else {
            throw unsafe SQLiteError(result, connection.handle, doing: "bind: " + sql)
        }
    }
}

// MARK: Columns of the present row

extension Statement {
    /// How a value is stored.
    public enum StorageClass: Sendable {
        case null, integer, real, text, blob
    }

    public func storageClass(at column: Int32) -> StorageClass {
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer
        case SQLITE_FLOAT: .real
        case SQLITE_TEXT: .text
        case SQLITE_BLOB: .blob
        default: .null
        }
    }

    /// The value as an integer; 0 for NULL and for text that is no number.
    public func integer(at column: Int32) -> Int64 {
        unsafe sqlite3_column_int64(handle, column)
    }

    /// The value as text; nil for NULL and for bytes that are not UTF-8.
    public func text(at column: Int32) -> String? {
        // The text before its length: SQLite may have to convert the value first.
        guard let characters = unsafe sqlite3_column_text(handle, column) else { return nil }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe String(
            validating: UnsafeBufferPointer(start: characters, count: count), as: UTF8.self)
    }

    /// Hands over the bytes of the value, in place; not for NULL.
    public func withBytes(at column: Int32, _ body: (Span<UInt8>) -> Void) {
        guard let address = unsafe sqlite3_column_blob(handle, column) else {
            // An empty value has no address either.
            if unsafe sqlite3_column_type(handle, column) != SQLITE_NULL { body(Span()) }
            return
        }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        let bytes = unsafe UnsafeBufferPointer(
            start: address.assumingMemoryBound(to: UInt8.self), count: count)
        body(unsafe bytes.span)
    }

    /// The value as bytes; none for NULL.
    public func bytes(at column: Int32) -> [UInt8] {
        guard let address = unsafe sqlite3_column_blob(handle, column) else { return [] }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: address, count: count))
    }
}
