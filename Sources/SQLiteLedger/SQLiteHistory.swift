// Questions about the past, answered on a connection that can only read.
//
// A question scans entries in the order of their sequence, the table's only key, and leaves out
// what it did not ask for. A page looks at no more than `HistoryQuery.maximumEntriesScanned`
// entries and then says where to go on, so that no question takes long, however rare what it asks
// for. Two conditions need no scan, since sequences are in order of them too: times, which are
// looked up by halving, and allocations, whose entries begin with the grant's own.
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

    /// Statements by their text, which differs with the fields that a query sets.
    private var selections: [String: Statement] = [:]

    /// The most statements kept.
    private static let maximumSelections = 64

    /// Opens the ledger in a directory, which a `SQLiteLedger` may be writing to.
    ///
    /// - Throws: `.storage` where there is none; `.newer` where a later version wrote it;
    ///   `.corrupt` where the file is no ledger.
    public static func open(directory path: String) throws(LedgerFailure) -> SQLiteHistory {
        let connection = try LedgerDirectory(path: path).connect(.readOnly)
        try StorageSettings.applyForReading(to: connection)
        guard try LedgerSchema.version(of: connection) == LedgerSchema.currentVersion else {
            throw LedgerFailure(.storage, "the ledger in \(path) has yet to be migrated")
        }
        return try LedgerFailure.converting { () throws(SQLiteError) in
            try SQLiteHistory(connection: connection)
        }
    }

    private init(connection: Connection) throws(SQLiteError) {
        self.connection = connection
        selection = try connection.prepare(EntryRow.selectionBySequence)
        lastSelection = try connection.prepare("SELECT max(sequence) FROM ledger")
        timeSelection = try connection.prepare("SELECT time FROM ledger WHERE sequence = ?")
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        try EntryRow.entry(at: sequence, selection)
    }

    public func page(_ query: HistoryQuery) throws(LedgerFailure) -> HistoryPage {
        precondition(
            (1...HistoryQuery.maximumPageSize).contains(query.pageSize), "a page of no such size")
        guard let candidates = try candidates(query) else {
            return HistoryPage(entries: [], resume: nil)
        }
        let window = Self.window(candidates, query)
        let entries = try entries(in: window, query)
        let end = query.isDescending ? candidates.lowerBound : candidates.upperBound
        var looked = query.isDescending ? window.lowerBound : window.upperBound
        if entries.count == query.pageSize, let last = entries.last {
            looked = last.sequence.rawValue
        }
        return HistoryPage(entries: entries, resume: looked == end ? nil : Sequence(looked))
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

    /// As many of the candidates as one page may look at, from the end that comes first.
    private static func window(
        _ candidates: ClosedRange<UInt64>, _ query: HistoryQuery
    ) -> ClosedRange<UInt64> {
        let reach = UInt64(HistoryQuery.maximumEntriesScanned) - 1
        guard candidates.upperBound - candidates.lowerBound > reach else { return candidates }
        return query.isDescending
            ? candidates.upperBound - reach...candidates.upperBound
            : candidates.lowerBound...candidates.lowerBound + reach
    }

    private func entries(
        in window: ClosedRange<UInt64>, _ query: HistoryQuery
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
        while entries.count < query.pageSize,
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
