// `wait_ms`: an allocation whose answer comes when pages do, or its time has.

import AllocationService
import Testing

@testable import API
@testable import HTTPServer

struct WaitTests {
    private let harness: Harness

    /// The ids that fill the machine: blocks of order 10, whatever the watermarks say.
    private let blocks: [UInt64]

    private static let allocations = "/v1/machines/m/allocations"

    init() throws {
        harness = try Harness.withMachine()
        var blocks: [UInt64] = []
        while true {
            let answer = try harness.send("POST", Self.allocations, Self.body())
            guard answer.status == 201 else { break }
            blocks.append(try #require(answer.json["id"]?.number))
        }
        self.blocks = blocks
        try #require(blocks.count > 4)
    }

    /// A block of 4 MiB, by a caller that may sleep unless `flags` say otherwise.
    private static func body(
        wait: Int? = nil, flags: String = "GFP_KERNEL|__GFP_MEMALLOC", order: Int = 10
    ) -> String {
        let wait = wait.map { ", \"wait_ms\": \($0)" } ?? ""
        return """
            {"allocation_control": {"flags": "\(flags)", "order": \(order)}\(wait)}
            """
    }

    private func wait(
        _ milliseconds: Int = 60_000, headers: [(String, String)] = []
    ) throws -> ExchangeID {
        try harness.open(
            "POST", Self.allocations, Self.body(wait: milliseconds), headers: headers)
    }

    private func free(_ position: Int) throws {
        let answer = try harness.send("DELETE", "\(Self.allocations)/\(blocks[position])")
        try #require(answer.status == 200, "\(answer.body)")
    }

    @Test func aFreeIsAnswer() throws {
        let last = harness.lastSequence
        let exchange = try wait(headers: [("X-Request-Id", "patient")])
        #expect(harness.lastSequence == last)
        #expect(try harness.answer(to: exchange) == nil)
        try free(2)
        let answer = try #require(try harness.answer(to: exchange))
        #expect(answer.status == 201)
        #expect(answer["Location"] == "\(Self.allocations)/\(last + 2)")
        #expect(answer["X-Request-Id"] == "patient")
        #expect(answer["Gfpd-Sequence"] == String(last + 2))
        let entry = try harness.send("GET", "/v1/ledger/\(last + 2)").json
        #expect(entry["outcome"]?.text == "granted")
        #expect(entry["request_id"]?.text == "patient")
        #expect(entry["pfn"]?.number == answer.json["pfn"]?.number)
        // It reads as the same answer without a wait would.
        let read = try harness.send("GET", "\(Self.allocations)/\(last + 2)")
        #expect(read.json == answer.json)
    }

    @Test func theOldestIsFirst() throws {
        let waits = [try wait(), try wait(), try wait()]
        for (position, exchange) in waits.enumerated() {
            try free(position)
            let answered = try waits.filter { try harness.answer(to: $0) != nil }
            #expect(answered == Array(waits[...position]))
            #expect(try harness.answer(to: exchange)?.status == 201)
        }
    }

    @Test func atItsTimeItIsRefused() throws {
        // The clock moves on by a second with each look.
        let exchange = try wait(30_000)
        let wait = try #require(harness.timeToNextTurn)
        #expect(wait > .seconds(20) && wait <= .seconds(30))
        var turns = 0
        while try harness.answer(to: exchange) == nil {
            _ = try harness.turn([])
            turns += 1
            try #require(turns < 40)
        }
        #expect(turns > 10)
        let answer = try #require(try harness.answer(to: exchange))
        expectProblem(answer, 409, "out-of-memory")
        #expect(answer.json["explanation"]?["certificate"] != nil)
        #expect(answer.json["instance"]?.text == Self.allocations)
        #expect(answer.sequence == harness.lastSequence)
        let entry = try harness.send("GET", "/v1/ledger/\(harness.lastSequence)").json
        #expect(entry["reason"]?.text == "out_of_memory")
        #expect(harness.timeToNextTurn == nil)
    }

    @Test(arguments: ["GFP_ATOMIC", "GFP_NOWAIT", "0"])
    func whoMayNotSleepIsAnsweredAtOnce(flags: String) throws {
        let answer = try harness.send(
            "POST", Self.allocations, Self.body(wait: 60_000, flags: flags))
        expectProblem(answer, 409, "out-of-memory")
        #expect(answer.sequence == harness.lastSequence)
    }

    @Test func whatFitsOrNeverWillIsAnsweredAtOnce() throws {
        try free(0)
        #expect(
            try harness.send("POST", Self.allocations, Self.body(wait: 60_000)).status == 201)
        let never = """
            {"allocation_control": {"high_boundary": 4095, "order": 1}, "wait_ms": 60000}
            """
        expectProblem(
            try harness.send("POST", Self.allocations, never), 422, "unsatisfiable")
    }

    @Test(arguments: ["0", "-1", "60001", "1.5", "\"1\"", "null"])
    func waitsThatAreNone(value: String) throws {
        let answer = try harness.send("POST", Self.allocations, "{\"wait_ms\": \(value)}")
        expectProblem(answer, 400, "invalid-request", at: "/wait_ms")
    }

