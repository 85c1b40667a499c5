// The write-ahead log's file, read and written by way of SQLite's own handle on it and its VFS. Its
// layout: "WAL File Format", https://www.sqlite.org/fileformat2.html#walformat.

internal import CSQLite

extension Connection {
    /// Bytes of the log's header, and of the header of a frame.
    private static let logHeaderSize = 32
    private static let frameHeaderSize = 24

    /// Writes the log's frames once more, byte for byte, and syncs them.
    ///
    /// After a sync that failed the system's cache may hold, and pass for clean, what never reached
    /// the disk (https://lwn.net/Articles/752063/). A process that is started then recovers commits
    /// from the cache, which the next loss of power takes away together with those behind them.
    /// What is written again is on the disk once it is synced. Nobody may write to the database at
    /// the same time.
    ///
    /// - Throws: what reading, writing or syncing the log met.
    public func rewriteWAL() throws(SQLiteError) {
        guard let log = try logFile() else { return }
        var size: sqlite3_int64 = 0
        try check(unsafe log.methods.xFileSize(log.file, &size), doing: "size of the log")
        guard size >= Int64(Self.logHeaderSize) else { return }
        var header = [UInt8](repeating: 0, count: Self.logHeaderSize)
        try read(&header, from: log, at: 0)
        try write(header, to: log, at: 0)

        let pageSize = header[8..<12].reduce(0) { $0 << 8 | Int($1) }
        var frame = [UInt8](repeating: 0, count: Self.frameHeaderSize + pageSize)
        var offset = Int64(header.count)
        while offset + Int64(frame.count) <= size {
            try read(&frame, from: log, at: offset)
            // The salts of the header: a frame with others is left from the log's round before.
            guard frame[8..<16] == header[16..<24] else { break }
            try write(frame, to: log, at: offset)
            offset += Int64(frame.count)
        }
        try check(unsafe log.methods.xSync(log.file, SQLITE_SYNC_NORMAL), doing: "sync the log")
    }

    /// SQLite's handle on a file, and what can be done with it.
    @safe struct File {
        let file: UnsafeMutablePointer<sqlite3_file>
        let methods: sqlite3_io_methods
    }

    /// nil where SQLite has not opened it.
    func logFile() throws(SQLiteError) -> File? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        try check(
            unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file),
            doing: "SQLITE_FCNTL_JOURNAL_POINTER")
        guard let file = unsafe file, let methods = unsafe file.pointee.pMethods else { return nil }
        return unsafe File(file: file, methods: methods.pointee)
    }

    private func read(
        _ bytes: inout [UInt8], from log: File, at offset: Int64
    ) throws(SQLiteError) {
        let count = Int32(bytes.count)
        try check(
            unsafe log.methods.xRead(log.file, &bytes, count, offset), doing: "read the log")
    }

    private func write(
        _ bytes: [UInt8], to log: File, at offset: Int64
    ) throws(SQLiteError) {
        try check(
            unsafe log.methods.xWrite(log.file, bytes, Int32(bytes.count), offset),
            doing: "write the log")
    }
}
