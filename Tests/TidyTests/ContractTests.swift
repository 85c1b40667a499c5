import Testing

@Suite struct ContractTests {
    private let document: String

    init() throws {
        document = try Repository.file("openapi.yaml").text
    }

    @Test func eachRouteIsInTheContractAndBack() throws {
        let routes = try Repository.file("Sources/API/Routes.swift").text
        let served = Contract.operations(ofRoutes: routes)
        let described = Contract.operations(of: document)
        #expect(!served.isEmpty)
        #expect(served.subtracting(described) == [], "served, and not described")
        #expect(described.subtracting(served) == [], "described, and not served")
        #expect(Contract.repeatedRoutes(in: routes) == [])
    }

    @Test func eachProblemIsInTheContractAndBack() throws {
        let kinds = Contract.slugs(
            ofKinds: try Repository.file("Sources/API/ProblemKind.swift").text)
        let described = Contract.slugs(of: document)
        #expect(!kinds.isEmpty)
        #expect(kinds.subtracting(described) == [], "sent, and not described")
        #expect(described.subtracting(kinds) == [], "described, and not sent")
    }

    /// A limit that the contract names: its place there, and its constant.
    struct Limit: Sendable, CustomTestStringConvertible {
        let place: [String]
        let source: String
        let constant: String

        /// What the constant exceeds the contract's number by: an exclusive limit has 1.
        var excess: UInt64 = 0

        var testDescription: String { place.joined(separator: "/") }
    }

    private static let http = "Sources/HTTPServer/HTTPServerLimits.swift"
    private static let service = "Sources/AllocationService/ServiceLimits.swift"
    private static let machine = "Sources/PageAllocator/Machine.swift"
    private static let control = "Sources/API/ControlFields.swift"
    private static let schemas = ["components", "schemas"]

