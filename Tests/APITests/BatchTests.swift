// POST …/batch over HTTP: what it reads, what it answers, and that it does what the single requests
// do.

import AllocationService
import Ledger
import TestSupport
import Testing

@testable import API
@testable import HTTPServer

struct BatchTests {
    private let harness: Harness

    init() throws {
        harness = try Harness.withMachine()
    }

    private func send(
        _ operations: [String], atomic: Bool? = nil, headers: [(String, String)] = []
    ) throws -> Answer {
        let mode = atomic.map { "\"atomic\": \($0), " } ?? ""
        let body = "{\(mode)\"operations\": [\(operations.joined(separator: ", "))]}"
        return try harness.send("POST", "/v1/machines/m/batch", body, headers: headers)
    }

    // MARK: Results

    @Test(arguments: [nil, false, true])
    func eachOperationIsAnsweredAsItWouldBeAlone(atomic: Bool?) throws {
        let answer = try send(
            [
                #"{"allocate": {"allocation_control": {"order": 2}, "owner": "o"}}"#,
                #"{"allocate": {}}"#, #"{"free": {"id": 3}}"#,
                #"{"free_page": {"pfn": 4096, "order": 1}}"#, #"{"free_page": {"pfn": 4098}}"#,
            ], atomic: atomic)
        #expect(answer.status == 200, "\(answer.body)")
        #expect(answer["Gfpd-Sequence"] == "6")
        #expect(harness.lastSequence == 6)
        let results = try #require(answer.json["results"]).elements
        #expect(results.map { $0["status"]?.number } == [201, 201, 200, 200, 200])
        #expect(results.map { $0["sequence"]?.number } == [2, 3, 4, 5, 6])
        #expect(results[0]["id"]?.number == 2)
        #expect(results[0]["owner"]?.text == "o")
        #expect(results[0]["state"]?.text == "live")
        #expect(results[2]["allocation"]?.number == 3)
        #expect(results[2]["state"]?.text == "freed")
        #expect(results[3]["pages"]?.number == 2)
        let allocation = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(allocation["freed_ranges"]?.elements.count == 1)
        let ids = try harness.items("/v1/ledger?after=1").map { $0["request_id"]?.text }
        #expect(Set(ids) == [answer["X-Request-Id"]])
    }

