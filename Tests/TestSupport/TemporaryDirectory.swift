import Glibc

/// A new directory, gone with everything in it when this goes.
public final class TemporaryDirectory {
    public let path: String

    /// - Parameter parent: where it is made.
    public init(in parent: String = "/tmp") {
        var template = Array((parent + "/gfpd-test-XXXXXX\0").utf8.map { CChar(bitPattern: $0) })
        guard unsafe mkdtemp(&template) != nil else {
            preconditionFailure("mkdtemp: errno \(errno)")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The file of that name in it.
    public func file(_ name: String) -> String {
        path + "/" + name
    }

    deinit {
        // It holds files only.
        guard let directory = unsafe opendir(path) else { return }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            unsafe unlink(file(name))
        }
        unsafe closedir(directory)
        unsafe rmdir(path)
    }
}
