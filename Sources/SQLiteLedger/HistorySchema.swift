// The tables of `history.db`. There are no migrations: a file of another version is made anew.

import Ledger
import SQLite

enum HistorySchema {
    /// "gfph".
    static let applicationID = 0x6766_7068

    /// Of these tables, and of what is in them.
    static let version = 2

    /// 63-bit keys and sequences are SQLite's signed integers; 64-bit marks are the signed integer
    /// with the same bits.
    private static let script = """
        -- Which ledger this is about. One row.
        CREATE TABLE origin (
            -- Mark of its first entry.
            mark INTEGER NOT NULL,
            -- The last entry that it was seen to have.
            seen INTEGER NOT NULL
        ) STRICT;

        -- One row for each index run: the entries `first` to `first + count - 1` by what they say.
        -- Live runs follow each other from entry 1 on without gaps.
        CREATE TABLE run (
            id INTEGER PRIMARY KEY,
            -- 0 being built, 1 live, 2 to be deleted.
            state INTEGER NOT NULL,
            first INTEGER NOT NULL,
            count INTEGER NOT NULL,
            -- Bit n: the run has entries with field n.
            fields INTEGER NOT NULL,
            -- Mark of the run's last entry.
            mark INTEGER NOT NULL,
            -- Sum over the columns that never change, and whether the run is live.
            checksum INTEGER NOT NULL
        ) STRICT;

        -- Where each chunk of a run begins: its first posting.
        CREATE TABLE fence (
            run INTEGER NOT NULL,
            field INTEGER NOT NULL,
            key INTEGER NOT NULL,
            -- Entries from the run's first one.
            offset INTEGER NOT NULL,
            chunk INTEGER NOT NULL,
            PRIMARY KEY (run, field, key, offset)
        ) STRICT, WITHOUT ROWID;

        -- Sorted postings. The id is run << 28 plus the chunk's place in the run.
        CREATE TABLE chunk (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;

        -- The whole state after an entry.
        CREATE TABLE snapshot (
            sequence INTEGER PRIMARY KEY,
            -- Mark of the entry.
            mark INTEGER NOT NULL,
            hash BLOB NOT NULL,
            bytes BLOB NOT NULL
        ) STRICT;
        """

    /// Whether nothing has been made in the file yet.
    static func isEmpty(_ connection: Connection) throws(LedgerFailure) -> Bool {
        try LedgerFailure.converting { () throws(SQLiteError) in
            try integer("SELECT count(*) FROM sqlite_schema", connection) == 0
        }
    }

    /// Makes the tables, wholly or not at all.
    ///
    /// - Parameter origin: mark of the ledger's first entry.
    static func create(in connection: Connection, _ origin: EntryMark) throws(LedgerFailure) {
        try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.transaction { () throws(SQLiteError) in
                try connection.execute(script)
                let row = try connection.prepare("INSERT INTO origin (mark, seen) VALUES (?, 1)")
                try row.bind(bitPattern: origin.bits, at: 1)
                try row.run()
                try connection.setPragma("application_id", to: String(applicationID))
                try connection.setPragma("user_version", to: String(version))
            }
        }
    }

    /// Why the tables are not this version's about this ledger; nil where they are.
    static func difference(
        of connection: Connection, _ origin: EntryMark
    ) throws(LedgerFailure) -> String? {
        try LedgerFailure.converting { () throws(SQLiteError) in
            guard try integer("PRAGMA application_id", connection) == applicationID else {
                return "it is the database of another application"
            }
            let found = try integer("PRAGMA user_version", connection)
            guard found == version else { return "it has version \(found), not \(version)" }
            let mark = try integer("SELECT mark FROM origin", connection)
            guard mark == Int64(bitPattern: origin.bits) else { return "it is of another ledger" }
            return nil
        }
    }

    private static func integer(
        _ query: String, _ connection: Connection
    ) throws(SQLiteError) -> Int64 {
        let statement = try connection.prepare(query)
        defer { statement.reset() }
        return try statement.step() ? statement.integer(at: 0) : 0
    }
}
