// The ledger on SQLite: a directory with one database (`gfpd.db`, its write-ahead log and the log's
// index) and one lock file (`gfpd.lock`).
//
// Why its promises hold
//
// 1. No answer before its entry is durable; an entry that was not acknowledged is wholly there or
//    wholly absent. `append` inserts into one open transaction, `commit` ends it. With
//    `journal_mode=wal` and `synchronous=FULL` SQLite writes the transaction's pages to the end of
//    the write-ahead log, the last of them marked as the commit, and calls fdatasync on the log
//    before COMMIT returns. Each frame's checksum continues the frame's before it: after a loss of
//    power SQLite reads the log up to the last commit mark that the checksums reach, so that a torn
//    batch is as if it had never been. What is on disk before the log: the directory entries of the
//    database and of the log, synced when they are created (`LedgerDirectory.sync`).
//    `PRAGMA synchronous` is easily lost (a wrapper that sets NORMAL "for WAL" does it), so each
//    setting is read back after it is set and one that differs refuses to open.
//
// 2. Append-only, gapless, in order. `append` traps unless an entry follows the last one; the only
//    statement here that writes to the table is its INSERT, which a sequence that is there already
//    fails; triggers refuse UPDATE and DELETE from anybody, the shell included. `replay` checks
//    each sequence, and refuses a ledger with a gap.
//
// 3. State is a function of the ledger. `replay` gives back the entries, equal to those appended:
//    everything that a `LedgerEntry` holds is in its row. A row that does not decode is named,
//    never skipped.
//
// 6. An error is final. After one failed step, COMMIT or checkpoint each further `append`, `commit`
//    and `housekeep` throws the same failure again, and closing does not checkpoint. Linux marks
//    pages clean after a failed fsync, so that a second one would succeed without having written
//    anything: only a new process, which reads what the disk really holds, may go on. SQLITE_FULL
//    is told apart from the rest, so that a full disk can be answered as one.
//
// Why the WAL-reset bug cannot strike. SQLite 3.7.0 to 3.51.2 (Debian's 3.40.1 among them; repaired
// in 3.51.3, 3.50.7 and 3.44.6) can lose commits when two connections write or checkpoint at the
// same moment, one of them beginning the log again while the other still checkpoints it. Here one
// connection in the whole system writes and checkpoints, in turn, on one thread: `gfpd.lock` is
// held exclusively as long as a `SQLiteLedger` is open, and keeps out a second process as well as a
// second ledger in this one; every other connection is `SQLITE_OPEN_READONLY` and `query_only`
// (`SQLiteHistory`), and is told never to checkpoint when it closes. `wal_autocheckpoint=0` leaves
// checkpoints to `housekeep` and `close`.
//
// The log is kept and overwritten. It is copied into the database when it holds
// `checkpointThreshold` pages, between batches; the next commit then begins at its start again. It
// is not truncated while it is in use (`journal_size_limit=-1`, persistent WAL), and has its full
// size from the start (`LogReservation`): a file whose size does not change is synced faster, since
// no metadata is written. Reads are short, so that none of them keeps the log from beginning again
// for long. `close` cuts it to nothing: a log that was kept and then damaged would give the next
// start older pages than the database has, and hide the entries behind the damage.
//
// POSIX locks belong to a process and a file: closing any descriptor of the database would drop
// SQLite's locks on it. Nothing in this process opens it except SQLite; the lock is on a file of
// its own.

public import Ledger
import SQLite
public import Telemetry

public final class SQLiteLedger: Ledger {
    /// Pages in the write-ahead log from which on it is copied into the database: 2 MiB. No answer
    /// leaves meanwhile, so that the worst of a hundred requests waits as long as this takes: at 64
    /// connections p99 was 8 to 11 ms with 4,096 pages, and 4 to 5 ms with 512, where a checkpoint
    /// takes 1.3 ms; with fewer, the database is synced so often that all requests feel it.
    public static let checkpointThreshold = 512

    /// A setting of the storage, as it was read back.
    public struct Setting: Hashable, Sendable {
        public let name: String
        public let value: String
    }

    /// Version of the SQLite library in use.
    public static var sqliteVersion: String { Connection.libraryVersion }

    /// What SQLite says that it was set to, PRAGMA by PRAGMA.
    public let settings: [Setting]

    public var head: ChainHead {
        guard let storage else { preconditionFailure("a closed ledger was read") }
        return ChainHead(sequence: lastSequence, hash: storage.chain.hash)
    }

    public private(set) var lastSequence: Sequence

