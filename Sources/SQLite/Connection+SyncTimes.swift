// How long the disk takes to sync the write-ahead log.
//
// SQLite calls its files by way of a table of functions that each file points to
// (https://www.sqlite.org/c3ref/io_methods.html). The log's file is given a copy of its table in
// which xSync goes by way of a function here, which takes the time. The copy lies at the beginning
// of a larger block, so that the function finds what it needs by the file alone.

internal import CSQLite
import Glibc

extension Connection {
    /// Has each sync of the log told from now on, those of checkpoints included. To be called once,
    /// when the log is open: after a first read or write in WAL mode.
    ///
    /// - Parameter note: is given the nanoseconds that a sync took, on the thread that uses the
    ///   connection.
    /// - Returns: false where SQLite has not opened the log.
    public func timeLogSyncs(_ note: @escaping (UInt64) -> Void) throws(SQLiteError) -> Bool {
        guard let log = try logFile() else { return false }
        let timing = UnsafeMutablePointer<SyncTiming>.allocate(capacity: 1)
        var methods = log.methods
        unsafe methods.xSync = { file, flags in unsafe SyncTiming.sync(file, flags) }
        unsafe timing.initialize(
            to: SyncTiming(methods: methods, sync: log.methods.xSync, note: Note(note)))
        unsafe syncTiming = timing
        unsafe log.file.pointee.pMethods = UnsafePointer(
            UnsafeRawPointer(timing).assumingMemoryBound(to: sqlite3_io_methods.self))
        return true
    }
}

/// The functions of a file whose syncs are timed, with what that takes.
@unsafe struct SyncTiming {
    /// First, since SQLite takes the whole for it.
    let methods: sqlite3_io_methods
    let sync: (@convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32)?
    let note: Note

    static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        guard let file = unsafe file, let methods = unsafe file.pointee.pMethods else {
            preconditionFailure("a file that is not open is synced")
        }
        let timing = unsafe UnsafeRawPointer(methods).assumingMemoryBound(to: SyncTiming.self)
        guard let sync = unsafe timing.pointee.sync else {
            preconditionFailure("a file without xSync")
        }
        let start = unsafe monotonicNanoseconds()
        let result = unsafe sync(file, flags)
        unsafe timing.pointee.note.body(monotonicNanoseconds() - start)
        return result
    }

    private static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

final class Note {
    let body: (UInt64) -> Void

    init(_ body: @escaping (UInt64) -> Void) {
        self.body = body
    }
}
