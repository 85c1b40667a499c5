// Batches against the real binary: large ones, refused ones, and what is there after a kill.

import Foundation
import Glibc
import Testing

@Suite struct BatchTests {
    private static let batch = "/v1/machines/m/batch"
    private static let allocate = "{\"allocate\": {}}"

    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    /// A server with a machine of 64 MiB.
    private func server() throws -> Server {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        if try client.get("/v1/machines/m").status == 404 {
            let topology = """
                {"nodes": [{"id": 0, "cpus": [0], "memory":
                  [{"start": "0x0", "end": "0x3ffffff"}]}]}
                """
            #expect(try client.post("/v1/machines?name=m", topology).status == 201)
        }
        return server
    }

    private func body(_ operations: [String], atomic: Bool = false) -> String {
        "{\"atomic\": \(atomic), \"operations\": [\(operations.joined(separator: ","))]}"
    }

    @Test(arguments: [false, true])
    func tenThousandOperationsSurviveAKill(atomic: Bool) throws {
        let first = try server()
        let client = try first.client()
        // More than a body of other requests may have.
        let owner = String(repeating: "o", count: 200)
        let operations = Array(
            repeating: "{\"allocate\": {\"owner\": \"\(owner)\"}}", count: 10_000)
        let text = body(operations, atomic: atomic)
        #expect(text.utf8.count > 1 << 20)
        let answer = try client.post(Self.batch, text)
        #expect(answer.status == 200)
        let results = answer.json["results"].array
        #expect(results.count == 10_000)
        #expect(results.allSatisfy { $0["status"].int == 201 })
        #expect(Set(results.compactMap { $0["pfn"].int }).count == 10_000)
        let sequence = try #require(answer.fields["gfpd-sequence"].flatMap { Int($0) })
        #expect(results.compactMap { $0["id"].int } == Array(sequence - 9_999...sequence))
        let summary = try client.get("/v1/machines/m").json["totals"]
        #expect(summary["live_allocations"].int == 10_000)
        try first.kill()

        let second = try server()
        let again = try second.client().get("/v1/machines/m").json["totals"]
        #expect(again["live_allocations"].int == 10_000)
        #expect(again["free_pages"].int == summary["free_pages"].int)
        let frees = results.compactMap { $0["id"].int }.map { "{\"free\": {\"id\": \($0)}}" }
        let freed = try second.client().post(Self.batch, body(frees, atomic: true))
        #expect(freed.status == 200)
        #expect(freed.json["results"].array.allSatisfy { $0["state"].string == "freed" })
        let empty = try second.client().get("/v1/machines/m").json["totals"]
        #expect(empty["granted_pages"].int == 0)
    }

    @Test func aRefusedAtomicBatchIsOneEntry() throws {
        let server = try server()
        let client = try server.client()
        let before = try client.get("/v1/machines/m").json["totals"]
        let operations = Array(repeating: Self.allocate, count: 50) + ["{\"free\": {\"id\": 999}}"]
        let answer = try client.post(Self.batch, body(operations, atomic: true))
        #expect(answer.status == 404)
        expectProblemDocument(answer)
        #expect(answer.json["operation"].int == 50)
        let sequence = try #require(answer.json["sequence"].int)
        #expect(answer.fields["gfpd-sequence"] == String(sequence))
        try server.kill()
        let second = try self.server()
        let restarted = try second.client()
        #expect(
            try restarted.get("/v1/machines/m").json["totals"]["free_pages"].int
                == before["free_pages"].int)
        let entry = try restarted.get("/v1/ledger/\(sequence)").json
        #expect(entry["kind"].string == "free")
        #expect(entry["outcome"].string == "refused")
        #expect(try restarted.get("/v1/ledger/\(sequence + 1)").status == 404)
        #expect(try second.stop() == .exited(0))
    }

    @Test func aBodyBeyondTheLimitIsRefusedByItsHead() throws {
        let server = try server()
        let client = try server.client()
        let head = "POST \(Self.batch) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        try client.send(bytes: Array((head + "Content-Length: 67108865\r\n\r\n").utf8))
        let answer = try client.receive()
        #expect(answer.status == 413)
        #expect(answer.json["detail"].string?.contains("67108864") ?? false)
        #expect(try server.stop() == .exited(0))
    }
}