    /// How long the log's syncs took, those of checkpoints included.
    public var syncDurations: DurationHistogram { syncs.durations }

    /// How long checkpoints took.
    public private(set) var checkpointDurations = DurationHistogram()

    /// Pages in the write-ahead log.
    public var logFrames: Int { storage?.connection.walFrameCount ?? 0 }

    private let syncs = SyncDurations()
    private var lastTime: Timestamp
    private var isBatchOpen = false

    /// What ended this ledger's writing.
    private var failure: LedgerFailure?

    private var checkpoints: CheckpointSchedule

    /// nil once closed.
    private(set) var storage: Storage?

    /// The one writing connection, and what is done with it again and again.
    final class Storage {
        let connection: Connection
        let begin: Statement
        let commit: Statement
        var chain: EntryChain
        var insertion: EntryInsertion
        let selection: Statement
        let answers: AnswerTable

        /// Released after the connection has closed.
        let lock: LedgerLock

        init(
            connection: Connection, lock: LedgerLock, after hash: EntryHash
        ) throws(SQLiteError) {
            self.connection = connection
            self.lock = lock
            chain = EntryChain(after: hash)
            begin = try connection.prepare("BEGIN IMMEDIATE")
            commit = try connection.prepare("COMMIT")
            insertion = try EntryInsertion(on: connection)
            selection = try connection.prepare(EntryRow.selectionBySequence)
            answers = try AnswerTable(on: connection)
        }
    }

    /// Opens the ledger in a directory, which is created where it is missing (its parent is not),
    /// brings its tables to this version's, and keeps everybody else from writing to it.
    ///
    /// - Throws: `.inUse` where another ledger holds the directory; `.newer` where a later version
    ///   wrote it; `.corrupt` where the file is no ledger; `.full` and `.storage` for the disk.
    public static func open(directory path: String) throws(LedgerFailure) -> SQLiteLedger {
        try open(in: LedgerDirectory(path: path))
    }

    static func open(
        in directory: LedgerDirectory, checkpointThreshold: Int = checkpointThreshold
    ) throws(LedgerFailure) -> SQLiteLedger {
        try directory.createIfMissing()
        let lock = try directory.lock()
        let connection = try directory.connect(.readWriteCreate)
        let version = try LedgerSchema.version(of: connection)
        let settings = try StorageSettings.applyForWriting(to: connection)
        // What an earlier process could not sync may be in the cache alone.
        try LedgerFailure.converting { () throws(SQLiteError) in
            try connection.rewriteWAL()
        }
        try LedgerSchema.migrate(connection, from: version)
        try ChainStart.establish(on: connection)
        let last = try ChainStart.head(of: connection)
        try LogReservation.reserve(
            connection, directory, checkpointThreshold: checkpointThreshold)
        try directory.sync()
        return try LedgerFailure.converting { () throws(SQLiteError) in
            let head = last?.head ?? .empty
            let ledger = SQLiteLedger(
                storage: try Storage(connection: connection, lock: lock, after: head.hash),
                settings: settings, checkpointThreshold: checkpointThreshold,
                lastSequence: head.sequence,
                lastTime: last?.time ?? Timestamp(microseconds: .min))
            let syncs = ledger.syncs
            let isTimed = try connection.timeLogSyncs { syncs.durations.record(nanoseconds: $0) }
            precondition(isTimed, "a ledger in WAL mode has opened its log")
            return ledger
        }
    }

    private init(
        storage: Storage, settings: [Setting], checkpointThreshold: Int, lastSequence: Sequence,
        lastTime: Timestamp
    ) {
        self.lastSequence = lastSequence
        self.lastTime = lastTime
        storage.connection.countWALFrames()
        self.storage = storage
        self.settings = settings
        checkpoints = CheckpointSchedule(threshold: checkpointThreshold)
    }

    /// Filled while SQLite syncs, which is in the middle of this ledger's own calls.
    private final class SyncDurations {
        var durations = DurationHistogram()
    }

    public func append(_ entry: LedgerEntry) throws(LedgerFailure) {
        precondition(entry.sequence == lastSequence.next, "an entry out of sequence")
        precondition(entry.time >= lastTime, "an entry earlier than the one before")
        try write { (storage) throws(SQLiteError) in
            if !isBatchOpen {
                try storage.begin.run()
                isBatchOpen = true
            }
            storage.chain.advance(by: entry)
            try storage.insertion.insert(entry, hash: storage.chain.hash)
        }
        lastSequence = entry.sequence
        lastTime = entry.time
    }

