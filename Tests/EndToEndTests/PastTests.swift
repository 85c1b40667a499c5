// The past, asked of a server: what it was, a page's history, and the chain, also after a restart
// and after the end that nobody wished for.

import Foundation
import Glibc
import Testing

@Suite struct PastTests {
    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    private static let machine = "/v1/machines/default"

    /// Every read of the state.
    private static let reads =
        ["/v1/machines"]
        + [
            "", "/zones", "/buddyinfo", "/pagetypeinfo", "/numastat", "/fragmentation", "/controls",
            "/allocations", "/allocations?state=all&sort=desc", "/allocations?owner=o",
            "/allocations?state=freed",
        ].map { machine + $0 }

    /// The number of an answer's field.
    private static func sequence(_ answer: Answer) -> UInt64? {
        answer.fields["gfpd-sequence"].flatMap { UInt64($0) }
    }

    /// What each read says now, by its path.
    private func reads(_ client: HTTPClient, pages: [Int]) throws -> [String: String] {
        let paths = Self.reads + pages.map { Self.machine + "/pages/\($0)" }
        var said: [String: String] = [:]
        for path in paths { said[path] = try client.get(path).text }
        return said
    }

    private func expect(
        _ said: [UInt64: [String: String]], of client: HTTPClient, _ when: String
    ) throws {
        for (sequence, reads) in said {
            for (path, text) in reads {
                let target = path + (path.contains("?") ? "&" : "?") + "at=\(sequence)"
                let answer = try client.get(target)
                #expect(answer.text == text, "\(target) \(when)")
                #expect(Self.sequence(answer) == sequence, "\(target) \(when)")
            }
        }
    }

    @Test func thePastSurvivesRestartAndKill() throws {
        let first = try Server(data: data, scratch: scratch)
        let client = try first.client()
        var said: [UInt64: [String: String]] = [:]
        var pages: [Int] = []
        for step in 0..<24 {
            let body = """
                {"owner": "\(step % 3 == 0 ? "o" : "p")", "allocation_control": \
                {"order": \(step % 4)}}
                """
            let grant = try client.post(Self.machine + "/allocations", body)
            try #require(grant.status == 201)
            if step < 3 { pages.append(try #require(grant.json["pfn"].int)) }
            if step % 2 == 1, let id = grant.json["id"].int {
                _ = try client.send("DELETE", Self.machine + "/allocations/\(id)")
            }
            if step % 6 == 5 {
                _ = try client.send("PUT", Self.machine + "/controls/c\(step)", "{}")
            }
            let now = try #require(Self.sequence(try client.get("/v1/ledger/head")))
            said[now] = try reads(client, pages: pages)
        }
        try expect(said, of: client, "before the restart")
        let head = try client.get("/v1/ledger/head").text
        #expect(try first.stop() == .exited(0))

        let second = try Server(data: data, scratch: scratch)
        try expect(said, of: second.client(), "after the restart")
        #expect(try second.client().get("/v1/ledger/head").text == head)
        try second.kill()

        let third = try Server(data: data, scratch: scratch)
        try expect(said, of: third.client(), "after the kill")
        let verified = try third.client().post("/v1/ledger/verify", "{}").json
        #expect(verified["ok"].bool == true)
        #expect(verified["entries"].int == verified["head"]["sequence"].int)
        #expect(try third.stop() == .exited(0))
    }

    /// A page's history against the whole ledger, read by a client; by its tokens over a restart.
    @Test func aPagesHistoryGoesOnAfterARestart() throws {
        let first = try Server(data: data, scratch: scratch)
        let client = try first.client()
        let block = "{\"allocation_control\":{\"order\":3}}"
        let first3 = try client.post(Self.machine + "/allocations", block).json
        let pfn = try #require(first3["pfn"].int)
        _ = try client.send("DELETE", Self.machine + "/allocations/\(first3["id"].int ?? 0)")
        for _ in 0..<40 {
            let grant = try client.post(Self.machine + "/allocations", block).json
            _ = try client.send("DELETE", Self.machine + "/allocations/\(grant["id"].int ?? 0)")
        }
        let entries = try client.get("/v1/ledger?sort=desc&page_size=1000").json["items"].array
        let expected = entries.filter { entry in
            guard let start = entry["pfn"].int, let order = entry["order"].int else {
                return false
            }
            return start <= pfn + 5 && pfn + 5 < start + 1 << order
        }
        #expect(expected.count >= 40)
        let path = Self.machine + "/pages/\(pfn + 5)?page_size=7"
        let start = try client.get(path).json
        #expect(try first.stop() == .exited(0))

        let next = try Server(data: data, scratch: scratch)
        var found = start["history"].array
        var token = start["next_page_token"].string
        while let given = token {
            let page = try next.client().get(path + "&page_token=\(given)").json
            found += page["history"].array
            token = page["next_page_token"].string
        }
        #expect(found.map { $0["sequence"].int } == expected.map { $0["sequence"].int })
        #expect(try next.stop() == .exited(0))
    }
}
