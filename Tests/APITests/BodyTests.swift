// Every member of every body: each kind of JSON that it is not, names that are none, names twice.
// What the members' values may be is in `BodyRangeTests` and `TopologyBodyTests`.

import Testing

/// A request with a body that has a place for one more value, written `@`.
struct BodyTemplate: Sendable {
    let method: String
    let target: String
    let text: String

    init(_ method: String, _ target: String, _ text: String) {
        (self.method, self.target, self.text) = (method, target, text)
    }

    func filled(_ value: String) -> String {
        text.replacing("@", with: value)
    }

    /// The same body with a narrower place.
    func nested(_ inner: String) -> BodyTemplate {
        BodyTemplate(method, target, filled(inner))
    }

    static let allocation = BodyTemplate("POST", "/v1/machines/m/allocations", "@")
    static let explain = BodyTemplate("POST", "/v1/machines/m/explain", "@")
    static let free = BodyTemplate("POST", "/v1/machines/m/pages/5000/free", "@")
    static let control = BodyTemplate("PUT", "/v1/machines/m/controls/c", "@")
    static let machine = BodyTemplate("POST", "/v1/machines?name=n", "@")
}

enum BodyKind: CaseIterable {
    case object, array, string, number, bool, null

    var sample: String {
        switch self {
        case .object: "{}"
        case .array: "[]"
        case .string: "\"x\""
        case .number: "1"
        case .bool: "true"
        case .null: "null"
        }
    }
}

/// A place in a body, and the kinds of JSON that may stand there.
struct BodyPlace: Sendable {
    let template: BodyTemplate
    let pointer: String
    let kinds: Set<BodyKind>

    init(_ template: BodyTemplate, _ pointer: String, _ kinds: Set<BodyKind>) {
        (self.template, self.pointer, self.kinds) = (template, pointer, kinds)
    }

    /// The members of an `allocation_control` that stands at `pointer`.
    static func controlMembers(_ template: BodyTemplate, at pointer: String) -> [BodyPlace] {
        [
            BodyPlace(
                template.nested("{\"flags\":@}"), pointer + "/flags", [.array, .string, .number]),
            BodyPlace(
                template.nested("{\"flags\":[\"GFP_DMA\",@]}"), pointer + "/flags/1", [.string]),
            BodyPlace(template.nested("{\"order\":@}"), pointer + "/order", [.number]),
            BodyPlace(template.nested("{\"node\":@}"), pointer + "/node", [.number]),
            BodyPlace(
                template.nested("{\"low_boundary\":@}"), pointer + "/low_boundary",
                [.number, .string]),
            BodyPlace(
                template.nested("{\"high_boundary\":@}"), pointer + "/high_boundary",
                [.number, .string]),
        ]
            + placementMembers(template, at: pointer)
            + policyMembers(template.nested("{\"mempol\":@}"), at: pointer + "/mempol")
    }

    private static func placementMembers(
        _ template: BodyTemplate, at pointer: String
    ) -> [BodyPlace] {
        func place(_ name: String, _ kinds: Set<BodyKind>) -> BodyPlace {
            BodyPlace(template.nested("{\"\(name)\":@}"), pointer + "/" + name, kinds)
        }
        return [
            place("mems_allowed", [.array]),
            BodyPlace(
                template.nested("{\"mems_allowed\":[0,@]}"), pointer + "/mems_allowed/1",
                [.number]),
            place("alignment", [.number, .string]), place("phase", [.number, .string]),
            place("boundary", [.number, .string]), place("pages", [.number]),
            place("max_segments", [.number]), place("fit", [.string]),
        ]
    }

    private static func policyMembers(
        _ template: BodyTemplate, at pointer: String
    ) -> [BodyPlace] {
        func place(_ text: String, _ path: String, _ kinds: Set<BodyKind>) -> BodyPlace {
            BodyPlace(template.nested(text), pointer + path, kinds)
        }
        return [
            place("@", "", [.object]), place("{\"mode\":@}", "/mode", [.string]),
            place("{\"nodes\":@}", "/nodes", [.array]),
            place("{\"nodes\":[@]}", "/nodes/0", [.number]),
            place("{\"flags\":@}", "/flags", [.array]),
            place("{\"flags\":[\"static_nodes\",@]}", "/flags/1", [.string]),
            place("{\"weights\":@}", "/weights", [.object]),
            place("{\"weights\":{\"7\":@}}", "/weights/7", [.number]),
            place("{\"home_node\":@}", "/home_node", [.number]),
        ]
    }

