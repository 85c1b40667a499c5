// With an index each question has the answer that going through all entries has: whatever part of
// the ledger it has come to, wherever it was broken off, whatever became of its file. Runs are
// small here, so that a few hundred entries make all sizes of them.

import Glibc
import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct HistoryIndexTests {
    private let bench = LedgerBench()

    /// Runs of 16, 48 and 144 entries, with a few postings in a chunk.
    private static let shape = IndexShape(entries: 16, mergedRuns: 3, levels: 3, chunkBytes: 96)

    @Test(arguments: [UInt64(1), 2, 3])
    func eachFilterFindsWhatGoingThroughAllFinds(seed: UInt64) throws {
        let entries = EntryGenerator.entries(700, seed: seed)
        try bench.fill(entries)
        let history = try history()
        try keepUp(history)
        #expect(try #require(history.index).runs.count > 4)
        var random = SeededGenerator(seed: seed)
        for filter in HistoryFilter.allCases {
            var found = 0
            for _ in 0..<12 {
                var query = HistoryQuery()
                filter.set(&query, from: random.pick(entries), &random)
                query.pageSize = random.pick([5, 1000])
                query.isDescending = random.chance(percent: 50)
                found += try check(query, on: history, entries)
            }
            #expect(found > 0, "seed \(seed): \(filter) found nothing at all")
        }
    }

    @Test(arguments: [UInt64(11), 12, 13])
    func filtersNarrowEachOther(seed: UInt64) throws {
        let entries = EntryGenerator.entries(600, seed: seed)
        try bench.fill(entries)
        let history = try history()
        try keepUp(history)
        var random = SeededGenerator(seed: seed)
        var found = 0
        for _ in 0..<80 {
            let query = HistoryQuery.random(
                like: random.pick(entries), fields: random.below(4) + 1, &random)
            found += try check(query, on: history, entries)
        }
        #expect(found > 0, "seed \(seed)")
    }

    /// All entries are of one machine: its key alone has as many postings as there are entries, and
    /// a merge takes steps within it.
    @Test func aMergeLooksAtTheTimeWithinAKey() throws {
        let entries = (1...128).map { number in
            LedgerEntry(
                sequence: Sequence(number), time: Timestamp(microseconds: Int64(number)),
                machine: Sequence(1), requestID: "",
                event: .freeRefused(
                    FreeRecord(target: .allocation(AllocationID(7))), reason: .unknownAllocation))
        }
        try bench.fill(entries)
        var shape = IndexShape(entries: 64, mergedRuns: 2, levels: 2, chunkBytes: 96)
        shape.postingsBetweenLooks = 8
        let history = try history(shape)
        let index = try #require(history.openIndex())
        while index.runs.count < 2 {
            _ = try index.follow(limit: 64)
            try index.maintain { false }
        }
        var steps = 0
        while index.runs.count > 1 {
            try index.maintain { true }
            steps += 1
        }
        // Three keys at the least, of machine, kind and outcome; and groups of 64 at the most.
        #expect(steps > 3 * 128 / 64)
        var query = HistoryQuery()
        query.machines = [Sequence(1)]
        #expect(
            try history.pages(query).flatMap(\.entries).map(\.sequence) == entries.map(\.sequence))
    }

    @Test(arguments: [false, true])
    func pagesAreFullToTheLast(hasRuns: Bool) throws {
        let entries = EntryGenerator.entries(700, seed: 21)
        try bench.fill(entries)
        let history = try history(hasRuns ? Self.shape : IndexShape())
        try keepUp(history)
        var random = SeededGenerator(seed: 21)
        for _ in 0..<100 {
            let query = HistoryQuery.random(like: random.pick(entries), fields: 1, &random)
            let pages = try history.pages(query)
            #expect(pages.dropLast().allSatisfy { $0.entries.count == query.pageSize })
        }
    }

    /// A walk through the pages of an answer, while the ledger grows.
    private struct Walk {
        let asked: HistoryQuery
        var next: HistoryQuery
        var found: [LedgerEntry] = []

        /// Entries that were committed when it began.
        let committed: Int
    }

    @Test(arguments: [UInt64(31), 32, 33])
    func cursorsHoldWhileEntriesAreWritten(seed: UInt64) throws {
        let entries = EntryGenerator.entries(900, seed: seed)
        let ledger = try bench.open()
        let history = try history()
        var random = SeededGenerator(seed: seed)
        var walks: [Walk] = []
        var finished = 0
        for (position, entry) in entries.enumerated() {
            try ledger.append(entry)
            guard position % 7 == 6 else { continue }
            try ledger.commit()
            if random.chance(percent: 60) { _ = try history.housekeep() }
            var query = HistoryQuery.random(
                like: entries[random.below(position + 1)], fields: random.below(3), &random)
            (query.after, query.before, query.pageSize) = (nil, nil, random.pick([3, 20]))
            walks.append(Walk(asked: query, next: query, committed: position + 1))
            var going: [Walk] = []
            for var walk in walks {
                let page = try history.page(walk.next)
                walk.found += page.entries
                walk.next.goOn(after: page)
                guard page.resume == nil else {
                    going.append(walk)
                    continue
                }
                // What was written after a walk backwards began is not on its way.
                let end = walk.asked.isDescending ? walk.committed : position + 1
                #expect(walk.found == walk.asked.expected(of: Array(entries[..<end])))
                finished += 1
            }
            walks = going
        }
        #expect(finished > 50)
        try ledger.close()
    }

    @Test func aRestartMayComeAfterEachStep() throws {
        let entries = EntryGenerator.entries(330, seed: 41)
        try bench.fill(entries)
        var random = SeededGenerator(seed: 41)
        var hasMore = true
        var steps = 0
        while hasMore {
            let history = try history()
            // What the process before left half done is deleted first.
            for _ in 0...steps % 5 { hasMore = try history.housekeep() }
            steps += 1
            try #require(steps < 2000)
            for _ in 0..<4 {
                let query = HistoryQuery.random(
                    like: random.pick(entries), fields: random.below(3) + 1, &random)
                _ = try check(query, on: history, entries)
            }
        }
        let history = try history()
        try keepUp(history)
        let index = try #require(history.index)
        #expect(index.runs.map(\.count) == [144, 144, 16, 16])
        try expectNothingIsLeftOver(index)
    }

    @Test func stepsThatAreBrokenOffAreTakenBackAndRepeated() throws {
        let entries = EntryGenerator.entries(330, seed: 42)
        try bench.fill(entries)
        var reports = 0
        let history = try history { line in
            #expect(line.hasPrefix("history.db does not grow for want of room: "))
            reports += 1
        }
        var random = SeededGenerator(seed: 42)
        var refusals = 0
        for _ in 0..<400 {
            if let index = history.index {
                // The file may not grow: SQLITE_FULL in the middle of a step.
                let pages = random.chance(percent: 50) ? 1 : 1 << 30
                try index.setMaximumPages(pages)
            }
            _ = try history.housekeep()
            refusals += history.isShortOfRoom ? 1 : 0
            let query = HistoryQuery.random(like: random.pick(entries), fields: 1, &random)
            _ = try check(query, on: history, entries)
        }
        #expect(refusals > 0 && reports > 0)
        let index = try #require(history.index)
        try index.setMaximumPages(1 << 30)
        try keepUp(history)
        #expect(index.runs.map(\.count) == [144, 144, 16, 16])
        try expectNothingIsLeftOver(index)
    }

    /// A byte of each page is turned; each question still has its answer.
    @Test(arguments: [UInt64(51), 52])
    func aDamagedFileIsMadeAnew(seed: UInt64) throws {
        let entries = EntryGenerator.entries(330, seed: seed)
        try bench.fill(entries)
        try keepUp(try history())
        let path = bench.directory.file("history.db")
        var random = SeededGenerator(seed: seed)
        let whole = try FilePages.bytes(of: path)
        #expect(whole.count > 12 * 4096)
        var found = 0
        for page in 0..<whole.count / 4096 {
            var damaged = whole
            for _ in 0..<3 {
                damaged[page * 4096 + random.below(4096)] ^= UInt8(random.below(255) + 1)
            }
            try Self.write(damaged, to: path)
            var reports: [String] = []
            let history = try history(Self.shape) { reports.append($0) }
            for _ in 0..<3 { _ = try history.housekeep() }
            for _ in 0..<12 {
                let query = HistoryQuery.random(
                    like: random.pick(entries), fields: random.below(2) + 1, &random)
                _ = try check(query, on: history, entries)
            }
            #expect(reports.allSatisfy { $0.hasPrefix("history.db is made anew: ") }, "\(reports)")
            found += reports.isEmpty ? 0 : 1
        }
        #expect(found > 0)
    }

    @Test func aRunThatIsBeingBuiltIsNotTakenForOne() throws {
        let entries = EntryGenerator.entries(100, seed: 71)
        try bench.fill(entries)
        do {
            let history = try history()
            try keepUp(history)
            let index = try #require(history.index)
            #expect(index.tail.first == 97)
            let mark = try EntryMark.mark(at: Sequence(100), in: history.connection)
            _ = try index.store.begin(first: 97, count: 4, mark: #require(mark))
        }
        // A bit of the file is turned.
        try Connection(path: bench.directory.file("history.db"), access: .readWriteCreate)
            .execute("UPDATE run SET state = 1 WHERE first = 97")
        var reports: [String] = []
        let history = try history(Self.shape) { reports.append($0) }
        _ = history.openIndex()
        #expect(reports.count == 1)
        #expect(reports.first?.hasPrefix("history.db is made anew: index run ") == true)
        var random = SeededGenerator(seed: 71)
        for _ in 0..<30 {
            let query = HistoryQuery.random(like: random.pick(entries), fields: 1, &random)
            _ = try check(query, on: history, entries)
        }
    }

    @Test func anIndexOfAnotherLedgerIsMadeAnew() throws {
        var generator = EntryGenerator(seed: 61)
        let common = (0..<40).map { _ in generator.next() }
        try bench.fill(common + (0..<100).map { _ in generator.next() })
        try keepUp(try history())
        // A backup of the first 40 entries is put in its place, and goes another way.
        for name in ["gfpd.db", "gfpd.db-wal", "gfpd.db-shm"] {
            unsafe unlink(bench.directory.file(name))
        }
        var other = EntryGenerator(seed: 62)
        other.skip(to: common[39].time)
        let hash = try #require(common[39].hash)
        let first = other.entry(after: ChainHead(sequence: Sequence(40), hash: hash))
        let entries = common + [first] + (41..<140).map { _ in other.next() }
        try bench.fill(entries)
        var reports: [String] = []
        let history = try history(Self.shape) { reports.append($0) }
        try keepUp(history)
        #expect(reports.count == 1)
        var random = SeededGenerator(seed: 63)
        for _ in 0..<50 {
            let query = HistoryQuery.random(like: random.pick(entries), fields: 1, &random)
            _ = try check(query, on: history, entries)
        }
    }

    @Test func aLargeGapIsGoneThroughInBoundedSteps() throws {
        let limit = HistoryQuery.maximumEntriesScanned
        let entries = (1...limit + 500).map { number in
            LedgerEntry(
                sequence: Sequence(UInt64(number)), time: Timestamp(microseconds: 0),
                machine: MachineID(1), requestID: number == limit + 400 ? "b" : "a",
                event: .machineDeleted(name: "m"))
        }
        try bench.fill(entries, batch: 10_000)
        let history = try history(IndexShape())
        var query = HistoryQuery()
        query.requestID = "b"
        var pages = try history.pages(query)
        #expect(pages.map(\.entries.count) == [0, 1])
        try keepUp(history)
        pages = try history.pages(query)
        #expect(pages.map(\.entries.count) == [1])
    }

    private func history(
        _ shape: IndexShape = shape,
        _ report: @escaping (String) -> Void = { Issue.record("\($0)") }
    ) throws(LedgerFailure) -> SQLiteHistory {
        try SQLiteHistory.open(
            in: LedgerDirectory(path: bench.directory.path), shape: shape, report: report)
    }

    private func keepUp(_ history: SQLiteHistory) throws {
        while try history.housekeep() {}
    }

    /// Returns how many entries there are.
    private func check(
        _ query: HistoryQuery, on history: SQLiteHistory, _ entries: [LedgerEntry]
    ) throws -> Int {
        let found = try history.pages(query).flatMap(\.entries)
        #expect(found == query.expected(of: entries), "\(query)")
        return found.count
    }

    private func expectNothingIsLeftOver(_ index: HistoryIndex) throws {
        let left = try index.count(
            """
            SELECT count(*) FROM chunk WHERE id >> 28 NOT IN (SELECT id FROM run WHERE state = 1)
            """)
        #expect(left == 0)
        let fences = try index.count("SELECT count(*) FROM fence")
        #expect(try index.count("SELECT count(*) FROM chunk") == fences)
        #expect(fences > 0)
    }

    /// A file without a write-ahead log.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        unsafe unlink(path + "-wal")
        let file = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        try #require(unsafe Glibc.write(file, bytes, bytes.count) == bytes.count)
    }
}

extension HistoryIndex {
    fileprivate func setMaximumPages(_ pages: Int) throws {
        try store.database.connection.setPragma("max_page_count", to: String(pages))
    }

    fileprivate func count(_ sql: String) throws -> Int64 {
        let statement = try store.database.connection.prepare(sql)
        defer { statement.reset() }
        #expect(try statement.step())
        return statement.integer(at: 0)
    }
}
