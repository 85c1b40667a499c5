// A ledger looked at from outside: by `gfpd verify` and `gfpd backup`, with nobody serving it or
// beside a server that writes to it. The one connection here only reads. `history.db` is not looked
// at: everything in it can be made again from the ledger.

public import Ledger
import SQLite

public final class LedgerInspection {
    let connection: Connection

    /// Opens the ledger in a directory.
    ///
    /// - Throws: `.storage` where there is none, or an older gfpd wrote it; `.newer` where a later
    ///   version did; `.corrupt` where the file is no ledger.
    public static func open(directory path: String) throws(LedgerFailure) -> LedgerInspection {
        try open(in: LedgerDirectory(path: path))
    }

    static func open(in directory: LedgerDirectory) throws(LedgerFailure) -> LedgerInspection {
        let connection = try directory.connect(.readOnly)
        try StorageSettings.applyForReading(to: connection)
        guard try LedgerSchema.version(of: connection) == LedgerSchema.currentVersion else {
            throw LedgerFailure(
                .storage,
                "an older gfpd wrote the ledger in \(directory.path): start this one on it first")
        }
        return LedgerInspection(connection: connection)
    }

    private init(connection: Connection) {
        self.connection = connection
    }

    /// Goes along the chain from the first entry to the last one committed, a stretch at a time,
    /// and brings the state back on the way.
    ///
    /// - Returns: how far it came: to the end, or to the first entry that is not what was written,
    ///   or contradicts those before.
    public func verifyEntries() throws(LedgerFailure) -> ChainVerification {
        let reader = ChainReader(connection: connection)
        var verification = try reader.verification(from: nil, to: nil)
        var state = LedgerState()
        while !verification.isDone {
            try reader.advance(&verification, limit: Self.entriesPerRead) {
                (entry) throws(RecoveryFailure) in try state.apply(entry)
            }
        }
        return verification
    }

    /// What is wrong with the rest of the file, a sentence each; none where all is well. Of these
    /// reads one is as long as the file: a server beside it goes on writing, and its log grows
    /// meanwhile.
    public func findings() throws(LedgerFailure) -> [String] {
        try schemaFindings() + answerFindings() + spellingFindings() + pageFindings()
    }

    /// Entries read at a time.
    static let entriesPerRead = 4096

    /// Damaged pages named, at the most.
    private static let maximumPageFindings = 100
}

extension LedgerInspection {
    /// Tables, triggers and views must be those that the migrations make.
    private func schemaFindings() throws(LedgerFailure) -> [String] {
        let sound = try LedgerFailure.converting { () throws(SQLiteError) in
            try Connection(path: ":memory:", access: .readWriteCreate)
        }
        try LedgerSchema.migrate(sound, from: 0)
        let query = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema"
        let expected = Set(try texts(query, sound))
        let found = Set(try texts(query, connection))
        return expected.symmetricDifference(found).sorted().map { definition in
            let name = definition.prefix { $0 != ":" }
            return expected.contains(definition)
                ? "the schema has no \(name) as gfpd makes it" : "the schema has a strange \(name)"
        }
    }

    private func answerFindings() throws(LedgerFailure) -> [String] {
        try AnswerTable.damaged(in: connection).map { sequence in
            "the answer of entry \(sequence.rawValue) is not what was kept"
        }
    }

    private func spellingFindings() throws(LedgerFailure) -> [String] {
        try FlagSpellings.damaged(in: connection).map { "the names of the flags \($0) are others" }
    }

    /// What SQLite says of the pages.
    private func pageFindings() throws(LedgerFailure) -> [String] {
        do throws(LedgerFailure) {
            let lines = try texts(
                "PRAGMA integrity_check(\(Self.maximumPageFindings))", connection)
            return lines == ["ok"] ? [] : lines
        } catch {
            guard error.kind == .corrupt else { throw error }
            return [error.detail]
        }
    }

    private func texts(
        _ query: String, _ connection: Connection
    ) throws(LedgerFailure) -> [String] {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let statement = try connection.prepare(query)
            var texts: [String] = []
            while try statement.step() {
                texts.append(statement.text(at: 0) ?? "")
            }
            return texts
        }
    }
}
