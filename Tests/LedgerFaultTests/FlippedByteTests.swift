// A byte of a small ledger's database changes, in every page, as on a disk that rots: it is
// detected, or nothing that is read differs. No entry is served that is not the one written.

import Ledger
import PageAllocator
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A flipped byte")
struct FlippedByteTests {
    /// Bytes of a page that are tried: those of its header and the first cells' addresses, and some
    /// of the rest.
    private static let structuralBytes = 0..<24
    private static let otherBytes = 24

    @Test("in every page: detected and named, or without effect")
    func everyPage() throws {
        let written = TemporaryDirectory(in: "/dev/shm")
        let entries = try Self.write(ScriptedLife.batches, to: written)
        let database = try FileBytes.read(written.file("gfpd.db"))
        let pages = database.count / 4096
        #expect(pages > 12)

        var random = SeededGenerator(seed: 71)
        var tally = Tally()
        let directory = TemporaryDirectory(in: "/dev/shm")
        for page in 0..<pages {
            let others = (0..<Self.otherBytes).map { _ in random.below(4096) }
            for position in Array(Self.structuralBytes) + others {
                var database = database
                database[page * 4096 + position] ^= UInt8(1 << random.below(8))
                try FileBytes.write(database, to: directory.file("gfpd.db"))
                let place = "byte \(position) of page \(page + 1)"
                try Self.read(directory, entries, place, &tally)
            }
        }
        // Both happen, and detection is the usual thing in pages that are in use.
        #expect(tally.detected > pages * 10, "\(tally)")
        #expect(tally.harmless > 0, "\(tally)")
    }

    struct Tally {
        var detected = 0
        var harmless = 0
    }

    /// A closed ledger without a log: the entries as they are read back.
    private static func write(
        _ batches: [[LedgerEntry]], to directory: TemporaryDirectory
    ) throws -> [LedgerEntry] {
        let ledger = try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path), checkpointThreshold: 16)
        for batch in batches {
            for entry in batch { try ledger.append(entry) }
            try ledger.commit()
        }
        var entries: [LedgerEntry] = []
        try ledger.replay { (entry) throws(RecoveryFailure) in entries.append(entry) }
        try ledger.close()
        return entries
    }

    /// Reads everything in every way that there is.
    private static func read(
        _ directory: TemporaryDirectory, _ entries: [LedgerEntry], _ place: String,
        _ tally: inout Tally
    ) throws {
        var isDetected = false
        do throws(LedgerFailure) {
            let history = try SQLiteHistory.open(in: LedgerDirectory(path: directory.path))
            isDetected = served(history, entries, place)
        } catch {
            isDetected = true
        }
        if isDetected { tally.detected += 1 } else { tally.harmless += 1 }
        #expect(!isDetected || verificationFinds(directory), "\(place)")
    }

    /// Whether `gfpd verify` finds the damage.
    private static func verificationFinds(_ directory: TemporaryDirectory) -> Bool {
        do throws(LedgerFailure) {
            let ledger = try LedgerInspection.open(in: LedgerDirectory(path: directory.path))
            if try ledger.verifyEntries().misfit != nil { return true }
            return try !ledger.findings().isEmpty
        } catch {
            return true
        }
    }

    /// Whether something was detected; what was not is what was written.
    private static func served(
        _ history: SQLiteHistory, _ entries: [LedgerEntry], _ place: String
    ) -> Bool {
        var isDetected = false
        for entry in entries {
            do throws(LedgerFailure) {
                let read = try history.entry(at: entry.sequence)
                // Where the end of the table is lost, its last entries are not there.
                if let read { #expect(read == entry, "\(place)") } else { isDetected = true }
            } catch {
                #expect(error.kind == .corrupt, "\(place): \(error)")
                isDetected = true
            }
        }
        do throws(LedgerFailure) {
            let page = try history.page(HistoryQuery())
            if page.entries != entries { isDetected = true }
            #expect(page.entries.allSatisfy { entries.contains($0) }, "\(place)")
        } catch {
            isDetected = true
        }
        return isDetected
    }
}
