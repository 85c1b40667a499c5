// The pages of a database that nobody has open, past SQLite.

import Glibc
import Testing

enum FilePages {
    static let size = 4096

    static func bytes(of path: String) throws -> [UInt8] {
        let file = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0, "\(path): errno \(errno)")
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        var bytes = [UInt8](repeating: 0, count: size)
        try #require(unsafe pread(file, &bytes, size, 0) == size)
        return bytes
    }

    /// Overwrites a page, numbered from 0.
    static func fill(_ page: Int, with byte: UInt8, in path: String) throws {
        let file = unsafe Glibc.open(path, O_WRONLY | O_CLOEXEC)
        try #require(file >= 0, "\(path): errno \(errno)")
        defer { close(file) }
        let bytes = [UInt8](repeating: byte, count: size)
        try #require(unsafe pwrite(file, bytes, size, off_t(page * size)) == size)
    }
}
