// Policies and placement in an `allocation_control`: what is taken and how it is answered, each
// value at its bounds, and how the fields of a request are laid over those of a stored control.

import Testing

/// Fields of an `allocation_control`, and what is answered for them.
private struct FieldCase {
    let fields: String

    /// The members that are answered beside those of every control; nil: they are refused.
    let answered: JSONValue?

    /// Where a refusal points, from the control on.
    let pointer: String?

    static func taken(_ fields: String, _ answered: JSONValue) -> FieldCase {
        FieldCase(fields: fields, answered: answered, pointer: nil)
    }

    static func refused(_ fields: String, at pointer: String) -> FieldCase {
        FieldCase(fields: fields, answered: nil, pointer: pointer)
    }

    /// Taken and answered as written.
    static func same(_ fields: String) -> FieldCase {
        .taken(fields, JSONValue(text: fields))
    }
}

struct PlacementBodyTests {
    private static let policies: [FieldCase] = [
        .same("{\"mempol\":{\"mode\":\"default\"}}"), .same("{\"mempol\":{\"mode\":\"local\"}}"),
        .same("{\"mempol\":{\"mode\":\"preferred\",\"nodes\":[1]}}"),
        .same("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0,1],\"home_node\":1}}"),
        .same("{\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}"),
        .same("{\"mempol\":{\"mode\":\"preferred_many\",\"nodes\":[0]}}"),
        .same(
            "{\"mempol\":{\"mode\":\"weighted_interleave\",\"nodes\":[0,1],"
                + "\"weights\":{\"0\":3,\"1\":1}}}"),
        .same("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0],\"flags\":[\"static_nodes\"]}}"),
        .same("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0],\"flags\":[\"relative_nodes\"]}}"),
        .same(
            "{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0],"
                + "\"flags\":[\"static_nodes\",\"numa_balancing\"]}}"),
        // A list is a set: its order is not kept, and what is empty is not there.
        .taken(
            "{\"mempol\":{\"nodes\":[1023,0,7],\"mode\":\"bind\",\"flags\":[],\"weights\":{}}}",
            ["mempol": ["mode": "bind", "nodes": [0, 7, 1023]]]),
        .taken(
            "{\"mempol\":{\"mode\":\"local\",\"nodes\":[]}}", ["mempol": ["mode": "local"]]),
        .refused("{\"mempol\":{}}", at: "/mempol"),
        .refused("{\"mempol\":{\"nodes\":[0]}}", at: "/mempol"),
        .refused("{\"mempol\":{\"mode\":\"\"}}", at: "/mempol/mode"),
        .refused("{\"mempol\":{\"mode\":\"Bind\"}}", at: "/mempol/mode"),
        .refused("{\"mempol\":{\"mode\":\"prefer\"}}", at: "/mempol/mode"),
        .refused("{\"mempol\":{\"mode\":\"prefer (many)\"}}", at: "/mempol/mode"),
        .refused("{\"mempol\":{\"mode\":\"weighted interleave\"}}", at: "/mempol/mode"),
        .refused("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[-1]}}", at: "/mempol/nodes/0"),
        .refused("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[0,1024]}}", at: "/mempol/nodes/1"),
        .refused("{\"mempol\":{\"mode\":\"bind\",\"nodes\":[2,0,2]}}", at: "/mempol/nodes/2"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"flags\":[\"STATIC_NODES\"]}}", at: "/mempol/flags/0"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"flags\":[\"static_nodes\",\"static_nodes\"]}}",
            at: "/mempol/flags/1"),
        .same("{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"0\":1,\"1023\":255}}}"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"0\":0}}}", at: "/mempol/weights/0"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"0\":256}}}", at: "/mempol/weights/0"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"0\":-1}}}", at: "/mempol/weights/0"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"1024\":1}}}",
            at: "/mempol/weights/1024"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"-1\":1}}}", at: "/mempol/weights/-1"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"00\":1}}}", at: "/mempol/weights/00"),
        .refused(
            "{\"mempol\":{\"mode\":\"bind\",\"weights\":{\"+1\":1}}}", at: "/mempol/weights/+1"),
        .refused("{\"mempol\":{\"mode\":\"bind\",\"home_node\":-1}}", at: "/mempol/home_node"),
        .same("{\"mempol\":{\"mode\":\"bind\",\"home_node\":1023}}"),
        .refused("{\"mempol\":{\"mode\":\"bind\",\"home_node\":1024}}", at: "/mempol/home_node"),
        .same("{\"mems_allowed\":[0]}"),
        .taken("{\"mems_allowed\":[1023,0]}", ["mems_allowed": [0, 1023]]),
        .refused("{\"mems_allowed\":[]}", at: "/mems_allowed"),
        .refused("{\"mems_allowed\":[1024]}", at: "/mems_allowed/0"),
        .refused("{\"mems_allowed\":[0,-1]}", at: "/mems_allowed/1"),
        .refused("{\"mems_allowed\":[1,1]}", at: "/mems_allowed/1"),
    ]

