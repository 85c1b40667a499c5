// Lists against what a client that kept every answer would say: each filter, each page size, both
// orders, and writes between the pages.

import TestSupport
import Testing

/// A machine with a past: allocations of all sorts, some freed, some in part.
private struct Past {
    let harness: Harness

    /// Every allocation granted, as it is now.
    var allocations: [JSONValue] = []

    init(seed: UInt64) throws {
        harness = try Harness.withMachine(entriesScanned: 37)
        var random = SeededGenerator(seed: seed)
        for name in ["a", "b"] {
            try harness.send("PUT", "/v1/machines/m/controls/\(name)", "{\"order\":2}")
        }
        var ids: [UInt64] = []
        for step in 0..<220 {
            let (order, node) = (random.below(3), random.below(4) - 1)
            let members = [
                random.pick(["\"owner\":\"o1\"", "\"owner\":\"o 2\"", ""]),
                random.pick(["\"control\":\"a\"", "\"control\":\"b\"", "", ""]),
                "\"allocation_control\":{\"order\":\(order),\"node\":\(node)}",
                random.pick(["\"additional_flags\":\"GFP_DMA\"", ""]),
            ].filter { !$0.isEmpty }
            let answer = try harness.send(
                "POST", "/v1/machines/m/allocations", "{\(members.joined(separator: ","))}",
                headers: [("X-Request-Id", "r\(step % 7)")])
            if let id = answer.json["id"]?.number { ids.append(id) }
            if random.chance(percent: 30) {
                try harness.send("DELETE", "/v1/machines/m/allocations/\(random.pick(ids))")
            }
            if random.chance(percent: 20) {
                try harness.send("POST", "/v1/machines/m/pages/\(4096 + random.below(64))/free")
            }
        }
        for id in ids {
            allocations.append(try harness.send("GET", "/v1/machines/m/allocations/\(id)").json)
        }
    }
}

/// A filter as a query, and as a client would say it of an item.
private struct Filter {
    let query: String
    let holds: (JSONValue) -> Bool

    init(_ query: String, _ holds: @escaping (JSONValue) -> Bool) {
        (self.query, self.holds) = (query, holds)
    }

    private static func covers(_ item: JSONValue, _ frame: UInt64) -> Bool {
        guard let first = item["pfn"]?.number else { return false }
        return first <= frame && frame < first + (1 << (item["order"]?.number ?? 0))
    }

    /// Of allocations and of ledger entries alike; `time` is the member with the time.
    static func common(time: String) -> [Filter] {
        func at(_ minute: Int) -> (String, String) {
            ("2026-09-21T14:\(minute):00.000001Z", "2026-09-21T16:\(minute):00.000001%2B02:00")
        }
        func isBefore(_ item: JSONValue, _ text: String) -> Bool { (item[time]?.text ?? "") < text }
        return [
            Filter("") { _ in true },
            Filter("owner=o1") { $0["owner"] == "o1" },
            Filter("owner=o%202") { $0["owner"] == "o 2" },
            Filter("owner=nobody") { _ in false },
            Filter("control=a") { $0["control"] == "a" },
            Filter("node=0") { $0["node"] == 0 }, Filter("node=1") { $0["node"] == 1 },
            Filter("node=5") { $0["node"] == 5 },
            Filter("zone=DMA") { $0["zone"] == "DMA" },
            Filter("zone=Normal") { $0["zone"] == "Normal" },
            Filter("order=1") { $0["order"] == 1 },
            Filter("pfn=4099") { covers($0, 4099) }, Filter("pfn=0x2000") { covers($0, 8192) },
            Filter("after=100") { $0.sequence > 100 },
            Filter("before=150") { $0.sequence < 150 },
            Filter("after=100&before=150") { (101..<150).contains($0.sequence) },
            Filter("after=150&before=100") { _ in false },
            Filter("since=\(at(15).0)") { !isBefore($0, at(15).0) },
            Filter("until=\(at(16).1)") { isBefore($0, at(16).0) },
            Filter("since=\(at(15).1)&until=\(at(16).0)&owner=o1&zone=DMA32") {
                !isBefore($0, at(15).0) && isBefore($0, at(16).0) && $0["owner"] == "o1"
                    && $0["zone"] == "DMA32"
            },
        ]
    }
}

extension JSONValue {
    fileprivate var sequence: UInt64 { self["sequence"]?.number ?? 0 }
}

struct ListTests {
    @Test func allocations() throws {
        let past = try Past(seed: 1)
        #expect(past.allocations.count > 150)
        for state in ["live", "freed", "all"] {
            let ofState = past.allocations.filter {
                state == "all" || $0["state"] == .string(state)
            }
            #expect(ofState.count > 30)
            for filter in Filter.common(time: "granted_at") {
                let expected = ofState.filter(filter.holds)
                let target = "/v1/machines/m/allocations?state=\(state)&\(filter.query)"
                let found = try past.harness.items(target, pageSize: 1000)
                #expect(found == expected, "\(target)")
                let newestFirst = try past.harness.items(target + "&sort=desc")
                #expect(newestFirst == expected.reversed(), "\(target)")
            }
        }
        let byDefault = try past.harness.items("/v1/machines/m/allocations")
        #expect(byDefault == past.allocations.filter { $0["state"] == "live" })
        let asked = try past.harness.items("/v1/machines/m/allocations?state=all&request_id=r3")
        #expect(!asked.isEmpty)
        for item in asked {
            let entry = try past.harness.send("GET", "/v1/ledger/\(item.sequence)").json
            #expect(entry["request_id"] == "r3")
        }
    }

