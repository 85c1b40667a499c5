// Whole files, past SQLite. Only for files that it has not open.

import Glibc
import Testing

enum FileBytes {
    static func read(_ path: String) throws -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0, "\(path): errno \(errno)")
        defer { close(descriptor) }
        var status = stat()
        try #require(unsafe fstat(descriptor, &status) == 0)
        var bytes = [UInt8](repeating: 0, count: status.st_size)
        try #require(unsafe pread(descriptor, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0, "\(path): errno \(errno)")
        defer { close(descriptor) }
        try #require(unsafe pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
    }
}
