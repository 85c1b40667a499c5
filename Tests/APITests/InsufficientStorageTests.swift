import Ledger
import Testing

/// What is answered where the ledger's disk has no room.
@Suite("A full disk")
struct InsufficientStorageTests {
    private static let topology = """
        {"nodes": [{"id": 0, "cpus": [0], "memory": [{"start": "0x0", "end": "0xffffff"}]}]}
        """

    @Test("writes are 507, reads and explain go on, and writes too once there is room")
    func writesAreRefused() throws {
        let harness = try Harness()
        let paths = "/v1/machines/m"
        #expect(try harness.send("POST", "/v1/machines?name=m", Self.topology).status == 201)
        #expect(try harness.send("PUT", paths + "/controls/c", "{}").status == 201)
        #expect(try harness.send("POST", paths + "/allocations", "{}").status == 201)
        let sequence = harness.lastSequence

        harness.disk.freeBytes = LedgerLimits.reservedBytes - 1
        let writes = [
            ("POST", "/v1/machines?name=n", Self.topology), ("PUT", paths + "/controls/c", "{}"),
            ("POST", paths + "/allocations", "{}"), ("DELETE", paths + "/allocations/3", nil),
            ("POST", paths + "/pages/0/free", "{}"), ("DELETE", paths + "/controls/c", nil),
            ("DELETE", paths + "?force=true", nil),
        ]
        for (method, path, body) in writes {
            let answer = try harness.send(method, path, body)
            #expect(answer.status == 507, "\(method) \(path)")
            #expect(answer.json["type"]?.text == "/problems/insufficient-storage")
            #expect(answer.json["free_bytes"] == .unsigned(LedgerLimits.reservedBytes - 1))
            #expect(answer.json["reserved_bytes"] == .unsigned(LedgerLimits.reservedBytes))
        }
        #expect(harness.lastSequence == sequence)
        let reads = [
            "/v1/machines", paths, paths + "/controls/c", paths + "/allocations",
            paths + "/allocations/3", paths + "/zones", "/v1/ledger", "/v1/ledger/1", "/livez",
        ]
        for path in reads {
            #expect(try harness.send("GET", path).status == 200, "\(path)")
        }
        #expect(try harness.send("POST", paths + "/explain", "{}").status == 200)

        harness.disk.freeBytes = LedgerLimits.reservedBytes
        #expect(try harness.send("POST", paths + "/allocations", "{}").status == 201)
        #expect(harness.lastSequence == sequence + 1)
    }

    @Test("what is wrong with a request itself is said first")
    func otherProblems() throws {
        let harness = try Harness()
        harness.disk.freeBytes = 0
        #expect(try harness.send("POST", "/v1/machines/m/allocations", "{}").status == 404)
        #expect(try harness.send("POST", "/v1/machines?name=n", "{").status == 400)
    }

    @Test("readyz says so, and livez stays well")
    func readiness() throws {
        let harness = try Harness()
        #expect(try harness.send("GET", "/readyz?verbose").status == 200)
        harness.disk.freeBytes = 0
        for path in ["/readyz", "/readyz?verbose"] {
            let answer = try harness.send("GET", path)
            #expect(answer.status == 507)
            #expect(answer.json["type"]?.text == "/problems/insufficient-storage")
        }
        #expect(try harness.send("GET", "/livez").status == 200)
        harness.disk.freeBytes = .max
        #expect(try harness.send("GET", "/readyz").status == 200)
    }
}
