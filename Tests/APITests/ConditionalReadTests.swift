import Ledger
import Testing

@testable import API

/// Entity tags, and the writes that pages of other sites would send.
@Suite struct ConditionalReadTests {
    @Test(
        arguments: [
            ("\"7\"", [7]), ("\"7\",\"8\"", [7, 8]),
            ("\"a,b\" , W/\"7\",\t\"07\"", [nil, nil, nil]),
            ("\"\"", [nil]), ("\"18446744073709551616\"", [nil]),
        ] as [(String, [UInt64?])])
    func tagsAreRead(_ text: String, versions: [UInt64?]) throws {
        let tags = try #require(EntityTag.list(text))
        #expect(tags.map { $0.version?.rawValue } == versions)
    }

    @Test(arguments: [
        "", "7", "\"7", "7\"", "\"7\",", ",\"7\"", "\"7\" \"8\"", "w/\"7\"", "\"\t\"",
    ])
    func whatIsNoTagIsRefused(_ text: String) {
        #expect(EntityTag.list(text) == nil)
    }

    @Test func aReadIsAnsweredWhenItHasChanged() throws {
        let harness = try Harness.withMachine()
        let target = "/v1/machines/m"
        let whole = try harness.send("GET", target)
        let version = try #require(whole["ETag"])
        let same = try harness.send("GET", target, headers: [("If-None-Match", version)])
        #expect(same.status == 304 && same.bytes.isEmpty && same["ETag"] == version)
        #expect(same["Content-Type"] == nil)
        _ = try harness.send("POST", target + "/allocations")
        let next = try harness.send("GET", target, headers: [("If-None-Match", version)])
        #expect(next.status == 200 && next["ETag"] != version)
        let stale = try harness.send("GET", target, headers: [("If-Match", version)])
        expectProblem(stale, 412, "precondition-failed")
    }

    @Test(arguments: ["POST", "DELETE"])
    func aPageOfAnotherSiteChangesNothing(_ method: String) throws {
        let harness = try Harness.withMachine()
        let before = harness.lastSequence
        for field in [("Origin", "http://a.example"), ("Sec-Fetch-Site", "cross-site")] {
            let answer = try harness.send(
                method, "/v1/machines/m/allocations?owner=o", headers: [field])
            expectProblem(answer, 403, "cross-origin")
        }
        #expect(harness.lastSequence == before)
    }
}
