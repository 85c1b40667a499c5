// `gfpd history`, as an operator runs it: it says what the server says.

import Foundation
import Testing

@Suite struct HistoryCommandTests {
    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }
    private static let machine = "/v1/machines/default"

    init() throws {
        scratch = try ScratchDirectory()
    }

    /// Grants, frees, refusals and controls, and two machines of one name.
    private func write(_ client: HTTPClient) throws {
        for number in 0..<12 {
            let body = """
                {"owner": "\(number % 3 == 0 ? "a" : "b")", "allocation_control": \
                {"order": \(number % 4)}}
                """
            let grant = try client.post(Self.machine + "/allocations", body)
            try #require(grant.status == 201, "\(grant.text)")
            guard number % 2 == 0, let id = grant.json["id"].int else { continue }
            for _ in 0..<2 { _ = try client.send("DELETE", Self.machine + "/allocations/\(id)") }
        }
        _ = try client.send("PUT", Self.machine + "/controls/c", "{}")
        for _ in 0..<2 {
            let created = try client.post("/v1/machines?name=twice", KillTests.topology)
            try #require(created.status == 201)
            _ = try client.post("/v1/machines/twice/allocations", "{\"owner\": \"a\"}")
            let deleted = try client.send("DELETE", "/v1/machines/twice?force=true")
            try #require(deleted.status == 200 || deleted.status == 204)
        }
    }

    @Test func itPrintsWhatTheServerAnswers() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        try write(client)
        let grant = try client.get("/v1/ledger?outcome=granted&page_size=1").json["items"][0]
        let pfn = try #require(grant["pfn"].int)
        let id = try #require(grant["allocation"].int)
        let time = try #require(grant["time"].string)
        let questions: [[(filter: String, value: String)]] = [
            [], [("owner", "a")], [("kind", "free")], [("outcome", "refused")],
            [("pfn", "\(pfn)")], [("allocation", "\(id)")], [("machine", "twice")],
            [("machine", "default"), ("owner", "b")], [("order", "2")], [("zone", "Normal")],
            [("node", "0")], [("control", "c")], [("request_id", "none")],
            [("after", "4"), ("before", "20")], [("since", time)], [("until", time)],
            [("machine", "nobody")],
        ]
        var expected: [([String], String)] = []
        for question in questions {
            let query = question.map { "&\($0.filter)=\($0.value)" }.joined()
            let options = question.flatMap { filter, value in
                ["--" + filter.replacingOccurrences(of: "_", with: "-"), value]
            }
            for (sort, flags) in [("asc", []), ("desc", ["--descending"])] {
                let path = "/v1/ledger?page_size=1000&sort=\(sort)\(query)"
                expected.append((options + flags, try client.get(path).text))
            }
        }
        for (options, answer) in expected { try expect(options, answer, "beside the server") }
        #expect(try server.stop() == .exited(0))
        for (options, answer) in expected { try expect(options, answer, "without a server") }
        let first = try GFPD.run(["history", data, "--limit", "3"], scratch: scratch)
        #expect(first.output.split(separator: "\n").count == 3)
    }

    private func expect(_ options: [String], _ answer: String, _ when: String) throws {
        let printed = try GFPD.run(["history", data] + options, scratch: scratch)
        #expect(printed.end == .exited(0), "\(options) \(when): \(printed.errors)")
        let items = printed.output.split(separator: "\n").joined(separator: ",")
        #expect("{\"items\":[\(items)]}" == answer, "\(options) \(when)")
    }

    @Test func whatItCannotDoIsSaid() throws {
        let none = try GFPD.run(["history", data], scratch: scratch)
        #expect(none.end == .exited(1))
        #expect(none.errors.contains("cannot read the ledger in"))
        let server = try Server(data: data, scratch: scratch)
        #expect(try server.stop() == .exited(0))
        for (option, value, rule) in [
            ("--kind", "gift", "must be one of"), ("--pfn", "x", "must be an integer"),
            ("--since", "noon", "must be a time"), ("--limit", "0", "must be 1 or more"),
        ] {
            let refused = try GFPD.run(["history", data, option, value], scratch: scratch)
            #expect(refused.end != .exited(0))
            #expect(refused.errors.contains("\(option) \(rule)"), "\(refused.errors)")
        }
    }

    @Test func aDamagedEntryIsNamed() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        for owner in ["alice", "mallory", "bob"] {
            let body = "{\"owner\":\"\(owner)\"}"
            #expect(try client.post(Self.machine + "/allocations", body).status == 201)
        }
        #expect(try server.stop() == .exited(0))
        try Forgery.replace("mallory", by: "forgery", inLedger: data)
        let printed = try GFPD.run(["history", data], scratch: scratch)
        #expect(printed.end == .exited(1))
        #expect(printed.errors.contains("entry 3: it is not what was written"), "\(printed)")
        let others = try GFPD.run(["history", data, "--owner", "bob"], scratch: scratch)
        #expect(others.end == .exited(0), "\(others.errors)")
        #expect(others.output.contains("\"sequence\":4,"))
    }
}