    static let allocation = request(.allocation)
    static let explain = request(.explain)

    /// The members of what asks for an allocation.
    private static func request(_ template: BodyTemplate) -> [BodyPlace] {
        [
            BodyPlace(template, "", [.object]),
            BodyPlace(template.nested("{\"control\":@}"), "/control", [.string]),
            BodyPlace(
                template.nested("{\"allocation_control\":@}"), "/allocation_control", [.object]),
            BodyPlace(
                template.nested("{\"additional_flags\":@}"), "/additional_flags",
                [.array, .string, .number]),
            BodyPlace(
                template.nested("{\"additional_flags\":[@]}"), "/additional_flags/0", [.string]),
            BodyPlace(template.nested("{\"cpu\":@}"), "/cpu", [.number]),
            BodyPlace(template.nested("{\"owner\":@}"), "/owner", [.string]),
            BodyPlace(template.nested("{\"labels\":@}"), "/labels", [.object]),
            BodyPlace(template.nested("{\"labels\":{\"a/b\":@}}"), "/labels/a~1b", [.string]),
        ]
            + controlMembers(
                template.nested("{\"allocation_control\":@}"), at: "/allocation_control")
    }

    static let free: [BodyPlace] =
        [
            BodyPlace(.free, "", [.object]),
            BodyPlace(.free.nested("{\"order\":@}"), "/order", [.number]),
            BodyPlace(.free.nested("{\"control\":@}"), "/control", [.string]),
            BodyPlace(.free.nested("{\"allocation_control\":@}"), "/allocation_control", [.object]),
        ] + controlMembers(.free.nested("{\"allocation_control\":@}"), at: "/allocation_control")

    static let control: [BodyPlace] =
        [BodyPlace(.control, "", [.object])] + controlMembers(.control, at: "")

    static let topology: [BodyPlace] = [
        BodyPlace(.machine, "", [.object]),
        BodyPlace(.machine.nested("{\"dialect\":@}"), "/dialect", [.string]),
        BodyPlace(.machine.nested("{\"page_size\":@}"), "/page_size", [.number]),
        BodyPlace(.machine.nested("{\"nodes\":@}"), "/nodes", [.array]),
        BodyPlace(.machine.nested("{\"nodes\":[@]}"), "/nodes/0", [.object]),
        BodyPlace(.machine.nested("{\"nodes\":[{\"id\":@}]}"), "/nodes/0/id", [.number]),
        BodyPlace(.machine.nested("{\"nodes\":[{\"cpus\":@}]}"), "/nodes/0/cpus", [.array]),
        BodyPlace(.machine.nested("{\"nodes\":[{\"cpus\":[0,@]}]}"), "/nodes/0/cpus/1", [.number]),
        BodyPlace(.machine.nested("{\"nodes\":[{\"memory\":@}]}"), "/nodes/0/memory", [.array]),
        BodyPlace(
            .machine.nested("{\"nodes\":[{\"memory\":[@]}]}"), "/nodes/0/memory/0", [.object]),
        BodyPlace(
            .machine.nested("{\"nodes\":[{\"memory\":[{\"start\":@}]}]}"),
            "/nodes/0/memory/0/start", [.number, .string]),
        BodyPlace(
            .machine.nested("{\"nodes\":[{\"memory\":[{\"end\":@}]}]}"), "/nodes/0/memory/0/end",
            [.number, .string]),
        BodyPlace(
            .machine.nested("{\"nodes\":[{\"movable_bytes\":@}]}"), "/nodes/0/movable_bytes",
            [.number, .string]),
        BodyPlace(.machine.nested("{\"distances\":@}"), "/distances", [.array]),
        BodyPlace(.machine.nested("{\"distances\":[@]}"), "/distances/0", [.array]),
        BodyPlace(.machine.nested("{\"distances\":[[10,@]]}"), "/distances/0/1", [.number]),
        BodyPlace(.machine.nested("{\"zones\":@}"), "/zones", [.object, .null]),
        BodyPlace(
            .machine.nested("{\"zones\":{\"DMA\":@}}"), "/zones/DMA", [.number, .string, .null]),
        BodyPlace(
            .machine.nested("{\"zones\":{\"DMA32\":@}}"), "/zones/DMA32",
            [.number, .string, .null]),
        BodyPlace(.machine.nested("{\"reserved\":@}"), "/reserved", [.array]),
        BodyPlace(.machine.nested("{\"reserved\":[@]}"), "/reserved/0", [.object]),
        BodyPlace(
            .machine.nested("{\"reserved\":[{\"start\":@}]}"), "/reserved/0/start",
            [.number, .string]),
        BodyPlace(
            .machine.nested("{\"reserved\":[{\"end\":@}]}"), "/reserved/0/end", [.number, .string]),
        BodyPlace(.machine.nested("{\"watermarks\":@}"), "/watermarks", [.object]),
        BodyPlace(
            .machine.nested("{\"watermarks\":{\"min_free_kbytes\":@}}"),
            "/watermarks/min_free_kbytes", [.number]),
        BodyPlace(
            .machine.nested("{\"watermarks\":{\"watermark_scale_factor\":@}}"),
            "/watermarks/watermark_scale_factor", [.number]),
        BodyPlace(
            .machine.nested("{\"watermarks\":{\"lowmem_reserve_ratio\":@}}"),
            "/watermarks/lowmem_reserve_ratio", [.array]),
        BodyPlace(
            .machine.nested("{\"watermarks\":{\"lowmem_reserve_ratio\":[1,@]}}"),
            "/watermarks/lowmem_reserve_ratio/1", [.number]),
    ]

