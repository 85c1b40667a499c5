// Questions: what would be granted and why, to the letter; nothing is written for them.

import Testing

struct ExplainTests {
    private static func explain(
        _ harness: Harness, _ body: String? = nil, headers: [(String, String)] = []
    ) throws -> Answer {
        try harness.send("POST", "/v1/machines/m/explain", body, headers: headers)
    }

    static let notModelled: JSONValue = [
        "per-cpu lists", "reclaim", "compaction", "OOM killer", "memory cgroups", "CMA",
    ]

    @Test func whatWouldBeGranted() throws {
        let harness = try Harness.withMachine()
        let body = "{\"allocation_control\":{\"order\":2,\"flags\":\"GFP_DMA\"}}"
        let answer = try Self.explain(harness, body)
        #expect(answer.status == 200)
        #expect(answer["Content-Type"] == "application/json")
        #expect(answer["ETag"] == "\"1\"")
        #expect(answer["Gfpd-Sequence"] == "1")
        #expect(
            answer.json["would_grant"] == [
                "pfn": 1024, "address": "0x400000", "order": 2, "pages": 4, "node": 0,
                "zone": "DMA",
                "migratetype": "Unmovable", "compound": false,
            ])
        #expect(answer.json["certificate"] == nil)
        #expect(answer.json["kernel_would_try"] == nil)
        #expect(answer.json["highest_zone"] == "DMA")
        #expect(answer.json["not_modelled"] == Self.notModelled)
        let steps = answer.json["zonelist"]?.elements ?? []
        let granted = steps.filter { $0["verdict"] == "granted" }
        #expect(
            granted == [
                [
                    "node": 0, "zone": "DMA", "free_pages": 4095, "watermark": 100,
                    "lowmem_reserve": 0, "free_blocks_by_order": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3],
                    "verdict": "granted", "reason": "a conforming place is free",
                ]
            ])
        // Bound to the state that was asked about, the grant is the one foretold.
        let grant = try harness.send(
            "POST", "/v1/machines/m/allocations", body, headers: [("If-Match", "\"1\"")])
        #expect(grant.status == 201)
        for name in ["pfn", "address", "order", "pages", "node", "zone", "migratetype", "compound"]
        {
            #expect(grant.json[name] == answer.json["would_grant"]?[name], "\(name)")
        }
    }

    @Test func nothingIsWritten() throws {
        let harness = try Harness.withMachine()
        try harness.send(
            "PUT", "/v1/machines/m/controls/c",
            "{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}")
        let before = try harness.send("GET", "/v1/machines/m")
        let zones = try harness.send("GET", "/v1/machines/m/zones")
        for body in [
            nil, "{}", "{\"control\":\"c\",\"owner\":\"o\",\"labels\":{\"a\":\"1\"},\"cpu\":2}",
            "{\"allocation_control\":{\"pages\":24,\"max_segments\":2,\"alignment\":8192}}",
            "{\"allocation_control\":{\"pages\":10000}}",
            "{\"allocation_control\":{\"node\":7}}", "{\"allocation_control\":{\"order\":11}}",
            "{\"control\":\"none\"}",
        ] as [String?] {
            _ = try Self.explain(harness, body)
        }
        #expect(harness.lastSequence == 2)
        #expect(try harness.send("GET", "/v1/machines/m").json == before.json)
        #expect(try harness.send("GET", "/v1/machines/m/zones").json == zones.json)
        #expect(
            try harness.send("GET", "/v1/machines/m/controls/c").json["next_node"] == 0)
    }

    @Test func whatCannotBeAsked() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        let never = try Self.explain(harness, "{\"allocation_control\":{\"node\":7}}")
        expectProblem(never, 422, "unsatisfiable", at: "/allocation_control/node")
        #expect(never.json["reason"] == "no_such_node")
        #expect(never.sequence == nil)
        expectProblem(
            try Self.explain(harness, "{\"control\":\"none\"}"), 404, "control-not-found",
            at: "/control")
        expectProblem(
            try harness.send("POST", "/v1/machines/none/explain"), 404, "machine-not-found")
        let stale = try Self.explain(harness, headers: [("If-Match", "\"1\"")])
        expectProblem(stale, 412, "precondition-failed")
        #expect(stale.json["current"] == 2)
        #expect(try Self.explain(harness, headers: [("If-Match", "\"2\"")]).status == 200)
        expectProblem(try Self.explain(harness, "[]"), 400, "invalid-request", at: "")
        #expect(harness.lastSequence == 2)
    }

    /// The reasons for which a policy or a place can never be met, each with its field.
    @Test(arguments: [
        ("{\"mempol\":{\"mode\":\"bind\"}}", "invalid_policy", "/mempol"),
        ("{\"mempol\":{\"mode\":\"default\",\"nodes\":[0]}}", "invalid_policy", "/mempol"),
        (
            "{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0],"
                + "\"flags\":[\"static_nodes\",\"relative_nodes\"]}}", "invalid_policy", "/mempol"
        ),
        ("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[5]}}", "invalid_policy", "/mempol"),
        (
            "{\"mempol\":{\"mode\":\"bind\",\"nodes\":[1]},\"mems_allowed\":[0]}",
            "invalid_policy", "/mempol"
        ),
        (
            "{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0],\"home_node\":0}}",
            "home_node_not_supported", "/mempol/home_node"
        ),
        (
            "{\"pages\":24,\"flags\":\"__GFP_COMP\"}", "compound_not_power_of_two", "/pages"
        ),
        (
            "{\"pages\":16,\"max_segments\":2,\"flags\":\"__GFP_COMP\"}",
            "compound_not_power_of_two", "/pages"
        ),
        ("{\"pages\":24,\"boundary\":65536}", "crosses_boundary", "/boundary"),
        (
            "{\"pages\":2,\"boundary\":8192,\"alignment\":8192,\"phase\":4096}",
            "crosses_boundary", "/boundary"
        ),
        ("{\"order\":2,\"boundary\":8192}", "crosses_boundary", "/boundary"),
        ("{\"pages\":24,\"high_boundary\":65535}", "window_too_small", "/high_boundary"),
        ("{\"pages\":1073741824}", "no_block_in_boundaries", "/high_boundary"),
        (
            "{\"alignment\":\"0x8000000000000000\",\"low_boundary\":1}", "no_block_in_boundaries",
            "/high_boundary"
        ),
    ])
    func never(control: String, reason: String, pointer: String) throws {
        let harness = try Harness.withMachine()
        let body = "{\"allocation_control\":\(control)}"
        for (target, sequence) in [("explain", nil), ("allocations", 2)] as [(String, UInt64?)] {
            let answer = try harness.send("POST", "/v1/machines/m/" + target, body)
            expectProblem(answer, 422, "unsatisfiable", at: "/allocation_control" + pointer)
            #expect(answer.json["reason"] == .string(reason))
            #expect(answer.sequence == sequence)
        }
    }

    /// A run of pages: what is answered, and what becomes of it.
    @Test func runs() throws {
        let harness = try Harness.withMachine()
        let body = """
            {"allocation_control": {"pages": 24, "alignment": "0x10000", "boundary": "0x100000",
             "low_boundary": "0x1001000"}}
            """
        let asked = try Self.explain(harness, body)
        let expected: JSONValue = [
            "pfn": 4112, "address": "0x1010000", "order": .null, "pages": 24, "node": 0,
            "zone": "DMA32", "migratetype": "Unmovable", "compound": false,
        ]
        #expect(asked.json["would_grant"] == expected)
        let grant = try harness.allocate(body)
        for (name, value) in expected.members { #expect(grant[name] == value, "\(name)") }
        #expect(grant["size"] == 98304)
        #expect(grant["segments"] == nil)
        #expect(grant["allocation_control"]?["order"] == nil)
        let entry = try harness.send("GET", "/v1/ledger/2").json
        #expect(entry["order"] == nil)
        #expect(entry["pages"] == 24)
        #expect(entry["pfn"] == 4112)

        let part = try harness.send("POST", "/v1/machines/m/pages/4116/free", "{\"order\":2}").json
        #expect(part["order"] == 2)
        #expect(part["freed_ranges"] == [["pfn": 4116, "pages": 4]])
        let live = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(live["freed_ranges"] == [["pfn": 4116, "pages": 4]])
        let order = try harness.send("POST", "/v1/machines/m/pages/4112/free", "{\"order\":6}")
        expectProblem(order, 409, "wrong-order")
        #expect(order.json["asked_order"] == 6)
        #expect(order.json["head_pfn"] == 4112)
        #expect(order.json["granted_order"] == nil)
        let rest = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        #expect(rest.json["order"] == .null)
        #expect(rest.json["pages"] == 20)
        #expect(
            rest.json["freed_ranges"] == [
                ["pfn": 4112, "pages": 4], ["pfn": 4120, "pages": 16],
            ])
        let gone = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(gone["state"] == "freed")
        #expect(gone["freed_ranges"] == [["pfn": 4112, "pages": 24]])
    }

    /// A free names an order; a run has none.
    @Test func aRunIsNotFreedByItsControl() throws {
        let harness = try Harness.withMachine()
        try harness.send("PUT", "/v1/machines/m/controls/ring", "{\"pages\":24}")
        let pfn = try #require(try harness.allocate("{\"control\":\"ring\"}")["pfn"]?.number)
        let target = "/v1/machines/m/pages/\(pfn)/free"
        for (body, pointer) in [
            ("{\"control\":\"ring\"}", "/control"),
            ("{\"allocation_control\":{\"pages\":24}}", "/allocation_control"),
        ] {
            expectProblem(
                try harness.send("POST", target, body), 400, "invalid-request", at: pointer)
        }
        #expect(harness.lastSequence == 3)
    }

    /// Pages in several runs.
    @Test func segments() throws {
        let harness = try Harness()
        let three = """
            {"nodes":[{"id":0,"memory":[{"start":"0x100000","end":"0x103fff"},
             {"start":"0x108000","end":"0x109fff"},{"start":"0x110000","end":"0x2fffff"}]}],
             "zones":{"DMA":null,"DMA32":null}}
            """
        try #require(try harness.send("POST", "/v1/machines?name=m", three).status == 201)
        let body = """
            {"allocation_control": {"pages": 6, "max_segments": 2, "high_boundary": "0x10ffff",
             "fit": "first"}}
            """
        let grant = try harness.allocate(body)
        let segments = grant["segments"]?.elements ?? []
        #expect(segments.compactMap { $0["pages"]?.number }.reduce(0, +) == 6)
        #expect(segments.count == 2)
        #expect(segments.first?["pfn"] == grant["pfn"])
        #expect(grant["pages"] == 6)
        #expect(grant["size"] == 24576)
        let entry = try harness.send("GET", "/v1/ledger/2").json
        #expect(entry["segments"] == grant["segments"])
        let one = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(one == grant)
        let freed = try harness.send("DELETE", "/v1/machines/m/allocations/2").json
        #expect(
            freed["freed_ranges"] == [["pfn": 256, "pages": 4], ["pfn": 264, "pages": 2]])
    }
}

