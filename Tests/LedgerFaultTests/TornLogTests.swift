// The last commit's bytes in the write-ahead log, cut off or changed at any place: the ledger is as
// before that commit, or as after it where nothing of it is missing.

import Glibc
import Ledger
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A torn write-ahead log")
struct TornLogTests {
    /// Bytes of the log's header, and of a page with its frame's header.
    private static let header = 32
    private static let frame = 24 + 4096

    /// The files that a process left that died after the last commit of the script, and where in
    /// the log that commit is.
    private static func crashed() throws -> (database: [UInt8], log: [UInt8], last: Range<Int>) {
        let directory = TemporaryDirectory(in: "/dev/shm")
        let ledger = try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path), checkpointThreshold: 64)
        let connection = try #require(ledger.storage).connection
        var frames = 0
        for batch in ScriptedLife.batches {
            frames = connection.walFrameCount
            for entry in batch { try ledger.append(entry) }
            try ledger.commit()
        }
        let last = header + frames * frame..<header + connection.walFrameCount * frame
        return try (
            FileBytes.read(directory.file("gfpd.db")),
            FileBytes.read(directory.file("gfpd.db-wal")), last
        )
    }

    private static func recovered(
        _ database: [UInt8], _ log: [UInt8]
    ) throws -> [LedgerEntry] {
        let directory = TemporaryDirectory(in: "/dev/shm")
        try FileBytes.write(database, to: directory.file("gfpd.db"))
        try FileBytes.write(log, to: directory.file("gfpd.db-wal"))
        let ledger = try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path), checkpointThreshold: 64)
        var entries: [LedgerEntry] = []
        try ledger.replay { (entry) throws(RecoveryFailure) in entries.append(entry) }
        return entries
    }

    @Test("cut off, the rest zeros, garbage, or not there")
    func torn() throws {
        let (database, log, last) = try Self.crashed()
        #expect(try Self.recovered(database, log) == ScriptedLife.entries)
        let before = ScriptedLife.entries.dropLast(try #require(ScriptedLife.batches.last).count)
        // Each sector's border, and the bytes beside it.
        let cuts = stride(from: last.lowerBound / 512 * 512, to: last.upperBound, by: 512)
            .flatMap { [$0 - 1, $0, $0 + 1] }.filter(last.contains)
        #expect(cuts.count > 20)
        for cut in cuts + [last.upperBound - 1] {
            let kept = Array(log[..<cut])
            let rest = last.upperBound - cut
            // The frame's own bytes may be zeros already.
            let isZero = log[cut..<last.upperBound].allSatisfy { $0 == 0 }
            for filling in [UInt8(0), 0xa5] where !(isZero && filling == 0) {
                let torn = kept + [UInt8](repeating: filling, count: rest)
                #expect(try Self.recovered(database, torn) == Array(before), "cut at \(cut)")
            }
            #expect(try Self.recovered(database, kept) == Array(before), "cut at \(cut)")
        }
    }

    @Test("a byte changed")
    func changed() throws {
        let (database, log, last) = try Self.crashed()
        let before = ScriptedLife.entries.dropLast(try #require(ScriptedLife.batches.last).count)
        for position in stride(from: last.lowerBound, to: last.upperBound, by: 97) {
            var log = log
            log[position] ^= 0x10
            #expect(try Self.recovered(database, log) == Array(before), "byte \(position)")
        }
    }
}
