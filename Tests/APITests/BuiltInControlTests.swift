// The controls that each machine has, and the round of a control whose policy interleaves.

import Testing

struct BuiltInControlTests {
    static let widths = [20, 24, 26, 28, 30, 31, 32, 36, 40, 48]
    static let names = widths.map { "dma-\($0)bit" }

    @Test func eachIsThere() throws {
        let harness = try Harness.withMachine()
        try harness.send("PUT", "/v1/machines/m/controls/own", "{}")
        let items = try harness.items("/v1/machines/m/controls")
        #expect(items.compactMap { $0["name"]?.text } == ["own"] + Self.names)
        #expect(items[0]["built_in"] == nil)
        for (item, width) in zip(items.dropFirst(), Self.widths) {
            let high = "0x" + String(UInt64(1) << UInt64(width) - 1, radix: 16)
            #expect(
                item == [
                    "name": .string("dma-\(width)bit"), "machine": "m",
                    "allocation_control": AnswerTests.control(high: .string(high)),
                    "built_in": true, "updated_at": AnswerTests.time(1), "sequence": 1,
                ])
            let one = try harness.send("GET", "/v1/machines/m/controls/dma-\(width)bit")
            #expect(one.json == item)
            #expect(one["ETag"] == "\"1\"")
        }
    }

    @Test func noneCanBeChanged() throws {
        let harness = try Harness.withMachine()
        for name in Self.names {
            let target = "/v1/machines/m/controls/" + name
            expectProblem(try harness.send("PUT", target, "{}"), 409, "built-in-control")
            expectProblem(try harness.send("DELETE", target), 409, "built-in-control")
        }
        expectProblem(
            try harness.send("GET", "/v1/machines/m/controls/dma-21bit"), 404, "control-not-found")
        #expect(
            try harness.send("PUT", "/v1/machines/m/controls/dma-21bit", "{}").status == 201)
        let page = try harness.send("GET", "/problems/built-in-control")
        #expect(page.body.hasPrefix("409 The control is built in\n"))
        #expect(harness.lastSequence == 2)
    }

    @Test func requestsNameThem() throws {
        let harness = try Harness.withMachine()
        let grant = try harness.allocate("{\"control\":\"dma-24bit\"}")
        #expect(grant["zone"] == "DMA")
        #expect(grant["control"] == "dma-24bit")
        #expect(grant["allocation_control"] == AnswerTests.control(high: "0xffffff"))
        let own = try harness.allocate(
            "{\"control\":\"dma-24bit\",\"allocation_control\":{\"order\":2}}")
        #expect(own["allocation_control"] == AnswerTests.control(order: 2, high: "0xffffff"))
        let items = try harness.items("/v1/ledger?control=dma-24bit")
        #expect(items.map { $0["sequence"] } == [2, 3])
        let pfn = try #require(own["pfn"]?.number)
        let freed = try harness.send(
            "POST", "/v1/machines/m/pages/\(pfn)/free", "{\"control\":\"dma-24bit\"}")
        #expect(freed.json["pages"] == 1)
    }
}

struct InterleaveTests {
    /// Each call takes the next turn, and the control says whose it is.
    @Test(
        arguments: [
            ("{\"mode\":\"interleave\",\"nodes\":[0,1]}", [0, 1, 0, 1, 0, 1]),
            (
                "{\"mode\":\"weighted_interleave\",\"nodes\":[0,1],\"weights\":{\"0\":3}}",
                [0, 0, 0, 1, 0, 0]
            ),
            ("{\"mode\":\"interleave\",\"nodes\":[1]}", [1, 1, 1]),
        ] as [(String, [UInt64])])
    func rounds(policy: String, nodes: [UInt64]) throws {
        let harness = try Harness.withMachine()
        let control = "/v1/machines/m/controls/c"
        let put = try harness.send("PUT", control, "{\"mempol\":\(policy)}")
        #expect(put.json["next_node"] == .unsigned(nodes[0]))
        for node in nodes {
            let read = try harness.send("GET", control)
            #expect(read.json["next_node"] == .unsigned(node))
            #expect(read["ETag"] == "\"2\"")
            // To ask is not to take a turn.
            let asked = try harness.send(
                "POST", "/v1/machines/m/explain", "{\"control\":\"c\"}")
            #expect(asked.json["would_grant"]?["node"] == .unsigned(node), "\(asked.body)")
            #expect(try harness.allocate("{\"control\":\"c\"}")["node"] == .unsigned(node))
        }
        // A put begins anew.
        #expect(
            try harness.send("PUT", control, "{\"mempol\":\(policy)}").json["next_node"]
                == .unsigned(nodes[0]))
    }

    @Test(arguments: [
        "{}", "{\"mempol\":{\"mode\":\"local\"}}",
        "{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0,1]}}",
        "{\"mempol\":{\"mode\":\"preferred_many\",\"nodes\":[1]}}",
        "{\"node\":0,\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}",
        "{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[900]}}",
    ])
    func noRound(control: String) throws {
        let harness = try Harness.withMachine()
        let put = try harness.send("PUT", "/v1/machines/m/controls/c", control)
        #expect(put.status == 201)
        #expect(put.json["next_node"] == nil)
    }
}