    static let kernelTexts: [BodyPlace] = [
        BodyPlace(.machine.nested("{\"zoneinfo\":@}"), "/zoneinfo", [.string]),
        BodyPlace(.machine.nested("{\"zoneinfo\":\"\",\"iomem\":@}"), "/iomem", [.string]),
        BodyPlace(.machine.nested("{\"distances\":@,\"zoneinfo\":\"\"}"), "/distances", [.array]),
        BodyPlace(
            .machine.nested("{\"zoneinfo\":\"\",\"distances\":[@]}"), "/distances/0", [.array]),
        BodyPlace(
            .machine.nested("{\"zoneinfo\":\"\",\"distances\":[[@]]}"), "/distances/0/0",
            [.number]),
        BodyPlace(.machine.nested("{\"zoneinfo\":\"\",\"cpus\":@}"), "/cpus", [.object]),
        BodyPlace(.machine.nested("{\"zoneinfo\":\"\",\"cpus\":{\"3\":@}}"), "/cpus/3", [.array]),
        BodyPlace(
            .machine.nested("{\"zoneinfo\":\"\",\"cpus\":{\"3\":[@]}}"), "/cpus/3/0", [.number]),
        BodyPlace(.machine.nested("{\"zoneinfo\":\"\",\"dialect\":@}"), "/dialect", [.string]),
    ]

    static let all = allocation + explain + free + control + topology + kernelTexts
}

struct BodyTests {
    @Test func eachKindThatAMemberIsNot() throws {
        let harness = try Harness.withMachine()
        let before = harness.lastSequence
        for place in BodyPlace.all {
            for kind in BodyKind.allCases where !place.kinds.contains(kind) {
                let body = place.template.filled(kind.sample)
                let answer = try harness.send(place.template.method, place.template.target, body)
                expectProblem(answer, 400, "invalid-request", at: place.pointer, body)
            }
        }
        #expect(harness.lastSequence == before, "a refused body was recorded")
    }

    @Test func eachNumberIsAnInteger() throws {
        let harness = try Harness.withMachine()
        for place in BodyPlace.all where place.kinds.contains(.number) {
            for number in ["1.5", "1E-2", "0.01e1", "99999999999999999999999", "1e99"] {
                let body = place.template.filled(number)
                let answer = try harness.send(place.template.method, place.template.target, body)
                expectProblem(answer, 400, "invalid-request", at: place.pointer, body)
            }
            for number in ["01", "+1", "1.", ".5", "1x10", "1e", "-", "--1", "NaN", "Infinity"] {
                let body = place.template.filled(number)
                let answer = try harness.send(place.template.method, place.template.target, body)
                expectProblem(answer, 400, "malformed-json", body)
            }
        }
    }