    @Test func ledger() throws {
        let past = try Past(seed: 2)
        let all = try (1...past.harness.lastSequence).map {
            try past.harness.send("GET", "/v1/ledger/\($0)").json
        }
        let filters =
            Filter.common(time: "time") + [
                Filter("machine=m") { $0["machine"] == "m" }, Filter("machine=x") { _ in false },
                Filter("outcome=granted") { $0["outcome"] == "granted" },
                Filter("outcome=refused") { $0["outcome"] == "refused" },
                Filter("outcome=done") { $0["outcome"] == "done" },
                Filter("allocation=20") { $0["allocation"] == 20 },
                Filter("request_id=r3") { $0["request_id"] == "r3" },
                Filter("kind=allocate&outcome=refused&request_id=r1") {
                    $0["kind"] == "allocate" && $0["outcome"] == "refused"
                        && $0["request_id"] == "r1"
                },
            ]
            + [
                "machine_created", "machine_deleted", "control_put", "control_deleted", "allocate",
                "free",
            ].map { kind in Filter("kind=\(kind)") { $0["kind"] == .string(kind) } }
        for filter in filters {
            let expected = all.filter(filter.holds)
            let target = "/v1/ledger?" + filter.query
            #expect(try past.harness.items(target) == expected, "\(target)")
            #expect(try past.harness.items(target + "&sort=asc", pageSize: 1000) == expected)
            let newestFirst = try past.harness.items(target + "&sort=desc")
            #expect(newestFirst == expected.reversed(), "\(target)")
        }
    }

    @Test(arguments: [1, 2, 7])
    func pages(size: Int) throws {
        let past = try Past(seed: 3)
        for target in [
            "/v1/machines/m/allocations?state=live", "/v1/machines/m/allocations?sort=desc",
            "/v1/machines/m/allocations?state=freed",
            "/v1/machines/m/allocations?state=all&sort=desc&owner=o1",
            "/v1/machines/m/allocations?state=freed&sort=desc", "/v1/ledger",
            "/v1/ledger?sort=desc",
            "/v1/ledger?owner=o1&sort=desc", "/v1/ledger?kind=free&after=20&before=200",
        ] {
            let whole = try past.harness.items(target, pageSize: 1000)
            #expect(try past.harness.items(target, pageSize: size) == whole, "\(target)")
        }
    }

    @Test(arguments: [1, 2, 7])
    func machinesAndControls(size: Int) throws {
        let harness = try Harness.withMachine()
        let page = "{\"nodes\":[{\"id\":0,\"memory\":[{\"start\":0,\"end\":4095}]}]}"
        let names = ["m", "z", "a", "k", "B", "9", "y", "x"]
        for name in names.dropFirst() {
            try harness.send("POST", "/v1/machines?name=\(name)", page)
        }
        try harness.send("DELETE", "/v1/machines/k")
        let machines = try harness.items("/v1/machines", pageSize: size)
        #expect(machines.compactMap { $0["name"]?.text } == names.filter { $0 != "k" })
        for name in names { try harness.send("PUT", "/v1/machines/m/controls/\(name)", "{}") }
        try harness.send("PUT", "/v1/machines/m/controls/a", "{}")
        let controls = try harness.items("/v1/machines/m/controls", pageSize: size)
        let stored = names.filter { $0 != "a" } + ["a"]
        #expect(controls.compactMap { $0["name"]?.text } == stored + BuiltInControlTests.names)
        let others = try harness.items("/v1/machines/z/controls", pageSize: size)
        #expect(others.compactMap { $0["name"]?.text } == BuiltInControlTests.names)
    }

    /// New writes between two pages neither repeat nor hide what was there.
    @Test(arguments: [false, true], ["/v1/ledger?", "/v1/machines/m/allocations?state=all&"])
    func writesBetweenPages(isDescending: Bool, list: String) throws {
        let past = try Past(seed: 4)
        let target = list + "sort=\(isDescending ? "desc" : "asc")"
        let before = try past.harness.items(target, pageSize: 1000)
        var seen: [JSONValue] = []
        var token: String?
        repeat {
            let suffix = token.map { "&page_token=\($0)" } ?? ""
            let answer = try past.harness.send("GET", "\(target)&page_size=7\(suffix)")
            seen += answer.json["items"]?.elements ?? []
            token = answer.json["next_page_token"]?.text
            if seen.count < 100 { try past.harness.allocate("{\"owner\":\"late\"}") }
        } while token != nil
        let late = seen.filter { $0["owner"] == "late" }
        #expect(seen.filter { $0["owner"] != "late" } == before)
        #expect(isDescending ? late.isEmpty : late.count > 10)
    }

    @Test func tokensBelongToTheirList() throws {
        let past = try Past(seed: 5)
        let first = try past.harness.send("GET", "/v1/ledger?owner=o1&page_size=2")
        let token = try #require(first.json["next_page_token"]?.text)
        #expect(
            try past.harness.send("GET", "/v1/ledger?page_size=9&page_token=\(token)&owner=o1")
                .status
                == 200)
        for target in [
            "/v1/ledger?page_token=\(token)", "/v1/ledger?owner=o2&page_token=\(token)",
            "/v1/ledger?owner=o1&sort=desc&page_token=\(token)",
            "/v1/machines/m/allocations?owner=o1&page_token=\(token)",
            "/v1/machines?page_token=\(token)", "/v1/machines/m/controls?page_token=\(token)",
            "/v1/ledger?page_token=", "/v1/ledger?page_token=1",
            "/v1/ledger?owner=o1&page_token=\(token)0",
        ] {
            expectProblem(
                try past.harness.send("GET", target), 400, "invalid-request",
                at: "/query/page_token", target)
        }
    }
}
