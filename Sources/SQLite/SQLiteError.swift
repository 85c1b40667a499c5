internal import CSQLite

/// What SQLite said when it did not do as it was told.
public struct SQLiteError: Error, Hashable, Sendable {
    /// The result codes that a caller can act on.
    public enum Code: Hashable, Sendable {
        /// Another connection holds a lock that is needed.
        case busy

        /// The disk, a quota, or `max_page_count` leaves no room.
        case full

        /// The operating system failed to read, write or sync.
        case ioError

        /// The file is damaged.
        case corrupt

        /// The file is not a database.
        case notADatabase

        /// The file could not be opened or created.
        case cannotOpen
        case readOnly

        /// A constraint, or a trigger's RAISE, refused the change.
        case constraint

        /// Any other: https://www.sqlite.org/rescode.html.
        case other(Int32)
    }

    public let code: Code

    /// SQLite's extended result code.
    public let extendedCode: Int32

    /// The `errno` behind it; 0 where there is none.
    public let systemError: Int32

    /// SQLite's own words.
    public let message: String

    /// What was being done: the statement, or the call.
    public let operation: String
}

extension SQLiteError: CustomStringConvertible {
    public var description: String {
        let system = systemError == 0 ? "" : ", errno \(systemError)"
        return "\(operation): \(message) (SQLite result \(extendedCode)\(system))"
    }
}

extension SQLiteError {
    /// The last error of a connection, for the result code that its call returned.
    init(_ result: Int32, _ database: OpaquePointer?, doing operation: String) {
        // A result that no connection goes with has a text of its own.
        let text =
            unsafe database == nil ? sqlite3_errstr(result) : sqlite3_errmsg(database)
        self.init(
            code: Code(result), extendedCode: result,
            systemError: unsafe database.map { unsafe sqlite3_system_errno($0) } ?? 0,
            message: unsafe text.map { unsafe String(cString: $0) } ?? "no message",
            operation: operation)
    }
}

extension SQLiteError.Code {
    /// The low byte of an extended result code is the primary one.
    init(_ result: Int32) {
        self =
            switch result & 0xff {
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_FULL: .full
            case SQLITE_IOERR: .ioError
            case SQLITE_CORRUPT: .corrupt
            case SQLITE_NOTADB: .notADatabase
            case SQLITE_CANTOPEN: .cannotOpen
            case SQLITE_READONLY: .readOnly
            case SQLITE_CONSTRAINT: .constraint
            default: .other(result)
            }
    }
}
