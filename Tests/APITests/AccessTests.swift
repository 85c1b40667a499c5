// Who may ask for what: tokens, scopes, certificates, and whose grants are whose.

import AllocationService
import HTTPServer
import Ledger
import PageAllocator
import Testing

@testable import API

/// Callers with tokens of their own.
struct Callers {
    let reader = AccessToken()
    let driver = AccessToken()
    let otherDriver = AccessToken()
    let freer = AccessToken()
    let admin = AccessToken()

    var file: String {
        """
        # Who is let in.

        \(reader.line(principal: "reader", .read))
        \(driver.line(principal: "nic0", [.allocate, .free]))
        \(otherDriver.line(principal: "nic1", [.read, .allocate, .free]))
        \(freer.line(principal: "freer", .free))
        \(admin.line(principal: "root", .admin))
        \tbackup\tread\tcertificate\r
        """
    }

    func harness(over ledger: TestLedger = TestLedger()) throws -> Harness {
        let tokens = try AccessTokens(text: file)
        return try Harness(over: ledger, access: AccessPolicy(tokens: tokens))
    }
}

extension AccessToken {
    /// The fields of a request that shows the token.
    var fields: [(String, String)] { [("Authorization", "Bearer \(text)")] }
}

struct AccessTests {
    private let callers: Callers
    private let harness: Harness

    init() throws {
        callers = Callers()
        harness = try callers.harness()
        let made = try harness.send(
            "POST", "/v1/machines?name=m", SmallMachine.topology, headers: callers.admin.fields)
        try #require(made.status == 201)
    }

    private func send(
        _ token: AccessToken?, _ method: String, _ target: String, _ body: String? = nil
    ) throws -> Answer {
        try harness.send(method, target, body, headers: token?.fields ?? [])
    }

    private func allocate(_ token: AccessToken, _ body: String = "{}") throws -> UInt64 {
        let answer = try send(token, "POST", "/v1/machines/m/allocations", body)
        try #require(answer.status == 201, "\(answer.body)")
        return try #require(answer.sequence)
    }

    // MARK: Who asks

    @Test(arguments: [
        "", "Bearer", "Bearer ", "Basic Z2ZwZDpnZnBk", "Bearer x", "Bearer a b", "gfpd_x",
    ])
    func whoShowsNoTokenIsNobody(credentials: String) throws {
        let fields = credentials.isEmpty ? [] : [("Authorization", credentials)]
        let answer = try harness.send("GET", "/v1/machines", headers: fields)
        expectProblem(answer, 401, "unauthorized", credentials)
        let challenge = answer["WWW-Authenticate"]
        #expect(challenge?.hasPrefix("Bearer realm=\"gfpd\"") == true)
        #expect(challenge?.contains("invalid_token") == (credentials == "Bearer x"))
    }

