// What was asked before has no part in an answer, though controls are known again by their bytes
// and their JSON is kept (`KnownControls`, `RenderedControls`).

import Testing

struct RepeatedControlTests {
    /// Controls that differ in little, as bodies may have them; some are refused.
    private static let controls: [String] =
        (0...11).map { "{\"flags\":[\"GFP_KERNEL\"],\"order\":\($0)}" }
        + ["GFP_ATOMIC", "GFP_KERNEL|__GFP_ZERO", "GFP_NONSENSE", "}"].map {
            "{\"flags\":\"\($0)\"}"
        }
        + (0..<80).map { "{\"low_boundary\":\($0 * 4096),\"order\":0}" } + [
            "{}", "{ }", "{\"order\":1 }", "{\"node\":-1}", "{\"node\":0}", "{\"node\":77}",
            "{\"high_boundary\":\"0xffffff\"}", "{\"high_boundary\":\"}\"}",
            "{\"order\":1,\"order\":1}",
            "{\"mempol\":{\"mode\":\"default\"}}",
            "{\"mempol\":{\"mode\":\"default\"},\"order\":1}",
            "{\"pages\":3}", "{\"pages\":3,\"order\":1}", "{\"alignment\":8192}",
            "{\"fit\":\"best\"}",
            "{\"mems_allowed\":[0]}", "{\"order\":1,}", "{\"order\"}", "[]", "1",
            "{\"unknown\":{}}",
        ]

    /// All of an answer that follows from the control.
    private struct Said: Equatable {
        let status: Int
        let flags: JSONValue?
        let control: JSONValue?
        let errors: JSONValue?
    }

    private func said(
        of control: String, _ rest: String, on machine: String, by harness: Harness
    ) throws -> Said {
        let answer = try harness.send(
            "POST", "/v1/machines/\(machine)/allocations",
            "{\"allocation_control\":\(control)\(rest)}")
        if let id = answer.json["id"]?.jsonText {
            let freed = try harness.send("DELETE", "/v1/machines/\(machine)/allocations/\(id)")
            #expect(freed.status == 200)
        }
        return Said(
            status: answer.status, flags: answer.json["effective_flags"],
            control: answer.json["allocation_control"], errors: answer.json["errors"])
    }

    @Test(arguments: ["", ",\"additional_flags\":[\"__GFP_ZERO\"]", ",\"owner\":\"}\"", "  "])
    func answersAreThoseOfTheFirstTime(rest: String) throws {
        let used = try Self.harness()
        for round in 0..<3 {
            for control in Self.controls {
                for machine in ["m", "old"] {
                    let fresh = try Self.harness()
                    #expect(
                        try said(of: control, rest, on: machine, by: used)
                            == said(of: control, rest, on: machine, by: fresh),
                        "\(control) on \(machine), round \(round)")
                }
            }
        }
    }

    /// With a machine of each dialect, in which the same names are other bits.
    private static func harness() throws -> Harness {
        let harness = try Harness.withMachine()
        let topology = SmallMachine.topology.replacing(
            "{", with: "{\"dialect\":\"linux-6.1\",", maxReplacements: 1)
        let answer = try harness.send("POST", "/v1/machines?name=old", topology)
        try #require(answer.status == 201, "\(answer.body)")
        return harness
    }
}
