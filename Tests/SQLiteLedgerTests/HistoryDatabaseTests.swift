// `history.db` is opened, kept, and thrown away where it is not what it must be.

import Glibc
import Ledger
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct HistoryDatabaseTests {
    private let bench = LedgerBench()

    @Test func anEmptyLedgerHasNone() throws {
        try bench.fill([])
        #expect(try open() == nil)
        #expect(unsafe access(bench.directory.file("history.db"), F_OK) != 0)
    }

    @Test func whatWasWrittenIsThereAgain() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        try keepSnapshot()
        try expectSnapshots(1, [])
    }

    @Test func oneConnectionAtATimeHasIt() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        let first = try #require(try open())
        var reports: [String] = []
        #expect(try open { reports.append($0) } == nil)
        #expect(reports == [])
        withExtendedLifetime(first) {}
    }

    @Test(arguments: [
        ("PRAGMA user_version = 1", "it has version 1, not 2"),
        ("PRAGMA application_id = 7", "it is the database of another application"),
        ("UPDATE origin SET mark = mark + 1", "it is of another ledger"),
    ])
    func anotherOneIsThrownAway(change: String, reason: String) throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        try keepSnapshot()
        try Connection(path: bench.directory.file("history.db"), access: .readWriteCreate)
            .execute(change)
        try expectSnapshots(0, ["history.db is made anew: \(reason)"])
        try expectSnapshots(0, [])
    }

    @Test func aDamagedOneIsThrownAway() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        try keepSnapshot()
        let path = bench.directory.file("history.db")
        for (place, byte) in [(0, UInt8(0)), (20, 0xff), (100, 0)] {
            let file = unsafe Glibc.open(path, O_WRONLY)
            #expect(unsafe pwrite(file, [byte], 1, off_t(place)) == 1)
            close(file)
            var reports: [String] = []
            #expect(try open { reports.append($0) } != nil, "byte \(place)")
            #expect(reports.count == 1, "byte \(place)")
            #expect(reports.first?.hasPrefix("history.db is made anew: ") == true)
        }
    }

    @Test func whereItCannotBeThereIsNone() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        #expect(unsafe mkdir(bench.directory.file("history.db"), 0o700) == 0)
        var reports: [String] = []
        #expect(try open { reports.append($0) } == nil)
        #expect(reports.count == 1)
        #expect(reports.first?.hasPrefix("history does without history.db: ") == true)
        unsafe rmdir(bench.directory.file("history.db"))
    }

    @Test func aMarkDependsOnEachValue() throws {
        try bench.fill(EntryGenerator.entries(5, seed: 1))
        let ledger = try LedgerDirectory(path: bench.directory.path).connect(.readOnly)
        let marks = try (1...5).map { try EntryMark.mark(at: Sequence($0), in: ledger) }
        #expect(Set(marks).count == 5)
        #expect(try EntryMark.mark(at: Sequence(6), in: ledger) == nil)
        let before = marks[1]
        try bench.spoil("UPDATE ledger SET request_id = request_id || 'x' WHERE sequence = 2")
        #expect(try EntryMark.mark(at: Sequence(2), in: ledger) != before)
    }

    private func keepSnapshot() throws {
        let database = try #require(try open())
        try database.connection.execute("INSERT INTO snapshot VALUES (3, 7, x'00', x'01')")
    }

    private func expectSnapshots(_ count: Int64, _ expected: [String]) throws {
        var reports: [String] = []
        let database = try #require(try open { reports.append($0) })
        let statement = try database.connection.prepare("SELECT count(*) FROM snapshot")
        #expect(try statement.step())
        #expect(statement.integer(at: 0) == count)
        statement.reset()
        #expect(reports == expected)
    }

    private func open(
        _ report: (String) -> Void = { Issue.record("\($0)") }
    ) throws -> HistoryDatabase? {
        let directory = LedgerDirectory(path: bench.directory.path)
        return HistoryDatabase.open(
            in: directory, of: try directory.connect(.readOnly), report: report)
    }
}
