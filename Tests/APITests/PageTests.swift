import Testing

@testable import API

@Suite struct PageTests {
    /// As a browser sends it.
    private static let browser = (
        "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    )

    private static func page(_ harness: Harness, _ target: String) throws -> Answer {
        let answer = try harness.send("GET", target, headers: [browser])
        try #require(answer.status == 200)
        #expect(answer["Content-Type"] == "text/html; charset=utf-8")
        #expect(answer["Content-Security-Policy"]?.hasPrefix("default-src 'none'") ?? false)
        #expect(answer.body.hasPrefix("<!doctype html>"))
        #expect(!answer.body.contains("<script"))
        return answer
    }

    @Test func theStartPageShowsWhatToTypeAndHowTheMachinesStand() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"owner\":\"<b>&\\\"me\\\"</b>\"}")
        _ = try harness.send(
            "POST", "/v1/machines/m/allocations",
            "{\"allocation_control\":{\"high_boundary\":8191,\"order\":1}}")
        let page = try Self.page(harness, "/")
        #expect(page.body.contains("curl -s --json &#39;{}&#39; http://gfpd/v1/machines/m/alloc"))
        #expect(page.body.contains("linux-6.12, 2 nodes, 0.0 of 0.0 GiB free, 1 live allocation"))
        #expect(page.body.contains("<td class=\"l\">Normal<td>2048"))
        // What a client chose to call itself is text.
        #expect(page.body.contains("&lt;b&gt;&amp;&quot;me&quot;&lt;/b&gt;"))
        #expect(!page.body.contains("<b>"))
        #expect(page.body.contains("refused: "))
        #expect(page["Gfpd-Sequence"] == "3")
    }

    @Test func toCurlTheStartPageIsText() throws {
        let harness = try Harness.withMachine()
        let answer = try harness.send("GET", "/", headers: [("Accept", "*/*")])
        #expect(answer["Content-Type"] == "text/plain; charset=utf-8")
        #expect(
            answer.body.contains("\ncurl -s --json '{}' http://gfpd/v1/machines/m/allocations\n"))
        #expect(answer.body.contains("machine m: linux-6.12, 2 nodes"))
        #expect(
            try harness.send("GET", "/", headers: [("Accept", "image/png")]).status == 406)
        #expect(try harness.send("GET", "/?a=1").status == 400)
    }

    @Test func aNewServerHasAStartPageToo() throws {
        let harness = try Harness()
        #expect(try Self.page(harness, "/").body.contains("/v1/machines/NAME/allocations"))
        #expect(try harness.send("GET", "/").status == 200)
    }

    @Test func problemsHavePages() throws {
        let harness = try Harness()
        let list = try Self.page(harness, "/problems")
        for kind in ProblemKind.allCases {
            #expect(list.body.contains("href=\"/problems/\(kind.rawValue)\""))
            let page = try Self.page(harness, "/problems/\(kind.rawValue)")
            #expect(page.body.contains("<h1>\(HTMLPage.escaped(kind.title))</h1>"))
            #expect(page.body.contains(HTMLPage.escaped(kind.advice)))
        }
        #expect(try harness.send("GET", "/problems")["Content-Type"] == "application/json")
    }

    @Test func theContractIsThereAsJSON() throws {
        let harness = try Harness()
        let answer = try harness.send("GET", "/openapi.json")
        #expect(answer["Content-Type"] == "application/json")
        #expect(answer.json["openapi"]?.text == "3.1.0")
        #expect(answer.json["paths"]?["/metrics"]?["get"] != nil)
        #expect(answer.json["x-limits"]?["machines"] == 256)
    }
}
