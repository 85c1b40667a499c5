// What one request does to the next: controls laid under fields, preconditions, turns, names that
// are given again.

import Testing

struct BehaviourTests {
    /// Each field of a request wins over the stored control's, and only that one.
    @Test func inlineFieldsWinOneByOne() throws {
        let harness = try Harness.withMachine()
        let stored: [String: (json: String, answered: JSONValue)] = [
            "flags": ("\"GFP_DMA32\"", ["value": "0x4", "names": ["GFP_DMA32"]]),
            "order": ("1", 1), "node": ("0", 0), "low_boundary": ("4096", "0x1000"),
            "high_boundary": ("\"0x1ffffff\"", "0x1ffffff"),
        ]
        let inline: [String: (json: String, answered: JSONValue)] = [
            "flags": ("\"GFP_DMA\"", ["value": "0x1", "names": ["GFP_DMA"]]),
            "order": ("0", 0), "node": ("-1", .negative(-1)), "low_boundary": ("0", "0x0"),
            "high_boundary": ("\"0xffffff\"", "0xffffff"),
        ]
        func body(_ fields: [String: (json: String, answered: JSONValue)]) -> String {
            "{" + fields.map { "\"\($0)\":\($1.json)" }.joined(separator: ",") + "}"
        }
        try harness.send("PUT", "/v1/machines/m/controls/c", body(stored))
        let names = stored.keys.sorted()
        for subset in 0..<(1 << names.count) {
            let chosen = names.indices.filter { subset & (1 << $0) != 0 }.map { names[$0] }
            let over = inline.filter { chosen.contains($0.key) }
            let grant = try harness.allocate(
                "{\"control\":\"c\",\"allocation_control\":\(body(over))}")
            let expected = stored.merging(over) { $1 }.mapValues(\.answered)
            #expect(grant["allocation_control"] == .object(expected))
            #expect(grant["control"] == "c")
        }
        // The entry keeps what was in force; a later put does not change it.
        let last = harness.lastSequence
        try harness.send("PUT", "/v1/machines/m/controls/c", "{}")
        let entry = try harness.send("GET", "/v1/ledger/\(last)").json
        #expect(entry["allocation_control"]?["order"] == 0)
    }

    @Test func aFreeTakesItsOrderFromWhereItIsToldTo() throws {
        let harness = try Harness.withMachine()
        try harness.send("PUT", "/v1/machines/m/controls/three", "{\"order\":3}")
        for (body, pages) in [
            (nil, 1), ("", 1), ("{}", 1), ("{\"order\":0}", 1), ("{\"order\":3}", 8),
            ("{\"control\":\"three\"}", 8), ("{\"allocation_control\":{\"order\":2}}", 4),
            ("{\"allocation_control\":{}}", 1),
            ("{\"allocation_control\":{\"flags\":\"GFP_DMA\",\"node\":5}}", 1),
        ] as [(String?, UInt64)] {
            let grant = try harness.allocate("{\"allocation_control\":{\"order\":3}}")
            let pfn = try #require(grant["pfn"]?.number)
            // An empty body is none, whatever its type; it is JSON of no document otherwise.
            let sent = body == "" ? nil : body
            let freed = try harness.send("POST", "/v1/machines/m/pages/\(pfn)/free", sent)
            #expect(freed.json["pages"] == .unsigned(pages), "\(body ?? "none"): \(freed.body)")
            #expect(freed.json["state"] == (pages == 8 ? "freed" : "live"))
        }
        // A compound page is freed by its head, whole; an order other than its own is refused.
        let grant = try harness.allocate(
            "{\"control\":\"three\",\"additional_flags\":\"__GFP_COMP\"}")
        let pfn = try #require(grant["pfn"]?.number)
        expectProblem(
            try harness.send("POST", "/v1/machines/m/pages/\(pfn)/free", "{\"order\":2}"), 409,
            "wrong-order")
        let freed = try harness.send("POST", "/v1/machines/m/pages/\(pfn)/free")
        #expect(freed.json["pages"] == 8)
    }

    @Test func ifMatchOnMachines() throws {
        let harness = try Harness.withMachine()
        func allocate(_ field: String, _ value: String) throws -> Answer {
            try harness.send(
                "POST", "/v1/machines/m/allocations", "{}", headers: [(field, value)])
        }
        #expect(try allocate("If-Match", "\"1\"").status == 201)
        let stale = try allocate("If-Match", "\"1\"")
        expectProblem(stale, 412, "precondition-failed")
        #expect(stale.json["current"] == 2)
        #expect(try allocate("If-Match", "\"9\", \"2\"").status == 201)
        #expect(try allocate("If-Match", "*").status == 201)
        expectProblem(try allocate("If-Match", "W/\"4\""), 412, "precondition-failed")
        expectProblem(try allocate("If-Match", "\"x\""), 412, "precondition-failed")
        expectProblem(try allocate("If-Match", "4"), 400, "invalid-request", at: "/header/If-Match")
        expectProblem(try allocate("If-None-Match", "*"), 412, "precondition-failed")
        expectProblem(
            try allocate("If-None-Match", "\"4\""), 400, "invalid-request",
            at: "/header/If-None-Match")
        // A failed precondition leaves no trace; a body that is none is told first.
        #expect(harness.lastSequence == 4)
        for (method, target) in [
            ("DELETE", "/v1/machines/m/allocations/2"), ("POST", "/v1/machines/m/pages/4096/free"),
            ("DELETE", "/v1/machines/m?force=true"),
        ] {
            let answer = try harness.send(method, target, headers: [("If-Match", "\"3\"")])
            expectProblem(answer, 412, "precondition-failed")
        }
        #expect(harness.lastSequence == 4)
        let freed = try harness.send(
            "DELETE", "/v1/machines/m/allocations/2", headers: [("If-Match", "\"4\"")])
        #expect(freed.status == 200)
    }

