// A byte of `history.db` changes, in every page, as on a disk that rots: each question about the
// past has the answer that it had, and a start comes to the state that it came to.

import Ledger
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A flipped byte beside the ledger")
struct FlippedHistoryByteTests {
    private static let shape = IndexShape(entries: 16, mergedRuns: 3, levels: 3, chunkBytes: 400)
    private static let snapshotInterval: UInt64 = 48

    /// Bytes of a page that are tried: those of its header, and some of the rest.
    private static let structuralBytes = 0..<8
    private static let otherBytes = 8

    /// Of `housekeep`, before the questions are asked again.
    private static let steps = 3

    @Test("in every page: what is asked is answered, and what is made of it is the same")
    func everyPage() throws {
        let ledger = try WrittenLedger(batches: 60)
        let whole = try Self.historyFile(of: ledger)
        let pages = whole.count / 4096
        #expect(pages > 8)
        var random = SeededGenerator(seed: 72)
        var reported = 0
        for page in 0..<pages {
            let others = (0..<Self.otherBytes).map { _ in random.below(4096) }
            for position in Array(Self.structuralBytes) + others {
                var damaged = whole
                damaged[page * 4096 + position] ^= UInt8(1 << random.below(8))
                try Self.put(damaged, beside: ledger)
                var reports: [String] = []
                // Every other time a start comes to it first.
                if position % 2 == 0 { try Self.start(ledger) { reports.append($0) } }
                try Self.ask(ledger, &random) { reports.append($0) }
                if !reports.isEmpty { reported += 1 }
                #expect(reports.count < 10, "byte \(position) of page \(page + 1): \(reports)")
            }
        }
        #expect(reported > pages, "\(reported) of \(pages) pages")
        try ledger.expectUnchanged()
    }

    /// The file once all of it is made, and there is no log.
    private static func historyFile(of ledger: WrittenLedger) throws -> [UInt8] {
        let history = try ledger.history(shape, snapshotInterval: snapshotInterval) {
            Issue.record("\($0)")
        }
        while try history.housekeep() {}
        let database = try #require(history.index).store.database
        _ = try database.connection.checkpoint()
        history.close()
        return try FileBytes.read(ledger.directory.file(HistoryDatabase.fileName))
    }

    private static func put(_ bytes: [UInt8], beside ledger: WrittenLedger) throws {
        let directory = LedgerDirectory(path: ledger.directory.path)
        try directory.remove(HistoryDatabase.fileName)
        try FileBytes.write(bytes, to: ledger.directory.file(HistoryDatabase.fileName))
    }

    private static func start(
        _ written: WrittenLedger, report: @escaping (String) -> Void
    ) throws {
        let directory = LedgerDirectory(path: written.directory.path)
        let ledger = try SQLiteLedger.open(in: directory, checkpointThreshold: 16)
        let snapshots: SnapshotTable?
        do throws(LedgerFailure) {
            snapshots = try ledger.snapshots(in: directory, report: report)
        } catch {
            // The note of the ledger's end was struck: it is not served, and nothing is lost.
            #expect(error.detail.hasPrefix("it ends with entry "))
            return report(error.detail)
        }
        let recovery = try Recovery(of: ledger, with: snapshots)
        written.expect(recovery.state, after: written.entries.count)
        try ledger.close()
    }

    private static func ask(
        _ ledger: WrittenLedger, _ random: inout SeededGenerator,
        report: @escaping (String) -> Void
    ) throws {
        let history = try ledger.history(
            shape, snapshotInterval: snapshotInterval, report: report)
        for _ in 0..<2 {
            for owner in 0..<ScriptedLife.owners {
                try ledger.expectEntries(ofOwner: owner, in: history)
            }
            try ledger.expectState(at: ledger.entries.count - random.below(20), in: history)
            try ledger.expectState(at: random.below(ledger.entries.count), in: history)
            for _ in 0..<steps { _ = try history.housekeep() }
        }
    }
}
