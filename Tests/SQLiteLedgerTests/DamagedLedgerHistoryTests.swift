// Questions about a ledger of which something cannot be read: whoever does not come to it has the
// answer, and the index goes on behind it.

import Glibc
import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("Questions about a damaged ledger")
struct DamagedLedgerHistoryTests {
    private let bench = LedgerBench()
    private static let shape = IndexShape(entries: 16, mergedRuns: 3, levels: 3, chunkBytes: 96)

    /// Entries of twelve owners in turn, about blocks of 4 pages next to each other.
    private static let entries: [LedgerEntry] = {
        var hash = EntryHash.zero
        return (1...200).map { number in
            var control = AllocationControl(order: Order(sketched: 2))
            control.pages = number % 5 == 0 ? 4 : nil
            let record = AllocationRecord(
                request: AllocationRequest(control: control), dialect: .linux612,
                owner: "owner-\(number % 12)")
            let pfn = PageFrameNumber(UInt64(4 * number))
            var entry = LedgerEntry(
                sequence: Sequence(UInt64(number)), time: Timestamp(microseconds: Int64(number)),
                machine: MachineID(1), requestID: "request-\(number)",
                event: .granted(record, grant(of: control, at: pfn)))
            hash = entry.hash(after: hash)
            entry.hash = hash
            return entry
        }
    }()

    /// Of a block, or of a run.
    private static func grant(
        of control: AllocationControl, at pfn: PageFrameNumber
    ) -> GrantRecord {
        guard let order = control.blockOrder else {
            return GrantRecord(
                segments: [FrameRange(pfn, pfn + 4)], node: NodeID(sketched: 0), zone: .normal,
                migratetype: .unmovable)
        }
        return GrantRecord(
            pfn: pfn, order: order, node: NodeID(sketched: 0), zone: .normal,
            migratetype: .unmovable, isCompound: false)
    }

    @Test(
        "a row that is missing, or several",
        arguments: [[5], [16], [17], [32, 33], [100], [46, 47, 48, 49], [200], [2, 3, 4]])
    func missingRows(numbers: [UInt64]) throws {
        try bench.fill(Self.entries)
        let list = numbers.map(String.init).joined(separator: ",")
        try bench.spoil("DELETE FROM ledger WHERE sequence IN (\(list))")
        let reports = Reports()
        try keepUp(reports)
        #expect(reports.lines == [])
        // The chain of the entry after them is broken too.
        let lost = Set(numbers + numbers.map { $0 + 1 })
        try expectAnswers(without: lost, reports)
        #expect(reports.lines == [])
    }

    @Test("a row that cannot be decoded", arguments: [UInt64(1), 16, 50, 100, 200])
    func undecodableRow(number: UInt64) throws {
        try bench.fill(Self.entries)
        try bench.spoil("UPDATE ledger SET details = 'neither' WHERE sequence = \(number)")
        let reports = Reports()
        try keepUp(reports)
        try expectAnswers(without: [number], reports)
        #expect(reports.lines == [])
        // It is named, where it is what is asked for.
        let history = try history(reports)
        var query = HistoryQuery()
        query.pfn = PageFrameNumber(4 * number)
        do throws(LedgerFailure) {
            _ = try history.page(query)
            Issue.record("a damaged row was not noticed")
        } catch {
            #expect(error.kind == .corrupt)
            #expect(error.detail.hasPrefix("entry \(number):"))
        }
    }

    @Test("a page of the file that cannot be read")
    func unreadablePage() throws {
        try bench.fill(Self.entries)
        let path = bench.directory.file("gfpd.db")
        // It has been copied into the database, and would be read before it.
        for log in ["-wal", "-shm"] { unsafe unlink(path + log) }
        let page = try Self.page(holding: "request-100", in: path)
        try FilePages.fill(page, with: 0xff, in: path)
        let reports = Reports()
        try keepUp(reports)
        #expect(reports.lines.count == 1)
        #expect(reports.lines.first?.hasPrefix("the index ends before entry ") == true)
        let history = try history(reports)
        // Before and after it.
        var query = HistoryQuery()
        query.owner = "owner-3"
        query.before = Sequence(40)
        #expect(try history.pages(query).flatMap(\.entries) == query.expected(of: Self.entries))
        query.before = nil
        query.after = Sequence(180)
        #expect(try history.pages(query).flatMap(\.entries) == query.expected(of: Self.entries))
        // Through it.
        query.after = nil
        #expect(throws: LedgerFailure.self) { try history.pages(query) }
    }

    private final class Reports {
        var lines: [String] = []
    }

    private func history(_ reports: Reports) throws -> SQLiteHistory {
        try SQLiteHistory.open(
            in: LedgerDirectory(path: bench.directory.path), shape: Self.shape,
            // No state is asked for.
            snapshotInterval: 1 << 40
        ) { reports.lines.append($0) }
    }

    /// Makes the index as far as that goes.
    private func keepUp(_ reports: Reports) throws {
        let history = try history(reports)
        while try history.housekeep() {}
        let index = try #require(history.index)
        #expect(reports.lines.isEmpty == (index.runs.last?.sequences.upperBound == 192))
    }

    /// Each owner who has none of the lost entries is answered, with the index and without, and
    /// each frame.
    private func expectAnswers(without lost: Set<UInt64>, _ reports: Reports) throws {
        let histories = [try history(reports), try history(reports)]
        _ = histories[0].openIndex()
        let lostOwners = Set(lost.map { "owner-\($0 % 12)" })
        var answers = 0
        for history in histories {
            for owner in (0..<12).map({ "owner-\($0)" }) where !lostOwners.contains(owner) {
                var query = HistoryQuery()
                query.owner = owner
                let found = try history.pages(query).flatMap(\.entries)
                #expect(found == query.expected(of: Self.entries))
                answers += found.count
            }
            for entry in Self.entries where !lost.contains(entry.sequence.rawValue) {
                var query = HistoryQuery()
                query.pfn = EntryFacts(entry).pfn.map { $0 + 1 }
                guard history.index != nil else { break }
                #expect(try history.page(query).entries == [entry])
            }
        }
        #expect(answers > 200)
    }

    /// The number, from 0, of the page with a text.
    private static func page(holding text: String, in path: String) throws -> Int {
        let bytes = try FilePages.bytes(of: path)
        let wanted = Array(text.utf8)
        let place = bytes.indices.first { bytes[$0...].starts(with: wanted) }
        return try #require(place) / FilePages.size
    }
}
