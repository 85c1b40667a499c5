// Machines that are real: each text of /proc/zoneinfo that a kernel printed is posted, and what the
// service says of the machine is what the text says.

import Foundation
import Testing

/// Texts that running kernels printed: `$GFPD_GROUNDTRUTH`, else `../shared/groundtruth` beside the
/// package. Where they are not, every test that needs them fails.
enum GroundTruth {
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    static var directory: URL {
        if let path = ProcessInfo.processInfo.environment["GFPD_GROUNDTRUTH"] {
            return URL(filePath: path)
        }
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.deletingLastPathComponent().appending(path: "shared/groundtruth")
    }

    /// Paths of all zoneinfo texts, from the directory.
    static func zoneinfos() throws -> [String] {
        let paths = try FileManager.default.subpathsOfDirectory(atPath: directory.path)
            .filter { $0.hasSuffix("/zoneinfo") }
        guard !paths.isEmpty else { throw Missing(description: "no zoneinfo in \(directory.path)") }
        return paths.sorted()
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: directory.appending(path: path), encoding: .utf8)
    }

    /// The iomem of the kernel that printed a zoneinfo.
    static func iomem(of zoneinfo: String) throws -> String {
        let set = zoneinfo.prefix { $0 != "/" }
        let folder = directory.appending(path: set + "/machine/iomem")
        let isGuest = FileManager.default.fileExists(atPath: folder.path)
        return try text(isGuest ? set + "/machine/iomem" : set + "/iomem")
    }
}

/// A zone as a reader in a hurry takes it from the text.
struct PrintedZone: Equatable {
    let node: Int
    let name: String
    var numbers: [String: Int] = [:]
    var protection: [Int] = []

    static let names: Set<String> = [
        "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "start_pfn:",
    ]

    static func zones(in text: String) -> [PrintedZone] {
        var zones: [PrintedZone] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if line.hasPrefix("Node "), words.count == 4 {
                zones.append(PrintedZone(node: Int(words[1].dropLast()) ?? -1, name: words[3]))
            } else if words.count == 2, names.contains(words[0]) {
                zones[zones.count - 1].numbers[words[0]] = Int(words[1])
            } else if words.first == "protection:" {
                zones[zones.count - 1].protection = words.dropFirst().compactMap { word in
                    Int(word.filter(\.isNumber))
                }
            }
        }
        return zones
    }

    init(node: Int, name: String) {
        self.node = node
        self.name = name
    }

    /// The marks without the boost that was on them for a while.
    var withoutBoost: PrintedZone {
        var zone = self
        let boost = zone.numbers.removeValue(forKey: "boost") ?? 0
        for mark in ["min", "low", "high", "promo"] { zone.numbers[mark]? -= boost }
        return zone
    }
}

@Suite struct GroundTruthTests {
    @Test func everyZoneinfoIsGivenBack() throws {
        let scratch = try ScratchDirectory()
        let server = try Server(data: scratch.path("data"), scratch: scratch)
        let client = try server.client()
        let paths = try GroundTruth.zoneinfos()
        for (number, path) in paths.enumerated() {
            let text = try GroundTruth.text(path)
            let body = jsonText(["zoneinfo": text, "iomem": try GroundTruth.iomem(of: path)])
            try check(client, "iomem-\(number)", text, try create(client, "iomem-\(number)", body))
            let plain = try client.send(
                "POST", "/v1/machines?name=plain-\(number)", text,
                fields: ["Content-Type": "text/plain"])
            try check(client, "plain-\(number)", text, plain)
        }
    }

    private func create(_ client: HTTPClient, _ name: String, _ body: String) throws -> Answer {
        try client.post("/v1/machines?name=\(name)", body)
    }

    private func check(
        _ client: HTTPClient, _ name: String, _ text: String, _ created: Answer
    ) throws {
        try #require(created.status == 201, "\(name): \(created.text)")
        let printed = PrintedZone.zones(in: text).map(\.withoutBoost)
        let zones = try client.get("/v1/machines/\(name)/zones").json["items"].array
        try #require(zones.count == printed.count)
        for (zone, expected) in zip(zones, printed) { compare(zone, expected) }

        let kernelText = try client.get(
            "/v1/machines/\(name)/zoneinfo", fields: ["Accept": "text/plain"])
        #expect(kernelText.fields["content-type"]?.hasPrefix("text/plain") ?? false)
        #expect(PrintedZone.zones(in: kernelText.text).map(\.withoutBoost) == printed)
        try deleteMachine(client, name)
    }

    private func compare(_ zone: JSONValue, _ expected: PrintedZone) {
        #expect(zone["node"].int == expected.node)
        #expect(zone["zone"].string == expected.name)
        for name in ["spanned", "present", "managed"] {
            #expect(zone[name].int == expected.numbers[name])
        }
        for mark in ["min", "low", "high", "promo"] {
            #expect(zone["watermarks"][mark].int == expected.numbers[mark])
        }
        if expected.numbers["managed"] ?? 0 > 0 {
            #expect(zone["start_pfn"].int == expected.numbers["start_pfn:"])
        }
        #expect(zone["free"].int == expected.numbers["managed"], "it starts empty")
        let reserve = zone["lowmem_reserve"].members
        let order = ["DMA", "DMA32", "Normal", "Movable", "Device"].filter { reserve[$0] != nil }
        #expect(order.map { reserve[$0]?.int } == expected.protection)
    }

    private func deleteMachine(_ client: HTTPClient, _ name: String) throws {
        #expect(try client.send("DELETE", "/v1/machines/\(name)").status == 200)
    }
}
