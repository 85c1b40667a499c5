// The tables of index runs in `history.db`: which runs there are, and their chunks.
//
// A run's row is there from the beginning of its making, as one that is being built. The
// transaction that writes its last chunk makes it live, and takes the runs that it replaces out of
// use. What is not live when the database is opened was broken off, and is deleted.

import Ledger
import SQLite

final class IndexRunStore {
    private enum State: Int64 {
        case building = 0
        case live = 1
        case unused = 2
    }

    let database: HistoryDatabase
    private let runSelection: Statement
    private let runInsertion: Statement
    private let stateUpdate: Statement
    private let runDeletion: Statement
    private let chunkInsertion: Statement
    private let fenceInsertion: Statement
    private let fenceSelection: Statement
    private let chunkSelection: Statement
    private let chunkDeletion: Statement
    private let fenceDeletion: Statement
    private var lastID: IndexRun.ID

    init(_ database: HistoryDatabase) throws(IndexFailure) {
        self.database = database
        let connection = database.connection
        func prepare(_ sql: String) throws(IndexFailure) -> Statement {
            do throws(SQLiteError) { return try connection.prepare(sql) } catch {
                throw IndexFailure(error)
            }
        }
        runSelection = try prepare(
            "SELECT id, state, first, count, fields, mark, checksum FROM run ORDER BY first, id")
        runInsertion = try prepare("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?)")
        stateUpdate = try prepare("UPDATE run SET state = ? WHERE id = ?")
        runDeletion = try prepare("DELETE FROM run WHERE id = ?")
        chunkInsertion = try prepare("INSERT INTO chunk VALUES (?, ?)")
        fenceInsertion = try prepare("INSERT INTO fence VALUES (?, ?, ?, ?, ?)")
        fenceSelection = try prepare(
            """
            SELECT chunk FROM fence WHERE run = ? AND field = ? AND (key, offset) <= (?, ?)
            ORDER BY key DESC, offset DESC LIMIT 1
            """)
        chunkSelection = try prepare("SELECT bytes FROM chunk WHERE id = ?")
        chunkDeletion = try prepare(
            """
            DELETE FROM chunk WHERE id IN
            (SELECT id FROM chunk WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)
            """)
        fenceDeletion = try prepare("DELETE FROM fence WHERE run = ?")
        let last = try prepare("SELECT max(id) FROM run")
        lastID = try indexing { () throws(SQLiteError) in
            defer { last.reset() }
            return try last.step() ? last.integer(at: 0) : 0
        }
    }

    /// The live runs in order, and the others.
    ///
    /// - Throws: `.corrupt` where runs are damaged, or do not follow each other from entry 1 on.
    func runs() throws(IndexFailure) -> (live: [IndexRun], unused: [IndexRun.ID]) {
        var live: [IndexRun] = []
        var unused: [IndexRun.ID] = []
        defer { runSelection.reset() }
        while try indexing({ () throws(SQLiteError) in try runSelection.step() }) {
            let id = runSelection.integer(at: 0)
            guard runSelection.integer(at: 1) == State.live.rawValue else {
                unused.append(id)
                continue
            }
            let run = try run(id: id)
            guard run.first == live.last.map({ $0.sequences.upperBound + 1 }) ?? 1 else {
                throw .damaged("index run \(id) does not follow the one before")
            }
            live.append(run)
        }
        return (live, unused)
    }

    /// The present row.
    private func run(id: IndexRun.ID) throws(IndexFailure) -> IndexRun {
        let first = UInt64(bitPattern: runSelection.integer(at: 2))
        let count = runSelection.integer(at: 3)
        let fields = UInt32(truncatingIfNeeded: runSelection.integer(at: 4))
        let mark = EntryMark(bits: UInt64(bitPattern: runSelection.integer(at: 5)))
        guard id > 0, count > 0, count <= UInt32.max else {
            throw .damaged("index run \(id) is damaged")
        }
        let run = IndexRun(id: id, first: first, count: Int(count), fields: fields, mark: mark)
        guard run.checksum(isLive: true) == UInt64(bitPattern: runSelection.integer(at: 6)) else {
            throw .damaged("index run \(id) is damaged")
        }
        return run
    }

    // MARK: Making runs

    /// Notes that a run of these entries is being built, under a number of its own.
    func begin(
        first: UInt64, count: Int, mark: EntryMark
    ) throws(IndexFailure) -> IndexRun {
        let run = IndexRun(id: lastID + 1, first: first, count: count, mark: mark)
        try transaction { () throws(IndexFailure) in try write(run, .building) }
        lastID = run.id
        return run
    }

