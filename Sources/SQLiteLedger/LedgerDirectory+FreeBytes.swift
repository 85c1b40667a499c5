// Room on the disk, before SQLite finds that there is none: a commit or a checkpoint that fails for
// want of room is the end of the process, a request that is told early is not.

import Glibc
public import Ledger

extension LedgerDirectory {
    /// Bytes that an ordinary user may still take of the file system: `f_bavail` of statvfs(3).
    func freeBytes() throws(LedgerFailure) -> UInt64 {
        var status = statvfs()
        while unsafe statvfs(path, &status) != 0 {
            guard errno == EINTR else { throw LedgerFailure(systemCall: "statvfs", path, errno) }
        }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}

extension SQLiteLedger {
    /// Bytes that a ledger in that directory may still take of its file system.
    ///
    /// - Throws: `.storage` where the system does not say.
    public static func freeBytes(directory path: String) throws(LedgerFailure) -> UInt64 {
        try LedgerDirectory(path: path).freeBytes()
    }
}
