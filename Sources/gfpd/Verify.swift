// gfpd verify: whether a ledger is what was written, and whole.

import ArgumentParser
import Ledger
import SQLiteLedger

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a ledger: its chain of hashes, its state, its file.",
        discussion: """
            Only reads, and may run beside a server; the server's log grows while the file's pages \
            are checked. Prints the last entry and its hash: whoever notes them can tell later \
            whether anything before was changed. Exit status 1, and the first entry that does not \
            fit, where something was.
            """)

    @Argument(help: "Directory of the ledger.")
    var data: String

    func run() throws {
        let (verification, findings) = try verify()
        if let misfit = verification.misfit {
            print(misfit.reason)
        }
        for finding in findings {
            print(finding)
        }
        let head = verification.head
        let entries = "\(verification.entries) entries"
        guard verification.misfit == nil, findings.isEmpty else {
            throw Failure("the ledger in \(data) is damaged; \(entries) fit, from the first on")
        }
        print("ok: \(entries), head \(head.sequence.rawValue) \(head.hash.text)")
    }

    private func verify() throws(Failure) -> (ChainVerification, findings: [String]) {
        do {
            let ledger = try LedgerInspection.open(directory: data)
            return (try ledger.verifyEntries(), try ledger.findings())
        } catch {
            throw Failure("cannot verify the ledger in \(data): \(error.detail)")
        }
    }
}