    private static let places: [FieldCase] = [
        .taken("{\"alignment\":0}", [:]), .taken("{\"alignment\":\"0x0\"}", [:]),
        .taken("{\"alignment\":1}", ["alignment": "0x1"]),
        .taken("{\"alignment\":4096}", ["alignment": "0x1000"]),
        .taken("{\"alignment\":\"65536\"}", ["alignment": "0x10000"]),
        .taken("{\"alignment\":9223372036854775808}", ["alignment": "0x8000000000000000"]),
        .refused("{\"alignment\":3}", at: "/alignment"),
        .refused("{\"alignment\":4095}", at: "/alignment"),
        .refused("{\"alignment\":4097}", at: "/alignment"),
        .refused("{\"alignment\":\"0xffffffffffffffff\"}", at: "/alignment"),
        .refused("{\"alignment\":18446744073709551616}", at: "/alignment"),
        .refused("{\"alignment\":\"4k\"}", at: "/alignment"),
        .refused("{\"alignment\":-4096}", at: "/alignment"),
        .taken(
            "{\"alignment\":8192,\"phase\":8191}", ["alignment": "0x2000", "phase": "0x1fff"]),
        .taken(
            "{\"phase\":\"0x1000\",\"alignment\":8192}",
            ["alignment": "0x2000", "phase": "0x1000"]),
        .taken("{\"phase\":0}", [:]),
        .refused("{\"alignment\":8192,\"phase\":8192}", at: "/phase"),
        .refused("{\"alignment\":8192,\"phase\":18446744073709551615}", at: "/phase"),
        .refused("{\"phase\":1}", at: "/phase"),
        .refused("{\"alignment\":0,\"phase\":1}", at: "/phase"),
        .refused("{\"alignment\":8192,\"phase\":-1}", at: "/phase"),
        .taken("{\"boundary\":0}", [:]),
        .taken("{\"boundary\":\"0x100000\"}", ["boundary": "0x100000"]),
        .taken("{\"boundary\":9223372036854775808}", ["boundary": "0x8000000000000000"]),
        .refused("{\"boundary\":1048575}", at: "/boundary"),
        .refused("{\"boundary\":1048577}", at: "/boundary"),
        .same("{\"pages\":1}"), .same("{\"pages\":1073741824}"),
        .refused("{\"pages\":0}", at: "/pages"), .refused("{\"pages\":1073741825}", at: "/pages"),
        .refused("{\"pages\":-1}", at: "/pages"), .refused("{\"pages\":\"24\"}", at: "/pages"),
        .refused("{\"pages\":4,\"order\":2}", at: "/pages"),
        .refused("{\"order\":0,\"pages\":1}", at: "/pages"),
        .taken("{\"max_segments\":1}", [:]),
        .taken("{\"pages\":9,\"max_segments\":1}", ["pages": 9]),
        .same("{\"pages\":9,\"max_segments\":2}"), .same("{\"pages\":9,\"max_segments\":64}"),
        .refused("{\"pages\":9,\"max_segments\":65}", at: "/max_segments"),
        .refused("{\"pages\":9,\"max_segments\":0}", at: "/max_segments"),
        .refused("{\"pages\":9,\"max_segments\":-1}", at: "/max_segments"),
        .refused("{\"max_segments\":2}", at: "/max_segments"),
        .refused("{\"order\":3,\"max_segments\":2}", at: "/max_segments"),
        .taken("{\"fit\":\"buddy\"}", [:]), .same("{\"fit\":\"first\"}"),
        .same("{\"fit\":\"best\"}"), .same("{\"fit\":\"next\"}"), .same("{\"fit\":\"topdown\"}"),
        .refused("{\"fit\":\"\"}", at: "/fit"), .refused("{\"fit\":\"First\"}", at: "/fit"),
        .refused("{\"fit\":\"instant\"}", at: "/fit"),
    ]

    @Test func whatIsTakenIsAnswered() throws {
        let harness = try Harness.withMachine()
        for value in Self.policies + Self.places {
            guard let answered = value.answered else { continue }
            let answer = try harness.send("PUT", "/v1/machines/m/controls/c", value.fields)
            var expected = AnswerTests.control().members
            if answered["pages"] != nil { expected["order"] = nil }
            expected.merge(answered.members) { _, new in new }
            #expect([200, 201].contains(answer.status), "\(value.fields): \(answer.body)")
            #expect(answer.json["allocation_control"] == .object(expected), "\(value.fields)")
            // What was answered can be put again: flags have names, a number and a list of these.
            let again = answer.body.replacing(
                "{\"value\":\"0xcc0\",\"names\":[\"GFP_KERNEL\"]}", with: "[\"GFP_KERNEL\"]")
            let control = try #require(again.firstRange(of: "\"allocation_control\":"))
            let end = try #require(again.firstRange(of: ",\"updated_at\""))
            let next = again.firstRange(of: ",\"next_node\"")?.lowerBound ?? end.lowerBound
            let body = String(again[control.upperBound..<next])
            let second = try harness.send("PUT", "/v1/machines/m/controls/c", body)
            #expect(second.json["allocation_control"] == .object(expected), "\(second.body)")
        }
    }

