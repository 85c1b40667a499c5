// A ledger that has lost its end is not taken for one that ends earlier.

import Ledger
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A ledger's end that is lost")
struct LostEndTests {
    private let bench = LedgerBench()
    private static let entries = EntryGenerator.entries(100, seed: 7)

    @Test("is seen at the next start, and history.db is left as it is", arguments: [1, 99])
    func isSeen(left: UInt64) throws {
        try bench.fill(Self.entries)
        try noteEnd()
        try bench.spoil("DELETE FROM ledger WHERE sequence > \(left)")
        for _ in 0..<2 {
            do throws(LedgerFailure) {
                _ = try snapshots()
                Issue.record("a lost end was not seen")
            } catch {
                #expect(error.kind == .corrupt)
                #expect(error.detail.hasPrefix("it ends with entry \(left), and entry 100 was"))
            }
        }
        // Put back from a copy: whoever says so is believed.
        try LedgerDirectory(path: bench.directory.path).remove(HistoryDatabase.fileName)
        #expect(try snapshots() != nil)
    }

    @Test("is seen too where only background work had come to it")
    func afterAKill() throws {
        try bench.fill(Self.entries)
        let history = try bench.history()
        while try history.housekeep() {}
        try bench.spoil("DELETE FROM ledger WHERE sequence > 90")
        withExtendedLifetime(history) {}
        history.index = nil
        history.snapshots = nil
        history.past.snapshots = nil
        #expect(throws: LedgerFailure.self) { try snapshots() }
    }

    @Test("what was not lost starts, as does what has become longer")
    func longer() throws {
        try bench.fill(Array(Self.entries[..<60]))
        try noteEnd()
        #expect(try snapshots() != nil)
        let ledger = try bench.open()
        for entry in Self.entries[60...] { try ledger.append(entry) }
        try ledger.commit()
        try ledger.close()
        #expect(try snapshots() != nil)
    }

    @Test("the note is made once a second at the most, and at the end")
    func timesOfTheNote() throws {
        try bench.fill(Array(Self.entries[..<50]))
        let ledger = try bench.open()
        let history = try bench.history()
        while try history.housekeep() {}
        for entry in Self.entries[50...] { try ledger.append(entry) }
        try ledger.commit()
        history.nextNoteOfEnd = .now + .seconds(1000)
        while try history.housekeep() {}
        let database = try #require(history.index).store.database
        #expect(try database.lastSeen() == Sequence(50))
        history.nextNoteOfEnd = .now
        while try history.housekeep() {}
        #expect(try database.lastSeen() == Sequence(100))
        // No older end takes its place.
        try database.note(seen: Sequence(70))
        #expect(try database.lastSeen() == Sequence(100))
        try ledger.close()
    }

    private func noteEnd() throws {
        let history = try bench.history()
        _ = history.openIndex()
        history.close()
    }

    private func snapshots() throws(LedgerFailure) -> (any SnapshotSource)? {
        let ledger = try bench.open()
        return try ledger.snapshots(directory: bench.directory.path) { Issue.record("\($0)") }
    }
}