    static let limits = [
        Limit(
            place: ["x-limits", "request_line_bytes"], source: http,
            constant: "maximumRequestLineBytes"),
        Limit(place: ["x-limits", "header_bytes"], source: http, constant: "maximumHeaderBytes"),
        Limit(place: ["x-limits", "header_fields"], source: http, constant: "maximumHeaderFields"),
        Limit(place: ["x-limits", "body_bytes"], source: http, constant: "maximumBodyBytes"),
        Limit(place: ["x-limits", "connections"], source: http, constant: "maximumConnections"),
        Limit(
            place: ["x-limits", "connections_per_address"], source: http,
            constant: "maximumConnectionsPerAddress"),
        Limit(place: ["x-limits", "held_bytes"], source: http, constant: "maximumHeldBytes"),
        Limit(
            place: ["x-limits", "json_depth"], source: "Sources/JSON/JSONLimits.swift",
            constant: "maximumDepth"),
        Limit(place: ["x-limits", "machines"], source: service, constant: "machines"),
        Limit(place: ["x-limits", "spanned_pages"], source: service, constant: "spannedPages"),
        Limit(
            place: ["x-limits", "controls_per_machine"], source: service,
            constant: "controlsPerMachine"),
        Limit(
            place: ["x-limits", "pages_per_grant"], source: machine,
            constant: "maximumSpannedPages"),
        Limit(place: ["x-limits", "segments_per_grant"], source: control, constant: "segments"),
        Limit(
            place: ["x-limits", "blockers_named"],
            source: "Sources/API/ExplanationDocument.swift", constant: "maximumBlockers"),
        Limit(
            place: ["x-limits", "ledger_reserved_bytes"],
            source: "Sources/Ledger/LedgerLimits.swift", constant: "reservedBytes"),
        Limit(
            place: ["x-limits", "allocations_freed_at_once"], source: service,
            constant: "forcedFrees"),
        Limit(
            place: ["x-limits", "batch_operations"], source: service, constant: "batchOperations"),
        Limit(
            place: ["x-limits", "batch_body_bytes"], source: "Sources/API/BodyLimits.swift",
            constant: "batchBytes"),
        Limit(
            place: ["x-limits", "topology_body_bytes"], source: "Sources/API/BodyLimits.swift",
            constant: "topologyBytes"),
        Limit(
            place: ["x-limits", "streams"], source: "Sources/API/StreamLimits.swift",
            constant: "maximumStreams"),
        Limit(
            place: ["x-limits", "waiting_allocations"], source: service,
            constant: "waitingAllocations"),
        Limit(
            place: schemas + ["WaitMilliseconds", "maximum"], source: service,
            constant: "waitMilliseconds"),
        Limit(
            place: ["x-limits", "metric_zones"],
            source: "Sources/API/AllocationAPI+Metrics.swift", constant: "zones"),
        Limit(
            place: ["x-limits", "idempotency_key_seconds"], source: service,
            constant: "keyRetention"),
        Limit(
            place: ["components", "parameters", "IdempotencyKey", "schema", "maxLength"],
            source: service, constant: "idempotencyKeyLength"),
        Limit(
            place: schemas + ["Batch", "properties", "operations", "maxItems"], source: service,
            constant: "batchOperations"),
        Limit(place: schemas + ["TTL", "maximum"], source: service, constant: "ttlSeconds"),
        Limit(
            place: schemas + ["RunPages", "maximum"], source: machine,
            constant: "maximumSpannedPages"),
        Limit(place: schemas + ["MaxSegments", "maximum"], source: control, constant: "segments"),
        Limit(place: schemas + ["Segments", "maxItems"], source: control, constant: "segments"),
        Limit(place: schemas + ["Name", "maxLength"], source: service, constant: "nameLength"),
        Limit(place: schemas + ["Owner", "maxLength"], source: service, constant: "ownerBytes"),
        Limit(place: schemas + ["Labels", "maxProperties"], source: service, constant: "labels"),
        Limit(
            place: schemas + ["Labels", "propertyNames", "maxLength"], source: service,
            constant: "labelNameLength"),
        Limit(
            place: schemas + ["Labels", "additionalProperties", "maxLength"], source: service,
            constant: "labelValueBytes"),
        Limit(
            place: ["components", "headers", "X-Request-Id", "schema", "maxLength"],
            source: service, constant: "requestIDLength"),
        Limit(
            place: ["components", "parameters", "PageSize", "schema", "maximum"],
            source: "Sources/Ledger/HistoryQuery.swift", constant: "maximumPageSize"),
        Limit(
            place: ["components", "parameters", "PageSize", "schema", "default"],
            source: "Sources/Ledger/HistoryQuery.swift", constant: "pageSize"),
        Limit(
            place: schemas + ["NodeID", "maximum"], source: "Sources/PageAllocator/NodeID.swift",
            constant: "limit", excess: 1),
        Limit(
            place: schemas + ["Order", "maximum"], source: "Sources/PageAllocator/Order.swift",
            constant: "count", excess: 1),
        Limit(
            place: schemas + ["CPUs", "maxItems"], source: "Sources/PageAllocator/Machine.swift",
            constant: "cpuLimit"),
        Limit(
            place: schemas + ["Topology", "properties", "nodes", "maxItems"],
            source: "Sources/PageAllocator/Machine.swift", constant: "maximumNodes"),
    ]

    @Test(arguments: limits)
    func eachLimitIsItsConstant(limit: Limit) throws {
        let constants = Contract.constants(of: try Repository.file(limit.source).text)
        let described = try #require(Contract.number(at: limit.place, of: document))
        #expect(constants[limit.constant] == described + limit.excess)
    }

    /// A row of README's table of limits: its constants in the order of the numbers.
    struct LimitRow: Sendable, CustomTestStringConvertible {
        let name: String
        let constants: [(source: String, name: String)]

        var testDescription: String { name }
    }

    private static let history = "Sources/Ledger/HistoryQuery.swift"

