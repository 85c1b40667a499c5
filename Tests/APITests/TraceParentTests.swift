// traceparent: W3C Trace Context, section 3.2. The samples are its own.

import Testing

@testable import API

struct TraceParentTests {
    static let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test(arguments: [
        trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ])
    func aFieldIsKept(field: String) {
        #expect(TraceParent.kept(field) == field)
    }

    @Test func ofALaterVersionTheKnownPartIsKept() {
        let later = "01" + Self.trace.dropFirst(2)
        #expect(TraceParent.kept(later + "-what-the-future-will-be-like") == later)
        #expect(TraceParent.kept(later + ".x") == nil)
        #expect(TraceParent.kept(Self.trace + "-x") == nil)
    }

    @Test(arguments: [
        "", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-001",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71é0333-01",
    ])
    func whatIsNoneCountsAsNone(field: String) {
        #expect(TraceParent.kept(field) == nil)
    }

    @Test func itIsKeptWithTheEntriesOfTheRequest() throws {
        let harness = try Harness.withMachine()
        let fields = [("traceparent", Self.trace)]
        let granted = try harness.send("POST", "/v1/machines/m/allocations", "{}", headers: fields)
        #expect(granted.status == 201)
        let batch = "{\"operations\": [{\"free\": {\"id\": 2}}, {\"allocate\": {}}]}"
        #expect(
            try harness.send("POST", "/v1/machines/m/batch", batch, headers: fields).status == 200)
        try harness.allocate()
        _ = try harness.send(
            "POST", "/v1/machines/m/allocations", "{}", headers: [("traceparent", "00-x")])
        _ = try harness.send("POST", "/v1/machines/m/allocations", "{}", headers: fields + fields)
        let items = try harness.items("/v1/ledger")
        let trace = JSONValue.string(Self.trace)
        #expect(items.map { $0["traceparent"] } == [nil, trace, trace, trace, nil, nil, nil])
    }
}