/// Refusals: what they show for themselves, and that it is so.
struct CertificateTests {
    /// Grants of four pages by two owners fill what 24 bits reach, up to the mark.
    private static func filled() throws -> Harness {
        let harness = try Harness.withMachine()
        var number = 0
        while true {
            let answer = try harness.send(
                "POST", "/v1/machines/m/allocations",
                """
                {"control": "dma-24bit", "allocation_control": {"order": 2},
                 "owner": "o\(number % 2)"}
                """)
            if answer.status != 201 { break }
            number += 1
        }
        try #require(number > 500)
        return harness
    }

    /// The same, and every second grant freed again: enough is free, but in pieces of four pages.
    private static func checkered() throws -> Harness {
        let harness = try filled()
        for id in stride(from: 2, to: harness.lastSequence, by: 2) {
            try harness.send("DELETE", "/v1/machines/m/allocations/\(id)")
        }
        return harness
    }

    @Test func blockersHaveOwners() throws {
        let harness = try Self.checkered()
        let body = "{\"control\":\"dma-24bit\",\"allocation_control\":{\"order\":9}}"
        let before = harness.lastSequence
        let asked = try harness.send("POST", "/v1/machines/m/explain", body)
        #expect(asked.status == 200)
        #expect(asked["ETag"] == "\"\(before)\"")
        #expect(asked["Gfpd-Sequence"] == "\(before)")
        #expect(harness.lastSequence == before)
        let certificate = try #require(asked.json["certificate"], "\(asked.body)")
        let window = try #require(certificate["cheapest_window"])
        #expect(window["pages"] == 512)
        let blockers = try #require(certificate["blockers"]).elements
        #expect(certificate["blocker_count"] == .unsigned(UInt64(blockers.count)))
        #expect(blockers.count == 64)
        #expect(certificate["binding_constraint"] == "high_boundary")
        let moved = blockers.compactMap { $0["pages"]?.number }.reduce(0, +)
        #expect(certificate["pages_to_move"] == .unsigned(moved))
        for blocker in blockers {
            let id = try #require(blocker["allocation"]?.number)
            let grant = try harness.send("GET", "/v1/machines/m/allocations/\(id)").json
            #expect(blocker["owner"] == grant["owner"])
            #expect(blocker["migratetype"] == grant["migratetype"])
            #expect(blocker["ranges"] == [["pfn": try #require(grant["pfn"]), "pages": 4]])
        }
        // The refusal says the same, but for the owners, which are in the ledger.
        let refused = try harness.send("POST", "/v1/machines/m/allocations", body)
        expectProblem(refused, 409, "out-of-memory")
        var same = try #require(refused.json["explanation"]?["certificate"]).members
        let nameless = blockers.map { $0.without("owner") }
        #expect(same["blockers"] == .array(nameless))
        same["blockers"] = .array(blockers)
        #expect(certificate == .object(same))
    }

