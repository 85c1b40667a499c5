// Leases over HTTP.

import AllocationService
import Ledger
import Testing

@testable import API

struct LeaseAnswerTests {
    private let harness: Harness

    init() throws {
        harness = try Harness.withMachine()
    }

    /// The time that is so many seconds after another.
    private func time(_ text: String?, plus seconds: UInt32) -> String? {
        text.flatMap(Timestamp.init(text:))?.adding(seconds: seconds).text
    }

    private func renew(_ id: UInt64, _ body: String?) throws -> Answer {
        try harness.send("POST", "/v1/machines/m/allocations/\(id)/renew", body)
    }

    @Test func theEndIsToldWhereverTheAllocationIs() throws {
        let granted = try harness.allocate("{\"ttl_seconds\": 3600}")
        let end = try #require(time(granted["granted_at"]?.text, plus: 3600))
        #expect(granted["expires_at"]?.text == end)
        try harness.allocate()
        let read = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(read["expires_at"]?.text == end)
        let items = try harness.items("/v1/machines/m/allocations")
        #expect(items.map { $0["expires_at"]?.text } == [end, nil])
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        let freed = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(freed["expires_at"]?.text == end)
    }

    @Test func renewing() throws {
        let granted = try harness.allocate("{\"ttl_seconds\": 3600, \"owner\": \"o\"}")
        let answer = try renew(2, "{\"ttl_seconds\": 7200}")
        #expect(answer.status == 200, "\(answer.body)")
        #expect(answer["Gfpd-Sequence"] == "3")
        let entry = try harness.send("GET", "/v1/ledger/3").json
        #expect(entry["kind"]?.text == "lease_renewed")
        #expect(entry["outcome"]?.text == "done")
        let end = time(entry["time"]?.text, plus: 7200)
        #expect(answer.json["expires_at"]?.text == end)
        #expect(answer.json["owner"]?.text == "o")
        #expect(answer.json["granted_at"]?.text == granted["granted_at"]?.text)
        let read = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(read["expires_at"]?.text == end)
        // A grant that had no lease.
        try harness.allocate()
        let second = try renew(4, "{\"ttl_seconds\": 1}")
        #expect(second.json["expires_at"] != nil)
    }

    @Test func leasesEndBeforeTheTurnsRequests() throws {
        try harness.allocate("{\"ttl_seconds\": 5}")
        // The clock moves on by a second with each look.
        for _ in 0..<6 { try harness.allocate() }
        let answer = try renew(2, "{\"ttl_seconds\": 5}")
        expectProblem(answer, 409, "already-freed")
        let expiries = try harness.items("/v1/ledger?kind=lease_expired")
        #expect(expiries.count == 1)
        #expect(expiries[0]["request_id"]?.text == "lease-expiry")
        #expect(expiries[0]["allocation"]?.number == 2)
        let read = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(read["state"]?.text == "freed")
    }

    @Test func anIdleServerIsWoken() throws {
        #expect(harness.timeToNextTurn == nil)
        try harness.allocate("{\"ttl_seconds\": 1}")
        #expect(harness.timeToNextTurn != nil)
        _ = try harness.turn([])
        let sequence = harness.lastSequence
        #expect(sequence == 3)
        #expect(harness.timeToNextTurn == nil)
        #expect(harness.ledger.shared.committed.count == Int(sequence))
    }

    @Test func whatIsNotAliveIsNotRenewed() throws {
        try harness.allocate("{\"ttl_seconds\": 3600}")
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        let freed = try renew(2, "{\"ttl_seconds\": 1}")
        expectProblem(freed, 409, "already-freed")
        #expect(freed.sequence == 4)
        let unknown = try renew(1, "{\"ttl_seconds\": 1}")
        expectProblem(unknown, 404, "allocation-not-found")
        #expect(unknown.sequence == 5)
    }

    @Test(
        arguments: [
            (nil, "/ttl_seconds"), ("{}", "/ttl_seconds"), ("{\"ttl_seconds\": 0}", "/ttl_seconds"),
            ("{\"ttl_seconds\": -1}", "/ttl_seconds"), ("{\"ttl_seconds\": 1.5}", "/ttl_seconds"),
            ("{\"ttl_seconds\": 31536001}", "/ttl_seconds"),
            ("{\"ttl_seconds\": null}", "/ttl_seconds"), ("{\"ttl_seconds\": 1, \"x\": 1}", "/x"),
        ] as [(String?, String)])
    func bodiesThatAreNoRenewal(body: String?, pointer: String) throws {
        try harness.allocate()
        expectProblem(try renew(2, body), 400, "invalid-request", at: pointer)
        if let body {
            let answer = try harness.send("POST", "/v1/machines/m/allocations", body)
            #expect(answer.status == (body == "{}" ? 201 : 400))
        }
    }

    @Test func theLongestLease() throws {
        let granted = try harness.allocate("{\"ttl_seconds\": \(ServiceLimits.ttlSeconds)}")
        #expect(
            granted["expires_at"]?.text
                == time(granted["granted_at"]?.text, plus: ServiceLimits.ttlSeconds))
    }
}