    @Test func aTokenIsTakenWhole() throws {
        let token = callers.reader.text
        for wrong in [
            String(token.dropLast()), token + "A", token.uppercased(), token + "=",
            AccessToken().text,
        ] {
            let answer = try harness.send(
                "GET", "/v1/machines", headers: [("Authorization", "Bearer \(wrong)")])
            expectProblem(answer, 401, "unauthorized", wrong)
        }
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let answer = try harness.send(
                "GET", "/v1/machines", headers: [("Authorization", "\(scheme) \(token)")])
            #expect(answer.status == 200)
        }
    }

    @Test func nothingOfARefusedRequestIsLookedAt() throws {
        let last = harness.lastSequence
        for (method, target, body) in [
            ("POST", "/v1/machines/m/allocations", "{"), ("POST", "/v1/machines/x/batch", "{}"),
            ("DELETE", "/v1/machines/m?force=true", nil),
        ] as [(String, String, String?)] {
            expectProblem(try send(nil, method, target, body), 401, "unauthorized")
        }
        #expect(harness.lastSequence == last)
        expectProblem(try send(nil, "GET", "/nothing"), 404, "not-found")
        expectProblem(try send(nil, "PUT", "/v1/machines"), 405, "method-not-allowed")
    }

    @Test(arguments: ["/livez", "/readyz", "/openapi.yaml", "/problems", "/problems/unauthorized"])
    func someIsOpenToAll(path: String) throws {
        #expect(try send(nil, "GET", path).status == 200)
        #expect(try send(nil, "HEAD", path).status == 200)
    }

    @Test func aCertificateCountsAsAToken() throws {
        harness.peer = HTTPPeer(certificateName: "backup")
        #expect(try send(nil, "GET", "/v1/machines").status == 200)
        let answer = try send(nil, "POST", "/v1/machines/m/allocations", "{}")
        expectProblem(answer, 403, "insufficient-scope")
        // A token that is shown says more.
        #expect(try allocate(callers.driver) > 0)
        harness.peer = HTTPPeer(certificateName: "nic0")
        expectProblem(try send(nil, "GET", "/v1/machines"), 401, "unauthorized")
    }

    // MARK: Who may do what

    /// A request for each route, and the scopes of which one lets it in.
    static let routes: [(method: String, target: String, scopes: Scope?)] = Route.all.map { route in
        let target = route.pattern.replacing("{machine}", with: "m").replacing("{id}", with: "2")
            .replacing("{pfn}", with: "9").replacing("{name}", with: "c")
            .replacing("{sequence}", with: "1").replacing("{slug}", with: "not-found")
        return (route.method.name, target, route.endpoint.neededScopes)
    }

    @Test(arguments: AccessTests.routes.indices)
    func eachRouteHasItsScope(position: Int) throws {
        let (method, target, needed) = Self.routes[position]
        let body = method == "GET" || method == "DELETE" ? nil : "{\"x\": 0}"
        let bearers: [(AccessToken, Scope)] = [
            (callers.reader, .read), (callers.driver, [.allocate, .free]), (callers.freer, .free),
            (callers.admin, .admin),
        ]
        for (token, scopes) in bearers {
            let answer = try send(token, method, target, body)
            let isLetIn = needed.map { scopes.allows(anyOf: $0) } ?? true
            #expect((answer.status != 403) == isLetIn, "\(method) \(target) \(answer.body)")
            #expect(answer.status != 401)
            guard let needed, !isLetIn else { continue }
            expectProblem(answer, 403, "insufficient-scope")
            #expect(answer.json["needed_scopes"] == .array(needed.names.map { .string($0) }))
            let scope = needed.names.joined(separator: " ")
            #expect(
                answer["WWW-Authenticate"]
                    == "Bearer realm=\"gfpd\", error=\"insufficient_scope\", scope=\"\(scope)\"")
        }
    }

    @Test func whatChangesTheStateNeedsMoreThanReading() {
        for route in Route.all where route.endpoint.changesState {
            #expect(route.endpoint.neededScopes?.contains(.read) == false, "\(route.pattern)")
        }
        for route in Route.all where route.pattern.hasPrefix("/v1/") {
            #expect(route.endpoint.neededScopes != nil, "\(route.pattern)")
        }
    }

    @Test func aBatchNeedsTheScopesOfItsOperations() throws {
        let id = try allocate(callers.driver)
        let last = harness.lastSequence
        let body = "{\"operations\": [{\"free\": {\"id\": \(id)}}, {\"allocate\": {}}]}"
        let answer = try send(callers.freer, "POST", "/v1/machines/m/batch", body)
        expectProblem(answer, 403, "insufficient-scope")
        #expect(answer.json["needed_scopes"] == ["allocate"])
        #expect(harness.lastSequence == last)
        #expect(try send(callers.driver, "POST", "/v1/machines/m/batch", body).status == 200)
    }

    // MARK: Whose is whose

    @Test func entriesSayWhoAsked() throws {
        let id = try allocate(callers.driver)
        #expect(
            try send(callers.driver, "DELETE", "/v1/machines/m/allocations/\(id)").status == 200)
        let items = try #require(try send(callers.reader, "GET", "/v1/ledger").json["items"])
        #expect(items.elements.map { $0["principal"] } == ["root", "nic0", "nic0"])
    }

    @Test func nobodyFreesWhatIsAnothers() throws {
        let id = try allocate(callers.driver, "{\"allocation_control\": {\"order\": 1}}")
        let pfn = harness.service.state.machines[0].allocator
            .liveGrants(after: AllocationID(0), limit: 1)[0].grant.pfn.rawValue
        for (method, target, body) in [
            ("DELETE", "/v1/machines/m/allocations/\(id)", nil),
            ("POST", "/v1/machines/m/pages/\(pfn)/free", nil),
            ("POST", "/v1/machines/m/pages/\(pfn + 1)/free", nil),
            ("POST", "/v1/machines/m/pages/\(pfn)/free", "{\"order\": 1}"),
            (
                "POST", "/v1/machines/m/batch",
                """
                {"atomic": true, "operations": [{"allocate": {}}, {"free": {"id": \(id)}}]}
                """
            ),
        ] as [(String, String, String?)] {
            let answer = try send(callers.otherDriver, method, target, body)
            expectProblem(answer, 403, "not-owner", target)
            #expect(answer.sequence == harness.lastSequence)
        }
        let renewal = try send(
            callers.otherDriver, "POST", "/v1/machines/m/allocations/\(id)/renew",
            "{\"ttl_seconds\": 9}")
        expectProblem(renewal, 403, "not-owner")
        let refused = try send(callers.reader, "GET", "/v1/ledger?outcome=refused").json["items"]
        let reasons = refused?.elements.map { $0["reason"] }
        #expect(reasons == Array(repeating: "not_owner", count: 6))
        let principals = refused?.elements.map { $0["principal"] }
        #expect(principals == Array(repeating: "nic1", count: 6))
        let machine = harness.service.state.machines[0]
        let (grants, pages) = (machine.allocator.liveGrantCount, machine.allocator.freePages)
        #expect(grants == 1)
        #expect(pages == SmallMachine.managedPages - 2)
    }

    @Test func eachOfABatchIsLookedAtByItself() throws {
        let id = try allocate(callers.driver)
        let own = try allocate(callers.otherDriver)
        let answer = try send(
            callers.otherDriver, "POST", "/v1/machines/m/batch",
            "{\"operations\": [{\"free\": {\"id\": \(id)}}, {\"free\": {\"id\": \(own)}}]}")
        let results = try #require(answer.json["results"]).elements
        #expect(results.map { $0["status"] } == [403, 200])
        #expect(results[0]["problem"]?["type"] == "/problems/not-owner")
    }

    @Test func anAtomicBatchFreesWhatItAllocates() throws {
        let first = try allocate(callers.driver)
        let grant = harness.service.state.machines[0].allocator
            .liveGrants(after: AllocationID(0), limit: 1)[0].grant.pfn.rawValue
        let answer = try send(
            callers.driver, "POST", "/v1/machines/m/batch",
            """
            {"atomic": true, "operations": [{"free": {"id": \(first)}}, {"allocate": {}},
             {"free_page": {"pfn": \(grant), "order": 0}}]}
            """)
        #expect(answer.status == 200, "\(answer.body)")
    }

    @Test func anAdministratorFreesWhatIsAnothers() throws {
        let id = try allocate(callers.driver)
        let renewed = try send(
            callers.admin, "POST", "/v1/machines/m/allocations/\(id)/renew", "{\"ttl_seconds\": 9}")
        #expect(renewed.status == 200)
        #expect(
            try send(callers.admin, "DELETE", "/v1/machines/m/allocations/\(id)").status == 200)
    }

    @Test func whatHasEndedIsRefusedAsEver() throws {
        let id = try allocate(callers.driver)
        let target = "/v1/machines/m/allocations/\(id)"
        #expect(try send(callers.driver, "DELETE", target).status == 200)
        expectProblem(try send(callers.otherDriver, "DELETE", target), 409, "already-freed")
        expectProblem(
            try send(callers.otherDriver, "DELETE", "/v1/machines/m/allocations/999"), 404,
            "allocation-not-found")
    }

    @Test func whatWasGrantedToNobodyIsAnAdministrators() throws {
        let open = try Harness(over: harness.ledger)
        let id = try #require(try open.allocate()["id"]?.number)
        let guarded = try callers.harness(over: harness.ledger)
        let target = "/v1/machines/m/allocations/\(id)"
        expectProblem(
            try guarded.send("DELETE", target, headers: callers.driver.fields), 403, "not-owner")
        #expect(try guarded.send("DELETE", target, headers: callers.admin.fields).status == 200)
    }

    @Test func anOwnerIsFreedAsFarAsItIsOnesOwn() throws {
        for token in [callers.driver, callers.otherDriver, callers.driver] {
            _ = try allocate(token, "{\"owner\": \"task:1\"}")
        }
        let target = "/v1/machines/m/allocations?owner=task:1"
        #expect(
            try send(callers.driver, "DELETE", target).json["freed_allocations"] == 2)
        #expect(
            try send(callers.driver, "DELETE", target).json["freed_allocations"] == 0)
        #expect(try send(callers.admin, "DELETE", target).json["freed_allocations"] == 1)
    }

    @Test func aKeyIsOfOnePrincipal() throws {
        let key = [("Idempotency-Key", "k")]
        let target = "/v1/machines/m/allocations"
        let first = try harness.send("POST", target, "{}", headers: callers.driver.fields + key)
        #expect(first.status == 201)
        let again = try harness.send("POST", target, "{}", headers: callers.driver.fields + key)
        #expect(again.bytes == first.bytes)
        let other = try harness.send(
            "POST", target, "{}", headers: callers.otherDriver.fields + key)
        expectProblem(other, 422, "idempotency-key-reused")
    }

    // MARK: The file

    @Test func newTokensTakeThePlaceOfTheOld() throws {
        let token = AccessToken()
        harness.tokenReplacement.replace(
            with: try AccessTokens(text: token.line(principal: "new", .read)))
        #expect(try send(token, "GET", "/v1/machines").status == 200)
        expectProblem(try send(callers.reader, "GET", "/v1/machines"), 401, "unauthorized")
        #expect(try send(token, "GET", "/v1/machines").status == 200)
    }

    static let badFiles: [(text: String, line: Int?)] = [
        ("", nil), ("# nobody\n\n", nil), ("a read", 1), ("a read x", 1), ("\na write hash", 2),
        ("a read sha256:00", 1), ("a  certificate", 1), ("é read certificate", 1),
        ("a read,read certificate", 1), ("a read, certificate", 1), ("a Read certificate", 1),
        ("a read certificate\na free certificate", 2), ("a read certificate x", 1),
        (String(repeating: "a", count: 64) + " read certificate", 1),
        ("a read sha256:" + String(repeating: "g", count: 64), 1),
        ("a read sha256:" + String(repeating: "0", count: 63), 1),
        (
            "a read sha256:" + String(repeating: "0", count: 64) + "\nb free sha256:"
                + String(repeating: "0", count: 64), 2
        ),
    ]

    @Test(arguments: AccessTests.badFiles.indices)
    func aBadFileIsRefusedWithItsLine(position: Int) {
        let (text, line) = Self.badFiles[position]
        let failure = #expect(throws: AccessTokens.Failure.self) { try AccessTokens(text: text) }
        #expect(failure?.line == line, "\(String(describing: failure))")
    }

    /// SHA-256 of "abc": FIPS 180-4.
    @Test func aHashIsThatOfTheToken() throws {
        let tokens = try AccessTokens(
            text: """
                a read sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
                b admin sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AE
                """)
        let harness = try Harness(access: AccessPolicy(tokens: tokens))
        let fields = [("Authorization", "Bearer abc")]
        #expect(try harness.send("GET", "/v1/machines", headers: fields).status == 200)
        let answer = try harness.send("PUT", "/v1/machines/m/controls/c", headers: fields)
        expectProblem(answer, 403, "insufficient-scope")
    }

    @Test func tokensAreOf256Bits() throws {
        let tokens = (0..<50).map { _ in AccessToken().text }
        #expect(Set(tokens).count == 50)
        for token in tokens {
            #expect(token.wholeMatch(of: /gfpd_[A-Za-z0-9_-]{43}/) != nil, "\(token)")
        }
        let line = AccessToken().line(principal: "a", [.free, .read])
        #expect(line.wholeMatch(of: /a read,free sha256:[0-9a-f]{64}/) != nil, "\(line)")
    }

    @Test func scopesAreNamed() {
        #expect(Scope(names: "read,admin") == [.read, .admin])
        for names in ["", ",", "read,", "Read", "read admin", "free,free", "write"] {
            #expect(Scope(names: names) == nil, "\(names)")
        }
        #expect(Scope.allocate.allows(anyOf: [.allocate, .free]))
        #expect(!Scope.read.allows(anyOf: [.allocate, .free]))
        #expect(Scope.admin.allows(anyOf: .read))
    }
}
