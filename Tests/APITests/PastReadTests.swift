// The past against what a client that kept every answer would say: each read of the state, at each
// sequence of a life, is byte for byte the answer that was given when the ledger stood there.

import Ledger
import Testing

@testable import API

/// Two machines' lives, and what each read said after each step.
private struct Life {
    /// What a read said.
    struct Kept {
        let sequence: UInt64
        let target: String
        let accept: String
        let answer: Answer
    }

    let harness: Harness
    var kept: [Kept] = []

    /// Problems carry the request's id: it is the same now and then.
    static func headers(_ accept: String) -> [(String, String)] {
        [("Accept", accept), ("X-Request-Id", "reader")]
    }

    static let paths =
        ["", "/zones", "/zoneinfo", "/buddyinfo", "/pagetypeinfo", "/numastat", "/fragmentation"]

    /// Every read of the state; more than one page is another test's.
    static let targets: [String] =
        ["/v1/machines"]
        + ["m", "n"].flatMap { name in paths.map { "/v1/machines/\(name)\($0)" } }
        + [
            "/controls", "/controls/ring", "/controls/round", "/controls/dma-24bit",
            "/allocations", "/allocations?state=freed", "/allocations?state=all&sort=desc",
            "/allocations?owner=o", "/allocations?order=2&state=all", "/allocations/4",
            "/allocations/8", "/allocations/19", "/allocations/25", "/pages/4096", "/pages/4097",
            "/pages/8192?sort=asc",
            "/pages/1", "/pages/0", "/pages/10239",
        ].map { "/v1/machines/m" + $0 }

    static let texts = ["zoneinfo", "buddyinfo", "pagetypeinfo", "numastat"]
        .map { "/v1/machines/m/" + $0 }

    private static let steps: [(method: String, target: String, body: String?)] = [
        ("PUT", "/v1/machines/m/controls/ring", "{\"order\":2,\"low_boundary\":\"0x1000000\"}"),
        (
            "PUT", "/v1/machines/m/controls/round",
            "{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}"
        ),
        ("POST", "/v1/machines/m/allocations", "{\"control\":\"ring\",\"owner\":\"o\"}"),
        ("POST", "/v1/machines/m/allocations", "{\"control\":\"round\"}"),
        ("POST", "/v1/machines/m/allocations", "{\"control\":\"round\"}"),
        ("POST", "/v1/machines/m/pages/4096/free", nil),
        (
            "POST", "/v1/machines/m/allocations",
            "{\"allocation_control\":{\"pages\":5,\"low_boundary\":\"0x2000000\"}}"
        ),
        ("POST", "/v1/machines?name=n", SmallMachine.topology),
        ("POST", "/v1/machines/n/allocations", "{\"additional_flags\":\"__GFP_COMP\"}"),
        ("POST", "/v1/machines/m/pages/8193/free", nil),
        ("POST", "/v1/machines/m/pages/4096/free", nil),
        (
            "POST", "/v1/machines/m/allocations",
            "{\"allocation_control\":{\"order\":10,\"node\":7}}"
        ),
        (
            "POST", "/v1/machines/m/allocations",
            "{\"allocation_control\":{\"flags\":\"GFP_ATOMIC\",\"order\":1,\"node\":1}}"
        ),
        (
            "POST", "/v1/machines/m/allocations",
            "{\"allocation_control\":{\"flags\":\"GFP_HIGHUSER_MOVABLE\"}}"
        ),
        ("DELETE", "/v1/machines/m/allocations/4", nil),
        ("DELETE", "/v1/machines/m/allocations/4", nil),
        ("DELETE", "/v1/machines/m/controls/ring", nil),
        ("PUT", "/v1/machines/m/controls/round", "{\"order\":3}"),
        ("DELETE", "/v1/machines/n?force=true", nil),
        ("POST", "/v1/machines?name=n", SmallMachine.topology),
        ("POST", "/v1/machines/n/allocations", "{}"),
        ("POST", "/v1/machines/m/allocations", "{\"owner\":\"o\"}"),
        ("POST", "/v1/machines/m/allocations", "{\"ttl_seconds\":100000}"),
        ("POST", "/v1/machines/m/allocations/25/renew", "{\"ttl_seconds\":200000}"),
        // Over with the next look at the clock: the first read comes after that.
        ("POST", "/v1/machines/m/allocations/25/renew", "{\"ttl_seconds\":1}"),
    ]

    init() throws {
        harness = try Harness.withMachine()
        try keep()
        for step in Self.steps {
            try harness.send(step.method, step.target, step.body)
            try keep()
        }
    }

    private mutating func keep() throws {
        let reads =
            Self.targets.map { ($0, "application/json") } + Self.texts.map { ($0, "text/plain") }
        for (target, accept) in reads {
            let answer = try harness.send("GET", target, headers: Self.headers(accept))
            let sequence = try #require(answer["Gfpd-Sequence"].flatMap { UInt64($0) })
            kept.append(Kept(sequence: sequence, target: target, accept: accept, answer: answer))
        }
    }

    /// The same read now, of the state then.
    func again(_ kept: Kept, at moment: String) throws -> Answer {
        let separator = kept.target.contains("?") ? "&" : "?"
        return try harness.send(
            "GET", "\(kept.target)\(separator)at=\(moment)", headers: Self.headers(kept.accept))
    }
}

