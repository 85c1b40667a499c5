// One connection to one SQLite file. A thin layer: it adds types, ownership and errors to SQLite's
// C interface, and no policy. One thread at a time may use a connection and its statements
// (`SQLITE_OPEN_NOMUTEX`); a cache is never shared between connections.

internal import CSQLite

@safe public final class Connection {
    /// How a file is opened.
    public enum Access: Sendable {
        /// Reads and writes; creates the file where there is none.
        case readWriteCreate

        /// Reads; never writes to the database file nor checkpoints.
        case readOnly
    }

    let handle: OpaquePointer

    /// Where SQLite's commit hook leaves the length of the write-ahead log.
    private let frames: UnsafeMutablePointer<Int32>

    /// The log file's functions, once its syncs are timed.
    var syncTiming: UnsafeMutablePointer<SyncTiming>?

    /// - Parameter vfs: the name of a registered `sqlite3_vfs`, SQLite's way to the operating
    ///   system; nil for the default one.
    /// - Throws: `SQLiteError`, `.cannotOpen` for most reasons. That the file is a database is
    ///   seen only when it is first read.
    public init(path: String, access: Access, vfs: String? = nil) throws(SQLiteError) {
        let access =
            switch access {
            case .readWriteCreate: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            case .readOnly: SQLITE_OPEN_READONLY
            }
        Self.configureLibrary
        var opened: OpaquePointer?
        let result = unsafe sqlite3_open_v2(
            path, &opened,
            access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, vfs)
        guard result == SQLITE_OK, let database = unsafe opened else {
            let error = unsafe SQLiteError(result, opened, doing: "open \(path)")
            // Even a failed open leaves a handle to be closed.
            unsafe sqlite3_close_v2(opened)
            throw error
        }
        unsafe handle = database
        unsafe frames = .allocate(capacity: 1)
        unsafe frames.initialize(to: 0)
    }

    /// Once, before the process's first connection. Where somebody else has begun to use the
    /// library SQLite refuses; it only works more slowly then.
    private static let configureLibrary: Void = {
        _ = csqlite_disable_memory_statistics()
    }()

    /// Statements keep their connection alive, so that all of them are finalized here.
    deinit {
        unsafe sqlite3_close_v2(handle)
        unsafe frames.deallocate()
        unsafe syncTiming?.deinitialize(count: 1)
        unsafe syncTiming?.deallocate()
    }

    /// The library's version, as `3.40.1`.
    public static var libraryVersion: String { unsafe String(cString: sqlite3_libversion()) }

    /// Compiles one statement, to be kept and used again and again.
    public func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        try Statement(sql, on: self)
    }

    /// Runs statements without parameters, separated by semicolons; rows are discarded.
    public func execute(_ script: String) throws(SQLiteError) {
        try check(
            unsafe sqlite3_exec(handle, script, nil, nil, nil),
            // The first line says which script it was.
            doing: String(script.prefix { $0 != "\n" }))
    }

    /// Runs `body` in a transaction (BEGIN IMMEDIATE … COMMIT), which is rolled back where it
    /// throws.
    public func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try execute("BEGIN IMMEDIATE")
        do throws(SQLiteError) {
            try body()
            try execute("COMMIT")
        } catch {
            rollBack()
            throw error
        }
    }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    public var changedRows: Int { Int(unsafe sqlite3_changes64(handle)) }

    /// Ends the open transaction, if any, undone. SQLite may have done so itself after an error,
    /// and then has nothing more to say.
    public func rollBack() {
        unsafe sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
    }

    /// Throws unless a call returned SQLITE_OK.
    func check(_ result: Int32, doing operation: @autoclosure () -> String) throws(SQLiteError) {
        guard result == SQLITE_OK else {
            throw unsafe SQLiteError(result, handle, doing: operation())
        }
    }
}

// MARK: Settings

extension Connection {
    /// How long a call waits for another connection's lock.
    public func setBusyTimeout(milliseconds: Int32) throws(SQLiteError) {
        try check(
            unsafe sqlite3_busy_timeout(handle, milliseconds), doing: "sqlite3_busy_timeout")
    }

    /// The value of a PRAGMA as text; nil where it returns no row.
    public func pragma(_ name: String) throws(SQLiteError) -> String? {
        let statement = try prepare("PRAGMA \(name)")
        guard try statement.step() else { return nil }
        return statement.text(at: 0)
    }

    /// Sets a PRAGMA. Whether it took is for `pragma(_:)` to say.
    public func setPragma(_ name: String, to value: String) throws(SQLiteError) {
        try execute("PRAGMA \(name) = \(value)")
    }

    /// Whether the last connection to close leaves the write-ahead log's file in place.
    public func setPersistentWAL(_ isOn: Bool) throws(SQLiteError) {
        var value: Int32 = isOn ? 1 : 0
        try check(
            unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &value),
            doing: "SQLITE_FCNTL_PERSIST_WAL")
    }

    /// Whether the write-ahead log's file stays when the last connection closes, as SQLite has it.
    public func isWALPersistent() throws(SQLiteError) -> Bool {
        var value: Int32 = -1
        try check(
            unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &value),
            doing: "SQLITE_FCNTL_PERSIST_WAL")
        return value == 1
    }

    /// Makes closing this connection never checkpoint.
    public func disableCheckpointOnClose() throws(SQLiteError) {
        try check(
            unsafe csqlite_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1),
            doing: "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE")
    }
}

// MARK: Write-ahead log

extension Connection {
    /// What a checkpoint found and did, in pages.
    public struct Checkpoint: Hashable, Sendable {
        /// Frames in the log.
        public let frames: Int

        /// Those of them that are in the database file. Where it is all of them and nobody reads
        /// them, the next write begins at the start of the log again.
        public let copied: Int
    }

    /// Has `walFrameCount` follow this connection's commits. Takes the place of SQLite's automatic
    /// checkpoints.
    public func countWALFrames() {
        _ = unsafe sqlite3_wal_hook(
            handle,
            { context, _, _, count in
                unsafe context?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, frames)
    }

    /// Frames (pages) in the write-ahead log after this connection's last commit.
    public var walFrameCount: Int { Int(unsafe frames.pointee) }

    /// Copies what it can of the log into the database file without waiting for anybody, and syncs
    /// both (`SQLITE_CHECKPOINT_PASSIVE`).
    public func checkpoint() throws(SQLiteError) -> Checkpoint {
        var frames: Int32 = 0
        var copied: Int32 = 0
        try check(
            unsafe sqlite3_wal_checkpoint_v2(
                handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied),
            doing: "sqlite3_wal_checkpoint_v2")
        return Checkpoint(frames: Int(frames), copied: Int(copied))
    }

    /// Copies all of the log into the database file, syncs it, and cuts the log's file to nothing
    /// (`SQLITE_CHECKPOINT_TRUNCATE`).
    ///
    /// - Returns: false where another connection still reads after the busy timeout: nothing was
    ///   cut.
    public func truncateWAL() throws(SQLiteError) -> Bool {
        let result = unsafe sqlite3_wal_checkpoint_v2(
            handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
        if result & 0xff == SQLITE_BUSY { return false }
        try check(result, doing: "sqlite3_wal_checkpoint_v2")
        return true
    }
}
