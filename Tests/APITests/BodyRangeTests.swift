// What the values of members may be, each at its bounds.

import Testing

/// A value at a place, and what becomes of it.
struct ValueCase {
    let body: String
    let status: Int
    let slug: String?
    let pointer: String?

    init(_ body: String, _ status: Int, _ slug: String? = nil, at pointer: String? = nil) {
        (self.body, self.status, self.slug, self.pointer) = (body, status, slug, pointer)
    }

    static func refused(_ body: String, at pointer: String) -> ValueCase {
        ValueCase(body, 400, "invalid-request", at: pointer)
    }

    func expect(
        _ harness: Harness, _ method: String, _ target: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let answer = try harness.send(method, target, body)
        let comment = "\(body.prefix(300)) -> \(answer.status) \(answer.body)"
        #expect(answer.status == status, "\(comment)", sourceLocation: sourceLocation)
        if slug != nil {
            #expect(answer.slug == slug, "\(comment)", sourceLocation: sourceLocation)
        }
        if pointer != nil {
            #expect(answer.pointer == pointer, "\(comment)", sourceLocation: sourceLocation)
        }
    }
}

struct BodyRangeTests {
    static func repeated(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }

    static func labels(_ count: Int) -> String {
        "{\"labels\":{" + (0..<count).map { "\"l\($0)\":\"\"" }.joined(separator: ",") + "}}"
    }

    static let allocationCases: [ValueCase] = [
        ValueCase("{}", 201), ValueCase(" \n{ }\t", 201),
        .refused("{\"control\":\"\"}", at: "/control"),
        .refused("{\"control\":\"a b\"}", at: "/control"),
        .refused("{\"control\":\"\(repeated("a", 64))\"}", at: "/control"),
        ValueCase(
            "{\"control\":\"\(repeated("a", 63))\"}", 404, "control-not-found", at: "/control"),
        ValueCase("{\"cpu\":0}", 201), ValueCase("{\"cpu\":2}", 201),
        ValueCase("{\"cpu\":3}", 422, "unsatisfiable", at: "/cpu"),
        ValueCase("{\"cpu\":8191}", 422, "unsatisfiable", at: "/cpu"),
        .refused("{\"cpu\":8192}", at: "/cpu"), .refused("{\"cpu\":-1}", at: "/cpu"),
        .refused("{\"cpu\":9223372036854775808}", at: "/cpu"),
        .refused("{\"owner\":\"\"}", at: "/owner"),
        ValueCase("{\"owner\":\"\(repeated("a", 255))\"}", 201),
        .refused("{\"owner\":\"\(repeated("a", 256))\"}", at: "/owner"),
        ValueCase("{\"owner\":\"\(repeated("é", 127))a\"}", 201),
        .refused("{\"owner\":\"\(repeated("é", 128))\"}", at: "/owner"),
        .refused("{\"owner\":\"\\u0000\"}", at: "/owner"),
        .refused("{\"owner\":\"a\\n\"}", at: "/owner"),
        .refused("{\"owner\":\"\u{7f}\"}", at: "/owner"),
        .refused("{\"owner\":\"\u{9f}\"}", at: "/owner"),
        ValueCase("{\"owner\":\" \u{a0}🐧\"}", 201),
        ValueCase("{\"labels\":{}}", 201), ValueCase(labels(16), 201),
        .refused(labels(17), at: "/labels/l16"),
        ValueCase("{\"labels\":{\"\(repeated("n", 63))\":\"\"}}", 201),
        .refused(
            "{\"labels\":{\"\(repeated("n", 64))\":\"\"}}", at: "/labels/\(repeated("n", 64))"),
        .refused("{\"labels\":{\"\":\"\"}}", at: "/labels/"),
        ValueCase("{\"labels\":{\"A.z_0/9-\":\"\"}}", 201),
        .refused("{\"labels\":{\"a b\":\"\"}}", at: "/labels/a b"),
        .refused("{\"labels\":{\"a~b\":\"\"}}", at: "/labels/a~0b"),
        .refused("{\"labels\":{\"é\":\"\"}}", at: "/labels/é"),
        ValueCase("{\"labels\":{\"n\":\"\(repeated("v", 255))\"}}", 201),
        .refused("{\"labels\":{\"n\":\"\(repeated("v", 256))\"}}", at: "/labels/n"),
        .refused("{\"labels\":{\"n\":\"\\t\"}}", at: "/labels/n"),
        .refused("{\"additional_flags\":\"GFP_NONE\"}", at: "/additional_flags"),
        ValueCase("{\"additional_flags\":\"\"}", 201),
        ValueCase("{\"additional_flags\":[]}", 201), ValueCase("{\"allocation_control\":{}}", 201),
        ValueCase(
            "{\"additional_flags\":[\"__GFP_MOVABLE\",\"__GFP_RECLAIMABLE\"]}", 422,
            "unsatisfiable", at: "/allocation_control/flags"),
        ValueCase(
            "{\"additional_flags\":[\"GFP_DMA\",\"GFP_DMA32\"]}", 422, "unsatisfiable",
            at: "/allocation_control/flags"),
    ]

