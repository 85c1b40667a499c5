// Leases against the real binary, by the real clock: nobody has to ask for them to end.

import Foundation
import Glibc
import Testing

@Suite struct LeaseTests {
    private static let allocations = "/v1/machines/default/allocations"

    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    /// Now, as the ledger writes times, to the second.
    private func now() -> String {
        ISO8601DateFormatter().string(from: Date())
    }

    private func expiries(_ client: HTTPClient) throws -> [JSONValue] {
        try client.get("/v1/ledger?kind=lease_expired").json["items"].array
    }

    @Test func anIdleServerEndsLeasesInTime() throws {
        let server = try Server(data: data, scratch: scratch)
        let granted = try server.client().post(Self.allocations, "{\"ttl_seconds\": 1}")
        #expect(granted.status == 201)
        let end = try #require(granted.json["expires_at"].string)
        usleep(4_000_000)
        // Anything that is written because of these requests is later than this.
        let asked = now()
        let found = try expiries(server.client())
        #expect(found.count == 1)
        let time = try #require(found.first?["time"].string)
        #expect(found.first?["allocation"].int == granted.json["id"].int)
        #expect(found.first?["request_id"].string == "lease-expiry")
        #expect(time >= end)
        #expect(time < asked)
        let id = try #require(granted.json["id"].int)
        let read = try server.client().get("\(Self.allocations)/\(id)").json
        #expect(read["state"].string == "freed")
        #expect(read["expires_at"].string == end)
        #expect(try server.stop() == .exited(0))
    }

    @Test func leasesOutliveAKillAndEndOnce() throws {
        let first = try Server(data: data, scratch: scratch)
        let client = try first.client()
        let short = try client.post(Self.allocations, "{\"ttl_seconds\": 1}").json
        let long = try client.post(Self.allocations, "{\"ttl_seconds\": 1}").json
        let renewed = try client.post(
            "\(Self.allocations)/\(try #require(long["id"].int))/renew", "{\"ttl_seconds\": 600}")
        #expect(renewed.status == 200)
        try first.kill()
        usleep(1_500_000)
        for _ in 0..<2 {
            let server = try Server(data: data, scratch: scratch)
            let client = try server.client()
            let live = try client.get(Self.allocations).json["items"].array
            #expect(live.map { $0["id"].int } == [long["id"].int])
            #expect(live[0]["expires_at"].string == renewed.json["expires_at"].string)
            #expect(try expiries(client).map { $0["allocation"].int } == [short["id"].int])
            let late = try client.post(
                "\(Self.allocations)/\(try #require(short["id"].int))/renew",
                "{\"ttl_seconds\": 600}")
            #expect(late.status == 409)
            expectProblemDocument(late)
            try server.kill()
        }
    }
}
