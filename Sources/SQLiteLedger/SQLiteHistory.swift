// Questions about the past, answered on a connection that can only read.
//
// What a question asks for is looked up in the index (`HistoryIndex`), and each entry found is read
// and compared before it is given. Entries that the index has not come to yet, or all of them where
// there is no index, are gone through in the order of their sequence. Times need no index:
// sequences are in order of them, so that they are found by halving.
//
// No question takes long: a page goes through no more than `HistoryQuery.maximumEntriesScanned`
// entries, and looks into the index no more than `HistoryQuery.maximumIndexLooks` times, and then
// says where to go on.
//
// Each statement is reset before a page is returned: an open read would keep the write-ahead log
// from beginning again.

public import Ledger
import PageAllocator
import SQLite

public final class SQLiteHistory: LedgerHistory {
    let connection: Connection
    private let selection: Statement
    private let lastSelection: Statement
    private let timeSelection: Statement

    let directory: LedgerDirectory

    /// nil before `housekeep` has opened it, and where there is none.
    var index: HistoryIndex?
    let shape: IndexShape

    /// Entries from one snapshot to the next.
    let snapshotInterval: UInt64

    /// Makes snapshots in the same file; nil where there is none, or after it failed.
    var snapshots: SnapshotKeeper?

    /// Whether the step that is taken is one in which snapshots may come before the index.
    var isTurnOfSnapshots = false

    /// How often a damaged index may still be made anew.
    var rebuildsLeft = SQLiteHistory.maximumRebuilds

    /// Is told what happens to the index.
    let report: (String) -> Void

    /// Whether the disk had no room for the index when it was last to be written.
    var isShortOfRoom = false

    /// Whether the index met something in the ledger that it could not read, and stays before it.
    var isIndexHeldUp = false

    /// When it is next to be noted with which entry the ledger ends.
    var nextNoteOfEnd = ContinuousClock.now

    /// For `state(at:)`.
    let past: PastState

    /// Statements by their text, which differs with the fields that a query sets.
    private var selections: [String: Statement] = [:]

    /// The most statements kept.
    private static let maximumSelections = 64

    /// How often the index is made anew, at the most; a file that is damaged time after time is
    /// better left alone.
    static let maximumRebuilds = 3

    /// Entries read into the index in a step of `housekeep`.
    static let entriesFollowed = 1024

    /// How long the ledger may go on before it is noted again with which entry it ends.
    static let timeBetweenNotes = Duration.seconds(1)

    /// How long a step of writing the index lasts, about.
    static let stepDuration = Duration.milliseconds(2)

    /// Opens the ledger in a directory, which a `SQLiteLedger` may be writing to.
    ///
    /// - Parameter report: is told what happens to the index.
    /// - Throws: `.storage` where there is none; `.newer` where a later version wrote it;
    ///   `.corrupt` where the file is no ledger.
    public static func open(
        directory path: String, report: @escaping (String) -> Void
    ) throws(LedgerFailure) -> SQLiteHistory {
        try open(in: LedgerDirectory(path: path), report: report)
    }

    /// The same; what happens to the index goes to standard error.
    public static func open(directory path: String) throws(LedgerFailure) -> SQLiteHistory {
        try open(in: LedgerDirectory(path: path))
    }

    static func open(
        in directory: LedgerDirectory, shape: IndexShape = IndexShape(),
        snapshotInterval: UInt64 = SnapshotRule.interval,
        report: @escaping (String) -> Void = { writeToStandardError("gfpd: \($0)\n") }
    ) throws(LedgerFailure) -> SQLiteHistory {
        let connection = try directory.connect(.readOnly)
        try StorageSettings.applyForReading(to: connection)
        guard try LedgerSchema.version(of: connection) == LedgerSchema.currentVersion else {
            throw LedgerFailure(.storage, "the ledger in \(directory.path) has yet to be migrated")
        }
        return try LedgerFailure.converting { () throws(SQLiteError) in
            try SQLiteHistory(connection, directory, shape, snapshotInterval, report)
        }
    }