    public func commit() throws(LedgerFailure) {
        try write { (storage) throws(SQLiteError) in
            guard isBatchOpen else { return }
            try storage.commit.run()
            isBatchOpen = false
        }
    }

    /// The entry must be the last one appended.
    public func keep(
        _ answer: KeptAnswer, for sequence: Sequence
    ) throws(LedgerFailure) {
        precondition(isBatchOpen && sequence == lastSequence, "an answer to an earlier request")
        let head = head
        try write { (storage) throws(SQLiteError) in try storage.answers.keep(answer, at: head) }
    }

    /// Copies the write-ahead log into the database where it has grown long. Does nothing while a
    /// batch is open.
    public func housekeep() throws(LedgerFailure) {
        try write { (storage) throws(SQLiteError) in
            guard !isBatchOpen, checkpoints.attempt(storage.connection.walFrameCount) else {
                return
            }
            let start = MonotonicClock.nanoseconds
            _ = try storage.connection.checkpoint()
            checkpointDurations.record(nanoseconds: MonotonicClock.nanoseconds - start)
        }
    }

    /// Copies the write-ahead log into the database, empties it unless somebody goes on reading it,
    /// and gives the directory free. A batch that was not committed is gone. A ledger that goes
    /// away without being closed loses nothing that was committed: the next one to open reads the
    /// log.
    ///
    /// - Throws: what the checkpoint met. The ledger is closed all the same.
    public func close() throws(LedgerFailure) {
        guard let storage else { return }
        self.storage = nil
        guard failure == nil else { return }
        try LedgerFailure.converting { () throws(SQLiteError) in
            storage.connection.rollBack()
            _ = try storage.connection.checkpoint()
            try storage.connection.setBusyTimeout(milliseconds: Self.patienceWithReaders)
            _ = try storage.connection.truncateWAL()
        }
    }

    /// How long the end waits for reads of the log, a backup's for example. Milliseconds.
    private static let patienceWithReaders: Int32 = 500

    /// Does what changes the disk; its first failure is final.
    private func write(
        _ body: (Storage) throws(SQLiteError) -> Void
    ) throws(LedgerFailure) {
        guard let storage else { preconditionFailure("a closed ledger was written to") }
        if let failure { throw failure }
        do throws(SQLiteError) {
            try body(storage)
        } catch {
            let failure = LedgerFailure(error)
            self.failure = failure
            throw failure
        }
    }
}

// MARK: Reading

extension SQLiteLedger {
    /// Besides decoding each row it checks what holds the rows together: sequences without gaps,
    /// times that never go back, and the chain of hashes.
    public func replay(
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        let selection = try unreadable { () throws(SQLiteError) in
            let selection = try connection.prepare(EntryRow.selectionAfterSequence)
            try selection.bind(bitPattern: sequence.rawValue, at: 1)
            return selection
        }
        let row = EntryRow(selection)
        let check: ChainCheck
        do throws(LedgerFailure) {
            check = try ChainCheck(after: sequence, on: connection)
        } catch { throw .unreadable(error) }
        var last = sequence
        var lastTime = Timestamp(microseconds: .min)
        while try unreadable({ () throws(SQLiteError) in try selection.step() }) {
            guard row.sequence == last.next else {
                throw .contradiction(
                    last.next, "it is missing: entry \(row.sequence.rawValue) stands in its place")
            }
            let entry: LedgerEntry
            do throws(LedgerFailure) { entry = try row.entry() } catch { throw .unreadable(error) }
            guard entry.time >= lastTime else {
                throw .contradiction(entry.sequence, "it is earlier than the entry before")
            }
            do throws(LedgerFailure) {
                try check.advance(by: entry)
            } catch { throw .unreadable(error) }
            try body(entry)
            last = entry.sequence
            lastTime = entry.time
        }
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        guard let storage else { preconditionFailure("a closed ledger was read") }
        guard sequence > .zero, sequence <= lastSequence else { return nil }
        guard let entry = try EntryRow.entry(at: sequence, storage.selection) else {
            throw EntryRow.missing(sequence)
        }
        return entry
    }

    public func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? {
        guard let storage else { preconditionFailure("a closed ledger was read") }
        return try storage.answers.keyed(key)
    }

    private var connection: Connection {
        guard let storage else { preconditionFailure("a closed ledger was read") }
        return storage.connection
    }

    private func unreadable<Value>(
        _ body: () throws(SQLiteError) -> Value
    ) throws(RecoveryFailure) -> Value {
        do throws(SQLiteError) { return try body() } catch {
            throw .unreadable(LedgerFailure(error))
        }
    }
}