    /// A control is refused wherever it stands: stored, in a request, in a question, in a free.
    @Test func whatIsRefusedIsRefusedEverywhere() throws {
        let harness = try Harness.withMachine()
        for value in Self.policies + Self.places {
            guard let pointer = value.pointer else { continue }
            let put = try harness.send("PUT", "/v1/machines/m/controls/c", value.fields)
            expectProblem(put, 400, "invalid-request", at: pointer, value.fields)
            for target in ["allocations", "explain", "pages/4096/free"] {
                let answer = try harness.send(
                    "POST", "/v1/machines/m/" + target, "{\"allocation_control\":\(value.fields)}")
                let inline = "/allocation_control" + pointer
                expectProblem(answer, 400, "invalid-request", at: inline, value.fields)
            }
        }
        #expect(harness.lastSequence == 1)
    }

    /// What a request's fields make of a stored control's.
    @Test(arguments: [
        ("{\"order\":3}", "{\"pages\":24}", "{\"pages\":24}"),
        ("{\"pages\":24,\"max_segments\":4}", "{\"order\":3}", "{\"order\":3}"),
        (
            "{\"pages\":24,\"max_segments\":4}", "{\"pages\":7}",
            "{\"pages\":7,\"max_segments\":4}"
        ),
        ("{\"pages\":24,\"max_segments\":4}", "{\"max_segments\":1}", "{\"pages\":24}"),
        (
            "{\"alignment\":16384,\"phase\":4096}", "{\"alignment\":8192}",
            "{\"alignment\":\"0x2000\",\"phase\":\"0x1000\"}"
        ),
        ("{\"alignment\":16384,\"phase\":4096}", "{\"alignment\":0}", "{}"),
        ("{\"alignment\":16384,\"phase\":4096}", "{\"phase\":0}", "{\"alignment\":\"0x4000\"}"),
        (
            "{\"alignment\":16384}", "{\"phase\":12288}",
            "{\"alignment\":\"0x4000\",\"phase\":\"0x3000\"}"
        ),
        ("{\"boundary\":65536,\"fit\":\"best\"}", "{\"boundary\":0}", "{\"fit\":\"best\"}"),
        ("{\"fit\":\"best\"}", "{\"fit\":\"buddy\"}", "{}"),
        (
            "{\"mempol\":{\"mode\":\"bind\",\"nodes\":[1]}}",
            "{\"mempol\":{\"mode\":\"default\"}}", "{\"mempol\":{\"mode\":\"default\"}}"
        ),
        ("{\"mems_allowed\":[1]}", "{\"mems_allowed\":[0,1]}", "{\"mems_allowed\":[0,1]}"),
        (
            "{\"mems_allowed\":[1],\"pages\":3}", "{\"alignment\":8192}",
            "{\"mems_allowed\":[1],\"pages\":3,\"alignment\":\"0x2000\"}"
        ),
    ])
    func fieldsAreLaidOverAStoredControl(stored: String, inline: String, result: String) throws {
        let harness = try Harness.withMachine()
        #expect(try harness.send("PUT", "/v1/machines/m/controls/c", stored).status == 201)
        let grant = try harness.allocate("{\"control\":\"c\",\"allocation_control\":\(inline)}")
        var expected = AnswerTests.control().members
        let members = JSONValue(text: result).members
        if members["pages"] != nil { expected["order"] = nil }
        expected.merge(members) { _, new in new }
        #expect(grant["allocation_control"] == .object(expected))
        // The stored one is as it was.
        let read = try harness.send("GET", "/v1/machines/m/controls/c").json
        #expect(read["sequence"] == 2)
    }

    @Test(arguments: [
        ("{\"alignment\":16384,\"phase\":8192}", "{\"alignment\":8192}", "/phase"),
        ("{\"alignment\":16384}", "{\"phase\":16384}", "/phase"),
        ("{\"order\":3}", "{\"max_segments\":2}", "/max_segments"),
        ("{\"pages\":3}", "{\"order\":1,\"max_segments\":2}", "/max_segments"),
    ])
    func fieldsContradictAStoredControl(stored: String, inline: String, pointer: String) throws {
        let harness = try Harness.withMachine()
        #expect(try harness.send("PUT", "/v1/machines/m/controls/c", stored).status == 201)
        for target in ["allocations", "explain"] {
            let answer = try harness.send(
                "POST", "/v1/machines/m/" + target,
                "{\"control\":\"c\",\"allocation_control\":\(inline)}")
            expectProblem(answer, 400, "invalid-request", at: "/allocation_control" + pointer)
        }
    }
}
