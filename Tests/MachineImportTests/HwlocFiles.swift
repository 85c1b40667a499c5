// The exports of real machines, and what a reader in a hurry takes from them: lines and regular
// expressions, none of it the import's own code.

import Foundation

enum HwlocFiles {
    static let names = [
        "192em64t-24n8c2t.xml", "256ia64-64n2s2c.xml", "256ppc-8n8s4t.xml",
        "64intel64-heteromem.xml", "cxlmem+dax.v2.xml", "fakeheteromemtiers.xml",
        "memorysidecaches.xml", "nvidia-dgx-gb10.xml", "nvidiagpunumanodes-kept.xml",
        "power8gpudistances.xml", "synthetic-2048pu-16n.xml.gz",
    ]

    static var directory: URL { GroundTruth.directory.appending(path: "hwloc") }

    static func contents(_ name: String) throws -> [UInt8] {
        let file = directory.appending(path: name)
        guard let contents = FileManager.default.contents(atPath: file.path) else {
            throw GroundTruth.Missing(path: file.path)
        }
        return name.hasSuffix(".gz") ? try unpacked(file) : Array(contents)
    }

    private static func unpacked(_ file: URL) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/gzip")
        process.arguments = ["-dc", file.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let contents = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(contents)
    }
}

/// An export as its lines say it.
struct NaiveTopology {
    struct Node {
        let id: Int
        let bytes: UInt64
        let cpus: Set<Int>
        let subtype: String?
    }

    private(set) var nodes: [Node] = []
    private(set) var cpus: Set<Int> = []

    /// By number of node.
    private(set) var distances: [Int: [Int: Int]] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            if line.contains("type=\"NUMANode\""), let id = Self.value("os_index", line),
                line.contains("<object")
            {
                nodes.append(
                    Node(
                        id: Int(id) ?? -1,
                        bytes: Self.value("local_memory", line).flatMap { UInt64($0) } ?? 0,
                        cpus: Self.cpus(Self.value("cpuset", line) ?? ""),
                        subtype: Self.value("subtype", line)))
            } else if line.contains("type=\"PU\""), let id = Self.value("os_index", line) {
                cpus.insert(Int(id) ?? -1)
            }
        }
        nodes.sort { $0.id < $1.id }
        distances = Self.distances(text)
    }

    private static func value(_ name: String, _ line: Substring) -> String? {
        guard let start = line.range(of: " \(name)=\"") else { return nil }
        return String(line[start.upperBound...].prefix { $0 != "\"" })
    }

    private static func cpus(_ set: String) -> Set<Int> {
        var cpus: Set<Int> = []
        for (position, word) in set.components(separatedBy: ",").reversed().enumerated() {
            let bits = UInt32(word.dropFirst(2), radix: 16) ?? 0
            cpus.formUnion((0..<32).filter { bits & (1 << $0) != 0 }.map { position * 32 + $0 })
        }
        return cpus
    }

    private static func distances(_ text: String) -> [Int: [Int: Int]] {
        guard
            let matrix = text.firstMatch(
                of: /(?s)<distances2 type="NUMANode"[^>]*name="NUMALatency".*?<\/distances2>/)
        else { return [:] }
        func numbers(_ name: String) -> [Int] {
            matrix.output.components(separatedBy: "<\(name) ").dropFirst().flatMap { part in
                part.components(separatedBy: "</")[0].components(separatedBy: ">")[1]
                    .split(separator: " ").compactMap { Int($0) }
            }
        }
        let nodes = numbers("indexes")
        let values = numbers("u64values")
        var distances: [Int: [Int: Int]] = [:]
        for (row, from) in nodes.enumerated() {
            for (column, to) in nodes.enumerated() {
                distances[from, default: [:]][to] = values[row * nodes.count + column]
            }
        }
        return distances
    }
}
