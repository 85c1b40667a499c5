// Answers to the letter: every member and every value, and the fields of the head.

import Ledger
import Testing

struct AnswerTests {
    /// The time of the entry at a sequence, as the harness's clock has it.
    static func time(_ sequence: Int) -> JSONValue {
        let second = 20 + sequence - 1
        let (minute, rest) = (13 + second / 60, second % 60)
        return .string("2026-09-21T14:\(minute):\(rest / 10)\(rest % 10).000001Z")
    }

    static let noLimit: JSONValue = "0xffffffffffffffff"
    static let kernel: JSONValue = ["value": "0xcc0", "names": ["GFP_KERNEL"]]

    static func control(
        flags: JSONValue = kernel, order: JSONValue = 0, high: JSONValue = noLimit
    ) -> JSONValue {
        [
            "flags": flags, "order": order, "node": .negative(-1), "low_boundary": "0x0",
            "high_boundary": high,
        ]
    }

    static let fullRequest = """
        {"control": "nic", "allocation_control": {"order": 2}, "additional_flags": ["__GFP_COMP"],
         "cpu": 1, "owner": "task:1", "labels": {"b": "2", "a": "1"}}
        """

    /// What the full request is answered with, as the entry at sequence 3.
    static let fullAllocation: JSONValue = [
        "id": 3, "machine": "m", "pfn": 1024, "address": "0x400000", "order": 2, "pages": 4,
        "size": 16384, "node": 0, "zone": "DMA", "migratetype": "Unmovable", "compound": true,
        "state": "live",
        "effective_flags": ["value": "0x40cc0", "names": ["GFP_KERNEL", "__GFP_COMP"]],
        "control": "nic", "allocation_control": control(order: 2, high: "0xffffff"),
        "additional_flags": ["value": "0x40000", "names": ["__GFP_COMP"]], "cpu": 1,
        "owner": "task:1", "labels": ["a": "1", "b": "2"], "granted_at": time(3), "sequence": 3,
    ]

