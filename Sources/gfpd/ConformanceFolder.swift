// The files of one machine of the ground truth. gzip reads them all, since it passes on what is not
// compressed: a log may be there either way.

import Glibc
import MachineImport

struct ConformanceFolder {
    let name: String
    private let path: String

    private static let logName = "/oracle/log.gz"

    /// Those that have a log, by name.
    static func all(in directory: String) -> [ConformanceFolder] {
        var found = unsafe glob_t()
        defer { unsafe globfree(&found) }
        guard unsafe glob(directory + "/*" + logName, 0, nil, &found) == 0 else { return [] }
        return (0..<Int(unsafe found.gl_pathc)).compactMap { index in
            guard let log = unsafe found.gl_pathv[index] else { return nil }
            let path = String(unsafe String(cString: log).dropLast(logName.utf8.count))
            guard let name = path.split(separator: "/").last else { return nil }
            return ConformanceFolder(name: String(name), path: path)
        }
    }

    /// - Throws: `Failure` where a file is missing without which there is no machine.
    func texts() throws(Failure) -> OracleTexts {
        let nodes: String
        if let before = text("oracle/before/nodes") {
            nodes = before
        } else {
            nodes = try required("boot/nodes")
        }
        return OracleTexts(
            zones: try required("oracle/zones"), recomputed: text("oracle/zones-recomputed") ?? "",
            nodes: nodes,
            version: try required("machine/version"),
            sysctl: text("oracle/vm-sysctl") ?? text("machine/vm-sysctl") ?? "",
            weights: text("machine/weights") ?? "")
    }

    func log() throws(Failure) -> [UInt8] {
        guard let log = read(Self.logName) else {
            throw Failure("gzip cannot read \(path)\(Self.logName)")
        }
        return log
    }

    private func required(_ file: String) throws(Failure) -> String {
        guard let text = text(file) else { throw Failure("\(path)/\(file) is missing") }
        return text
    }

    private func text(_ file: String) -> String? {
        read("/" + file).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The whole of a file; nil where gzip fails.
    private func read(_ file: String) -> [UInt8]? {
        let quoted = (path + file).split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''")
        guard let pipe = unsafe popen("exec gzip -dcf -- '\(quoted)' 2>/dev/null", "r") else {
            return nil
        }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, pipe)
            if count == 0 { break }
            content += chunk[..<count]
        }
        return unsafe pclose(pipe) == 0 ? content : nil
    }

    /// Writes a whole file, into a folder that is made where it is missing.
    static func write(_ text: String, to name: String, in directory: String) throws(Failure) {
        let path = "\(directory)/\(name)"
        guard unsafe mkdir(directory, 0o755) == 0 || errno == EEXIST,
            let file = unsafe fopen(path, "w")
        else { throw Failure("cannot write \(path)") }
        let bytes = Array(text.utf8)
        let written = unsafe fwrite(bytes, 1, bytes.count, file)
        guard unsafe fclose(file) == 0, written == bytes.count else {
            throw Failure("cannot write \(path)")
        }
    }
}