    @Test func allocations() throws {
        let harness = try Harness.withMachine()
        for value in Self.allocationCases {
            try value.expect(harness, "POST", "/v1/machines/m/allocations")
        }
        #expect(try harness.send("POST", "/v1/machines/m/allocations").status == 201)
    }

    static let controlCases: [ValueCase] = [
        ValueCase("{\"order\":0}", 201), ValueCase("{\"order\":10}", 201),
        .refused("{\"order\":11}", at: "/order"), .refused("{\"order\":-1}", at: "/order"),
        .refused("{\"order\":9223372036854775808}", at: "/order"),
        .refused("{\"order\":-9223372036854775809}", at: "/order"),
        ValueCase("{\"node\":-1}", 201), ValueCase("{\"node\":0}", 201),
        ValueCase("{\"node\":1}", 201), .refused("{\"node\":-2}", at: "/node"),
        .refused("{\"node\":1024}", at: "/node"),
        .refused("{\"node\":-9223372036854775809}", at: "/node"),
    ]

    /// The same `allocation_control` stored, given inline, and given to a free.
    @Test func controlsEverywhere() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"allocation_control\":{\"order\":10}}")
        for (number, value) in Self.controlCases.enumerated() {
            try value.expect(harness, "PUT", "/v1/machines/m/controls/c\(number)")
            let pointer = value.pointer.map { "/allocation_control" + $0 }
            let inline = "{\"allocation_control\":\(value.body)}"
            try ValueCase(inline, value.status, value.slug, at: pointer)
                .expect(harness, "POST", "/v1/machines/m/allocations")
            if value.status == 400 {
                try ValueCase(inline, 400, "invalid-request", at: pointer)
                    .expect(harness, "POST", "/v1/machines/m/pages/4096/free")
            }
        }
        for node in [2, 1023] {
            try ValueCase("{\"node\":\(node)}", 201)
                .expect(harness, "PUT", "/v1/machines/m/controls/n\(node)")
            try ValueCase(
                "{\"control\":\"n\(node)\"}", 422, "unsatisfiable", at: "/allocation_control/node"
            ).expect(harness, "POST", "/v1/machines/m/allocations")
        }
    }

    static let freeCases: [ValueCase] = [
        .refused("{\"order\":11}", at: "/order"), .refused("{\"order\":-1}", at: "/order"),
        .refused("{\"control\":\"-\"}", at: "/control"),
        ValueCase("{\"control\":\"none\"}", 404, "control-not-found", at: "/control"),
        .refused("{\"order\":0,\"control\":\"c\"}", at: ""),
        .refused("{\"order\":0,\"allocation_control\":{}}", at: ""),
        .refused("{\"control\":\"c\",\"allocation_control\":{}}", at: ""),
        .refused("{\"control\":\"c\",\"allocation_control\":{},\"order\":0}", at: ""),
        .refused("{\"cpu\":0}", at: "/cpu"), .refused("{\"owner\":\"o\"}", at: "/owner"),
    ]

    @Test func frees() throws {
        let harness = try Harness.withMachine()
        let grant = try harness.allocate()
        let pfn = try #require(grant["pfn"]?.number)
        for value in Self.freeCases {
            try value.expect(harness, "POST", "/v1/machines/m/pages/\(pfn)/free")
        }
        for (segment, status, slug) in [
            ("4503599627370495", 404, "page-not-found"), ("0xfffffffffffff", 404, "page-not-found"),
            ("4503599627370496", 400, "invalid-request"), ("-1", 400, "invalid-request"),
            ("+1", 400, "invalid-request"), ("x", 400, "invalid-request"),
            ("1.0", 400, "invalid-request"), ("0x", 400, "invalid-request"),
            ("18446744073709551616", 400, "invalid-request"), ("%20", 400, "invalid-request"),
            ("0", 404, "page-not-found"),
        ] {
            let answer = try harness.send("POST", "/v1/machines/m/pages/\(segment)/free")
            let pointer = status == 400 ? "/path/pfn" : nil
            expectProblem(answer, status, slug, at: pointer, segment)
        }
        let hex = String(pfn, radix: 16)
        #expect(try harness.send("POST", "/v1/machines/m/pages/0x\(hex)/free", "{}").status == 200)
    }

    /// Addresses as the contract spells them, read and answered again.
    @Test(arguments: [
        ("0", "0x0"), ("4096", "0x1000"), ("\"4096\"", "0x1000"), ("\"0x1000\"", "0x1000"),
        ("\"0X1000\"", "0x1000"), ("\"0xABCdef\"", "0xabcdef"), ("\"0\"", "0x0"),
        ("18446744073709551615", "0xffffffffffffffff"),
        ("\"18446744073709551615\"", "0xffffffffffffffff"),
        ("\"0xffffffffffffffff\"", "0xffffffffffffffff"),
        ("9007199254740993", "0x20000000000001"), ("\"0x0000000000000000000001\"", "0x1"),
        ("18446744073709551616", nil), ("\"18446744073709551616\"", nil),
        ("\"0x10000000000000000\"", nil), ("-1", nil), ("-0", "0x0"), ("1.5", nil),
        ("4096.0", "0x1000"), ("1.8446744073709551615e19", "0xffffffffffffffff"),
        ("1e20", nil), ("\"\"", nil), ("\"0x\"", nil), ("\"0x1_0\"", nil), ("\" 1\"", nil),
        ("\"1 \"", nil), ("\"+1\"", nil), ("\"-1\"", nil), ("\"-0\"", nil), ("\"0x-0\"", nil),
        ("\"0x+1\"", nil), ("\"1.5\"", nil), ("\"4k\"", nil), ("\"ff\"", nil), ("\"0b1\"", nil),
        ("\"１\"", nil), ("\"1\\u0000\"", nil),
    ])
    func addresses(value: String, answered: String?) throws {
        let harness = try Harness.withMachine()
        for name in ["low_boundary", "high_boundary"] {
            let answer = try harness.send(
                "PUT", "/v1/machines/m/controls/\(name)", "{\"\(name)\":\(value)}")
            if let answered {
                #expect(answer.status == 201, "\(answer.body)")
                #expect(answer.json["allocation_control"]?[name] == .string(answered))
            } else {
                expectProblem(answer, 400, "invalid-request", at: "/" + name, value)
            }
        }
        guard answered == nil else { return }
        for place in BodyPlace.topology where place.kinds.isSuperset(of: [.number, .string]) {
            let answer = try harness.send(
                "POST", "/v1/machines?name=n", place.template.filled(value))
            expectProblem(answer, 400, "invalid-request", at: place.pointer, value)
        }
    }
}

