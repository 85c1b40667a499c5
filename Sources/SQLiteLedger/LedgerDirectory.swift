// The directory that holds a ledger.

import Glibc
import Ledger
import SQLite

struct LedgerDirectory {
    let path: String

    /// SQLite's way to the operating system, by name; nil for the default one.
    var vfs: String?

    /// The rights of a new directory: the owner's, and reading for the group.
    private static let mode: mode_t = 0o750

    /// How long a connection waits for a lock, in milliseconds. Locks that are held for long
    /// are not waited for: this is for the moment in which another connection reads the log anew.
    private static let busyTimeout: Int32 = 5000

    func createIfMissing() throws(LedgerFailure) {
        guard unsafe mkdir(path, Self.mode) == 0 else {
            guard errno == EEXIST else { throw LedgerFailure(systemCall: "mkdir", path, errno) }
            return
        }
        try Self.sync(path + "/..")
    }

    /// Makes the names of the files in the directory durable.
    func sync() throws(LedgerFailure) {
        try Self.sync(path)
    }

    /// Keeps everybody else who asks for it out, until it is let go.
    func lock() throws(LedgerFailure) -> LedgerLock {
        try LedgerLock(path: path + "/gfpd.lock")
    }

    /// - Parameter file: name of a database in the directory.
    func connect(
        _ access: Connection.Access, file: String = "gfpd.db"
    ) throws(LedgerFailure) -> Connection {
        try LedgerFailure.converting { () throws(SQLiteError) in
            let connection = try Connection(path: "\(path)/\(file)", access: access, vfs: vfs)
            try connection.setBusyTimeout(milliseconds: Self.busyTimeout)
            return connection
        }
    }

    /// Takes a database away, and what belongs to it. No connection may have it open.
    func remove(_ file: String) throws(LedgerFailure) {
        for name in [file, file + "-wal", file + "-shm", file + "-journal"] {
            let path = "\(path)/\(name)"
            guard unsafe unlink(path) == 0 || errno == ENOENT else {
                throw LedgerFailure(systemCall: "unlink", path, errno)
            }
        }
    }

    /// Bytes in the write-ahead log's file.
    func logSize() throws(LedgerFailure) -> Int {
        let log = path + "/gfpd.db-wal"
        var status = stat()
        guard unsafe stat(log, &status) == 0 else {
            throw LedgerFailure(systemCall: "stat", log, errno)
        }
        return status.st_size
    }

    private static func sync(_ path: String) throws(LedgerFailure) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LedgerFailure(systemCall: "open", path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LedgerFailure(systemCall: "fsync", path, errno) }
    }
}

/// An exclusive advisory lock (flock) on a file of its own. The kernel lets it go when the process
/// ends, however it ends.
final class LedgerLock {
    private let descriptor: Int32

    init(path: String) throws(LedgerFailure) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw LedgerFailure(systemCall: "open", path, errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // `deinit` closes: it runs for an initializer that throws, too.
            let number = errno
            guard number == EWOULDBLOCK else {
                throw LedgerFailure(systemCall: "flock", path, number)
            }
            throw LedgerFailure(.inUse, "another gfpd holds this ledger: \(path) is locked")
        }
    }

    deinit {
        close(descriptor)
    }
}
