// Each question is answered as going through all entries in Swift answers it
// (`HistoryQuery.matches`), whichever way and in whatever pages it is asked.

import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct SQLiteHistoryTests {
    private let bench = LedgerBench()

    @Test(arguments: [UInt64(21), 22, 23])
    func eachFilterFindsWhatGoingThroughAllFinds(seed: UInt64) throws {
        let entries = EntryGenerator.entries(800, seed: seed)
        try bench.fill(entries)
        let history = try bench.history()
        var random = SeededGenerator(seed: seed)
        for filter in HistoryFilter.allCases {
            var found = 0
            // Few entries name a control: as many as make finding none of them unlikely.
            for _ in 0..<24 {
                var query = HistoryQuery()
                filter.set(&query, from: random.pick(entries), &random)
                found += try check(query, on: history, entries, &random)
            }
            #expect(found > 0, "seed \(seed): \(filter) found nothing at all")
        }
    }

    @Test(arguments: [UInt64(31), 32, 33])
    func filtersNarrowEachOther(seed: UInt64) throws {
        let entries = EntryGenerator.entries(800, seed: seed)
        try bench.fill(entries)
        let history = try bench.history()
        var random = SeededGenerator(seed: seed)
        var found = 0
        for _ in 0..<80 {
            var query = HistoryQuery()
            let entry = random.pick(entries)
            for _ in 0...random.below(4) {
                random.pick(HistoryFilter.allCases).set(&query, from: entry, &random)
            }
            found += try check(query, on: history, entries, &random)
        }
        #expect(found > 0, "seed \(seed)")
    }

    @Test(arguments: [1, 2, 7, 1000], [false, true])
    func pagesGiveEachEntryOnce(pageSize: Int, isDescending: Bool) throws {
        let entries = EntryGenerator.entries(pageSize == 1 ? 50 : 2100, seed: 41)
        try bench.fill(entries)
        var query = HistoryQuery()
        query.pageSize = pageSize
        query.isDescending = isDescending
        let pages = try bench.history().pages(query)
        let expected = isDescending ? entries.reversed() : entries
        #expect(pages.flatMap(\.entries) == expected)
        #expect(pages.dropLast().allSatisfy { $0.entries.count == pageSize })
        #expect(pages.count == (entries.count + pageSize - 1) / pageSize)
    }

    @Test func aLongScanIsBrokenOffAndGoneOnWith() throws {
        let limit = HistoryQuery.maximumEntriesScanned
        let rare: Set<Int> = [1, limit, limit + 1, 2 * limit + 500]
        let entries = (1...2 * limit + 500).map { Self.entry($0, rare.contains($0) ? "b" : "a") }
        try bench.fill(entries, batch: 10_000)
        let history = try bench.history()
        var query = HistoryQuery()
        query.requestID = "b"
        var pages = try history.pages(query)
        #expect(pages.map(Self.sequences) == [[1, limit], [limit + 1], [2 * limit + 500]])
        #expect(pages.map(Self.resume) == [limit, 2 * limit, nil])
        query.isDescending = true
        pages = try history.pages(query)
        #expect(pages.map(Self.sequences) == [[2 * limit + 500], [limit + 1, limit], [1]])
        #expect(pages.map(Self.resume) == [limit + 501, 501, nil])
        query.requestID = "c"
        #expect(try history.pages(query).map(\.entries) == [[], [], []])
    }

    @Test func committedEntriesAreSeenAndNoOthers() throws {
        let entries = EntryGenerator.entries(20, seed: 51)
        let ledger = try bench.open()
        let history = try bench.history()
        #expect(try history.page(HistoryQuery()) == HistoryPage(entries: [], resume: nil))
        for count in 1...20 {
            try ledger.append(entries[count - 1])
            #expect(try history.page(HistoryQuery()).entries == Array(entries[..<(count - 1)]))
            #expect(try history.entry(at: Sequence(UInt64(count))) == nil)
            try ledger.commit()
            #expect(try history.page(HistoryQuery()).entries == Array(entries[..<count]))
            #expect(try history.entry(at: Sequence(UInt64(count))) == entries[count - 1])
        }
    }

    @Test func aReaderThatHasReadDoesNotHoldTheLog() throws {
        let ledger = try bench.open()
        let history = try bench.history()
        var generator = EntryGenerator(seed: 52)
        for _ in 0..<200 {
            try ledger.append(generator.next())
        }
        try ledger.commit()
        var query = HistoryQuery()
        query.pageSize = 3
        #expect(try history.page(query).entries.count == 3)
        #expect(try history.entry(at: Sequence(1)) != nil)
        let connection = try #require(ledger.storage).connection
        let checkpoint = try connection.checkpoint()
        #expect(checkpoint.copied == checkpoint.frames)
        try ledger.append(generator.next())
        try ledger.commit()
        #expect(connection.walFrameCount < checkpoint.frames)
    }

    @Test func framesBeyondTheAddressSpaceAreFoundByTheirBits() throws {
        let target = FreeRecord(target: .page(PageFrameNumber(.max - 1), order: Order(sketched: 1)))
        try bench.fill([
            LedgerEntry(
                sequence: Sequence(1), time: Timestamp(microseconds: 0), machine: MachineID(1),
                requestID: "", event: .freeRefused(target, reason: .noSuchPage))
        ])
        let history = try bench.history()
        for (pfn, count) in [(UInt64.max, 1), (.max - 1, 1), (.max - 2, 0), (0, 0), (1 << 63, 0)] {
            var query = HistoryQuery()
            query.pfn = PageFrameNumber(pfn)
            #expect(try history.page(query).entries.count == count, "frame \(pfn)")
        }
    }

    @Test func moreShapesOfQuestionThanAreKeptAreAnswered() throws {
        let entries = EntryGenerator.entries(100, seed: 53)
        try bench.fill(entries)
        let history = try bench.history()
        var random = SeededGenerator(seed: 53)
        // Each number is a set of filters.
        for shape in 0..<200 {
            var query = HistoryQuery()
            for (bit, filter) in HistoryFilter.allCases.enumerated() where shape >> bit & 1 == 1 {
                filter.set(&query, from: random.pick(entries), &random)
            }
            _ = try check(query, on: history, entries, &random)
        }
    }

    /// Asks in pages of some size and some direction. Returns how many entries there are.
    private func check(
        _ query: HistoryQuery, on history: SQLiteHistory, _ entries: [LedgerEntry],
        _ random: inout SeededGenerator
    ) throws -> Int {
        var query = query
        query.pageSize = random.pick([2, 7, 100, 1000])
        query.isDescending = random.chance(percent: 50)
        let expected = entries.filter { query.matches($0) }
        let found = try history.pages(query).flatMap(\.entries)
        #expect(found == (query.isDescending ? expected.reversed() : expected), "\(query)")
        return found.count
    }

    private static func sequences(_ page: HistoryPage) -> [Int] {
        page.entries.map { Int($0.sequence.rawValue) }
    }

    private static func resume(_ page: HistoryPage) -> Int? {
        page.resume.map { Int($0.rawValue) }
    }

    private static func entry(_ sequence: Int, _ requestID: String) -> LedgerEntry {
        LedgerEntry(
            sequence: Sequence(UInt64(sequence)), time: Timestamp(microseconds: 0),
            machine: MachineID(1), requestID: requestID, event: .machineDeleted(name: "m"))
    }
}
