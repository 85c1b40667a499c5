// gfpd backup: a copy of a ledger, beside a server that writes to it.

import ArgumentParser
import Ledger
import SQLiteLedger

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy a ledger to a file, while it is served or not.",
        discussion: """
            The copy has the entries that were committed when it began, and is on disk when the \
            command returns. To restore it, put it into an empty directory as gfpd.db and serve \
            that directory.
            """)

    @Argument(help: "Directory of the ledger.")
    var data: String

    @Argument(help: "The copy; there must be no file of that name.")
    var file: String

    func run() throws {
        let head = try copy()
        print("copied \(head.sequence.rawValue) entries to \(file); the last has \(head.hash.text)")
    }

    private func copy() throws(Failure) -> ChainHead {
        do {
            return try LedgerInspection.open(directory: data).backUp(to: file)
        } catch {
            throw Failure("cannot back up the ledger in \(data): \(error.detail)")
        }
    }
}
