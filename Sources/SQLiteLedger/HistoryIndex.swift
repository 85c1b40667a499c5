// The index of the ledger's entries: runs in `history.db` for all but the newest, those in memory.
//
// It follows the ledger by itself, reading what was committed through a connection that can only
// read, in steps of a few milliseconds. When the tail in memory has entries for a run it is
// written; when there are enough runs of one size they are merged; runs that were merged are
// deleted. Each of these goes on over many steps, each step a transaction of its own, and questions
// are answered in between from what is there: the tail until its run is live, the merged runs until
// the larger one is. A process that ends in the middle has lost the step, and at most the merge.
//
// Entries that no step has come to yet are not here: `end` says from where on.

import Ledger
import SQLite

final class HistoryIndex {
    let store: IndexRunStore
    private let shape: IndexShape
    private let ledger: Connection
    private let rows: Statement

    /// Live runs, in order, from entry 1 on.
    private(set) var runs: [IndexRun]
    private(set) var tail: IndexTail

    /// Of the tail's last entry, once it has entries for a run.
    private var tailMark: EntryMark?
    private var sealing: Sealing?
    private var merge: IndexRunMerge?

    /// Runs to be deleted.
    private var unused: [IndexRun.ID]

    /// Chunks deleted in a step.
    private static let chunksDeletedAtOnce = 256

    /// The tail on its way to be a run.
    private struct Sealing {
        var writer: IndexRunWriter
        var fields: ArraySlice<IndexField>
    }

    /// - Throws: `.corrupt` where the runs are damaged, or of other entries than the ledger's.
    init(
        _ database: HistoryDatabase, of ledger: Connection, _ shape: IndexShape
    ) throws(IndexFailure) {
        store = try IndexRunStore(database)
        self.shape = shape
        self.ledger = ledger
        do throws(SQLiteError) { rows = try ledger.prepare(IndexTail.selection) } catch {
            throw IndexFailure(error)
        }
        (runs, unused) = try store.runs()
        tail = IndexTail(first: runs.last.map { $0.sequences.upperBound + 1 } ?? 1)
        for run in runs {
            let mark: EntryMark
            do throws(LedgerFailure) {
                mark = try self.mark(ofEntry: run.sequences.upperBound)
            } catch {
                // Of the ledger that is damaged here the run says no less than another would.
                continue
            }
            guard mark == run.mark else {
                throw .damaged("index run \(run.id) is of other entries than the ledger's")
            }
        }
    }

    private func mark(ofEntry sequence: UInt64) throws(LedgerFailure) -> EntryMark {
        try EntryMark.mark(at: Sequence(sequence), in: ledger) ?? .missing
    }

    /// One after the last entry indexed.
    var end: UInt64 { tail.end }

    /// Entries of `run` with a key of each of the conditions.
    func search(
        _ conditions: [HistoryQuery.Condition], in run: IndexRun, isDescending: Bool
    ) -> IndexSearch {
        IndexSearch(conditions, in: run, store, isDescending: isDescending)
    }

    // MARK: Following the ledger

    /// Reads entries into the tail, as many as it may at once and as the tail has room for.
    ///
    /// - Returns: whether there may be more that it has room for.
    /// - Throws: what reading the ledger met. It stays before the entry that it cannot read.
    func follow(limit: Int) throws(LedgerFailure) -> Bool {
        let room = min(limit, shape.entries - tail.count)
        let count = room > 0 ? try read(limit: room) : 0
        if tail.count == shape.entries, tailMark == nil {
            tailMark = try mark(ofEntry: tail.end - 1)
        }
        return room > 0 && count == room
    }