struct FlagSpellingTests {
    static let taken: [(json: String, value: String, names: [JSONValue])] = [
        ("[\"GFP_KERNEL\"]", "0xcc0", ["GFP_KERNEL"]),
        ("\"GFP_KERNEL\"", "0xcc0", ["GFP_KERNEL"]),
        ("3264", "0xcc0", ["GFP_KERNEL"]), ("\"3264\"", "0xcc0", ["GFP_KERNEL"]),
        ("\"0xcc0\"", "0xcc0", ["GFP_KERNEL"]),
        ("\"GFP_KERNEL|__GFP_COMP\"", "0x40cc0", ["GFP_KERNEL", "__GFP_COMP"]),
        ("[\"GFP_KERNEL\",\"__GFP_COMP\"]", "0x40cc0", ["GFP_KERNEL", "__GFP_COMP"]),
        ("[\"__GFP_COMP\",\"GFP_KERNEL\"]", "0x40cc0", ["GFP_KERNEL", "__GFP_COMP"]),
        ("\"0xcc0|__GFP_COMP\"", "0x40cc0", ["GFP_KERNEL", "__GFP_COMP"]),
        ("\"GFP_KERNEL|262144\"", "0x40cc0", ["GFP_KERNEL", "__GFP_COMP"]),
        (
            "[\"GFP_KERNEL|__GFP_COMP\",\"0x100\"]", "0x40dc0",
            ["GFP_KERNEL", "__GFP_COMP", "__GFP_ZERO"]
        ),
        ("[]", "0x0", []), ("\"\"", "0x0", []), ("[\"\"]", "0x0", []), ("0", "0x0", []),
        ("\"0\"", "0x0", []),
        ("\"__GFP_RECLAIM\"", "0xc00", ["GFP_NOIO"]), ("\"__GFP_DMA\"", "0x1", ["GFP_DMA"]),
        ("\"__GFP_DMA32|__GFP_DMA\"", "0x5", ["GFP_DMA", "GFP_DMA32"]),
        ("\"GFP_ATOMIC\"", "0x820", ["GFP_ATOMIC"]),
        ("\"GFP_HIGHUSER_MOVABLE\"", "0x100cca", ["GFP_HIGHUSER_MOVABLE"]),
        ("2147483648", "0x80000000", ["0x80000000"]),
        ("\"GFP_KERNEL|0x80000000\"", "0x80000cc0", ["GFP_KERNEL", "0x80000000"]),
    ]

