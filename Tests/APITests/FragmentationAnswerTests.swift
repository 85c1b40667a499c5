// pagetypeinfo, numastat and fragmentation, in JSON to the letter and as the kernel's texts.

import Testing

struct FragmentationAnswerTests {
    private static let asText = [("Accept", "text/plain")]
    private static let none: JSONValue = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

    @Test func pagetypeinfo() throws {
        let harness = try Harness.withMachine()
        let answer = try harness.send("GET", "/v1/machines/m/pagetypeinfo")
        #expect(answer["ETag"] == "\"1\"")
        let items = answer.json["items"]?.elements ?? []
        #expect(items.map { $0["zone"] } == ["DMA", "DMA32", "Normal"])
        #expect(
            items.last == [
                "node": 1, "zone": "Normal",
                "free_blocks": [
                    "Unmovable": Self.none, "Movable": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
                    "Reclaimable": Self.none, "HighAtomic": Self.none,
                ],
                "pageblocks": ["Unmovable": 0, "Movable": 4, "Reclaimable": 0, "HighAtomic": 0],
            ])
        let text = try harness.send("GET", "/v1/machines/m/pagetypeinfo", headers: Self.asText)
        #expect(text["Content-Type"] == "text/plain; charset=utf-8")
        #expect(text["ETag"] == "\"1\"")
        let lines = text.body.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "Page block order: 9")
        #expect(lines[1] == "Pages per block:  512")
        let movable = "Node    1, zone   Normal, type      Movable "
        let counts = String(repeating: "     0 ", count: 10) + "     2 "
        #expect(lines.contains(Substring(movable + counts)))
    }

    /// Each type's free blocks add up to those of buddyinfo.
    @Test func typesAddUp() throws {
        let harness = try Harness.withMachine()
        for flags in ["GFP_KERNEL", "GFP_HIGHUSER_MOVABLE", "GFP_KERNEL|__GFP_RECLAIMABLE"] {
            for order in [0, 3, 5] {
                try harness.allocate(
                    "{\"allocation_control\":{\"order\":\(order),\"flags\":\"\(flags)\"}}")
            }
        }
        let buddyinfo = try harness.send("GET", "/v1/machines/m/buddyinfo").json
        let types = try harness.send("GET", "/v1/machines/m/pagetypeinfo").json
        for (zone, byType) in zip(
            try #require(buddyinfo["items"]).elements, try #require(types["items"]).elements)
        {
            let counts = (byType["free_blocks"]?.members ?? [:]).values.map { type in
                type.elements.compactMap(\.number)
            }
            let sum = (0..<11).map { order in counts.reduce(0) { $0 + $1[order] } }
            #expect(zone["free_blocks"]?.elements.compactMap(\.number) == sum)
        }
    }

    @Test func numastat() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"cpu\":0}")
        try harness.allocate("{\"cpu\":0,\"allocation_control\":{\"node\":1}}")
        // Node 1 has Normal memory alone.
        try harness.allocate("{\"cpu\":2,\"allocation_control\":{\"flags\":\"GFP_DMA\"}}")
        try harness.send(
            "PUT", "/v1/machines/m/controls/c",
            "{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[1]}}")
        try harness.allocate("{\"cpu\":2,\"control\":\"c\"}")
        let answer = try harness.send("GET", "/v1/machines/m/numastat")
        #expect(answer["ETag"] == "\"6\"")
        #expect(
            answer.json == [
                "items": [
                    [
                        "node": 0, "numa_hit": 2, "numa_miss": 0, "numa_foreign": 0,
                        "interleave_hit": 0, "local_node": 1, "other_node": 1,
                    ],
                    [
                        "node": 1, "numa_hit": 2, "numa_miss": 0, "numa_foreign": 0,
                        "interleave_hit": 1, "local_node": 1, "other_node": 1,
                    ],
                ]
            ])
        let text = try harness.send("GET", "/v1/machines/m/numastat", headers: Self.asText)
        #expect(text["ETag"] == "\"6\"")
        #expect(
            text.body == """
                numa_hit 2
                numa_miss 0
                numa_foreign 0
                interleave_hit 0
                local_node 1
                other_node 1
                numa_hit 2
                numa_miss 0
                numa_foreign 0
                interleave_hit 1
                local_node 1
                other_node 1

                """)
    }

    /// 1,000 pages with 24 of an order-10 block missing: what the kernel's formulas give.
    @Test func fragmentation() throws {
        let harness = try Harness()
        let zoneinfo = [("Content-Type", "text/plain")]
        try #require(
            try harness.send(
                "POST", "/v1/machines?name=m", TopologyBodyTests.zoneinfo, headers: zoneinfo
            ).status == 201)
        let answer = try harness.send("GET", "/v1/machines/m/fragmentation")
        #expect(answer["ETag"] == "\"1\"")
        let blocks = try harness.send("GET", "/v1/machines/m/buddyinfo").json
        try #require(
            blocks["items"]?[0]?["free_blocks"] == [0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0])
        // The digits are those that the kernel prints.
        #expect(
            answer.body.contains(
                "\"unusable_index\":[0.000,0.000,0.000,0.000,0.008,0.008,0.040,0.104,0.232,0.488,"
                    + "1.000]"))
        #expect(
            answer.body.contains(
                "\"extfrag_index\":[-1.000,-1.000,-1.000,-1.000,-1.000,-1.000,-1.000,-1.000,"
                    + "-1.000,-1.000,0.671]"))
        let zone = try #require(answer.json["items"]?[0])
        #expect(zone["free_pages"] == 1000)
        #expect(zone["extfrag_for_order"] == [0, 0, 0, 0, 0, 0, 4, 10, 23, 48, 100])
        #expect(answer.json["nodes"] == [["node": 0, "proactive_score": 47]])
        #expect(
            answer.json["extfrag_scale"]
                == "1 = fragmentation, 0 = lack of memory, -1 = would succeed")
        expectProblem(
            try harness.send("GET", "/v1/machines/m/fragmentation", headers: Self.asText), 406,
            "not-acceptable")
    }

    /// Nothing is free: the whole of it is unusable, and the index says that memory lacks.
    @Test func nothingFree() throws {
        let harness = try Harness()
        let page = "{\"nodes\":[{\"id\":0,\"memory\":[{\"start\":4096,\"end\":8191}]}]}"
        try #require(try harness.send("POST", "/v1/machines?name=m", page).status == 201)
        try harness.allocate("{\"additional_flags\":\"__GFP_MEMALLOC\"}")
        let answer = try harness.send("GET", "/v1/machines/m/fragmentation")
        #expect(answer.body.contains("\"unusable_index\":[1.000,1.000,"))
        #expect(answer.body.contains("\"extfrag_index\":[0.000,0.000,"))
    }
}
