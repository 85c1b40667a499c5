import Testing

/// The model that judges the server is judged here: it must object to what cannot be.
@Suite struct LedgerModelTests {
    private static func entry(_ sequence: Int, _ members: String) -> String {
        """
        {"sequence": \(sequence), "time": "2026-11-22T10:00:00.000001Z",
         "machine": "\(LoadClient.machine)", \(members)}
        """
    }

    private static func grant(
        _ sequence: Int, pfn: Int, order: Int, high: String = "0xffffffff"
    ) -> String {
        entry(
            sequence,
            """
            "kind": "allocate", "outcome": "granted", "allocation": \(sequence), "pfn": \(pfn),
            "order": \(order), "pages": \(1 << order), "compound": false, "owner": "client-0",
            "node": 0, "zone": "DMA", "migratetype": "Unmovable",
            "effective_flags": {"value": "0xcc0", "names": ["GFP_KERNEL"]},
            "allocation_control": {"low_boundary": "0x0", "high_boundary": "\(high)"}
            """)
    }

    private static func free(_ sequence: Int, of id: Int, pfn: Int, order: Int) -> String {
        entry(
            sequence,
            """
            "kind": "free", "outcome": "done", "allocation": \(id), "pfn": \(pfn),
            "order": \(order), "pages": \(1 << order), "node": 0, "zone": "DMA"
            """)
    }

    @Test func whatFitsIsTaken() throws {
        var model = LedgerModel(after: 1)
        try model.append(JSONValue(Self.grant(2, pfn: 8, order: 2)))
        try model.append(JSONValue(Self.free(3, of: 2, pfn: 9, order: 0)))
        #expect(model.heldPages == 3)
        #expect(model.grants[2]?.isWhole == false)
        try model.append(JSONValue(Self.grant(4, pfn: 9, order: 0)))
        #expect(model.heldPages == 4)
    }

    @Test(arguments: [
        ("a gap", grant(4, pfn: 16, order: 0)),
        ("a repeated entry", grant(2, pfn: 16, order: 0)),
        ("a page in two grants", grant(3, pfn: 11, order: 0)),
        ("a grant beyond its boundary", grant(3, pfn: 16, order: 1, high: "0x10fff")),
        ("a free of what is not held", free(3, of: 2, pfn: 12, order: 0)),
        ("a free of nobody's", free(3, of: 1, pfn: 8, order: 2)),
        ("half a grant", entry(3, "\"kind\": \"allocate\", \"outcome\": \"granted\"")),
        ("a refusal without a reason", entry(3, "\"kind\": \"free\", \"outcome\": \"refused\"")),
        ("an entry of no kind", entry(3, "\"kind\": \"machine_deleted\", \"outcome\": \"done\"")),
    ])
    func whatDoesNotFitIsNamed(name: String, entry: String) throws {
        var model = LedgerModel(after: 1)
        try model.append(JSONValue(Self.grant(2, pfn: 8, order: 2)))
        #expect(throws: Contradiction.self, "\(name)") { try model.append(JSONValue(entry)) }
    }

    @Test func aLiveListThatDiffersIsNamed() throws {
        var model = LedgerModel(after: 1)
        try model.append(JSONValue(Self.grant(2, pfn: 8, order: 1)))
        let item = { (members: String) in
            JSONValue(
                """
                {"id": 2, "state": "live", "order": 1, "owner": "client-0", "compound": false,
                 \(members)}
                """)
        }
        try model.compare(item("\"pfn\": 8"))
        #expect(throws: Contradiction.self) { try model.compare(item("\"pfn\": 10")) }
        #expect(throws: Contradiction.self) {
            try model.compare(item("\"pfn\": 8, \"freed_ranges\": [{\"pfn\": 8, \"pages\": 1}]"))
        }
    }
}
