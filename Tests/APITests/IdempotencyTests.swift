// Idempotency keys over HTTP: the same answer, byte for byte, in the same turn, later, and after a
// restart.

import AllocationService
import Testing

@testable import API

struct IdempotencyTests {
    private let harness: Harness

    init() throws {
        harness = try Harness.withMachine()
    }

    /// A request with a key.
    private static func message(
        _ method: String, _ target: String, _ body: String? = nil, key: String
    ) -> Message {
        Message(method, target, headers: [("Idempotency-Key", key)], body: body)
    }

    private func send(
        _ method: String, _ target: String, _ body: String? = nil, key: String
    ) throws -> Answer {
        try harness.send(method, target, body, headers: [("Idempotency-Key", key)])
    }

    /// The same answer but for what names this request.
    private func expectReplay(_ replay: Answer, of first: Answer) {
        #expect(replay["Idempotency-Replayed"] == "true")
        #expect(first["Idempotency-Replayed"] == nil)
        #expect(replay.status == first.status)
        #expect(replay.bytes == first.bytes)
        let names: Set = ["X-Request-Id", "Gfpd-Sequence", "Idempotency-Replayed"]
        let fields = [first, replay].map { answer in
            answer.fields.filter { !names.contains($0.name) }.map { "\($0.name): \($0.value)" }
        }
        #expect(fields[0] == fields[1])
        #expect(replay["X-Request-Id"] != first["X-Request-Id"])
    }

    static let writes: [(method: String, target: String, body: String?, status: Int)] = [
        ("POST", "/v1/machines?name=n", SmallMachine.topology, 201),
        ("POST", "/v1/machines?name=m", SmallMachine.topology, 409),
        ("PUT", "/v1/machines/m/controls/new", "{}", 201),
        ("PUT", "/v1/machines/m/controls/c", "{\"order\": 1}", 200),
        ("DELETE", "/v1/machines/m/controls/c", nil, 204),
        ("POST", "/v1/machines/m/allocations", "{\"labels\": {\"a\": \"\\u00e9\"}}", 201),
        ("POST", "/v1/machines/m/allocations", "{\"allocation_control\": {\"node\": 7}}", 422),
        ("POST", "/v1/machines/m/allocations/3/renew", "{\"ttl_seconds\": 60}", 200),
        ("POST", "/v1/machines/m/allocations/9/renew", "{\"ttl_seconds\": 60}", 404),
        ("DELETE", "/v1/machines/m/allocations/3", nil, 200),
        ("DELETE", "/v1/machines/m/allocations/9", nil, 404),
        ("POST", "/v1/machines/m/pages/4096/free", nil, 200),
        ("POST", "/v1/machines/m/pages/4097/free", "{\"order\": 0}", 409),
        (
            "POST", "/v1/machines/m/batch",
            "{\"operations\": [{\"allocate\": {}}, {\"free\": {\"id\": 9}}]}", 200
        ),
        (
            "POST", "/v1/machines/m/batch",
            "{\"atomic\": true, \"operations\": [{\"allocate\": {}}, {\"free\": {\"id\": 9}}]}", 404
        ),
        (
            "POST", "/v1/machines/m/batch",
            "{\"operations\": [{\"allocate\": {}}, {\"allocate\": {\"control\": \"none\"}}]}", 200
        ),
        ("DELETE", "/v1/machines/m?force=true", nil, 200),
    ]

    /// A conflict that is told from the state alone leaves no entry.
    private static func recordsNothing(_ answer: Answer) -> Bool { answer.slug == "machine-exists" }

    @Test(arguments: IdempotencyTests.writes.indices)
    func eachWriteIsDoneOnce(position: Int) throws {
        _ = try harness.send("PUT", "/v1/machines/m/controls/c", "{}")
        try harness.allocate()
        let (method, target, body, status) = Self.writes[position]
        let first = try send(method, target, body, key: "k 1")
        #expect(first.status == status, "\(first.body)")
        let sequence = harness.lastSequence
        let second = try send(method, target, body, key: "k 1")
        if Self.recordsNothing(first) {
            #expect(second["Idempotency-Replayed"] == nil)
        } else {
            expectReplay(second, of: first)
            #expect(second["Gfpd-Sequence"] == String(sequence))
        }
        #expect(harness.lastSequence == sequence)
        let restarted = try Harness(over: harness.ledger)
        guard !Self.recordsNothing(first) else { return }
        let third = try restarted.send(
            method, target, body, headers: [("Idempotency-Key", "k 1")])
        expectReplay(third, of: first)
        #expect(restarted.lastSequence == sequence)
    }

