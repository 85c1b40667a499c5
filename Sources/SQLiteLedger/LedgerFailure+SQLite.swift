// What an error of SQLite means for the ledger.

import Glibc
import Ledger
import SQLite

extension LedgerFailure {
    init(_ error: SQLiteError) {
        let hasNoRoom = error.systemError == ENOSPC || error.systemError == EDQUOT
        let kind: Kind =
            switch error.code {
            case .full: .full
            case .ioError where hasNoRoom: .full
            case .corrupt, .notADatabase: .corrupt
            case .busy: .inUse
            case .ioError, .cannotOpen, .readOnly, .constraint, .other: .storage
            }
        self.init(kind, error.description)
    }

    /// A system call that failed, by the `errno` that it left.
    init(systemCall call: String, _ path: String, _ number: Int32) {
        let isFull = number == ENOSPC || number == EDQUOT
        let words = unsafe String(cString: strerror(number))
        self.init(isFull ? .full : .storage, "\(call) \(path): \(words)")
    }

    /// The value of `body`, or its error as a failure of the ledger.
    static func converting<Value>(
        _ body: () throws(SQLiteError) -> Value
    ) throws(LedgerFailure) -> Value {
        do throws(SQLiteError) { return try body() } catch { throw LedgerFailure(error) }
    }
}
