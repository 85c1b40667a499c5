// Whose file it is, and which tables it has. `application_id` tells a ledger from other databases;
// `user_version` is the number of the last migration that was carried out.

import Ledger
import SQLite

enum LedgerSchema {
    /// "gfpd".
    static let applicationID: Int64 = 0x6766_7064

    /// One of `migrations/*.sql`, which are only ever added to.
    private struct Migration {
        let name: String
        let script: [UInt8]
    }

    /// The n-th leads to version n.
    private static let migrations = [
        Migration(name: "0001_ledger", script: PackageResources._001_ledger_sql),
        Migration(
            name: "0002_policies_and_runs", script: PackageResources._002_policies_and_runs_sql),
        Migration(
            name: "0003_chain_leases_keys", script: PackageResources._003_chain_leases_keys_sql),
        Migration(name: "0004_traceparent", script: PackageResources._004_traceparent_sql),
    ]

    /// The version that this program writes.
    static var currentVersion: Int { migrations.count }

    /// The version of a ledger; 0 for an empty file. Changes nothing.
    ///
    /// - Throws: `.corrupt` where the file is not a ledger, `.newer` where a later version wrote
    ///   it.
    static func version(of connection: Connection) throws(LedgerFailure) -> Int {
        let (application, version, tables) = try LedgerFailure.converting {
            () throws(SQLiteError) in
            (
                try integer("PRAGMA application_id", connection),
                try integer("PRAGMA user_version", connection),
                try integer("SELECT count(*) FROM sqlite_schema", connection)
            )
        }
        if (application, version, tables) == (0, 0, 0) { return 0 }
        guard application == applicationID else {
            throw LedgerFailure(
                .corrupt, "gfpd.db is the database of another application (\(application))")
        }
        guard version <= currentVersion else {
            throw LedgerFailure(
                .newer,
                "gfpd.db has version \(version), and this gfpd knows up to \(currentVersion)")
        }
        guard version >= 1 else {
            throw LedgerFailure(.corrupt, "gfpd.db has tables without a version")
        }
        return Int(version)
    }

    /// Carries out the migrations after `version`, each in a transaction that also sets the
    /// version, so that one that is broken off has not happened.
    static func migrate(
        _ connection: Connection, from version: Int
    ) throws(LedgerFailure) {
        for (index, migration) in migrations.enumerated().dropFirst(version) {
            try LedgerFailure.converting { () throws(SQLiteError) in
                try connection.transaction { () throws(SQLiteError) in
                    try connection.execute(String(decoding: migration.script, as: UTF8.self))
                    try connection.setPragma("application_id", to: String(applicationID))
                    try connection.setPragma("user_version", to: String(index + 1))
                }
            }
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