    static let limitRows = [
        LimitRow(
            name: "request line, header, body",
            constants: [
                (http, "maximumRequestLineBytes"), (http, "maximumHeaderBytes"),
                (http, "maximumHeaderFields"), (http, "maximumBodyBytes"),
            ]),
        LimitRow(
            name: "connections; of one address; requests a turn; operations a batch",
            constants: [
                (http, "maximumConnections"), (http, "maximumConnectionsPerAddress"),
                (http, "maximumRequestsPerTurn"),
                (service, "batchOperations"),
            ]),
        LimitRow(
            name: "a request must be whole in; an idle connection lives",
            constants: [(http, "headTimeout"), (http, "bodyTimeout"), (http, "idleTimeout")]),
        LimitRow(
            name: "page of a list; machines; their pages; nodes each",
            constants: [
                (history, "pageSize"), (history, "maximumPageSize"), (service, "machines"),
                (service, "spannedPages"), (machine, "maximumNodes"),
            ]),
        LimitRow(
            name: "controls a machine; names; owner; labels; runs a grant",
            constants: [
                (service, "controlsPerMachine"), (service, "nameLength"),
                (service, "ownerBytes"), (service, "labels"), (control, "segments"),
            ]),
    ]

    @Test(arguments: limitRows)
    func eachLimitInReadmeIsItsConstant(row: LimitRow) throws {
        let readme = try Repository.file("README.md").text
        let constants = try row.constants.map { constant in
            let source = try Repository.file(constant.source).text
            return try #require(Contract.constants(of: source)[constant.name], "\(constant)")
        }
        #expect(Contract.limits(inRow: row.name, of: readme) == constants)
    }

    // MARK: The tests of the tests

    private static let sample = """
        x-limits:
          body_bytes: 1048576
        paths:
          /a/{b}:
            parameters: []
            get:
              responses:
                '200': {}
          /c:
            post:
        components:
          schemas:
            Name:
              type: string
              maxLength: 63
            Slug:
              enum:
                - one-two
                - three
            Other:
              enum:
                - four
            Size: {schema: {type: integer, maximum: 1000}}

        """

    @Test func operationsAreRead() {
        #expect(Contract.operations(of: Self.sample) == ["GET /a/{b}", "POST /c"])
        let routes =
            "Route(.get, \"/a/{b}\", .b), Route(.post, \"/c\", .c), Route(.post, \"/c\", .d)"
        #expect(Contract.operations(ofRoutes: routes) == ["GET /a/{b}", "POST /c"])
        #expect(Contract.repeatedRoutes(in: routes).count == 1)
    }

    @Test func slugsAreRead() {
        #expect(Contract.slugs(of: Self.sample) == ["one-two", "three"])
        #expect(
            Contract.slugs(ofKinds: "case a = \"one-two\"\n    case b = \"three\"") == [
                "one-two", "three",
            ])
    }

    @Test func numbersAreRead() {
        #expect(Contract.number(at: ["x-limits", "body_bytes"], of: Self.sample) == 1_048_576)
        let schemas = ["components", "schemas"]
        #expect(Contract.number(at: schemas + ["Name", "maxLength"], of: Self.sample) == 63)
        let size = schemas + ["Size", "schema", "maximum"]
        #expect(Contract.number(at: size, of: Self.sample) == 1000)
        #expect(Contract.number(at: schemas + ["Name", "minLength"], of: Self.sample) == nil)
        #expect(Contract.number(at: schemas + ["Nothing", "maxLength"], of: Self.sample) == nil)
    }

    @Test func constantsAreRead() {
        let source = """
                public static let pages: UInt64 = 1 << 30
                public var bytes = 1_024
                public var time = Duration.seconds(10)
                public var other = [1]

            """
        #expect(
            Contract.constants(of: source) == ["pages": 1 << 30, "bytes": 1024, "time": 10])
    }

    @Test func rowsAreRead() {
        let readme = "| limit | value |\n| a; b | 8 KiB, 1,024 and 2^30 (4 TiB); 1…9 s |\n"
        #expect(Contract.limits(inRow: "a; b", of: readme) == [8192, 1024, 1 << 30, 1, 9])
        #expect(Contract.limits(inRow: "a", of: readme) == [])
    }
}