    @Test func manyBlockersAreCounted() throws {
        let harness = try Self.checkered()
        let asked = try harness.send(
            "POST", "/v1/machines/m/explain",
            "{\"control\":\"dma-24bit\",\"allocation_control\":{\"order\":10}}")
        let certificate = try #require(asked.json["certificate"], "\(asked.body)")
        #expect(certificate["blockers"]?.elements.count == 100)
        #expect(certificate["blocker_count"] == 128)
    }

    /// Each change that a refusal names, made as it is spelled, is granted.
    @Test(arguments: [
        "{\"order\":10,\"high_boundary\":\"0xffffff\"}",
        "{\"order\":0,\"high_boundary\":\"0xffffff\"}",
        "{\"pages\":700,\"high_boundary\":\"0xffffff\",\"alignment\":\"0x200000\"}",
        "{\"pages\":700,\"high_boundary\":\"0xffffff\",\"boundary\":\"0x400000\"}",
        "{\"order\":3,\"flags\":\"GFP_DMA\"}",
        "{\"order\":3,\"flags\":\"GFP_KERNEL|__GFP_THISNODE|GFP_DMA\",\"node\":0}",
        "{\"pages\":3990,\"low_boundary\":\"0x1000000\",\"high_boundary\":\"0x1ffffff\"}",
        "{\"pages\":2000,\"mempol\":{\"mode\":\"bind\",\"nodes\":[1]},\"mems_allowed\":[1]}",
        "{\"pages\":2500,\"mems_allowed\":[0],\"high_boundary\":\"0x1ffffff\"}",
    ])
    func relaxationsAreGranted(control: String) throws {
        let harness = try Self.filled()
        // A page stands in the middle of DMA32, and one in the middle of Normal.
        for boundary in ["0x1800000", "0x2400000"] {
            try harness.allocate(
                """
                {"allocation_control": {"low_boundary": "\(boundary)", "flags": "GFP_ATOMIC",
                 "fit": "first"}}
                """)
        }
        let asked = try harness.send(
            "POST", "/v1/machines/m/explain", "{\"allocation_control\":\(control)}")
        try #require(asked.status == 200, "\(asked.body)")
        let relaxations = try #require(
            asked.json["certificate"]?["nearest_relaxations"], "\(asked.body)"
        ).elements
        #expect(!relaxations.isEmpty, "\(asked.body)")
        for relaxation in relaxations {
            let body = try Self.relaxed(control, by: relaxation)
            let answer = try harness.send("POST", "/v1/machines/m/explain", body)
            #expect(answer.json["would_grant"] != nil, "\(relaxation): \(answer.body)")
        }
    }

    /// A body that asks for the control with the change made.
    private static func relaxed(_ control: String, by relaxation: JSONValue) throws -> String {
        var members = JSONValue(text: control).members
        let field = try #require(relaxation["field"]?.text)
        if let value = relaxation["value"] {
            members[field] = value
            if field == "order" { members["pages"] = nil }
        }
        if let nodes = relaxation["mems_allowed"] { members["mems_allowed"] = nodes }
        var flags = (members["flags"]?.text ?? "GFP_KERNEL").components("|")
        let dropped = relaxation["without"]?["names"]?.elements.compactMap(\.text) ?? []
        flags.removeAll { dropped.contains($0) }
        flags += relaxation["with"]?["names"]?.elements.compactMap(\.text) ?? []
        members["flags"] = .array(flags.map { .string($0) })
        return "{\"allocation_control\":\(JSONValue.object(members).jsonText)}"
    }
}
