// A ledger in a directory of its own, and ways round it: to look at the file and to spoil it.

import Ledger
import SQLite
import SQLiteLedger
import TestSupport

final class LedgerBench {
    let directory = TemporaryDirectory()

    func open() throws(LedgerFailure) -> SQLiteLedger {
        try SQLiteLedger.open(directory: directory.path)
    }

    func history() throws(LedgerFailure) -> SQLiteHistory {
        try SQLiteHistory.open(directory: directory.path)
    }

    /// Leaves a closed ledger with these entries, committed `batch` at a time.
    func fill(_ entries: [LedgerEntry], batch: Int = 64) throws {
        let ledger = try open()
        for (position, entry) in entries.enumerated() {
            try ledger.append(entry)
            if position % batch == batch - 1 {
                try ledger.commit()
            }
        }
        try ledger.commit()
        try ledger.close()
    }

    /// What a fresh start reads.
    func recovered() throws -> [LedgerEntry] {
        let ledger = try open()
        defer { withExtendedLifetime(ledger) {} }
        return try Self.entries(of: ledger)
    }

    static func entries(of ledger: SQLiteLedger) throws(RecoveryFailure) -> [LedgerEntry] {
        var entries: [LedgerEntry] = []
        try ledger.replay { (entry) throws(RecoveryFailure) in entries.append(entry) }
        return entries
    }

    /// Runs SQL on a closed ledger past all its rules.
    func spoil(_ sql: String) throws {
        let connection = try raw()
        try connection.execute(
            """
            DROP TRIGGER ledger_is_never_updated;
            DROP TRIGGER ledger_is_never_deleted_from;
            PRAGMA ignore_check_constraints = 1;
            """)
        try connection.execute(sql)
    }

    /// The database as anybody may open it.
    func raw() throws -> Connection {
        try Connection(path: directory.file("gfpd.db"), access: .readWriteCreate)
    }

    /// The first column of each row.
    func texts(_ sql: String) throws -> [String?] {
        let statement = try raw().prepare(sql)
        var texts: [String?] = []
        while try statement.step() {
            texts.append(statement.text(at: 0))
        }
        return texts
    }
}