    /// An integer is one however it is written, as JSON Schema has it.
    @Test func eachIntegerMayHaveAnEmptyFraction() throws {
        let harness = try Harness.withMachine()
        for place in BodyPlace.all where place.kinds.contains(.number) {
            func isRefused(_ number: String) throws -> Bool {
                let (template, body) = (place.template, place.template.filled(number))
                return try harness.send(template.method, template.target, body).status == 400
            }
            for (plain, spellings) in [
                ("1", ["1.0", "10e-1", "0.1e+1"]), ("0", ["0.0", "-0.0", "0e9"]),
                ("1000", ["1e3", "1000.000"]),
            ] {
                let expected = try isRefused(plain)
                for number in spellings {
                    #expect(try isRefused(number) == expected, "\(number) at \(place.pointer)")
                }
            }
        }
    }

    /// Every object of every body, with a member that it does not have and with one twice.
    @Test func unknownAndRepeatedMembers() throws {
        let harness = try Harness.withMachine()
        let places = BodyPlace.all.filter { $0.kinds.contains(.object) }
        #expect(places.count == 24)
        let extra = [
            BodyPlace(.machine.nested("{\"zoneinfo\":\"\",@}"), "", [])
        ]
        for place in places where place.pointer != "/labels" && place.pointer != "/cpus" {
            for (name, token) in [("x", "x"), ("", ""), ("Order", "Order"), ("a/b~c", "a~1b~0c")] {
                let body = place.template.filled("{\"\(name)\":0}")
                let answer = try harness.send(place.template.method, place.template.target, body)
                expectProblem(answer, 400, "invalid-request", at: place.pointer + "/" + token, body)
            }
        }
        for place in extra {
            let body = place.template.filled("\"nodes\":[]")
            let answer = try harness.send(place.template.method, place.template.target, body)
            expectProblem(answer, 400, "invalid-request", at: "/nodes", body)
        }
        for (template, name, value) in Self.repeated {
            let body = template.filled("{\"\(name)\":\(value),\"\(name)\":\(value)}")
            let pointer = try #require(Self.pointers[template.text]) + "/" + name
            let answer = try harness.send(template.method, template.target, body)
            expectProblem(answer, 400, "invalid-request", at: pointer, body)
        }
    }

    /// Where the place of each template below is.
    static let pointers: [String: String] = [
        "@": "", "{\"allocation_control\":@}": "/allocation_control", "{\"labels\":@}": "/labels",
        "{\"nodes\":[@]}": "/nodes/0", "{\"nodes\":[{\"memory\":[@]}]}": "/nodes/0/memory/0",
        "{\"zones\":@}": "/zones", "{\"reserved\":[@]}": "/reserved/0",
        "{\"watermarks\":@}": "/watermarks", "{\"zoneinfo\":\"\",\"cpus\":@}": "/cpus",
        "{\"mempol\":@}": "/mempol", "{\"mempol\":{\"weights\":@}}": "/mempol/weights",
    ]

