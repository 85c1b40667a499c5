// `history.db`, beside the ledger: what makes questions about the past fast. Index runs
// (`IndexRun.swift`) and snapshots of the state live here.
//
// Nothing in it is the truth: all of it can be made again from the ledger. So it may be missing,
// and it is thrown away, and made anew, where it is damaged, of another version, or about another
// ledger; whoever asks about the past then waits a little longer, and meets no error. A line says
// what happened.
//
// One connection in the whole system has it open, for reading and writing: `locking_mode=exclusive`
// keeps every other one out, so that nothing ever writes or checkpoints beside it. At start-up that
// is recovery's, then the history thread's. It never touches the ledger's file, and its commits do
// not sync (`synchronous=NORMAL`: the log is synced before it is copied into the database, which
// keeps the file whole over a loss of power; what is lost is made again).

import Ledger
import SQLite

final class HistoryDatabase {
    static let fileName = "history.db"

    /// Pages in the write-ahead log from which on it is copied into the database: 4 MiB.
    static let checkpointThreshold = 1024

    let connection: Connection
    private let begin: Statement
    private let commit: Statement

    private var checkpoints = CheckpointSchedule(threshold: checkpointThreshold)

    /// Opens the database of the ledger in a directory, or makes it.
    ///
    /// - Parameters:
    ///   - ledger: a connection to the ledger.
    ///   - report: is told why an old file was thrown away, or why there is none.
    /// - Returns: nil where the ledger is empty, where another connection has the file, or where it
    ///   cannot be written: history then does without.
    static func open(
        in directory: LedgerDirectory, of ledger: Connection, report: (String) -> Void
    ) -> HistoryDatabase? {
        do throws(Unusable) {
            return try opened(directory, ledger)
        } catch {
            switch error {
            case .inUse: return nil
            case .failed(let failure): return none(failure, report)
            case .discardable(let reason): report("\(fileName) is made anew: \(reason)")
            }
        }
        do throws(Unusable) {
            try unusable { () throws(LedgerFailure) in try directory.remove(fileName) }
            return try opened(directory, ledger)
        } catch {
            switch error {
            case .inUse: return nil
            case .failed(let failure): return none(failure, report)
            case .discardable(let reason):
                return none(LedgerFailure(.corrupt, reason), report)
            }
        }
    }

    private static func none(
        _ failure: LedgerFailure, _ report: (String) -> Void
    ) -> HistoryDatabase? {
        report("history does without \(fileName): \(failure.detail)")
        return nil
    }

    /// Why a file cannot be used as it is.
    private enum Unusable: Error {
        /// It is damaged, or about something else.
        case discardable(String)

        /// Another connection has it.
        case inUse
        case failed(LedgerFailure)
    }

    private static func opened(
        _ directory: LedgerDirectory, _ ledger: Connection
    ) throws(Unusable) -> HistoryDatabase? {
        let origin: EntryMark?
        do throws(LedgerFailure) {
            origin = try EntryMark.mark(at: Sequence(1), in: ledger)
        } catch {
            throw .failed(error)
        }
        guard let origin else { return nil }
        let database = try unusable { () throws(LedgerFailure) in
            let connection = try directory.connect(.readWriteCreate, file: fileName)
            // Nobody is waited for: whoever has the file keeps it.
            try LedgerFailure.converting { () throws(SQLiteError) in
                try connection.setBusyTimeout(milliseconds: 0)
            }
            try StorageSettings.applyForHistory(to: connection)
            return connection
        }
        let isNew = try unusable { () throws(LedgerFailure) in
            try HistorySchema.isEmpty(database)
        }
        if isNew {
            try unusable { () throws(LedgerFailure) in
                try HistorySchema.create(in: database, origin)
            }
        } else if let reason = try unusable({ () throws(LedgerFailure) in
            try HistorySchema.difference(of: database, origin)
        }) {
            throw .discardable(reason)
        }
        return try unusable { () throws(LedgerFailure) in try HistoryDatabase(database) }
    }

    private static func unusable<Value>(
        _ body: () throws(LedgerFailure) -> Value
    ) throws(Unusable) -> Value {
        do throws(LedgerFailure) { return try body() } catch {
            switch error.kind {
            case .corrupt, .newer: throw .discardable(error.detail)
            case .inUse: throw .inUse
            case .full, .storage: throw .failed(error)
            }
        }
    }

    private init(_ connection: Connection) throws(LedgerFailure) {
        self.connection = connection
        (begin, commit) = try LedgerFailure.converting { () throws(SQLiteError) in
            (try connection.prepare("BEGIN IMMEDIATE"), try connection.prepare("COMMIT"))
        }
        connection.countWALFrames()
    }

    /// Runs `body` in a transaction, which is rolled back where it throws.
    func transaction<Failure: Error>(
        _ converted: (SQLiteError) -> Failure, _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        do throws(SQLiteError) { try begin.run() } catch { throw converted(error) }
        do throws(Failure) {
            try body()
            do throws(SQLiteError) { try commit.run() } catch { throw converted(error) }
        } catch {
            connection.rollBack()
            throw error
        }
    }

    /// Copies the write-ahead log into the database where it has grown long.
    ///
    /// - Returns: whether it did.
    func checkpointIfLong() throws(SQLiteError) -> Bool {
        guard checkpoints.attempt(connection.walFrameCount) else { return false }
        _ = try connection.checkpoint()
        return true
    }
}