    private init(
        _ connection: Connection, _ directory: LedgerDirectory, _ shape: IndexShape,
        _ snapshotInterval: UInt64, _ report: @escaping (String) -> Void
    ) throws(SQLiteError) {
        self.connection = connection
        self.directory = directory
        self.shape = shape
        self.snapshotInterval = snapshotInterval
        self.report = report
        selection = try connection.prepare(EntryRow.selectionBySequence)
        lastSelection = try connection.prepare("SELECT max(sequence) FROM ledger")
        timeSelection = try connection.prepare("SELECT time FROM ledger WHERE sequence = ?")
        past = try PastState(connection)
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        if let entry = try EntryRow.entry(at: sequence, selection) { return entry }
        guard sequence > .zero, sequence.rawValue <= (try lastSequence()) else { return nil }
        // It may have been committed between the two looks.
        if let entry = try EntryRow.entry(at: sequence, selection) { return entry }
        throw EntryRow.missing(sequence)
    }

    public func page(_ query: HistoryQuery) throws(LedgerFailure) -> HistoryPage {
        precondition(
            (1...HistoryQuery.maximumPageSize).contains(query.pageSize), "a page of no such size")
        guard let candidates = try candidates(query) else {
            return HistoryPage(entries: [], resume: nil)
        }
        let conditions = query.conditions
        if let index, !conditions.isEmpty { _ = follow(index) }
        do throws(WalkFailure) {
            return try page(query, conditions, candidates)
        } catch {
            switch error {
            case .ledger(let failure): throw failure
            case .index(let failure): lose(failure)
            }
        }
        return try page(query)
    }

    /// The sequences that the query's bounds leave; nil for none.
    private func candidates(_ query: HistoryQuery) throws(LedgerFailure) -> ClosedRange<UInt64>? {
        let last = try lastSequence()
        // One past the last that is wanted.
        var end = min(query.before?.rawValue ?? .max, last + 1)
        // One before the first.
        var start = query.after?.rawValue ?? 0
        if let allocation = query.allocation?.rawValue, allocation > 0 {
            start = max(start, allocation - 1)
        }
        if let since = query.since {
            start = max(start, try firstSequence(at: since, last: last) - 1)
        }
        if let until = query.until {
            end = min(end, try firstSequence(at: until, last: last))
        }
        return end > start && end - start > 1 ? start + 1...end - 1 : nil
    }

    /// The entries of a stretch that are asked for, by going through it.
    func entries(
        in window: ClosedRange<UInt64>, _ query: HistoryQuery, limit: Int
    ) throws(LedgerFailure) -> [LedgerEntry] {
        let conditions = HistoryConditions(query, in: window)
        let selection = try LedgerFailure.converting { () throws(SQLiteError) in
            let selection = try self.selection(conditions.selection)
            try conditions.bind(to: selection)
            return selection
        }
        defer { selection.reset() }
        let row = EntryRow(selection)
        var entries: [LedgerEntry] = []
        while entries.count < limit,
            try LedgerFailure.converting({ () throws(SQLiteError) in try selection.step() })
        {
            let entry = try row.entry()
            if conditions.matches(entry) {
                entries.append(entry)
            }
        }
        return entries
    }

    private func selection(_ sql: String) throws(SQLiteError) -> Statement {
        if let known = selections[sql] { return known }
        if selections.count == Self.maximumSelections {
            selections.removeAll(keepingCapacity: true)
        }
        let prepared = try connection.prepare(sql)
        selections[sql] = prepared
        return prepared
    }

    private func lastSequence() throws(LedgerFailure) -> UInt64 {
        try LedgerFailure.converting { () throws(SQLiteError) in
            defer { lastSelection.reset() }
            guard try lastSelection.step() else { return 0 }
            return UInt64(clamping: lastSelection.integer(at: 0))
        }
    }

    /// The first sequence at or after a time; `last + 1` where there is none. Times never go back.
    private func firstSequence(
        at time: Timestamp, last: UInt64
    ) throws(LedgerFailure) -> UInt64 {
        var low: UInt64 = 1
        var high = last + 1
        while low < high {
            let middle = low + (high - low) / 2
            if try self.time(at: middle) < time {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    private func time(at sequence: UInt64) throws(LedgerFailure) -> Timestamp {
        let time = try LedgerFailure.converting { () throws(SQLiteError) -> Int64? in
            defer { timeSelection.reset() }
            try timeSelection.bind(bitPattern: sequence, at: 1)
            return try timeSelection.step() ? timeSelection.integer(at: 0) : nil
        }
        guard let time else { throw LedgerFailure(.corrupt, "entry \(sequence) is missing") }
        return Timestamp(microseconds: time)
    }
}