    static let repeated: [(BodyTemplate, String, String)] = [
        (.allocation, "control", "\"c\""), (.allocation, "allocation_control", "{}"),
        (.allocation, "additional_flags", "[]"), (.allocation, "cpu", "0"),
        (.allocation, "owner", "\"o\""), (.allocation, "labels", "{}"),
        (.allocation.nested("{\"labels\":@}"), "l", "\"v\""),
        (.allocation.nested("{\"allocation_control\":@}"), "flags", "0"),
        (.allocation.nested("{\"allocation_control\":@}"), "order", "0"),
        (.allocation.nested("{\"allocation_control\":@}"), "node", "0"),
        (.allocation.nested("{\"allocation_control\":@}"), "low_boundary", "0"),
        (.allocation.nested("{\"allocation_control\":@}"), "high_boundary", "0"),
        (.free, "order", "0"), (.free, "control", "\"c\""), (.free, "allocation_control", "{}"),
        (.control, "flags", "0"), (.control, "order", "0"), (.control, "node", "0"),
        (.control, "low_boundary", "0"), (.control, "high_boundary", "0"),
        (.control, "mempol", "{\"mode\":\"bind\"}"), (.control, "mems_allowed", "[0]"),
        (.control, "alignment", "0"), (.control, "phase", "0"), (.control, "boundary", "0"),
        (.control, "pages", "1"), (.control, "max_segments", "1"),
        (.control, "fit", "\"first\""),
        (.control.nested("{\"mempol\":@}"), "mode", "\"bind\""),
        (.control.nested("{\"mempol\":@}"), "nodes", "[]"),
        (.control.nested("{\"mempol\":@}"), "flags", "[]"),
        (.control.nested("{\"mempol\":@}"), "weights", "{}"),
        (.control.nested("{\"mempol\":@}"), "home_node", "0"),
        (.control.nested("{\"mempol\":{\"weights\":@}}"), "0", "1"),
        (.machine, "dialect", "\"linux-6.1\""), (.machine, "page_size", "4096"),
        (.machine, "nodes", "[]"), (.machine, "distances", "[]"), (.machine, "zones", "{}"),
        (.machine, "reserved", "[]"), (.machine, "watermarks", "{}"),
        (.machine, "zoneinfo", "\"\""),
        (.machine.nested("{\"nodes\":[@]}"), "id", "0"),
        (.machine.nested("{\"nodes\":[@]}"), "cpus", "[]"),
        (.machine.nested("{\"nodes\":[@]}"), "memory", "[]"),
        (.machine.nested("{\"nodes\":[@]}"), "movable_bytes", "0"),
        (.machine.nested("{\"nodes\":[{\"memory\":[@]}]}"), "start", "0"),
        (.machine.nested("{\"nodes\":[{\"memory\":[@]}]}"), "end", "0"),
        (.machine.nested("{\"zones\":@}"), "DMA", "null"),
        (.machine.nested("{\"zones\":@}"), "DMA32", "null"),
        (.machine.nested("{\"reserved\":[@]}"), "start", "0"),
        (.machine.nested("{\"reserved\":[@]}"), "end", "0"),
        (.machine.nested("{\"watermarks\":@}"), "min_free_kbytes", "1"),
        (.machine.nested("{\"watermarks\":@}"), "watermark_scale_factor", "1"),
        (.machine.nested("{\"watermarks\":@}"), "lowmem_reserve_ratio", "[]"),
        (.machine.nested("{\"zoneinfo\":\"\",\"cpus\":@}"), "0", "[]"),
    ]

    /// A name is what its escapes say.
    @Test func aNameTwiceInTwoSpellings() throws {
        let harness = try Harness.withMachine()
        let body = "{\"cpu\":0,\"\\u0063pu\":1}"
        let answer = try harness.send("POST", "/v1/machines/m/allocations", body)
        expectProblem(answer, 400, "invalid-request", at: "/cpu")
        let escaped = try harness.allocate("{\"\\u006fwner\":\"a\\u00e9\"}")
        #expect(escaped["owner"] == "aé")
    }

    @Test func whatIsNoJSON() throws {
        let harness = try Harness.withMachine()
        let deep = String(repeating: "[", count: 100_000)
        for template in [BodyTemplate.allocation, .explain, .free, .control, .machine] {
            for text in [
                "{", "}", "{\"a\"", "{\"order\"}", "{\"order\":}", "{\"order\":1,}", "{,}", "{} {}",
                "{}x", "{'order':1}", "{order:1}", "// {}", "{}\u{0}", "\u{feff}{}", "tru", "nul",
                "\"", "{\"owner\":\"\u{1}\"}", "{\"owner\":\"\\x\"}", "{\"owner\":\"\\ud800\"}",
                " ", "\u{c}{}",
            ] {
                let answer = try harness.send(template.method, template.target, text)
                #expect(answer.status == 400, "\(text): \(answer.body)")
                let isRule = answer.slug == "invalid-request" && answer.pointer != nil
                #expect(answer.slug == "malformed-json" || isRule, "\(text): \(answer.body)")
            }
            for text in [deep, "{\"allocation_control\":" + deep] {
                #expect(try harness.send(template.method, template.target, text).status == 400)
            }
        }
        // Bytes that are no UTF-8.
        var bytes = Message("POST", "/v1/machines/m/allocations", body: "{\"owner\":\"\u{e9}\"}")
            .bytes
        bytes[bytes.count - 3] = 0xff
        let answer = try harness.turn([Message(isHead: false, bytes: bytes)])[0]
        expectProblem(answer, 400, "malformed-json")
    }
}