    @Test func theSecondOfATurnSeesTheFirst() throws {
        let message = Self.message("POST", "/v1/machines/m/allocations", "{}", key: "k")
        let other = Self.message("POST", "/v1/machines/m/allocations", "{ }", key: "k")
        let answers = try harness.turn([message, message, other, message])
        #expect(answers.map(\.status) == [201, 201, 422, 201])
        expectReplay(answers[1], of: answers[0])
        expectReplay(answers[3], of: answers[0])
        expectProblem(answers[2], 422, "idempotency-key-reused")
        #expect(answers[2].json["key_sequence"]?.number == 2)
        #expect(harness.lastSequence == 2)
    }

    @Test func anotherRequestUnderTheKeyIsRefused() throws {
        _ = try send("POST", "/v1/machines/m/allocations", "{\"cpu\": 0}", key: "k")
        try harness.createMachine("n")
        for (method, target, body) in [
            ("POST", "/v1/machines/m/allocations", "{\"cpu\": 1}"),
            ("POST", "/v1/machines/n/allocations", "{\"cpu\": 0}"),
            ("POST", "/v1/machines/m/allocations", nil),
            ("POST", "/v1/machines/m/allocations?x", "{\"cpu\": 0}"),
            ("DELETE", "/v1/machines/m/allocations/2", nil),
            ("PUT", "/v1/machines/m/controls/c", "{\"cpu\": 0}"),
        ] as [(String, String, String?)] {
            let answer = try send(method, target, body, key: "k")
            expectProblem(answer, 422, "idempotency-key-reused", "\(method) \(target)")
        }
        #expect(harness.lastSequence == 3)
    }

    @Test func whatRecordsNothingUsesNoKey() throws {
        for (target, body, status) in [
            ("/v1/machines/m/allocations", "{", 400), ("/v1/machines/x/allocations", "{}", 404),
            ("/v1/machines/m/allocations", "{\"control\": \"none\"}", 404),
            ("/v1/machines/m/batch", "{\"operations\": []}", 200),
            (
                "/v1/machines/m/batch",
                "{\"operations\": [{\"allocate\": {\"control\": \"none\"}}]}", 200
            ),
        ] {
            for _ in 0..<2 {
                let answer = try send("POST", target, body, key: "k")
                #expect(answer.status == status)
                #expect(answer["Idempotency-Replayed"] == nil)
            }
        }
        let stale = try harness.send(
            "POST", "/v1/machines/m/allocations", "{}",
            headers: [("Idempotency-Key", "k"), ("If-Match", "\"9\"")])
        #expect(stale.status == 412)
        #expect(harness.lastSequence == 1)
        #expect(try send("POST", "/v1/machines/m/allocations", "{}", key: "k").status == 201)
    }

    @Test func readsTakeNoKey() throws {
        for (method, target, body) in [
            ("GET", "/v1/machines/m", nil), ("POST", "/v1/machines/m/explain", "{}"),
            ("GET", "/livez", nil),
        ] as [(String, String, String?)] {
            for _ in 0..<2 {
                let answer = try send(method, target, body, key: "k")
                #expect(answer.status == 200)
                #expect(answer["Idempotency-Replayed"] == nil)
            }
        }
    }

    @Test func keysAreOfPrintableASCII() throws {
        let length = ServiceLimits.idempotencyKeyLength
        for key in ["", "\u{e9}", "a\tb", String(repeating: "k", count: length + 1)] {
            let answer = try send("POST", "/v1/machines/m/allocations", "{}", key: key)
            expectProblem(answer, 400, "invalid-request", at: "/header/Idempotency-Key")
        }
        #expect(harness.lastSequence == 1)
        for key in ["~", "\"quoted\"", String(repeating: "k", count: length)] {
            #expect(try send("POST", "/v1/machines/m/allocations", "{}", key: key).status == 201)
        }
    }

    @Test func freedMeanwhile() throws {
        let first = try send("POST", "/v1/machines/m/allocations", "{}", key: "k")
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        expectReplay(
            try send("POST", "/v1/machines/m/allocations", "{}", key: "k"), of: first)
    }
}