    @Test(arguments: taken.indices)
    func spellings(position: Int) throws {
        let (json, value, names) = Self.taken[position]
        let harness = try Harness.withMachine()
        let answer = try harness.send(
            "PUT", "/v1/machines/m/controls/c", "{\"flags\":\(json)}")
        let expected: JSONValue = ["value": .string(value), "names": .array(names)]
        #expect(answer.json["allocation_control"]?["flags"] == expected, "\(answer.body)")
    }

    @Test func allBitsRoundTrip() throws {
        let harness = try Harness.withMachine()
        let first = try harness.send("PUT", "/v1/machines/m/controls/c", "{\"flags\":4294967295}")
        let flags = try #require(first.json["allocation_control"]?["flags"])
        #expect(flags["value"] == "0xffffffff")
        let names = try #require(flags["names"]).elements.compactMap(\.text)
        let joined = names.joined(separator: "|")
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        for spelling in ["\"\(joined)\"", "[\(list)]", "\"0xffffffff\""] {
            let again = try harness.send(
                "PUT", "/v1/machines/m/controls/c", "{\"flags\":\(spelling)}")
            #expect(again.json["allocation_control"]?["flags"] == flags)
        }
    }

    @Test func whatIsNoFlag() throws {
        let harness = try Harness.withMachine()
        let refused = [
            ("4294967296", "/flags"), ("-1", "/flags"), ("1.5", "/flags"),
            ("\"0x100000000\"", "/flags"), ("\"4294967296\"", "/flags"), ("\"-1\"", "/flags"),
            ("\"GFP_KERNEL|\"", "/flags"), ("\"|GFP_KERNEL\"", "/flags"), ("\"|\"", "/flags"),
            ("\"GFP_KERNEL||__GFP_COMP\"", "/flags"), ("\" GFP_KERNEL\"", "/flags"),
            ("\"GFP_KERNEL | __GFP_COMP\"", "/flags"), ("\"gfp_kernel\"", "/flags"),
            ("\"GFP_KERNEL,__GFP_COMP\"", "/flags"), ("\"GFP_KERNELX\"", "/flags"),
            ("\"__GFP_ATOMIC\"", "/flags"), ("\"KERNEL\"", "/flags"), ("[\"NONE\"]", "/flags/0"),
            ("[\"GFP_KERNEL\",\"GFP_KERNEL|x\"]", "/flags/1"), ("[[\"GFP_KERNEL\"]]", "/flags/0"),
            ("[\"GFP_KERNEL\",1]", "/flags/1"),
        ]
        for (json, pointer) in refused {
            let answer = try harness.send(
                "PUT", "/v1/machines/m/controls/c", "{\"flags\":\(json)}")
            expectProblem(answer, 400, "invalid-request", at: pointer, json)
        }
    }

    /// What a name means, and whether it is one, is the dialect's affair.
    @Test func dialects() throws {
        let harness = try Harness.withMachine()
        let topology = SmallMachine.topology.dropFirst()
        let old = "{\"dialect\":\"linux-6.1\"," + topology
        try #require(try harness.send("POST", "/v1/machines?name=old", old).status == 201)
        func flags(_ machine: String, _ json: String) throws -> JSONValue? {
            let target = "/v1/machines/\(machine)/controls/c"
            let answer = try harness.send("PUT", target, "{\"flags\":\(json)}")
            return answer.json["allocation_control"]?["flags"]
        }
        #expect(
            try flags("old", "\"GFP_ATOMIC\"") == ["value": "0xa20", "names": ["GFP_ATOMIC"]])
        #expect(
            try flags("old", "\"__GFP_ATOMIC\"") == ["value": "0x200", "names": ["__GFP_ATOMIC"]])
        #expect(try flags("m", "\"0x200\"") == ["value": "0x200", "names": ["0x200"]])
        #expect(
            try flags("old", "\"GFP_NOWAIT\"") == ["value": "0x800", "names": ["GFP_NOWAIT"]])
        #expect(
            try flags("m", "\"GFP_NOWAIT\"") == ["value": "0x2800", "names": ["GFP_NOWAIT"]])
        let answer = try harness.send(
            "POST", "/v1/machines/m/allocations", "{\"additional_flags\":[\"__GFP_ATOMIC\"]}")
        expectProblem(answer, 400, "invalid-request", at: "/additional_flags/0")
    }
}
