import Testing

@testable import API
@testable import HTTPServer

@Suite struct MetricsTests {
    private static let path = "/metrics"

    /// The samples by name with labels.
    private static func samples(_ harness: Harness) throws -> [String: String] {
        let answer = try harness.send("GET", path)
        try #require(answer.status == 200)
        let pairs = answer.body.components("\n").filter { !$0.isEmpty && !$0.hasPrefix("#") }
            .map { line -> (String, String) in
                let place = line.lastIndex(of: " ") ?? line.startIndex
                return (String(line[..<place]), String(line[line.index(after: place)...]))
            }
        return try Dictionary(pairs) { _, _ in throw HarnessFailure.malformedAnswer }
    }

    private static func count(_ method: String, _ route: String?, _ status: Int) -> String {
        let route = route.map { ",http_route=\"\($0)\"" } ?? ""
        return "http_server_request_duration_seconds_count{http_request_method=\"\(method)\","
            + "http_response_status_code=\"\(status)\"\(route)}"
    }

    @Test func requestsAreCountedByRouteMethodAndStatus() throws {
        let harness = try Harness.withMachine()
        let allocations = "/v1/machines/{machine}/allocations"
        for _ in 0..<3 { try harness.allocate() }
        _ = try harness.turn([
            Message("POST", "/v1/machines/m/allocations", body: "{}"),
            Message("POST", "/v1/machines/m/allocations", body: "{\"order\":1}"),
            Message("HEAD", "/v1/machines/m/allocations"), Message("GET", "/nothing"),
            Message("PATCH", "/v1/ledger"), Message(isHead: false, bytes: Array("?\r\n".utf8)),
        ])
        // This one is answered a turn later.
        _ = try harness.send("GET", "/v1/ledger/1")
        let samples = try Self.samples(harness)
        #expect(samples[Self.count("POST", allocations, 201)] == "4")
        #expect(samples[Self.count("POST", allocations, 400)] == "1")
        #expect(samples[Self.count("HEAD", allocations, 200)] == "1")
        #expect(samples[Self.count("GET", nil, 404)] == "1")
        #expect(samples[Self.count("_OTHER", nil, 405)] == "1")
        #expect(samples[Self.count("GET", "/v1/ledger/{sequence}", 200)] == "1")
        let unread = "http_server_request_duration_seconds_count{http_response_status_code=\"400\"}"
        #expect(samples[unread] == "1")
        // The request for the metrics is counted by the next one.
        #expect(samples[Self.count("GET", Self.path, 200)] == nil)
        #expect(try Self.samples(harness)[Self.count("GET", Self.path, 200)] == "1")
    }

    @Test func entriesAndCommitsAreCounted() throws {
        let harness = try Harness.withMachine()
        try harness.allocate()
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        let samples = try Self.samples(harness)
        let entries = "gfpd_ledger_entries_total"
        #expect(samples["\(entries){kind=\"machine_created\",outcome=\"done\"}"] == "1")
        #expect(samples["\(entries){kind=\"allocate\",outcome=\"granted\"}"] == "1")
        #expect(samples["\(entries){kind=\"allocate\",outcome=\"refused\"}"] == "0")
        #expect(samples["\(entries){kind=\"free\",outcome=\"done\"}"] == "1")
        #expect(samples["\(entries){kind=\"free\",outcome=\"refused\"}"] == "1")
        #expect(samples["gfpd_ledger_sequence"] == "4")
        #expect(samples["gfpd_ledger_commit_duration_seconds_count"] == "4")
    }

    @Test func freePagesAreThoseOfTheZones() throws {
        let harness = try Harness.withMachine()
        try harness.allocate("{\"allocation_control\":{\"order\":3}}")
        let samples = try Self.samples(harness)
        let free = samples.filter { $0.key.hasPrefix("gfpd_free_pages{machine=\"m\"") }
        #expect(free.count == 3 * 11)
        #expect(free.values.reduce(0) { $0 + (UInt64($1) ?? 0) } == SmallMachine.managedPages - 8)
        let zones = try harness.send("GET", "/v1/machines/m/zones")
        for zone in try #require(zones.json["items"]).elements {
            let labels =
                try "machine=\"m\",node=\"\(#require(zone["node"]?.number))\","
                + "zone=\"\(#require(zone["zone"]?.text))\""
            #expect(
                samples["gfpd_managed_pages{\(labels)}"]
                    == (zone["managed"]?.number).map { String($0) })
            let blocks = try #require(zone["free_blocks"]).elements
            for (order, count) in blocks.enumerated() {
                let name = "gfpd_free_pages{\(labels),order=\"\(order)\"}"
                #expect(samples[name] == (count.number).map { String($0 << UInt64(order)) })
            }
        }
        #expect(samples["gfpd_live_allocations{machine=\"m\"}"] == "1")
        #expect(samples["gfpd_machines_left_out"] == "0")
    }

    @Test func theFormatIsNegotiated() throws {
        let harness = try Harness.withMachine()
        func type(_ accept: String?) throws -> String? {
            let headers = accept.map { [("Accept", $0)] } ?? []
            return try harness.send("GET", Self.path, headers: headers)["Content-Type"]
        }
        let openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        #expect(try type(nil) == openMetrics)
        #expect(try type("*/*") == openMetrics)
        // As Prometheus 2 sends it.
        let prometheus = """
            application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
            q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1
            """
        #expect(try type(prometheus) == openMetrics)
        #expect(try type("text/plain") == "text/plain; version=0.0.4; charset=utf-8")
        #expect(
            try harness.send("GET", Self.path, headers: [("Accept", "application/json")]).status
                == 406)
    }
}
