// Bad input, field by field: each is answered with a problem that names its place, nothing of it is
// recorded, and the server goes on as if nothing had been.

import Foundation
import Testing

@Suite struct BadInputTests {
    private let scratch: ScratchDirectory
    private let server: Server
    private let client: HTTPClient

    init() throws {
        scratch = try ScratchDirectory()
        server = try Server(data: scratch.path("data"), scratch: scratch)
        client = try server.client()
        try #require(
            try client.post("/v1/machines?name=m", KillTests.topology).status == 201)
        let control = "{\"order\":1}"
        try #require(
            try client.send("PUT", "/v1/machines/m/controls/c", control).status == 201)
        try #require(try client.post("/v1/machines/m/allocations", "{}").status == 201)
    }

    // MARK: Bodies

    /// The test of the test: what is said to be right is not refused as wrong.
    @Test func eachShapeIsRight() throws {
        for body in BodyShape.all {
            let rights = body.fields.map { body.body(with: [($0.path, $0.right)]) }
            for text in [body.sample] + rights {
                let answer = try client.send(body.method, body.target, text)
                #expect(
                    [200, 201, 409, 422].contains(answer.status), "\(answer.text) for \(text)")
                if body.target == "/v1/machines?name=new", answer.status == 201 {
                    #expect(try client.send("DELETE", "/v1/machines/new").status == 200)
                }
            }
            #expect(try client.send(body.method, body.target, body.sample).status != 422)
        }
    }

    @Test func eachFieldOfEachBodyIsChecked() throws {
        let before = try sequence()
        var requests = 0
        for body in BodyShape.all {
            for field in body.fields {
                for wrong in field.wrong {
                    let text = body.body(with: [(field.path, wrong)])
                    let answer = try client.send(body.method, body.target, text)
                    requests += 1
                    expectProblem(answer, body, text)
                    expectPointer(answer, field.pointer, text)
                }
            }
        }
        #expect(requests > 500)
        #expect(try sequence() == before, "nothing of it is recorded")
        try expectAlive()
    }

    @Test func pairsOfWrongFieldsAreRefusedToo() throws {
        let before = try sequence()
        var random = SeededGenerator(seed: 2006_09_22)
        for body in BodyShape.all {
            for first in body.fields {
                for second in body.topLevelFields where second.path[0] != first.path[0] {
                    let one = try #require(first.wrong.randomElement(using: &random))
                    let two = try #require(second.wrong.randomElement(using: &random))
                    let text = body.body(with: [(first.path, one), (second.path, two)])
                    expectProblem(try client.send(body.method, body.target, text), body, text)
                }
            }
        }
        #expect(try sequence() == before)
        try expectAlive()
    }

    @Test func unknownAndRepeatedMembersAreNamed() throws {
        let before = try sequence()
        for body in BodyShape.all {
            for object in body.objects {
                let path = object.split(separator: "/").map(String.init) + ["unknown"]
                let text = body.body(with: [(path, "1")])
                let answer = try client.send(body.method, body.target, text)
                expectProblem(answer, body, text)
                expectPointer(answer, path.map { "/" + $0 }.joined(), text)
            }
            for field in body.topLevelFields {
                let member = "\"\(field.path[0])\": \(field.right)"
                let text = "{\(member), \(member)}"
                expectProblem(try client.send(body.method, body.target, text), body, text)
            }
        }
        #expect(try sequence() == before)
    }

    @Test func bodiesThatAreNoObjectsAreRefused() throws {
        let before = try sequence()
        let texts = [
            "null", "true", "1", "\"text\"", "[]", "[{}]", "{}{}", "{},", "nul", "{\"a\"}",
            "{'order': 1}", "{\"order\": 01}", "{\"order\": 1e400}", "{\"order\": NaN}",
            "\u{feff}{}",
            "{\"owner\": \"\u{1}\"}", "{\"owner\": \"\\ud800\"}", "// {}", " ",
            String(repeating: "[", count: 10_000),
            String(repeating: "{\"labels\":", count: 10_000),
        ]
        for body in BodyShape.all {
            for text in texts {
                expectProblem(try client.send(body.method, body.target, text), body, text)
            }
        }
        #expect(try sequence() == before)
        try expectAlive()
    }

    @Test func aBodyCutShortAnywhereIsRefused() throws {
        let before = try sequence()
        for body in BodyShape.all {
            for end in 1..<body.sample.utf8.count {
                let text = String(decoding: Array(body.sample.utf8)[..<end], as: UTF8.self)
                let answer = try client.send(body.method, body.target, text)
                expectProblem(answer, body, text)
                #expect(answer.status == 400, "\(text)")
            }
        }
        #expect(try sequence() == before)
        try expectAlive()
    }

    @Test func aBodyThatIsNotUTF8IsRefused() throws {
        for body in BodyShape.all {
            let bytes = Array("{\"owner\": \"".utf8) + [0xff, 0xc0] + Array("\"}".utf8)
            let head = """
                \(body.method) \(body.target) HTTP/1.1\r\nHost: a\r\n\
                Content-Type: application/json\r\nContent-Length: \(bytes.count)\r\n\r\n
                """
            try client.send(bytes: Array(head.utf8) + bytes)
            expectProblem(try client.receive(), body, "no UTF-8")
        }
    }

    @Test func anOversizedBodyIsRefused() throws {
        let before = try sequence()
        let limit = 1 << 20
        for body in BodyShape.all {
            let other = try server.client()
            let head = """
                \(body.method) \(body.target) HTTP/1.1\r\nHost: a\r\n\
                Content-Type: application/json\r\nContent-Length: \(limit + 1)\r\n\r\n
                """
            try other.send(bytes: Array(head.utf8))
            let answer = try other.receive()
            expectProblem(answer, body, "oversized")
            #expect(answer.status == 413)

            let padded = "{\"unknown\": \"" + String(repeating: "x", count: limit - 15) + "\"}"
            #expect(padded.utf8.count == limit)
            #expect(try client.send(body.method, body.target, padded).status == 400)
        }
        #expect(try sequence() == before)
        try expectAlive()
    }

    // MARK: Methods, media types, queries, paths, headers

    static let paths: [(path: String, methods: Set<String>)] = [
        ("/v1/machines", ["GET", "HEAD", "POST"]),
        ("/v1/machines/m", ["GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/controls", ["GET", "HEAD"]),
        ("/v1/machines/m/controls/c", ["GET", "HEAD", "PUT", "DELETE"]),
        ("/v1/machines/m/allocations", ["DELETE", "GET", "HEAD", "POST"]),
        ("/v1/machines/m/allocations/4", ["GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/pages/1/free", ["POST"]),
        ("/v1/machines/m/zones", ["GET", "HEAD"]),
        ("/v1/machines/m/zoneinfo", ["GET", "HEAD"]),
        ("/v1/machines/m/buddyinfo", ["GET", "HEAD"]),
        ("/v1/ledger", ["GET", "HEAD"]),
        ("/v1/ledger/1", ["GET", "HEAD"]),
        ("/v1/ledger/stream", ["GET", "HEAD"]),
        ("/", ["GET", "HEAD"]),
        ("/metrics", ["GET", "HEAD"]),
        ("/livez", ["GET", "HEAD"]),
        ("/readyz", ["GET", "HEAD"]),
        ("/openapi.json", ["GET", "HEAD"]),
        ("/openapi.yaml", ["GET", "HEAD"]),
        ("/problems", ["GET", "HEAD"]),
        ("/problems/misaligned", ["GET", "HEAD"]),
    ]

    @Test func aMethodThatAPathLacksIsRefused() throws {
        let before = try sequence()
        for (path, methods) in Self.paths {
            for method in ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"]
            where !methods.contains(method) {
                let answer = try client.send(method, path)
                #expect(answer.status == 405, "\(method) \(path)")
                let allowed = answer.fields["allow"]?.split(separator: ", ").map(String.init)
                #expect(Set(allowed ?? []) == methods, "\(method) \(path)")
                expectProblemDocument(answer)
            }
        }
        #expect(try sequence() == before)
    }

    @Test func headIsGetWithoutTheBody() throws {
        // A stream has no length, and each look at the metrics changes them.
        let others = ["/v1/ledger/stream", "/metrics"]
        for (path, methods) in Self.paths
        where methods.contains("GET") && !others.contains(path) {
            let get = try client.get(path)
            let head = try client.send("HEAD", path)
            #expect(get.status == 200 && head.status == 200, "\(path)")
            #expect(head.fields["content-length"] == get.fields["content-length"], "\(path)")
            #expect(head.fields["content-type"] == get.fields["content-type"], "\(path)")
        }
    }

    @Test(arguments: ["text/csv", "text/xml", "application/jsonx", "json", ""])
    func aWrongMediaTypeIsRefused(type: String) throws {
        let before = try sequence()
        for body in BodyShape.all {
            let answer = try client.send(
                body.method, body.target, body.sample, fields: ["Content-Type": type])
            #expect(answer.status == 415, "\(body.target)")
            expectProblemDocument(answer)
        }
        #expect(try sequence() == before)
    }

    @Test func anAcceptThatNothingMeetsIsRefused() throws {
        for (path, methods) in Self.paths where methods.contains("GET") {
            let answer = try client.get(path, fields: ["Accept": "image/png"])
            #expect(answer.status == 406, "\(path)")
            expectProblemDocument(answer)
        }
    }

    @Test func anUnknownQueryParameterIsNamed() throws {
        for (path, methods) in Self.paths where methods.contains("GET") {
            let answer = try client.get(path + "?unknown=1")
            #expect(answer.status == 400, "\(path)")
            expectPointer(answer, "/query/unknown", path)
        }
    }

    @Test(arguments: [
        ("page_size", ["0", "1001", "-1", "x", "", "1.5", "99999999999999999999"]),
        ("page_token", ["x", "", "AAAA", "%00", "0"]),
        ("node", ["-1", "1024", "x", ""]), ("order", ["-1", "11", "x"]),
        ("zone", ["dma", "HighMem", ""]), ("pfn", ["-1", "0x", "x", "0x10000000000000", "1 "]),
        ("since", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-22", ""]),
        ("until", ["0", "2026-11-22T25:00:00Z"]), ("sort", ["up", ""]),
        ("after", ["-1", "x", "9223372036854775808"]), ("before", ["-1", "x"]),
    ])
    func aQueryParameterOutOfRangeIsNamed(name: String, values: [String]) throws {
        for path in ["/v1/ledger", "/v1/machines/m/allocations?state=all"] {
            for value in values {
                let target = path + (path.contains("?") ? "&" : "?") + "\(name)="
                let answer = try client.get(target + value.replacing(" ", with: "%20"))
                #expect(answer.status == 400, "\(target)\(value)")
                expectPointer(answer, "/query/" + name, target + value)
            }
        }
    }

    @Test(arguments: [
        ("/v1/ledger", "kind", "allocated"), ("/v1/ledger", "outcome", "ok"),
        ("/v1/ledger", "allocation", "x"), ("/v1/machines/m/allocations", "state", "dead"),
        ("/readyz", "verbose", "maybe"),
    ])
    func aWordOfNoSetIsNamed(path: String, name: String, value: String) throws {
        let answer = try client.get("\(path)?\(name)=\(value)")
        #expect(answer.status == 400)
        expectPointer(answer, "/query/" + name, path)
    }

    @Test(arguments: [
        "", ".", "-a", "_a", "a%20b", "a%2Fb", "%C3%A4", "a%00", String(repeating: "a", count: 64),
    ])
    func aNameThatMayNotBeIsNamed(name: String) throws {
        let before = try sequence()
        let machine = try client.post("/v1/machines?name=\(name)", KillTests.topology)
        #expect(machine.status == 400)
        expectPointer(machine, "/query/name", name)
        if !name.isEmpty, name != "." {
            let control = try client.send("PUT", "/v1/machines/m/controls/\(name)", "{}")
            #expect((400...404).contains(control.status), "\(name)")
        }
        #expect(try sequence() == before)
    }

    @Test(arguments: [
        ("/v1/machines/none", "machine-not-found"),
        ("/v1/machines/m/controls/none", "control-not-found"),
        ("/v1/machines/m/allocations/999", "allocation-not-found"),
        ("/v1/machines/m/allocations/1", "allocation-not-found"),
        ("/v1/ledger/999", "entry-not-found"), ("/nothing", "not-found"),
        ("/v1/", "not-found"), ("/v1/machines/", "not-found"), ("/problems/none", "not-found"),
        ("//v1/machines", "not-found"), ("/v1/machines/../machines", "not-found"),
    ])
    func whatIsNotThereIsNotFound(path: String, slug: String) throws {
        let answer = try client.get(path)
        #expect(answer.status == 404, "\(answer.text)")
        #expect(answer.json["type"].string == "/problems/" + slug)
        expectProblemDocument(answer)
    }

    @Test(arguments: ["x", "-1", "0x", "4503599627370496", "1.0", "%20"])
    func aPageFrameThatIsNoneIsNamed(pfn: String) throws {
        let answer = try client.post("/v1/machines/m/pages/\(pfn)/free")
        #expect(answer.status == 400)
        expectPointer(answer, "/path/pfn", pfn)
    }

    @Test(arguments: [("If-Match", "7"), ("If-Match", "\"7"), ("If-None-Match", "\"7\"")])
    func aPreconditionThatIsNoneIsNamed(name: String, value: String) throws {
        let answer = try client.send(
            "POST", "/v1/machines/m/allocations", "{}", fields: [name: value])
        #expect(answer.status == 400)
        expectPointer(answer, "/header/" + name, value)
    }

    /// Versions that the machine does not have; weak ones never match (RFC 9110, section 13.1.1).
    @Test(arguments: ["\"1\"", "\"x\"", "W/\"4\"", "\"1\", \"2\""])
    func aPreconditionThatDoesNotHoldIsRefused(value: String) throws {
        let before = try sequence()
        let answer = try client.send(
            "POST", "/v1/machines/m/allocations", "{}", fields: ["If-Match": value])
        #expect(answer.status == 412)
        #expect(answer.json["current"].int == 4)
        expectProblemDocument(answer)
        #expect(try sequence() == before)
        let right = try client.send(
            "POST", "/v1/machines/m/allocations", "{}", fields: ["If-Match": "\"1\", \"4\""])
        #expect(right.status == 201)
    }

    @Test(arguments: ["", "\u{e9}", String(repeating: "k", count: 256)])
    func anIdempotencyKeyIsOfPrintableASCII(key: String) throws {
        let before = try sequence()
        let answer = try client.send(
            "POST", "/v1/machines/m/allocations", "{}", fields: ["Idempotency-Key": key])
        #expect(answer.status == 400)
        expectProblemDocument(answer)
        #expect(try sequence() == before)
    }

    /// What is refused by the allocator, and not by the contract, is in the ledger.
    @Test(arguments: [
        ("POST", "/v1/machines/m/allocations", "{\"cpu\": 4000}", 422),
        ("POST", "/v1/machines/m/allocations", "{\"allocation_control\": {\"node\": 7}}", 422),
        ("POST", "/v1/machines/m/allocations", "{\"additional_flags\": 7}", 422),
        ("DELETE", "/v1/machines/m/allocations/999", nil, 404),
        ("POST", "/v1/machines/m/pages/999999/free", nil, 404),
        ("POST", "/v1/machines/m/pages/4095/free", nil, 409),
    ])
    func aRefusalIsRecorded(
        method: String, target: String, body: String?, status: Int
    ) throws {
        let before = try sequence()
        let answer = try client.send(method, target, body)
        #expect(answer.status == status, "\(answer.text)")
        expectProblemDocument(answer)
        #expect(answer.json["sequence"].int == before + 1)
        let entry = try client.get("/v1/ledger/\(before + 1)").json
        #expect(entry["outcome"].string == "refused")
    }

    // MARK: Expectations

    private func sequence() throws -> Int {
        try #require(Int(try client.get("/livez").fields["gfpd-sequence"] ?? ""))
    }

    private func expectAlive() throws {
        #expect(try client.get("/readyz").status == 200)
        let allocation = try client.post("/v1/machines/m/allocations", "{}")
        #expect(allocation.status == 201)
    }

    private func expectProblem(_ answer: Answer, _ body: BodyShape, _ text: String) {
        #expect(
            (400...499).contains(answer.status),
            "\(answer.status) \(body.method) \(body.target) \(text.prefix(200))")
        expectProblemDocument(answer)
    }

    /// The place, or one inside it; where the whole is no machine, perhaps one around it.
    private func expectPointer(_ answer: Answer, _ pointer: String, _ what: String) {
        let named = answer.json["errors"].array.compactMap { $0["pointer"].string }
        let isNamed = named.contains { place in
            let isAround = answer.status == 422 && pointer.hasPrefix(place + "/")
            return place == pointer || place.hasPrefix(pointer + "/") || isAround
        }
        #expect(isNamed, "\(pointer) for \(what.prefix(200)): \(answer.text)")
    }
}

/// RFC 9457, with all members that the contract promises.
func expectProblemDocument(_ answer: Answer) {
    let problem = answer.json
    #expect(answer.fields["content-type"] == "application/problem+json")
    #expect(problem["type"].string?.hasPrefix("/problems/") ?? false)
    #expect(problem["status"].int == answer.status)
    #expect(problem["request_id"].string == answer.fields["x-request-id"])
    // The server refuses an oversized body without having looked at the path.
    let known = answer.status == 413 ? ["title", "detail"] : ["title", "detail", "instance"]
    for member in known {
        #expect(!(problem[member].string ?? "").isEmpty, "\(member) in \(answer.text)")
    }
}
