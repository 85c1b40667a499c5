// Idempotency keys against the real binary: a client that was cut off asks again.

import Foundation
import Glibc
import Testing

@Suite struct IdempotencyTests {
    private static let allocations = "/v1/machines/default/allocations"

    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func post(
        _ server: Server, _ target: String, _ body: String, key: String
    ) throws -> Answer {
        try server.client().send("POST", target, body, fields: ["Idempotency-Key": key])
    }

    @Test func anAnswerIsTheSameAfterAKill() throws {
        let batch = "{\"operations\": [{\"allocate\": {}}, {\"free\": {\"id\": 99}}]}"
        let renew = "\(Self.allocations)/2/renew"
        let requests = [
            (Self.allocations, "{\"owner\": \"a\"}"), (Self.allocations, "{\"cpu\": 4000}"),
            ("/v1/machines/default/batch", batch), (renew, "{\"ttl_seconds\": 1000}"),
        ]
        var server = try Server(data: data, scratch: scratch)
        let answers = try requests.enumerated().map { position, request in
            try post(server, request.0, request.1, key: "key \(position)")
        }
        #expect(answers.map(\.status) == [201, 422, 200, 200])
        let sequence = answers[3].fields["gfpd-sequence"]
        for _ in 0..<2 {
            try server.kill()
            server = try Server(data: data, scratch: scratch)
            for (position, request) in requests.enumerated() {
                let replay = try post(server, request.0, request.1, key: "key \(position)")
                #expect(replay.status == answers[position].status)
                #expect(replay.body == answers[position].body)
                for name in ["content-type", "location", "etag"] {
                    #expect(replay.fields[name] == answers[position].fields[name])
                }
                #expect(replay.fields["idempotency-replayed"] == "true")
                #expect(replay.fields["gfpd-sequence"] == sequence)
            }
        }
        let other = try post(server, Self.allocations, "{}", key: "key 0")
        #expect(other.status == 422)
        expectProblemDocument(other)
        #expect(other.json["type"].string == "/problems/idempotency-key-reused")
        #expect(try server.stop() == .exited(0))
    }

    /// The same key from many connections at once: one of them is granted pages.
    @Test func manyClientsAndOneKey() throws {
        let server = try Server(data: data, scratch: scratch)
        let clients = try (0..<16).map { _ in try server.client() }
        let request =
            "POST \(Self.allocations) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
            + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        for client in clients { try client.send(bytes: Array(request.utf8)) }
        let answers = try clients.map { try $0.receive() }
        #expect(Set(answers.map(\.status)) == [201])
        #expect(Set(answers.map(\.body)).count == 1)
        #expect(answers.filter { $0.fields["idempotency-replayed"] == nil }.count == 1)
        let list = try server.client().get(Self.allocations).json["items"].array
        #expect(list.count == 1)
        #expect(try server.stop() == .exited(0))
    }

    @Test(arguments: ["0", "1000001", "x", "-1"])
    func theTimeThatKeysAreHonouredIsANumberOfHours(hours: String) throws {
        let run = try GFPD.run(
            ["serve", "--port", "0", "--data", data],
            environment: ["GFPD_IDEMPOTENCY_HOURS": hours],
            scratch: scratch)
        #expect(run.end == .exited(1))
        #expect(run.errors.contains("GFPD_IDEMPOTENCY_HOURS"))
    }

    @Test func theCommandLineSaysForHowLong() throws {
        let server = try Server(
            data: data, ["--idempotency-hours", "48"],
            environment: ["GFPD_IDEMPOTENCY_HOURS": "x"], scratch: scratch)
        #expect(try post(server, Self.allocations, "{}", key: "k").status == 201)
        #expect(try server.stop() == .exited(0))
    }
}