    /// Makes a run live instead of those that it was merged from. Within a transaction.
    func finish(_ run: IndexRun, replacing merged: [IndexRun]) throws(IndexFailure) {
        try write(run, .live)
        for run in merged {
            try indexing { () throws(SQLiteError) in
                try stateUpdate.bind(State.unused.rawValue, at: 1)
                try stateUpdate.bind(run.id, at: 2)
                try stateUpdate.run()
            }
        }
    }

    private func write(_ run: IndexRun, _ state: State) throws(IndexFailure) {
        try indexing { () throws(SQLiteError) in
            try runInsertion.bind(run.id, at: 1)
            try runInsertion.bind(state.rawValue, at: 2)
            try runInsertion.bind(bitPattern: run.first, at: 3)
            try runInsertion.bind(Int64(run.count), at: 4)
            try runInsertion.bind(Int64(run.fields), at: 5)
            try runInsertion.bind(bitPattern: run.mark.bits, at: 6)
            try runInsertion.bind(
                bitPattern: run.checksum(isLive: state == .live), at: 7)
            try runInsertion.run()
        }
    }

    /// Within a transaction.
    func insert(
        _ bytes: [UInt8], _ id: IndexChunk.ID, of run: IndexRun, _ field: IndexField,
        from low: Posting
    ) throws(IndexFailure) {
        try indexing { () throws(SQLiteError) in
            try chunkInsertion.bind(id, at: 1)
            try chunkInsertion.bind(bytes, at: 2)
            try chunkInsertion.run()
            try fenceInsertion.bind(run.id, at: 1)
            try fenceInsertion.bind(Int64(field.rawValue), at: 2)
            try fenceInsertion.bind(Int64(low.key), at: 3)
            try fenceInsertion.bind(Int64(low.offset), at: 4)
            try fenceInsertion.bind(id, at: 5)
            try fenceInsertion.run()
        }
    }

    /// Deletes some chunks of a run that is not live, and at last what else there is of it.
    ///
    /// - Returns: whether nothing of it is left.
    func deleteSome(of id: IndexRun.ID, chunks: Int) throws(IndexFailure) -> Bool {
        let ids = IndexRun.chunkIDs(of: id)
        var isGone = false
        try transaction { () throws(IndexFailure) in
            try indexing { () throws(SQLiteError) in
                try chunkDeletion.bind(ids.lowerBound, at: 1)
                try chunkDeletion.bind(ids.upperBound, at: 2)
                try chunkDeletion.bind(Int64(chunks), at: 3)
                try chunkDeletion.run()
                guard database.connection.changedRows < chunks else { return }
                try fenceDeletion.bind(id, at: 1)
                try fenceDeletion.run()
                try runDeletion.bind(id, at: 1)
                try runDeletion.run()
                isGone = true
            }
        }
        return isGone
    }

    func transaction(_ body: () throws(IndexFailure) -> Void) throws(IndexFailure) {
        try database.transaction({ IndexFailure($0) }, body)
    }

    // MARK: Reading chunks

    /// The chunk that says whether a run has a posting. The run has postings of the field.
    func chunk(
        covering posting: Posting, _ field: IndexField, of run: IndexRun
    ) throws(IndexFailure) -> IndexChunk {
        let id = try indexing { () throws(SQLiteError) -> IndexChunk.ID? in
            defer { fenceSelection.reset() }
            try fenceSelection.bind(run.id, at: 1)
            try fenceSelection.bind(Int64(field.rawValue), at: 2)
            try fenceSelection.bind(Int64(posting.key), at: 3)
            try fenceSelection.bind(Int64(posting.offset), at: 4)
            return try fenceSelection.step() ? fenceSelection.integer(at: 0) : nil
        }
        guard let id, let chunk = try chunk(id), chunk.field == field, chunk.covers(posting),
            IndexRun.chunkIDs(of: run.id).contains(id)
        else { throw .damaged("index run \(run.id) has a damaged fence") }
        return chunk
    }

    /// nil where there is none.
    func chunk(_ id: IndexChunk.ID) throws(IndexFailure) -> IndexChunk? {
        let bytes = try indexing { () throws(SQLiteError) -> [UInt8]? in
            defer { chunkSelection.reset() }
            try chunkSelection.bind(id, at: 1)
            return try chunkSelection.step() ? chunkSelection.bytes(at: 0) : nil
        }
        guard let bytes else { return nil }
        guard let chunk = IndexChunk(bytes: bytes, id: id) else {
            throw .damaged("chunk \(id) of the index is damaged")
        }
        return chunk
    }
}

extension IndexFailure {
    init(_ error: SQLiteError) {
        self.init(cause: LedgerFailure(error))
    }
}

/// The value of `body`, or its error as a failure of the index.
private func indexing<Value>(
    _ body: () throws(SQLiteError) -> Value
) throws(IndexFailure) -> Value {
    do throws(SQLiteError) { return try body() } catch { throw IndexFailure(error) }
}