    @Test func refusalsAreResults() throws {
        let answer = try send([
            #"{"free": {"id": 9}}"#, #"{"allocate": {"allocation_control": {"node": 7}}}"#,
            #"{"allocate": {"control": "none"}}"#, #"{"allocate": {}}"#,
            #"{"free_page": {"pfn": 3, "order": 1}}"#,
            #"{"allocate": {"allocation_control": {"phase": 4096, "alignment": 4096}}}"#,
        ])
        #expect(answer.status == 200)
        let results = try #require(answer.json["results"]).elements
        #expect(results.map { $0["status"]?.number } == [404, 422, 404, 201, 409, 400])
        let problems = results.map { $0["problem"] }
        let types = problems.map { $0?["type"]?.text }
        #expect(
            types == [
                "/problems/allocation-not-found", "/problems/unsatisfiable",
                "/problems/control-not-found", nil, "/problems/not-allocated",
                "/problems/invalid-request",
            ])
        for problem in problems.compactMap(\.self) {
            #expect(problem["request_id"]?.text == answer["X-Request-Id"])
            #expect(problem["instance"]?.text == "/v1/machines/m/batch")
        }
        #expect(
            problems.map { $0?["errors"]?[0]?["pointer"]?.text } == [
                nil, "/operations/1/allocate/allocation_control/node",
                "/operations/2/allocate/control", nil, nil,
                "/operations/5/allocate/allocation_control/phase",
            ])
        // What names no control and what contradicts itself leaves no entry.
        #expect(problems.map { $0?["sequence"]?.number } == [2, 3, nil, nil, 5, nil])
        #expect(harness.lastSequence == 5)
    }

    @Test func outOfMemoryIsExplained() throws {
        let all = #"{"allocate": {"allocation_control": {"order": 10}}}"#
        let results = try #require(try send(Array(repeating: all, count: 12)).json["results"])
        let refused = results.elements.filter { $0["status"]?.number == 409 }
        #expect(!refused.isEmpty && refused.count < 12)
        for result in refused {
            #expect(result["problem"]?["explanation"]?["zonelist"] != nil)
        }
    }

    // MARK: Atomic

    @Test func allOrNone() throws {
        try harness.allocate()
        let before = LedgerStateImage(harness.service.state).machines[0].allocator
        let answer = try send(
            [
                #"{"allocate": {"allocation_control": {"order": 2}}}"#, #"{"free": {"id": 2}}"#,
                #"{"free_page": {"pfn": 4101, "order": 1}}"#, #"{"allocate": {}}"#,
            ], atomic: true)
        expectProblem(answer, 422, "misaligned", at: "/operations/2/free_page/pfn")
        #expect(answer.json["operation"]?.number == 2)
        #expect(answer.sequence == 3)
        #expect(harness.lastSequence == 3)
        #expect(LedgerStateImage(harness.service.state).machines[0].allocator == before)
        let entry = try harness.send("GET", "/v1/ledger/3").json
        #expect(entry["outcome"]?.text == "refused")
    }

    @Test func whatIsNoRequestKeepsAllFromBeingDone() throws {
        let answer = try send(
            [#"{"free": {"id": 77}}"#, #"{"allocate": {"control": "none"}}"#], atomic: true)
        expectProblem(answer, 404, "control-not-found", at: "/operations/1/allocate/control")
        #expect(answer.json["operation"]?.number == 1)
        #expect(harness.lastSequence == 1)
    }

    @Test(arguments: [false, true])
    func theVersionIsLookedAtOnce(atomic: Bool) throws {
        let operations = [#"{"allocate": {}}"#, #"{"allocate": {}}"#]
        let stale = try send(operations, atomic: atomic, headers: [("If-Match", "\"9\"")])
        expectProblem(stale, 412, "precondition-failed")
        #expect(harness.lastSequence == 1)
        let right = try send(operations, atomic: atomic, headers: [("If-Match", "\"1\"")])
        #expect(right.status == 200)
        #expect(harness.lastSequence == 3)
    }

    // MARK: Bodies

    @Test(arguments: [
        ("", ""), ("[]", ""), ("{}", "/operations"), ("{\"operations\": {}}", "/operations"),
        ("{\"operations\": [], \"x\": 1}", "/x"),
        ("{\"operations\": [], \"atomic\": 1}", "/atomic"),
        ("{\"operations\": [1]}", "/operations/0"), ("{\"operations\": [{}]}", "/operations/0"),
        ("{\"operations\": [{\"allocate\": {}, \"free\": {\"id\": 1}}]}", "/operations/0"),
        ("{\"operations\": [{\"allocate\": {}}, {\"take\": {}}]}", "/operations/1/take"),
        ("{\"operations\": [{\"allocate\": {\"x\": 1}}]}", "/operations/0/allocate/x"),
        ("{\"operations\": [{\"free\": {}}]}", "/operations/0/free/id"),
        ("{\"operations\": [{\"free\": {\"id\": 0}}]}", "/operations/0/free/id"),
        ("{\"operations\": [{\"free\": {\"id\": \"1\"}}]}", "/operations/0/free/id"),
        ("{\"operations\": [{\"free\": {\"id\": 1, \"x\": 1}}]}", "/operations/0/free/x"),
        ("{\"operations\": [{\"free_page\": {}}]}", "/operations/0/free_page/pfn"),
        (
            "{\"operations\": [{\"free_page\": {\"pfn\": 4503599627370496}}]}",
            "/operations/0/free_page/pfn"
        ),
        (
            "{\"operations\": [{\"free_page\": {\"pfn\": 1, \"order\": 11}}]}",
            "/operations/0/free_page/order"
        ),
        (
            "{\"operations\": [{\"free_page\": {\"pfn\": 1, \"x\": 11}}]}",
            "/operations/0/free_page/x"
        ),
    ])
    func bodiesThatAreNoBatch(body: String, pointer: String) throws {
        let answer = try harness.send("POST", "/v1/machines/m/batch", body)
        #expect(answer.status == 400, "\(body): \(answer.body)")
        #expect(answer.pointer == pointer, "\(body): \(answer.body)")
        #expect(harness.lastSequence == 1)
    }

    @Test func noOperations() throws {
        let answer = try send([])
        #expect(answer.status == 200)
        #expect(answer.body == "{\"results\":[]}")
        expectProblem(
            try harness.send("POST", "/v1/machines/m/batch"), 400, "invalid-request", at: "")
        expectProblem(
            try harness.send("POST", "/v1/machines/n/batch", "{\"operations\": []}"), 404,
            "machine-not-found")
    }

    @Test func asManyOperationsAsAreAllowed() throws {
        let limit = ServiceLimits.batchOperations
        let operation = "{\"free\": {\"id\": 1}}"
        let tooMany = try send(Array(repeating: operation, count: limit + 1))
        expectProblem(tooMany, 400, "invalid-request", at: "/operations/\(limit)")
        #expect(tooMany.json["detail"]?.text?.contains("\(limit)") == true)
        #expect(harness.lastSequence == 1)
        let answer = try send(Array(repeating: operation, count: limit))
        #expect(answer.json["results"]?.elements.count == limit)
        #expect(harness.lastSequence == UInt64(limit) + 1)
    }

    @Test func aBatchCountsAsItsOperations() throws {
        let body = "{\"operations\": [{\"allocate\": {}}, {\"allocate\": {}}]}"
        let request = try Message("POST", "/v1/machines/m/batch", body: body).request()
        let exchange = ExchangeID(connection: 99, number: 1)
        guard case .answer(let response) = harness.respond(to: request, exchange: exchange) else {
            Issue.record("no answer")
            return
        }
        #expect(response.requestCount == 2)
    }

    @Test func theBodyMayBeLarge() throws {
        let limits = AllocationAPI.serverLimits
        let length = limits.maximumBodyBytes + 1
        for (method, path, isTaken) in [
            ("POST", "/v1/machines/m/batch", true), ("PUT", "/v1/machines/m/batch", false),
            ("POST", "/v1/machines/m/allocations", false), ("POST", "/v1/machines/%/batch", false),
        ] {
            for count in isTaken ? [length, BodyLimits.batchBytes] : [] {
                #expect(Self.refusal(method, path, count, limits) == nil)
            }
            let beyond = isTaken ? BodyLimits.batchBytes + 1 : length
            #expect(Self.refusal(method, path, beyond, limits) == .bodyTooLarge)
        }
        let problem = try Answer(
            harness.answer(toMalformed: .bodyTooLarge), isHead: false)
        let detail = try #require(problem.json["detail"]?.text)
        #expect(detail.contains("\(limits.maximumBodyBytes)"))
        #expect(detail.contains("\(BodyLimits.batchBytes)"))
    }

    /// Why a request with a body of so many bytes is refused by its head; nil where it is not.
    private static func refusal(
        _ method: String, _ path: String, _ count: Int, _ limits: HTTPServerLimits
    ) -> HTTPRequestError? {
        var parser = HTTPRequestParser(limits: limits)
        parser.append(
            Array("\(method) \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n".utf8))
        guard case .failed(let error) = parser.next() else { return nil }
        return error
    }

    // MARK: At random

    /// A batch's results are the answers to its operations, one by one, but for what names the
    /// request.
    @Test(arguments: UInt64(1)...4)
    func randomBatches(seed: UInt64) throws {
        let single = try Harness.withMachine()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<25 {
            let operations = (0..<random.below(12)).map { _ in
                RandomOperation(&random, newest: harness.lastSequence)
            }
            let answer = try send(operations.map(\.inBatch))
            let results = try #require(answer.json["results"]).elements
            #expect(results.count == operations.count)
            for (operation, result) in zip(operations, results) {
                let alone = try single.send(operation.method, operation.target, operation.body)
                #expect(result["status"]?.number == UInt64(alone.status))
                let members = alone.status < 300 ? result : try #require(result["problem"])
                for name in ["id", "pfn", "pages", "state", "sequence", "type", "detail", "reason"]
                {
                    #expect(members[name] == alone.json[name], "\(operation.inBatch): \(name)")
                }
            }
        }
        let images = [harness, single].map { LedgerStateImage($0.service.state).machines[0] }
        #expect(images[0].allocator == images[1].allocator)
        #expect(images[0].lastSequence == images[1].lastSequence)
        let recovered = try LedgerState.recover(from: harness.ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(harness.service.state))
    }
}

/// An operation in both spellings.
private struct RandomOperation {
    let inBatch: String
    let method: String
    let target: String
    let body: String?

    init(_ random: inout SeededGenerator, newest: UInt64) {
        switch random.below(6) {
        case 0...2:
            let body = "{\"allocation_control\": {\"order\": \(random.below(11))}}"
            (inBatch, self.body) = ("{\"allocate\": \(body)}", body)
            (method, target) = ("POST", "/v1/machines/m/allocations")
        case 3...4:
            let id = 1 + random.below(Int(newest) + 6)
            inBatch = "{\"free\": {\"id\": \(id)}}"
            (method, target, body) = ("DELETE", "/v1/machines/m/allocations/\(id)", nil)
        default:
            let pfn = 4096 + random.below(64)
            let order = random.chance(percent: 50) ? random.below(3) : nil
            let member = order.map { ", \"order\": \($0)" } ?? ""
            inBatch = "{\"free_page\": {\"pfn\": \(pfn)\(member)}}"
            (method, target) = ("POST", "/v1/machines/m/pages/\(pfn)/free")
            body = order.map { "{\"order\": \($0)}" }
        }
    }
}
