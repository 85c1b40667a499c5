// A ledger that somebody changes, past gfpd and SQLite.

import Foundation

enum Forgery {
    /// Replaces a text by another of the same length, wherever it is in the database of a server
    /// that has been stopped.
    static func replace(_ text: String, by other: String, inLedger data: String) throws {
        precondition(text.utf8.count == other.utf8.count, "the file would be another")
        let directory = URL(filePath: data)
        // The log, which has been copied into the database, would be read before it.
        for file in ["gfpd.db-wal", "gfpd.db-shm"] {
            let path = directory.appending(path: file)
            guard FileManager.default.fileExists(atPath: path.path) else { continue }
            try FileManager.default.removeItem(at: path)
        }
        let database = directory.appending(path: "gfpd.db")
        var bytes = try Data(contentsOf: database)
        while let place = bytes.range(of: Data(text.utf8)) {
            bytes.replaceSubrange(place, with: Data(other.utf8))
        }
        try bytes.write(to: database)
    }
}
