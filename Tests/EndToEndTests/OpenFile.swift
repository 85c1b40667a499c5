// The files that a process has open, as the kernel says it (proc(5)): without asking the process,
// and without opening them.

import Foundation
import Glibc

struct OpenFile {
    let isWritable: Bool

    /// The descriptors by which a process has a file open; none where it has ended.
    static func of(_ process: pid_t, path: String) -> [OpenFile] {
        let directory = "/proc/\(process)"
        // It may end, and close files, while it is looked at.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/fd")) ?? []
        return names.compactMap { name in
            let link = try? FileManager.default.destinationOfSymbolicLink(
                atPath: "\(directory)/fd/\(name)")
            guard link == path,
                let facts = try? String(
                    contentsOfFile: "\(directory)/fdinfo/\(name)", encoding: .utf8),
                let match = facts.firstMatch(of: /flags:\s*([0-7]+)/),
                let flags = Int32(match.1, radix: 8)
            else { return nil }
            return OpenFile(isWritable: flags & O_ACCMODE != O_RDONLY)
        }
    }
}