    @Test func aBatchDoesNotWait() throws {
        let body = "{\"operations\": [{\"allocate\": {}}, {\"allocate\": {\"wait_ms\": 1}}]}"
        let answer = try harness.send("POST", "/v1/machines/m/batch", body)
        expectProblem(answer, 400, "invalid-request", at: "/operations/1/allocate/wait_ms")
    }

    @Test func explainDoesNotWait() throws {
        let answer = try harness.send("POST", "/v1/machines/m/explain", Self.body(wait: 60_000))
        #expect(answer.status == 200)
        #expect(answer.json["certificate"] != nil)
    }

    @Test func batchesLeasesAndDeletionsFree() throws {
        let first = try wait()
        let body = "{\"operations\": [{\"free\": {\"id\": \(blocks[0])}}]}"
        #expect(try harness.send("POST", "/v1/machines/m/batch", body).status == 200)
        #expect(try harness.answer(to: first)?.status == 201)

        let renewal = "\(Self.allocations)/\(blocks[1])/renew"
        #expect(try harness.send("POST", renewal, "{\"ttl_seconds\": 30}").status == 200)
        let second = try wait()
        while try harness.answer(to: second) == nil { _ = try harness.turn([]) }
        #expect(try harness.answer(to: second)?.status == 201)

        let third = try wait()
        #expect(try harness.send("DELETE", "/v1/machines/m?force=true").status == 200)
        expectProblem(
            try #require(try harness.answer(to: third)), 404, "machine-not-found")
    }

    @Test func aPeerThatGoesLeavesNothing() throws {
        let exchange = try wait()
        let last = harness.lastSequence
        harness.abandon(exchange)
        try free(0)
        #expect(harness.lastSequence == last + 1)
        #expect(harness.timeToNextTurn == nil)
    }

    @Test func aKeyIsInUseWhileItsRequestWaits() throws {
        let key = [("Idempotency-Key", "k")]
        let exchange = try wait(headers: key)
        let last = harness.lastSequence
        let body = Self.body(wait: 60_000)
        expectProblem(
            try harness.send("POST", Self.allocations, body, headers: key), 409,
            "idempotency-key-in-use")
        #expect(harness.lastSequence == last)
        try free(0)
        let answer = try #require(try harness.answer(to: exchange))
        #expect(answer.status == 201)
        #expect(answer["Idempotency-Replayed"] == nil)
        let again = try harness.send("POST", Self.allocations, body, headers: key)
        #expect(again.bytes == answer.bytes)
        #expect(again["Idempotency-Replayed"] == "true")
        #expect(again["Location"] == answer["Location"])
        #expect(harness.lastSequence == last + 2)
        let restarted = try Harness(over: harness.ledger)
        let later = try restarted.send("POST", Self.allocations, body, headers: key)
        #expect(later.bytes == answer.bytes)
    }

    @Test func aRefusalIsKeptUnderItsKeyToo() throws {
        let key = [("Idempotency-Key", "k")]
        let exchange = try wait(3000, headers: key)
        while try harness.answer(to: exchange) == nil { _ = try harness.turn([]) }
        let answer = try #require(try harness.answer(to: exchange))
        let again = try harness.send(
            "POST", Self.allocations, Self.body(wait: 3000), headers: key)
        #expect(again.status == 409)
        #expect(again.bytes == answer.bytes)
    }

    @Test func aStopEndsTheWait() throws {
        let exchanges = [try wait(), try wait(headers: [("Idempotency-Key", "k")])]
        let last = harness.lastSequence
        harness.api.drainBegan()
        _ = try harness.turn([])
        for exchange in exchanges {
            expectProblem(try #require(try harness.answer(to: exchange)), 503, "unavailable")
        }
        #expect(harness.lastSequence == last)
        // What comes from here on does not wait either.
        let late = try wait()
        expectProblem(try #require(try harness.answer(to: late)), 503, "unavailable")
        let restarted = try Harness(over: harness.ledger)
        let again = try restarted.open(
            "POST", Self.allocations, Self.body(wait: 60_000),
            headers: [("Idempotency-Key", "k")])
        #expect(try restarted.answer(to: again) == nil)
    }

    @Test func aVersionThatMovesOnEndsTheWait() throws {
        let version = try harness.send("GET", "/v1/machines/m")["ETag"]
        let exchange = try wait(headers: [("If-Match", try #require(version))])
        try free(0)
        expectProblem(
            try #require(try harness.answer(to: exchange)), 412, "precondition-failed")
    }

    @Test func soManyMayWait() throws {
        let body = Self.body(wait: 60_000)
        let request = try Message("POST", Self.allocations, body: body).request()
        // In one turn: with each look the clock moves on.
        for _ in 0..<ServiceLimits.waitingAllocations {
            let outcome = harness.respond(to: request, exchange: harness.nextExchange())
            guard case .deferredWhilePresent = outcome else {
                Issue.record("answered at once")
                return
            }
        }
        let outcome = harness.respond(to: request, exchange: harness.nextExchange())
        guard case .answer(let response) = outcome else {
            Issue.record("one too many waits")
            return
        }
        let answer = try Answer(response, isHead: false)
        expectProblem(answer, 503, "unavailable")
        #expect(answer["Retry-After"] == "1")
    }
}
