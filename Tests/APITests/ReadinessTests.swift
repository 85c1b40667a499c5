import Testing

@testable import API

@Suite struct ReadinessTests {
    @Test func aStopIsSaidBeforeItComes() throws {
        let harness = try Harness.withMachine()
        #expect(try harness.send("GET", "/readyz").status == 200)
        #expect(harness.readiness.end())
        #expect(!harness.readiness.end(), "only the first is told that it was")
        expectProblem(try harness.send("GET", "/readyz"), 503, "unavailable")
        // All else goes on.
        #expect(try harness.send("GET", "/livez").status == 200)
        try harness.allocate()
    }

    @Test func eachCheckIsNamed() throws {
        let harness = try Harness.withMachine()
        let well = try harness.send("GET", "/readyz?verbose")
        #expect(well.status == 200)
        let names = try #require(well.json["checks"]).elements.map { $0["name"]?.text }
        #expect(
            names == [
                "accepting", "ledger", "disk", "storage", "sequence", "machines",
                "history_reads_waiting",
            ])
        #expect(try Self.failed(well) == [])

        harness.disk.freeBytes = 1
        let full = try harness.send("GET", "/readyz?verbose")
        expectProblem(full, 507, "insufficient-storage")
        #expect(try Self.failed(full) == ["disk"])
        _ = harness.readiness.end()
        let both = try harness.send("GET", "/readyz?verbose=true")
        expectProblem(both, 503, "unavailable")
        #expect(try Self.failed(both) == ["accepting", "disk"])
        #expect(try harness.send("GET", "/readyz").json["checks"] == nil)
    }

    private static func failed(_ answer: Answer) throws -> [String] {
        try #require(answer.json["checks"]).elements
            .filter { $0["status"]?.text == "failed" }.compactMap { $0["name"]?.text }
    }
}
