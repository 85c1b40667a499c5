// The repository as files: what the checks read. A check itself is a function from text to
// findings, so that a test can feed it a bad sample; only this file knows where the text lies.

import Foundation

/// Something that breaks a rule, and where.
struct Finding: Equatable, CustomStringConvertible {
    let place: String
    let rule: String

    init(_ place: String, _ rule: String) {
        self.place = place
        self.rule = rule
    }

    var description: String { "\(place): \(rule)" }
}

/// One text file, by its path from the repository's root.
struct SourceFile {
    let path: String
    let text: String

    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

    /// The target to which a file of `Sources/TARGET/` or `Tests/TARGET/` belongs.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }
}

enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func file(_ path: String) throws -> SourceFile {
        SourceFile(
            path: path, text: try String(contentsOf: root.appending(path: path), encoding: .utf8))
    }

    /// The files below `folder` whose names end in one of `extensions`, by path.
    static func files(below folder: String, _ extensions: String...) throws -> [SourceFile] {
        let paths = try FileManager.default
            .subpathsOfDirectory(atPath: root.appending(path: folder).path)
            .filter { path in extensions.contains { path.hasSuffix("." + $0) } }
        return try paths.sorted().map { try file(folder + "/" + $0) }
    }

    /// The names in the root, or in a folder of it.
    static func names(in folder: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)
            .sorted()
    }
}
