// A copy of a ledger, made while a server writes to the ledger: the entries up to the last one that
// was committed when it began.
//
// Entries never change, so the copy can be made row by row, in reads of a few milliseconds each,
// and is the ledger as it was at one moment all the same. SQLite's own ways (its backup interface,
// VACUUM INTO) begin again with each write, or read for as long as all of it takes, and the
// server's log would grow meanwhile. The copy's own chain is then checked to its end: no copy is
// made of a damaged ledger, nor a damaged copy of a sound one.
//
// The copy grows under another name and takes its own once it is on disk: written, synced, renamed,
// and the directory synced. What is left behind by a copy that was broken off ends in `.partial`.

import Glibc
public import Ledger
import SQLite

extension LedgerInspection {
    /// Copies the ledger to a file that does not exist yet: a `gfpd.db` for an empty directory.
    ///
    /// - Returns: the last entry copied.
    /// - Throws: `.storage` where there is a file of that name, or reading or writing failed;
    ///   `.full` where there is no room; `.corrupt` for an entry that is not what was written.
    public func backUp(to path: String) throws(LedgerFailure) -> ChainHead {
        guard unsafe access(path, F_OK) != 0 else {
            throw LedgerFailure(.storage, "\(path) exists; a backup replaces nothing")
        }
        let partial = "\(path).\(getpid()).partial"
        do throws(LedgerFailure) {
            let head = try copy(to: partial)
            try Self.sync(partial, O_RDONLY)
            guard unsafe rename(partial, path) == 0 else {
                throw LedgerFailure(systemCall: "rename", path, errno)
            }
            try Self.sync(Self.directory(of: path), O_RDONLY | O_DIRECTORY)
            return head
        } catch {
            unsafe unlink(partial)
            throw error
        }
    }

    /// The connection to the copy is closed when this returns.
    private func copy(to path: String) throws(LedgerFailure) -> ChainHead {
        let target = try LedgerFailure.converting { () throws(SQLiteError) in
            let target = try Connection(path: path, access: .readWriteCreate)
            // Until it has its name it is of no use to anybody, whole or not.
            try target.setPragma("page_size", to: "4096")
            try target.setPragma("journal_mode", to: "OFF")
            try target.setPragma("synchronous", to: "OFF")
            return target
        }
        try LedgerSchema.migrate(target, from: 0)
        let head = try ChainReader(connection: connection).head()
        try LedgerFailure.converting { () throws(SQLiteError) in
            try copy("ledger", LedgerColumn.allCases.map(\.name), through: head, to: target)
            try copy("answer", AnswerTable.columns, through: head, to: target)
            try copy("chain_start", ["sequence", "hash"], through: head, to: target)
            try copySpellings(to: target)
        }
        try Self.check(target, reaches: head)
        return head
    }

    /// Copies a table whose key is the sequence, a stretch at a time.
    private func copy(
        _ table: String, _ columns: [String], through head: ChainHead, to target: Connection
    ) throws(SQLiteError) {
        let list = columns.joined(separator: ", ")
        let rows = try connection.prepare(
            """
            SELECT \(list) FROM \(table) WHERE sequence > ? AND sequence <= ?
            ORDER BY sequence LIMIT \(Self.entriesPerRead)
            """)
        try rows.bind(bitPattern: head.sequence.rawValue, at: 2)
        let insertion = try Self.insertion(into: table, columns, on: target)
        var last: Int64 = 0
        var isMore = true
        while isMore {
            try rows.bind(last, at: 1)
            isMore = false
            try target.transaction { () throws(SQLiteError) in
                defer { rows.reset() }
                while try rows.step() {
                    try Self.insert(rows, insertion)
                    last = rows.integer(at: 0)
                    isMore = true
                }
            }
        }
    }

    /// After the entries, so that none lacks the names of its flags.
    private func copySpellings(to target: Connection) throws(SQLiteError) {
        let columns = ["dialect", "value", "names"]
        let rows = try connection.prepare("SELECT dialect, value, names FROM gfp_spelling")
        let insertion = try Self.insertion(into: "gfp_spelling", columns, on: target)
        try target.transaction { () throws(SQLiteError) in
            while try rows.step() { try Self.insert(rows, insertion) }
        }
    }

    private static func insertion(
        into table: String, _ columns: [String], on target: Connection
    ) throws(SQLiteError) -> Statement {
        let values = columns.map { _ in "?" }.joined(separator: ", ")
        return try target.prepare(
            "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(values))")
    }

    private static func insert(_ row: Statement, _ insertion: Statement) throws(SQLiteError) {
        for column in 0..<Int32(row.columnCount) {
            try insertion.bind(column: column, of: row, at: column + 1)
        }
        try insertion.run()
    }

    private static func check(
        _ copy: Connection, reaches head: ChainHead
    ) throws(LedgerFailure) {
        let reader = ChainReader(connection: copy)
        var verification = try reader.verification(from: nil, to: nil)
        while !verification.isDone {
            try reader.advance(&verification, limit: entriesPerRead) {
                (_) throws(RecoveryFailure) in
            }
        }
        if let misfit = verification.misfit { throw LedgerFailure(.corrupt, misfit.reason) }
        guard verification.head == head else {
            throw LedgerFailure(.corrupt, "the copy does not end as the ledger does")
        }
    }

    private static func sync(_ path: String, _ flags: Int32) throws(LedgerFailure) {
        let descriptor = unsafe Glibc.open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { throw LedgerFailure(systemCall: "open", path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LedgerFailure(systemCall: "fsync", path, errno) }
    }

    /// Of a file's path.
    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
