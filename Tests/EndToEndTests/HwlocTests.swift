// Machines that are real: hwloc's exports of them are posted, and one is a server's first machine.
// What the service says of nodes, sizes and distances is what the lines of the files say, and each
// node hands out its own pages.

import Foundation
import Testing

/// The nodes of an export, each with its bytes of memory, by the lines of the file.
private func nodes(in text: String) -> [Int: Int] {
    var nodes: [Int: Int] = [:]
    for line in text.split(separator: "\n") where line.contains("<object type=\"NUMANode\"") {
        let number = line.firstMatch(of: /\bos_index="([0-9]+)"/).flatMap { Int($0.1) }
        let bytes = line.firstMatch(of: /\blocal_memory="([0-9]+)"/).flatMap { Int($0.1) }
        nodes[number ?? -1] = bytes ?? 0
    }
    return nodes
}

@Suite struct HwlocTests {
    static func files() throws -> [String] {
        let paths = try FileManager.default.contentsOfDirectory(
            atPath: GroundTruth.directory.appending(path: "hwloc").path)
        return paths.filter { $0.hasSuffix(".xml") || $0.hasSuffix(".xml.gz") }
            .map { "hwloc/" + $0 }.sorted()
    }

    private static func text(_ file: String) throws -> String {
        guard file.hasSuffix(".gz") else { return try GroundTruth.text(file) }
        let process = Process()
        process.executableURL = URL(filePath: "/bin/gzip")
        process.arguments = ["-dc", GroundTruth.directory.appending(path: file).path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let contents = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: contents, as: UTF8.self)
    }

    @Test func everyExportIsAMachine() throws {
        let scratch = try ScratchDirectory()
        let server = try Server(data: scratch.path("data"), scratch: scratch)
        let client = try server.client()
        let files = try Self.files()
        try #require(files.count >= 11)
        for (number, file) in files.enumerated() {
            let text = try Self.text(file)
            let created = try client.send(
                "POST", "/v1/machines?name=m\(number)", text,
                fields: ["Content-Type": "application/xml"])
            try #require(created.status == 201, "\(file): \(created.text)")
            #expect(!created.json["assumed"].array.isEmpty)
            try check(client, "m\(number)", created, nodes(in: text))
        }
    }

    private func check(
        _ client: HTTPClient, _ name: String, _ created: Answer, _ nodes: [Int: Int]
    ) throws {
        let numbers = nodes.keys.sorted()
        #expect(created.json["topology"]["nodes"].array.map { $0["id"].int } == numbers)
        #expect(created.json["topology"]["distances"].array.count == numbers.count)
        #expect(
            created.json["totals"]["managed_pages"].int
                == nodes.values.reduce(0) { $0 + $1 / 4096 })
        for node in numbers where nodes[node] ?? 0 > 0 {
            let granted = try client.post(
                "/v1/machines/\(name)/allocations",
                """
                {"allocation_control": {"flags": "GFP_KERNEL|__GFP_THISNODE", "node": \(node)}}
                """)
            #expect(granted.status == 201, "\(granted.text)")
            #expect(granted.json["node"].int == node)
        }
        let deleted = try client.send("DELETE", "/v1/machines/\(name)?force=true")
        #expect(deleted.status == 200, "\(deleted.text)")
    }

    @Test func anExportIsAFirstMachine() throws {
        let scratch = try ScratchDirectory()
        let file = try #require(try Self.files().first { $0.contains("nvidiagpunumanodes") })
        let path = GroundTruth.directory.appending(path: file).path
        let server = try Server(
            data: scratch.path("data"), ["--topology", path], scratch: scratch)
        let machine = try server.client().get("/v1/machines/default").json
        let numbers = machine["topology"]["nodes"].array.map { $0["id"].int }
        #expect(numbers == [0, 8, 250, 251, 252, 253, 254, 255])
        let distances = machine["topology"]["distances"].array.map { $0.array.map(\.int) }
        #expect(distances.first == [10, 40, 80, 80, 80, 80, 80, 80])
    }
}