    /// What a precondition of a creation is about is the machine that has the name.
    @Test func ifMatchOnCreation() throws {
        let harness = try Harness.withMachine()
        func create(_ name: String, _ field: String, _ value: String) throws -> Answer {
            try harness.send(
                "POST", "/v1/machines?name=\(name)", SmallMachine.topology,
                headers: [(field, value)])
        }
        for (name, field, value) in [
            ("new", "If-Match", "\"1\""), ("new", "If-Match", "*"), ("m", "If-Match", "\"9\""),
            ("m", "If-None-Match", "*"),
        ] {
            expectProblem(try create(name, field, value), 412, "precondition-failed")
        }
        expectProblem(try create("m", "If-Match", "\"1\""), 409, "machine-exists")
        expectProblem(
            try create("new", "If-Match", "1"), 400, "invalid-request", at: "/header/If-Match")
        #expect(harness.lastSequence == 1)
        #expect(try create("new", "If-None-Match", "*").status == 201)
    }

    @Test func ifMatchOnControls() throws {
        let harness = try Harness.withMachine()
        func put(_ headers: [(String, String)]) throws -> Answer {
            try harness.send("PUT", "/v1/machines/m/controls/c", "{}", headers: headers)
        }
        let missing = try put([("If-Match", "*")])
        expectProblem(missing, 412, "precondition-failed")
        #expect(missing.json["current"] == nil)
        expectProblem(try put([("If-Match", "\"1\"")]), 412, "precondition-failed")
        #expect(try put([("If-None-Match", "*")]).status == 201)
        let present = try put([("If-None-Match", "*")])
        expectProblem(present, 412, "precondition-failed")
        #expect(present.json["current"] == 2)
        #expect(try put([("If-Match", "\"2\"")])["ETag"] == "\"3\"")
        // The version of a control is its own: that of the machine moves on without it.
        try harness.allocate()
        #expect(try put([("If-Match", "\"3\"")])["ETag"] == "\"5\"")
        func delete(_ tag: String) throws -> Answer {
            try harness.send(
                "DELETE", "/v1/machines/m/controls/c", headers: [("If-Match", tag)])
        }
        expectProblem(try delete("\"3\""), 412, "precondition-failed")
        #expect(try delete("\"5\"").status == 204)
        expectProblem(try delete("\"5\""), 404, "control-not-found")
    }