struct PastReadTests {
    @Test func everyReadIsWhatItWas() throws {
        let life = try Life()
        #expect(Set(life.kept.map(\.sequence)).count == 26)
        #expect(life.harness.lastSequence == 28)
        #expect(Set(life.kept.map(\.answer.status)) == [200, 404])
        for kept in life.kept {
            let again = try life.again(kept, at: String(kept.sequence))
            let place = "\(kept.target) at \(kept.sequence): \(again.body)"
            #expect(again.status == kept.answer.status, "\(place)")
            #expect(again.bytes == kept.answer.bytes, "\(place)")
            #expect(again["ETag"] == kept.answer["ETag"], "\(place)")
            #expect(again["Content-Type"] == kept.answer["Content-Type"], "\(place)")
            #expect(again["Gfpd-Sequence"] == String(kept.sequence), "\(place)")
        }
    }

    /// The clock moves with each entry, so that each time between two names the first.
    @Test func aTimeIsTheLastEntryOfThen() throws {
        let life = try Life()
        for kept in life.kept where kept.target == "/v1/machines/m/buddyinfo" {
            let entry = try life.harness.send("GET", "/v1/ledger/\(kept.sequence)")
            let time = try #require(entry.json["time"]?.text)
            let parsed = try #require(Timestamp(text: time))
            let later = Timestamp(microseconds: parsed.microseconds + Harness.tick - 1).text
            for moment in [time, later, time.replacing("Z", with: "%2B00:00")] {
                let again = try life.again(kept, at: moment)
                #expect(again.bytes == kept.answer.bytes, "\(moment): \(again.body)")
                #expect(again["Gfpd-Sequence"] == String(kept.sequence), "\(moment)")
            }
        }
        let ahead = try life.harness.send("GET", "/v1/machines?at=2999-01-01T00:00:00Z")
        #expect(ahead["Gfpd-Sequence"] == String(life.harness.lastSequence))
        let start = try life.harness.send("GET", "/v1/machines?at=1970-01-01T00:00:00Z")
        #expect(start.body == "{\"items\":[]}")
        #expect(start["Gfpd-Sequence"] == "0")
    }

    @Test func whatNeverWasIsRefused() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        for path in Life.targets {
            let target = path + (path.contains("?") ? "&" : "?") + "at="
            for bad in ["", "x", "-1", "1.5", "2026-13-01T00:00:00Z", "18446744073709551616"] {
                let answer = try harness.send("GET", target + bad)
                expectProblem(answer, 400, "invalid-request", at: "/query/at", target + bad)
            }
            for beyond in ["3", "9223372036854775807"] {
                let answer = try harness.send("GET", target + beyond)
                expectProblem(answer, 404, "entry-not-found", target + beyond)
            }
            guard path != "/v1/machines" else { continue }
            let before = try harness.send("GET", target + "0")
            expectProblem(before, 404, "machine-not-found", target)
            #expect(before["Gfpd-Sequence"] == "0")
        }
    }

    /// Pages of one list are of one state, however the ledger grows between them, and also where
    /// `at` is a time that later entries fall under.
    @Test(arguments: ["9", "2999-01-01T00:00:00Z"], [1, 2, 3])
    func pagesAreOfOneState(moment: String, size: Int) throws {
        let harness = try Harness.withMachine(entriesScanned: 1000)
        for name in ["a", "b", "c"] { try harness.createMachine(name) }
        for _ in 0..<4 { try harness.allocate() }
        try harness.send("PUT", "/v1/machines/m/controls/c", "{}")
        for target in [
            "/v1/machines", "/v1/machines/m/allocations", "/v1/machines/m/controls",
            "/v1/machines/m/allocations?state=all&sort=desc",
        ] {
            let sequence = moment == "9" ? "9" : String(harness.lastSequence)
            let query = (target.contains("?") ? "&" : "?") + "at=" + moment
            let all = try harness.send("GET", target + query + "&page_size=1000")
            let whole = all.json["items"]?.elements ?? []
            #expect(whole.count > 3)
            var seen: [JSONValue] = []
            var token: String?
            repeat {
                let suffix = token.map { "&page_token=\($0)" } ?? ""
                let page = try harness.send(
                    "GET", "\(target)\(query)&page_size=\(size)\(suffix)")
                #expect(page["Gfpd-Sequence"] == sequence, "\(target)")
                seen += page.json["items"]?.elements ?? []
                token = page.json["next_page_token"]?.text
                try harness.createMachine("late\(harness.lastSequence)")
                try harness.allocate()
                try harness.send("PUT", "/v1/machines/m/controls/d", "{}")
            } while token != nil
            #expect(seen == whole, "\(target)")
        }
    }

    /// A question about the past does not hold up one about the present in the same turn.
    @Test func pastAndPresentInOneTurn() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        let free = { (answer: Answer) in answer.json["totals"]?["free_pages"]?.number }
        let answers = try harness.turn([
            Message("GET", "/v1/machines/m?at=1"), Message("GET", "/v1/machines/m"),
            Message("POST", "/v1/machines/m/allocations", body: "{}"),
            Message("GET", "/v1/machines/m"), Message("HEAD", "/v1/machines/m?at=2"),
        ])
        #expect(
            answers.map(free) == [
                SmallMachine.managedPages, SmallMachine.managedPages - 1, nil,
                SmallMachine.managedPages - 2, nil,
            ])
        #expect(answers.map { $0["Gfpd-Sequence"] } == ["1", "2", "3", "3", "2"])
        #expect(answers[4].status == 200 && answers[4].bytes.isEmpty)
    }
}