    /// Returns how many rows there were.
    private func read(limit: Int) throws(LedgerFailure) -> Int {
        defer { rows.reset() }
        try LedgerFailure.converting { () throws(SQLiteError) in
            try rows.bind(bitPattern: tail.end, at: 1)
            try rows.bind(Int64(limit), at: 2)
        }
        let end = tail.first + UInt64(shape.entries)
        var count = 0
        while try LedgerFailure.converting({ () throws(SQLiteError) in try rows.step() }) {
            let sequence = IndexTail.sequence(of: rows)
            // A few entries may be missing. Where it would be many it is the number that is
            // damaged.
            guard sequence >= tail.end, sequence - tail.end < shape.entries else {
                throw LedgerFailure(.corrupt, "entry \(tail.end) is missing")
            }
            guard sequence < end else {
                tail.skip(to: end)
                break
            }
            tail.add(rows)
            count += 1
        }
        return count
    }

    /// Whether `maintain` has something to do.
    var isMaintenanceDue: Bool {
        tailMark != nil || merge != nil || !unused.isEmpty || dueMerge != nil
    }

    /// One step of writing, merging or deleting runs.
    ///
    /// - Parameter isTime: whether the step has lasted long enough; asked now and then.
    func maintain(until isTime: () -> Bool) throws(IndexFailure) {
        do throws(IndexFailure) {
            if let mark = tailMark {
                try seal(mark, until: isTime)
            } else if let id = unused.last {
                if try store.deleteSome(of: id, chunks: Self.chunksDeletedAtOnce) {
                    unused.removeLast()
                }
            } else {
                try mergeRuns(until: isTime)
            }
            do throws(SQLiteError) {
                _ = try store.database.checkpointIfLong()
            } catch {
                throw IndexFailure(error)
            }
        } catch {
            abandon()
            throw error
        }
    }

    private func seal(_ mark: EntryMark, until isTime: () -> Bool) throws(IndexFailure) {
        var step: Sealing
        if let sealing {
            step = sealing
        } else {
            let run = try store.begin(first: tail.first, count: tail.count, mark: mark)
            step = Sealing(
                writer: IndexRunWriter(run, store, chunkBytes: shape.chunkBytes),
                fields: IndexField.allCases[...])
        }
        sealing = step
        try store.transaction { () throws(IndexFailure) in
            while let field = step.fields.popFirst() {
                try write(field, &step.writer)
                if isTime() { break }
            }
            if step.fields.isEmpty { try step.writer.finish(replacing: []) }
        }
        guard step.fields.isEmpty else {
            sealing = step
            return
        }
        sealing = nil
        tailMark = nil
        runs.append(step.writer.run)
        tail.removeAll()
    }

    private func write(
        _ field: IndexField, _ writer: inout IndexRunWriter
    ) throws(IndexFailure) {
        var column = tail.column(field)
        column.sort()
        for (key, offset) in zip(column.keys, column.offsets) {
            try writer.append(Posting(key: key, offset: offset), field)
        }
        try writer.endField()
    }

    private func mergeRuns(until isTime: () -> Bool) throws(IndexFailure) {
        if merge == nil, let dueMerge {
            merge = try IndexRunMerge(dueMerge, in: store, shape)
        }
        guard var step = merge else { return }
        var isDone = false
        try store.transaction { () throws(IndexFailure) in
            isDone = try step.advance(until: isTime)
        }
        guard isDone else {
            merge = step
            return
        }
        merge = nil
        guard let first = runs.firstIndex(of: step.sources[0]) else {
            preconditionFailure("a merge of runs that were not live")
        }
        runs.replaceSubrange(first..<first + step.sources.count, with: [step.run])
        unused += step.sources.map(\.id)
    }

    /// The runs that are to be merged next; nil where there are too few of each size.
    private var dueMerge: [IndexRun]? {
        for level in 0..<shape.levels - 1 {
            let size = shape.entries(ofLevel: level)
            let ofLevel = runs.filter { $0.count == size }
            if ofLevel.count >= shape.mergedRuns {
                return Array(ofLevel.prefix(shape.mergedRuns))
            }
        }
        return nil
    }

    /// Gives up what is half done; it is begun again another time.
    private func abandon() {
        if let sealing { unused.append(sealing.writer.run.id) }
        if let merge { unused.append(merge.run.id) }
        sealing = nil
        merge = nil
    }
}