    @Test func pathsTakeOnlyTheirParameters() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        for (method, target) in [
            ("POST", "/v1/machines/m/allocations"), ("DELETE", "/v1/machines/m/allocations/2"),
            ("GET", "/v1/machines/m/allocations/2"), ("POST", "/v1/machines/m/pages/4096/free"),
            ("GET", "/v1/machines/m/pages/4096"), ("GET", "/v1/machines/m/controls/dma-24bit"),
            ("GET", "/v1/machines"), ("GET", "/v1/machines/m"), ("DELETE", "/v1/machines/m"),
            ("GET", "/v1/machines/m/controls"), ("PUT", "/v1/machines/m/controls/c"),
            ("GET", "/v1/machines/m/zones"), ("GET", "/v1/machines/m/zoneinfo"),
            ("GET", "/v1/machines/m/buddyinfo"), ("GET", "/v1/machines/m/pagetypeinfo"),
            ("GET", "/v1/machines/m/numastat"), ("GET", "/v1/machines/m/fragmentation"),
            ("POST", "/v1/machines/m/explain"), ("GET", "/v1/ledger"), ("GET", "/v1/ledger/1"),
            ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/openapi.yaml"), ("GET", "/problems"),
            ("GET", "/problems/not-found"),
        ] {
            let answer = try harness.send(method, target + "?when=7", method == "PUT" ? "{}" : nil)
            expectProblem(answer, 400, "invalid-request", at: "/query/when", target)
        }
        #expect(harness.lastSequence == 2)
    }

    @Test func writesTakeJSONAndSayWhatTheyAnswer() throws {
        let harness = try Harness.withMachine()
        let yaml = [("Content-Type", "application/yaml")]
        let image = [("Accept", "image/png")]
        for (method, target) in [
            ("POST", "/v1/machines/m/allocations"), ("POST", "/v1/machines/m/pages/4096/free"),
            ("POST", "/v1/machines/m/explain"), ("PUT", "/v1/machines/m/controls/c"),
            ("POST", "/v1/machines?name=n"),
        ] {
            expectProblem(
                try harness.send(method, target, "{}", headers: yaml), 415, "unsupported-media-type"
            )
            expectProblem(
                try harness.send(method, target, "{}", headers: image), 406, "not-acceptable")
        }
        #expect(harness.lastSequence == 1)
    }

    /// Requests of one turn see each other in their order, although the ledger's history is read
    /// on another thread and sees only what is durable.
    @Test func readsSeeTheWritesBeforeThem() throws {
        let harness = try Harness.withMachine()
        for round in 0..<50 {
            let id = harness.lastSequence + 1
            let answers = try harness.turn([
                Message("GET", "/v1/ledger?sort=desc&page_size=1"),
                Message("POST", "/v1/machines/m/allocations"),
                Message("GET", "/v1/machines/m/allocations/\(id)"),
                Message("GET", "/v1/machines/m/allocations?after=\(id - 1)"),
                Message("GET", "/v1/ledger/\(id)"),
                Message("DELETE", "/v1/machines/m/allocations/\(id)"),
                Message("GET", "/v1/machines/m/allocations?state=freed&after=\(id - 1)"),
            ])
            try #require(answers.map(\.status) == [200, 201, 200, 200, 200, 200, 200], "\(round)")
            #expect(answers[2].json["id"] == .unsigned(id))
            #expect(answers[4].sequence == id)
            #expect(answers[6].json["items"]?.elements.map { $0["id"] } == [.unsigned(id)])
            // The header never claims more than the answer is sure to hold.
            let claims = answers.map { $0["Gfpd-Sequence"].flatMap(UInt64.init) }
            #expect(claims == [id - 1, id, id, id, id, id + 1, id + 1])
        }
    }

    /// As many reads of the past may wait as there is room for; the writes beside them do not wait.
    @Test func tooManyReadsAtOnce() throws {
        let harness = try Harness.withMachine()
        let reads = (0..<1030).map { _ in Message("GET", "/v1/ledger/1") }
        let answers = try harness.turn(reads + [Message("POST", "/v1/machines/m/allocations")])
        #expect(answers.prefix(1024).allSatisfy { $0.status == 200 })
        for answer in answers[1024..<1030] { expectProblem(answer, 503, "unavailable") }
        #expect(answers.last?.status == 201)
        #expect(try harness.send("GET", "/v1/ledger/1").status == 200)
    }

    @Test func aNameIsGivenAgain() throws {
        let harness = try Harness.withMachine()
        let old = try harness.allocate("{\"owner\":\"old\"}")
        #expect(try harness.send("DELETE", "/v1/machines/m?force").status == 200)
        expectProblem(
            try harness.send("GET", "/v1/machines/m/allocations/2"), 404, "machine-not-found")
        try harness.createMachine("m")
        let new = try harness.allocate("{\"owner\":\"new\"}")
        #expect(new["pfn"] == old["pfn"])
        #expect(new["id"] == 6)

        // The old machine's allocations are not the new one's.
        expectProblem(
            try harness.send("GET", "/v1/machines/m/allocations/2"), 404, "allocation-not-found")
        expectProblem(
            try harness.send("DELETE", "/v1/machines/m/allocations/2"), 404, "allocation-not-found")
        for state in ["live", "all"] {
            let items = try harness.items("/v1/machines/m/allocations?state=\(state)")
            #expect(items.map { $0["id"] } == [6])
        }
        #expect(try harness.items("/v1/machines/m/allocations?state=freed").isEmpty)
        // The ledger knows both by the name.
        let sequences = try harness.items("/v1/ledger?machine=m").map { $0["sequence"] }
        #expect(sequences == [1, 2, 3, 4, 5, 6, 7])
        #expect(try harness.items("/v1/ledger?machine=other").isEmpty)
        #expect(try harness.send("GET", "/v1/machines/m").json["generation"] == 5)
    }

    @Test func limits() throws {
        let harness = try Harness.withMachine()
        for number in 0..<1024 {
            try harness.send("PUT", "/v1/machines/m/controls/c\(number)", "{}")
        }
        expectProblem(
            try harness.send("PUT", "/v1/machines/m/controls/one-more", "{}"), 409, "limit-reached")
        #expect(try harness.send("PUT", "/v1/machines/m/controls/c7", "{}").status == 200)
        let page = "{\"nodes\":[{\"id\":0,\"memory\":[{\"start\":0,\"end\":4095}]}]}"
        for number in 1..<256 {
            let answer = try harness.send("POST", "/v1/machines?name=m\(number)", page)
            try #require(answer.status == 201)
        }
        expectProblem(
            try harness.send("POST", "/v1/machines?name=one-more", page), 409, "limit-reached")
    }
}