    @Test func allocations() throws {
        let harness = try Harness.withMachine()
        let put = try harness.send(
            "PUT", "/v1/machines/m/controls/nic", "{\"high_boundary\":\"0xffffff\",\"order\":7}")
        #expect(put.status == 201)
        let answer = try harness.send("POST", "/v1/machines/m/allocations", Self.fullRequest)
        #expect(answer.status == 201)
        #expect(answer.json == Self.fullAllocation)
        #expect(answer["Location"] == "/v1/machines/m/allocations/3")
        #expect(answer["Content-Type"] == "application/json")
        #expect(answer["Gfpd-Sequence"] == "3")
        #expect(try harness.send("GET", "/v1/machines/m/allocations/3").json == Self.fullAllocation)
        let list = try harness.send("GET", "/v1/machines/m/allocations")
        #expect(list.json == ["items": [Self.fullAllocation]])

        let plain = try harness.send("POST", "/v1/machines/m/allocations", "{}")
        #expect(
            plain.json == [
                "id": 4, "machine": "m", "pfn": 4096, "address": "0x1000000", "order": 0,
                "pages": 1, "size": 4096, "node": 0, "zone": "DMA32", "migratetype": "Unmovable",
                "compound": false, "state": "live", "effective_flags": Self.kernel,
                "allocation_control": Self.control(), "granted_at": Self.time(4), "sequence": 4,
            ])
    }

    @Test func freesOfAWholeGrant() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"allocation_control\":{\"order\":3}}")
        let freed = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        #expect(freed.status == 200)
        #expect(
            freed.json == [
                "allocation": 2, "machine": "m", "pfn": 4096, "order": 3, "pages": 8, "node": 0,
                "zone": "DMA32", "freed_ranges": [["pfn": 4096, "pages": 8]], "state": "freed",
                "freed_at": Self.time(3), "sequence": 3,
            ])
        let gone = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(gone["state"] == "freed")
        #expect(gone["freed_ranges"] == [["pfn": 4096, "pages": 8]])
        #expect(gone["sequence"] == 2)
        #expect(try harness.items("/v1/machines/m/allocations").isEmpty)
        expectProblem(
            try harness.send("DELETE", "/v1/machines/m/allocations/2"), 409, "already-freed")
        expectProblem(
            try harness.send("DELETE", "/v1/machines/m/allocations/3"), 404, "allocation-not-found")
        for id in ["0", "-1", "+2", "0x2", "x", "9223372036854775808", "2.0"] {
            for method in ["GET", "DELETE"] {
                let answer = try harness.send(method, "/v1/machines/m/allocations/\(id)")
                expectProblem(answer, 400, "invalid-request", at: "/path/id", id)
            }
        }
        expectProblem(
            try harness.send("DELETE", "/v1/machines/m/allocations/9223372036854775807"), 404,
            "allocation-not-found")
    }

    @Test func freesPageByPage() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"allocation_control\":{\"order\":2}}")
        let page = try harness.send("POST", "/v1/machines/m/pages/0x1001/free")
        #expect(
            page.json == [
                "allocation": 2, "machine": "m", "pfn": 4097, "order": 0, "pages": 1, "node": 0,
                "zone": "DMA32", "freed_ranges": [["pfn": 4097, "pages": 1]], "state": "live",
                "freed_at": Self.time(3), "sequence": 3,
            ])
        let pair = try harness.send("POST", "/v1/machines/m/pages/4098/free", "{\"order\":1}").json
        #expect(pair["order"] == 1)
        #expect(pair["freed_ranges"] == [["pfn": 4098, "pages": 2]])
        #expect(pair["state"] == "live")
        let live = try harness.send("GET", "/v1/machines/m/allocations/2").json
        #expect(live["freed_ranges"] == [["pfn": 4097, "pages": 3]])
        #expect(live["state"] == "live")
        let rest = try harness.send("DELETE", "/v1/machines/m/allocations/2").json
        #expect(rest["order"] == 2)
        #expect(rest["pages"] == 1)
        #expect(rest["freed_ranges"] == [["pfn": 4096, "pages": 1]])
        #expect(rest["state"] == "freed")
    }

    @Test func refusedFrees() throws {
        let harness = try Harness.withMachine()
        try harness.allocate(
            "{\"allocation_control\":{\"order\":2},\"additional_flags\":\"__GFP_COMP\"}")
        try harness.allocate("{\"allocation_control\":{\"order\":2}}")
        func free(_ pfn: Int, _ body: String? = nil) throws -> Answer {
            try harness.send("POST", "/v1/machines/m/pages/\(pfn)/free", body)
        }
        let tail = try free(4097)
        expectProblem(tail, 409, "not-head")
        #expect(tail.json["head_pfn"] == 4096)
        #expect(tail.sequence == 4)
        let order = try free(4096, "{\"order\":1}")
        expectProblem(order, 409, "wrong-order")
        #expect(order.json["asked_order"] == 1)
        #expect(order.json["granted_order"] == 2)
        #expect(order.json["head_pfn"] == 4096)
        expectProblem(try free(4101, "{\"order\":1}"), 422, "misaligned", at: "/path/pfn")
        expectProblem(try free(4100, "{\"order\":3}"), 409, "wrong-order")
        expectProblem(try free(4200), 409, "not-allocated")
        expectProblem(try free(0), 404, "page-not-found")
        #expect(try free(4100).status == 200)
        expectProblem(try free(4100, "{\"order\":1}"), 409, "not-allocated")
        expectProblem(try free(4100), 409, "not-allocated")
        #expect(try free(4096).json["pages"] == 4)
        // Each refusal is in the ledger.
        #expect(harness.lastSequence == 13)
        let refusals = try harness.items("/v1/ledger?outcome=refused").map { $0["reason"] }
        #expect(
            refusals == [
                "not_head", "wrong_order", "misaligned", "wrong_order", "not_allocated",
                "no_such_page", "not_allocated", "not_allocated",
            ])
    }

    @Test func machines() throws {
        let harness = try Harness.withMachine()
        let totals: JSONValue = [
            "present_pages": 10239, "managed_pages": 10239, "free_pages": 10239,
            "granted_pages": 0, "live_allocations": 0,
        ]
        let topology: JSONValue = [
            "dialect": "linux-6.12", "page_size": 4096,
            "nodes": [
                [
                    "id": 0, "cpus": [0, 1], "memory": [["start": "0x1000", "end": "0x1ffffff"]],
                    "fallback_order": [0, 1],
                ],
                [
                    "id": 1, "cpus": [2], "memory": [["start": "0x2000000", "end": "0x27fffff"]],
                    "fallback_order": [1, 0],
                ],
            ],
            "distances": [[10, 20], [20, 10]], "zones": ["DMA", "DMA32", "Normal", "Movable"],
        ]
        let summary: JSONValue = [
            "name": "m", "generation": 1, "dialect": "linux-6.12", "created_at": Self.time(1),
            "sequence": 1, "totals": totals,
        ]
        let machine = try harness.send("GET", "/v1/machines/m")
        var members = summary.members
        (members["topology"], members["assumed"]) = (topology, [])
        #expect(machine.json == .object(members))
        #expect(machine["ETag"] == "\"1\"")
        #expect(try harness.send("GET", "/v1/machines").json == ["items": [summary]])

        try harness.allocate("{\"allocation_control\":{\"order\":4}}")
        let busy = try harness.send("GET", "/v1/machines/m")
        #expect(busy.json["totals"]?["granted_pages"] == 16)
        #expect(busy.json["totals"]?["free_pages"] == 10223)
        #expect(busy.json["totals"]?["live_allocations"] == 1)
        #expect(busy["ETag"] == "\"2\"")

        let created = try harness.send("POST", "/v1/machines?name=n", SmallMachine.topology)
        #expect(created.status == 201)
        #expect(created["Location"] == "/v1/machines/n")
        #expect(created["ETag"] == "\"3\"")
        #expect(created.json["topology"] == topology)
        let deleted = try harness.send("DELETE", "/v1/machines/n")
        #expect(
            deleted.json
                == ["name": "n", "freed_allocations": 0, "freed_pages": 0, "sequence": 4])
        let inUse = try harness.send("DELETE", "/v1/machines/m?force=false")
        expectProblem(inUse, 409, "machine-in-use")
        #expect(inUse.json["live_allocations"] == 1)
        let forced = try harness.send("DELETE", "/v1/machines/m?force=true")
        #expect(
            forced.json
                == ["name": "m", "freed_allocations": 1, "freed_pages": 16, "sequence": 6])
        expectProblem(try harness.send("GET", "/v1/machines/m"), 404, "machine-not-found")
    }

    @Test func zones() throws {
        let harness = try Harness.withMachine()
        let answer = try harness.send("GET", "/v1/machines/m/zones")
        #expect(answer["ETag"] == "\"1\"")
        #expect(answer.json["items"]?.elements.count == 3)
        let blocks: [JSONValue] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3]
        #expect(
            answer.json["items"]?[0] == [
                "node": 0, "zone": "DMA", "start_pfn": 1, "spanned": 4095, "present": 4095,
                "managed": 4095, "free": 4095,
                "watermarks": ["min": 80, "low": 100, "high": 120, "promo": 140],
                "lowmem_reserve": ["DMA": 0, "DMA32": 16, "Normal": 16, "Movable": 16],
                "free_blocks": .array(blocks),
            ])
        #expect(
            answer.json["items"]?[2] == [
                "node": 1, "zone": "Normal", "start_pfn": 8192, "spanned": 2048, "present": 2048,
                "managed": 2048, "free": 2048,
                "watermarks": ["min": 40, "low": 50, "high": 60, "promo": 70],
                "lowmem_reserve": ["DMA": 0, "DMA32": 0, "Normal": 0, "Movable": 0],
                "free_blocks": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            ])
        #expect(try harness.send("GET", "/v1/machines/m/zoneinfo").json == answer.json)
        let buddyinfo = try harness.send("GET", "/v1/machines/m/buddyinfo")
        #expect(
            buddyinfo.json["items"]?[0]
                == ["node": 0, "zone": "DMA", "free_blocks": .array(blocks)])

        let asText = [("Accept", "text/plain")]
        let text = try harness.send("GET", "/v1/machines/m/buddyinfo", headers: asText)
        #expect(text["Content-Type"] == "text/plain; charset=utf-8")
        #expect(text["ETag"] == "\"1\"")
        #expect(text.body.hasPrefix("Node 0, zone      DMA      1      1 "))
    }

    /// A machine can be made of what a machine of the same zones prints.
    @Test func zoneinfoIsReadAgain() throws {
        let harness = try Harness()
        let plain = [("Content-Type", "text/plain")]
        let first = try harness.send(
            "POST", "/v1/machines?name=m", TopologyBodyTests.zoneinfo, headers: plain)
        try #require(first.status == 201, "\(first.body)")
        try harness.allocate()
        let text = try harness.send(
            "GET", "/v1/machines/m/zoneinfo", headers: [("Accept", "text/plain")])
        #expect(text.body.contains("  pages free     999\n"))
        let copy = try harness.send("POST", "/v1/machines?name=copy", text.body, headers: plain)
        #expect(copy.json["totals"] == first.json["totals"], "\(copy.body)")
        #expect(copy.json["topology"] == first.json["topology"])
    }

    @Test func controls() throws {
        let harness = try Harness.withMachine()
        let put = try harness.send(
            "PUT", "/v1/machines/m/controls/nic",
            "{\"flags\":\"GFP_DMA\",\"order\":3,\"node\":1,\"low_boundary\":4096}")
        let expected: JSONValue = [
            "name": "nic", "machine": "m",
            "allocation_control": [
                "flags": ["value": "0x1", "names": ["GFP_DMA"]], "order": 3, "node": 1,
                "low_boundary": "0x1000", "high_boundary": Self.noLimit,
            ],
            "updated_at": Self.time(2), "sequence": 2,
        ]
        #expect(put.status == 201)
        #expect(put.json == expected)
        #expect(put["ETag"] == "\"2\"")
        #expect(put["Location"] == "/v1/machines/m/controls/nic")
        let read = try harness.send("GET", "/v1/machines/m/controls/nic")
        #expect(read.json == expected)
        #expect(read["ETag"] == "\"2\"")
        let list = try harness.send("GET", "/v1/machines/m/controls?page_size=1").json
        #expect(list["items"] == [expected])
        // A put is the whole control: what it leaves out is the default again.
        let again = try harness.send("PUT", "/v1/machines/m/controls/nic", "{}")
        #expect(again.status == 200)
        #expect(again["Location"] == nil)
        #expect(again.json["allocation_control"] == Self.control())
        #expect(again.sequence == 3)
        let deleted = try harness.send("DELETE", "/v1/machines/m/controls/nic")
        #expect(deleted.status == 204)
        #expect(deleted.bytes.isEmpty)
        #expect(deleted["Gfpd-Sequence"] == "4")
        for method in ["GET", "DELETE"] {
            expectProblem(
                try harness.send(method, "/v1/machines/m/controls/nic"), 404, "control-not-found")
        }
        expectProblem(
            try harness.send("PUT", "/v1/machines/m/controls/.x", "{}"), 400, "invalid-request",
            at: "/path/name")
        expectProblem(
            try harness.send("PUT", "/v1/machines/m/controls/x"), 400, "invalid-request", at: "")
    }

    @Test func ledgerEntriesOfEachKind() throws {
        let harness = try Harness.withMachine()
        func send(_ method: String, _ target: String, _ body: String? = nil) throws {
            let name = "r\(harness.lastSequence + 1)"
            try harness.send(
                method, "/v1/machines/m" + target, body, headers: [("X-Request-Id", name)])
        }
        try send("PUT", "/controls/nic", "{\"high_boundary\":\"0xffffff\",\"order\":7}")
        try send("POST", "/allocations", Self.fullRequest)
        try send("POST", "/allocations", "{\"allocation_control\":{\"node\":7},\"owner\":\"o\"}")
        try send("POST", "/pages/1024/free")
        try send("POST", "/pages/1024/free", "{\"order\":2}")
        try send("DELETE", "/allocations/3")
        try send("DELETE", "/controls/nic")
        try send("DELETE", "")
        func entry(_ sequence: Int, _ kind: String, _ outcome: String) -> [String: JSONValue] {
            [
                "sequence": .unsigned(UInt64(sequence)), "time": Self.time(sequence),
                "machine": "m", "kind": .string(kind), "outcome": .string(outcome),
                "request_id": .string("r\(sequence)"),
                "hash": .string(TestLedger.hash(at: Sequence(UInt64(sequence))).text),
            ]
        }
        func with(_ members: [String: JSONValue], _ more: JSONValue) -> JSONValue {
            .object(members.merging(more.members) { _, new in new })
        }
        let asked = Self.fullAllocation.without(
            "id", "machine", "address", "size", "state", "granted_at", "sequence")
        let expected: [JSONValue] = [
            with(
                entry(2, "control_put", "done"),
                [
                    "control": "nic", "order": 7,
                    "allocation_control": Self.control(order: 7, high: "0xffffff"),
                ]),
            with(with(entry(3, "allocate", "granted"), asked).members, ["allocation": 3]),
            with(
                entry(4, "allocate", "refused"),
                [
                    "effective_flags": Self.kernel, "owner": "o", "order": 0,
                    "reason": "no_such_node",
                    "allocation_control": .object(
                        Self.control().members.merging(["node": 7]) { _, new in new }),
                ]),
            with(
                entry(5, "free", "done"),
                [
                    "allocation": 3, "pfn": 1024, "order": 2, "pages": 4, "node": 0, "zone": "DMA",
                ]),
            with(
                entry(6, "free", "refused"), ["pfn": 1024, "order": 2, "reason": "not_allocated"]
            ),
            with(
                entry(7, "free", "refused"), ["allocation": 3, "reason": "already_freed"]),
            with(entry(8, "control_deleted", "done"), ["control": "nic"]),
            .object(entry(9, "machine_deleted", "done")),
        ]
        let items = try harness.items("/v1/ledger?after=1")
        #expect(items.count == expected.count)
        for (item, expected) in zip(items, expected) {
            #expect(item == expected)
            let one = try harness.send(
                "GET", "/v1/ledger/\(try #require(item["sequence"]?.number))")
            #expect(one.json == expected)
        }
        let created = try harness.send("GET", "/v1/ledger/1").json
        #expect(
            created.without("request_id")
                == .object(entry(1, "machine_created", "done")).without("request_id"))
    }

    @Test func ledgerEntriesThatAreNotThere() throws {
        let harness = try Harness.withMachine()
        expectProblem(try harness.send("GET", "/v1/ledger/2"), 404, "entry-not-found")
        expectProblem(
            try harness.send("GET", "/v1/ledger/9223372036854775807"), 404, "entry-not-found")
        for sequence in ["0", "-1", "+1", "0x1", "x", "9223372036854775808"] {
            expectProblem(
                try harness.send("GET", "/v1/ledger/\(sequence)"), 400, "invalid-request",
                at: "/path/sequence")
        }
    }

    @Test func refusedAllocations() throws {
        let harness = try Harness()
        let tiny = """
            {"nodes":[{"id":0,"memory":[{"start":4096,"end":20479}]}],
             "watermarks":{"min_free_kbytes":0}}
            """
        try #require(try harness.send("POST", "/v1/machines?name=m", tiny).status == 201)
        try harness.allocate("{\"allocation_control\":{\"order\":1}}")
        let full = try harness.send(
            "POST", "/v1/machines/m/allocations", "{\"allocation_control\":{\"order\":1}}")
        expectProblem(full, 409, "out-of-memory")
        #expect(full.sequence == 3)
        let explanation = try #require(full.json["explanation"])
        #expect(explanation["highest_zone"] == "DMA")
        #expect(explanation["would_grant"] == nil)
        #expect(explanation["kernel_would_try"] == "compaction")
        #expect(explanation["zonelist"]?.elements.count == 1)
        let step = try #require(explanation["zonelist"]?[0])
        #expect(
            step == [
                "node": 0, "zone": "DMA", "free_pages": 2, "watermark": 0, "lowmem_reserve": 0,
                "free_blocks_by_order": [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                "verdict": "no_block_of_order", "reason": "no free block is large enough",
            ])
        #expect(explanation["not_modelled"] == ExplainTests.notModelled)

        for (body, reason, pointer) in [
            (
                "{\"allocation_control\":{\"order\":2}}", "no_block_in_boundaries",
                "/allocation_control/high_boundary"
            ),
            (
                "{\"allocation_control\":{\"high_boundary\":4094}}", "window_too_small",
                "/allocation_control/high_boundary"
            ),
            (
                "{\"allocation_control\":{\"low_boundary\":2,\"high_boundary\":1}}",
                "window_too_small", "/allocation_control/high_boundary"
            ),
            ("{\"allocation_control\":{\"node\":1}}", "no_such_node", "/allocation_control/node"),
            ("{\"cpu\":0}", "no_such_cpu", "/cpu"),
            ("{\"additional_flags\":5}", "contradictory_zone_flags", "/allocation_control/flags"),
            ("{\"additional_flags\":24}", "contradictory_mobility", "/allocation_control/flags"),
        ] {
            let answer = try harness.send("POST", "/v1/machines/m/allocations", body)
            expectProblem(answer, 422, "unsatisfiable", at: pointer, body)
            #expect(answer.json["reason"] == .string(reason))
            #expect(answer.sequence == harness.lastSequence)
        }
    }

    /// Each zone of the walk, with the reserve that holds against the request's highest zone.
    @Test func explanations() throws {
        let harness = try Harness.withMachine()
        let body = "{\"allocation_control\":{\"order\":10,\"flags\":\"GFP_DMA32\"}}"
        for _ in 0..<6 { try harness.allocate(body) }
        let full = try harness.send("POST", "/v1/machines/m/allocations", body)
        expectProblem(full, 409, "out-of-memory")
        let steps = full.json["explanation"]?["zonelist"]?.elements ?? []
        #expect(steps.map { $0["zone"] } == ["DMA32", "DMA", "Normal"])
        #expect(steps.map { $0["node"] } == [0, 0, 1])
        #expect(steps.map { $0["lowmem_reserve"] } == [0, 16, 0])
        #expect(steps.map { $0["free_pages"] } == [1024, 1023, 2048])
        #expect(
            steps.map { $0["verdict"] }
                == ["below_watermark", "below_watermark", "excluded_by_zone_modifier"])
        #expect(steps.map { $0["watermark"] } == [80, 80, .null])
        #expect(
            steps[1]["reason"]
                == .string(
                    "more than 96 pages must stay free: the mark, and the reserve against requests "
                        + "for a higher zone"))
    }

    @Test func problemsAreWellFormed() throws {
        let harness = try Harness.withMachine()
        let answer = try harness.send(
            "POST", "/v1/machines/m/allocations?x=%7E", "{}", headers: [("X-Request-Id", "me")])
        #expect(answer["Content-Type"] == "application/problem+json")
        #expect(
            answer.json == [
                "type": "/problems/invalid-request",
                "title": "The request breaks a rule of the contract", "status": 400,
                "detail": "/query/x is not a parameter of this path",
                "instance": "/v1/machines/m/allocations", "request_id": "me",
                "errors": [["pointer": "/query/x", "detail": "is not a parameter of this path"]],
            ])
        let malformed = try harness.turn([
            Message(isHead: false, bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8))
        ])[0]
        expectProblem(malformed, 400, "malformed-http")
        #expect(malformed.json["instance"] == nil)
        #expect(malformed["X-Request-Id"] == malformed.json["request_id"]?.text)
        #expect(malformed["Gfpd-Sequence"] == "1")
    }

    @Test func requestIDs() throws {
        let harness = try Harness.withMachine()
        func echoed(_ id: String) throws -> String? {
            try harness.send("GET", "/livez", headers: [("X-Request-Id", id)])["X-Request-Id"]
        }
        for id in ["a", "A b~!\"\\", String(repeating: "x", count: 128)] {
            #expect(try echoed(id) == id)
        }
        let long = String(repeating: "y", count: 200)
        #expect(try echoed(long) == String(long.prefix(128)))
        var seen: Set<String> = []
        for id in ["", "é", "a\tb", "\u{1f427}"] {
            let own = try #require(try echoed(id))
            #expect(own != id && !own.isEmpty)
            #expect(seen.insert(own).inserted)
        }
        try harness.send(
            "POST", "/v1/machines/m/allocations", "{}", headers: [("X-Request-Id", "of me")])
        let entries = try harness.items("/v1/ledger?request_id=of%20me")
        #expect(entries.map { $0["sequence"] } == [2])
    }

    @Test func headHasTheHeadOfGet() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        for target in [
            "/v1/machines", "/v1/machines/m", "/v1/machines/m/allocations",
            "/v1/machines/m/allocations/2", "/v1/machines/m/allocations/9", "/v1/machines/x",
            "/v1/machines/m/zones", "/v1/machines/m/pagetypeinfo", "/v1/machines/m/numastat",
            "/v1/machines/m/fragmentation", "/v1/machines/m/controls",
            "/v1/machines/m/controls/dma-30bit", "/v1/ledger", "/v1/ledger/1",
            "/livez", "/readyz", "/openapi.yaml", "/problems", "/problems/not-found", "/nothing",
        ] {
            let id = [("X-Request-Id", "h")]
            let get = try harness.send("GET", target, headers: id)
            let head = try harness.send("HEAD", target, headers: id)
            #expect(head.status == get.status)
            #expect(head.bytes.isEmpty && !get.bytes.isEmpty)
            #expect(head.fields.map(\.name) == get.fields.map(\.name))
            #expect(head.fields.map(\.value) == get.fields.map(\.value), "\(target)")
            #expect(get["Content-Length"] == String(get.bytes.count))
        }
    }

    @Test func operations() throws {
        let harness = try Harness.withMachine()
        #expect(try harness.send("GET", "/livez").json == ["status": "ok"])
        #expect(try harness.send("GET", "/readyz").json == ["status": "ok"])
        let checks = try harness.send("GET", "/readyz?verbose").json["checks"]?.elements ?? []
        #expect(
            checks.map { $0["name"] } == [
                "accepting", "ledger", "disk", "storage", "sequence", "machines",
                "history_reads_waiting",
            ])
        #expect(checks.suffix(4).map { $0["detail"] } == ["in memory", "1", "1", "0"])
        expectProblem(
            try harness.send("GET", "/livez?verbose"), 400, "invalid-request", at: "/query/verbose")
        expectProblem(
            try harness.send("GET", "/readyz?verbose=1"), 400, "invalid-request",
            at: "/query/verbose")
        let contract = try harness.send("GET", "/openapi.yaml")
        #expect(contract["Content-Type"] == "application/yaml")
        #expect(contract.body.hasPrefix("openapi: 3."))
        expectProblem(
            try harness.send("GET", "/openapi.yaml", headers: [("Accept", "text/html")]), 406,
            "not-acceptable")

        let problems = try harness.send("GET", "/problems").json["items"]?.elements ?? []
        #expect(problems.count > 25)
        for problem in problems {
            let target = try #require(problem["type"]?.text)
            let page = try harness.send("GET", target)
            #expect(page.status == 200)
            #expect(page["Content-Type"] == "text/plain; charset=utf-8")
            let status = try #require(problem["status"]?.number)
            #expect(page.body.hasPrefix("\(status) \(try #require(problem["title"]?.text))\n"))
            let html = try harness.send(
                "GET", target, headers: [("Accept", "text/html, */*;q=0.1")])
            #expect(html["Content-Type"] == "text/html; charset=utf-8")
            let json = try harness.send("GET", target, headers: [("Accept", "application/json")])
            #expect(json.json.without("advice") == problem)
        }
        expectProblem(try harness.send("GET", "/problems/none"), 404, "not-found")
    }
}
