// A task exits: DELETE …/allocations?owner=x.

import Ledger
import Testing

@testable import API

struct OwnerTests {
    private let harness: Harness

    init() throws {
        harness = try Harness.withMachine()
    }

    private func release(
        _ owner: String, headers: [(String, String)] = []
    ) throws -> Answer {
        try harness.send(
            "DELETE", "/v1/machines/m/allocations?owner=\(owner)", headers: headers)
    }

    private func allocate(_ owner: String, order: Int = 0) throws {
        try harness.allocate(
            "{\"owner\": \"\(owner)\", \"allocation_control\": {\"order\": \(order)}}")
    }

    @Test func allOfAnOwnerIsFreedAndNothingElse() throws {
        try allocate("task:1", order: 3)
        try allocate("task:2")
        try harness.allocate()
        try allocate("task:1")
        let answer = try release("task%3A1")
        #expect(answer.status == 200)
        #expect(
            answer.json == [
                "machine": "m", "owner": "task:1", "freed_allocations": 2, "freed_pages": 9,
                "sequence": 7,
            ])
        #expect(answer["Gfpd-Sequence"] == "7")
        let live = try harness.items("/v1/machines/m/allocations")
        #expect(live.map { $0["id"] } == [3, 4])
        let frees = try harness.items("/v1/ledger?kind=free")
        #expect(frees.map { $0["allocation"] } == [2, 5])
        #expect(frees.allSatisfy { $0["request_id"]?.text == answer["X-Request-Id"] })
    }

    @Test func whatIsLeftOfAGrantCounts() throws {
        try allocate("t", order: 2)
        #expect(try harness.send("POST", "/v1/machines/m/pages/4096/free").status == 200)
        let answer = try release("t")
        #expect(answer.json["freed_allocations"] == 1)
        #expect(answer.json["freed_pages"] == 3)
    }

    @Test func aSecondTimeThereIsNothingLeft() throws {
        try allocate("t")
        #expect(try release("t").json["freed_allocations"] == 1)
        let last = harness.lastSequence
        let again = try release("t")
        #expect(again.status == 200)
        #expect(
            again.json == ["machine": "m", "owner": "t", "freed_allocations": 0, "freed_pages": 0])
        #expect(harness.lastSequence == last)
    }

    /// More than a page of the index, of which most have ended: they are found there.
    @Test(.timeLimit(.minutes(2))) func anOwnerAmongThousands() throws {
        let operations = (0..<1200).map { "{\"allocate\": {\"owner\": \"t\($0 % 2)\"}}" }
        let body = "{\"operations\": [\(operations.joined(separator: ", "))]}"
        #expect(try harness.send("POST", "/v1/machines/m/batch", body).status == 200)
        #expect(try release("t0").json["freed_allocations"] == 600)
        #expect(try harness.send("POST", "/v1/machines/m/batch", body).status == 200)
        #expect(try release("t1").json["freed_allocations"] == 1200)
        #expect(try release("t0").json["freed_allocations"] == 600)
        #expect(try harness.items("/v1/machines/m/allocations").isEmpty)
    }

    @Test func whatIsGrantedMeanwhileIsFreedToo() throws {
        try allocate("t")
        let message = Message("DELETE", "/v1/machines/m/allocations?owner=t")
        let grant = Message("POST", "/v1/machines/m/allocations", body: "{\"owner\": \"t\"}")
        let other = Message("POST", "/v1/machines/m/allocations", body: "{\"owner\": \"u\"}")
        let answers = try harness.turn([message, grant, other])
        #expect(answers.map(\.status) == [200, 201, 201])
        #expect(answers[0].json["freed_allocations"] == 2)
        #expect(try harness.items("/v1/machines/m/allocations").map { $0["id"] } == [4])
    }

    @Test func whatEndsMeanwhileIsNotFreedTwice() throws {
        try allocate("t")
        try allocate("t")
        let answers = try harness.turn([
            Message("DELETE", "/v1/machines/m/allocations?owner=t"),
            Message("DELETE", "/v1/machines/m/allocations/2"),
        ])
        #expect(answers.map(\.status) == [200, 200])
        #expect(answers[0].json["freed_allocations"] == 1)
    }

    @Test func aMachineThatIsDeletedMeanwhileIsNotFound() throws {
        try allocate("t")
        let answers = try harness.turn([
            Message("DELETE", "/v1/machines/m/allocations?owner=t"),
            Message("DELETE", "/v1/machines/m?force=true"),
            Message("POST", "/v1/machines?name=m", body: SmallMachine.topology),
        ])
        expectProblem(answers[0], 404, "machine-not-found")
        #expect(answers[2].status == 201)
    }

    @Test func theMachineMustBeThatVersion() throws {
        try allocate("t")
        expectProblem(
            try release("t", headers: [("If-Match", "\"1\"")]), 412, "precondition-failed")
        #expect(try release("t", headers: [("If-Match", "\"2\"")]).status == 200)
    }

    @Test func underAKeyItHappensOnce() throws {
        try allocate("t")
        let key = [("Idempotency-Key", "k")]
        let message = Message("DELETE", "/v1/machines/m/allocations?owner=t", headers: key)
        let both = try harness.turn([message, message])
        #expect(both.map(\.status) == [200, 200])
        #expect(both[0].bytes == both[1].bytes)
        let replays = both.map { $0["Idempotency-Replayed"] }
        #expect(replays.compactMap(\.self) == ["true"])
        try allocate("t")
        let restarted = try Harness(over: harness.ledger)
        let third = try restarted.send(
            "DELETE", "/v1/machines/m/allocations?owner=t", headers: key)
        #expect(third.bytes == both[0].bytes)
        #expect(third["Idempotency-Replayed"] == "true")
        #expect(try restarted.items("/v1/machines/m/allocations").count == 1)
    }

    @Test func aKeyOfARequestThatFreedNothingIsStillFree() throws {
        let key = [("Idempotency-Key", "k")]
        #expect(try release("t", headers: key).json["freed_allocations"] == 0)
        try allocate("t")
        #expect(try release("t", headers: key).json["freed_allocations"] == 1)
    }

    @Test(arguments: [
        "", "?owner=", "?owner=%07", "?Owner=t", "?owner=t&owner=u", "?owner=t&state=live",
    ])
    func theOwnerMustBeGiven(query: String) throws {
        let answer = try harness.send("DELETE", "/v1/machines/m/allocations\(query)")
        #expect(answer.status == 400)
        #expect(answer.slug == "invalid-request")
        #expect(harness.lastSequence == 1)
    }

    @Test func ownersAreOfAMachine() throws {
        try harness.createMachine("n")
        try harness.allocate("{\"owner\": \"t\"}", on: "n")
        #expect(try release("t").json["freed_allocations"] == 0)
        expectProblem(
            try harness.send("DELETE", "/v1/machines/x/allocations?owner=t"), 404,
            "machine-not-found")
        #expect(try harness.items("/v1/machines/n/allocations").count == 1)
    }

    @Test func withoutRoomOnTheDiskNothingIsFreed() throws {
        try allocate("t")
        harness.disk.freeBytes = 0
        expectProblem(try release("t"), 507, "insufficient-storage")
        harness.disk.freeBytes = .max
        #expect(try release("t").json["freed_allocations"] == 1)
    }
}
