// How SQLite is set. Each setting is read back: SQLite ignores what it does not know or cannot do.

import Ledger
import SQLite

enum StorageSettings {
    typealias Setting = SQLiteLedger.Setting

    /// Of every connection.
    private static let common = [
        // A damaged page is seen when it is read, not when it is used.
        Setting(name: "cell_size_check", value: "1"),
        // A schema that was tampered with may not call functions with side effects.
        Setting(name: "trusted_schema", value: "0"),
        // A read error is an error, not a SIGBUS.
        Setting(name: "mmap_size", value: "0"),
    ]

    /// Of the writing connection, in this order: the page size before the first page is written.
    private static let writing =
        common + [
            Setting(name: "page_size", value: "4096"),
            Setting(name: "locking_mode", value: "normal"),
            Setting(name: "journal_mode", value: "wal"),
            // FULL: fdatasync the log at each commit.
            Setting(name: "synchronous", value: "2"),
            Setting(name: "wal_autocheckpoint", value: "0"),
            // The log is never truncated.
            Setting(name: "journal_size_limit", value: "-1"),
        ]

    /// Of the connection to `history.db`, in this order: who else may have it before the log.
    private static let history =
        common + [
            Setting(name: "page_size", value: "4096"),
            Setting(name: "locking_mode", value: "exclusive"),
            Setting(name: "journal_mode", value: "wal"),
            // NORMAL: the log is synced at checkpoints alone.
            Setting(name: "synchronous", value: "1"),
            Setting(name: "wal_autocheckpoint", value: "0"),
            Setting(name: "journal_size_limit", value: "16777216"),
        ]

    private static let reading = common + [Setting(name: "query_only", value: "1")]

    /// - Returns: what was set, as it was read back.
    /// - Throws: `.storage` where a setting did not take.
    static func applyForWriting(to connection: Connection) throws(LedgerFailure) -> [Setting] {
        try apply(writing, to: connection)
        try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.setPersistentWAL(true)
            try connection.disableCheckpointOnClose()
        }
        let isPersistent = try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.isWALPersistent()
        }
        guard isPersistent else {
            throw LedgerFailure(.storage, "SQLite would not keep the write-ahead log's file")
        }
        return writing + [Setting(name: "persist_wal", value: "1")]
    }

    /// - Throws: `.storage` where a setting did not take.
    static func applyForReading(to connection: Connection) throws(LedgerFailure) {
        try apply(reading, to: connection)
        try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.disableCheckpointOnClose()
        }
    }

    /// - Throws: `.inUse` where another connection has the file; `.storage` where a setting did not
    ///   take.
    static func applyForHistory(to connection: Connection) throws(LedgerFailure) {
        try apply(history, to: connection)
    }

    private static func apply(
        _ settings: [Setting], to connection: Connection
    ) throws(LedgerFailure) {
        for setting in settings {
            let actual = try LedgerFailure.converting { () throws(SQLiteError) in
                try connection.setPragma(setting.name, to: setting.value)
                return try connection.pragma(setting.name)
            }
            guard actual == setting.value else {
                throw LedgerFailure(
                    .storage,
                    "PRAGMA \(setting.name) is \(actual ?? "unknown"), not \(setting.value)")
            }
        }
    }
}
