// Tokens, limits and the loopback, against the real binary.

import Foundation
import Glibc
import Testing

@Suite struct AccessTests {
    private static let allocations = "/v1/machines/default/allocations"

    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    /// A token as `gfpd token` makes it, and its line.
    private func token(
        _ principal: String, _ scopes: String
    ) throws -> (fields: [String: String], line: String) {
        let made = try GFPD.run(["token", principal, "--scopes", scopes], scratch: scratch)
        try #require(made.end == .exited(0), "\(made.errors)")
        let lines = made.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 2)
        return (["Authorization": "Bearer \(lines[0])"], lines[1])
    }

    /// Waits until the server has said something on standard error.
    private func wait(for text: String, from server: Server) throws {
        let deadline = Date(timeIntervalSinceNow: 30)
        while !server.process.errors.contains(text) {
            try #require(Date() < deadline, "\(server.process.errors)")
            usleep(1000)
        }
    }

    @Test func tokensLetInAndAreReadAgain() throws {
        let nic = try token("nic0", "read,allocate,free")
        let file = try scratch.write(nic.line + "\n", to: "tokens")
        let server = try Server(data: data, ["--tokens", file], scratch: scratch)
        let client = try server.client()
        let stranger = try client.get("/v1/machines")
        #expect(stranger.status == 401)
        #expect(stranger.fields["www-authenticate"] == "Bearer realm=\"gfpd\"")
        expectProblemDocument(stranger)
        let granted = try client.send("POST", Self.allocations, "{}", fields: nic.fields)
        #expect(granted.status == 201)
        let sequence = try #require(granted.json["sequence"].int)

        // A file that is none changes nothing.
        _ = try scratch.write("nic0 everything sha256:0\n", to: "tokens")
        server.process.send(SIGHUP)
        try wait(for: "not_read_again", from: server)
        #expect(server.process.errors.contains("line 1"))
        #expect(try client.get("/v1/machines", fields: nic.fields).status == 200)

        let root = try token("root", "admin")
        _ = try scratch.write(root.line + "\n", to: "tokens")
        server.process.send(SIGHUP)
        try wait(for: "tokens_read count=1", from: server)
        #expect(try client.get("/v1/machines", fields: nic.fields).status == 401)
        let entry = try client.get("/v1/ledger/\(sequence)", fields: root.fields)
        #expect(entry.json["principal"].string == "nic0")
        #expect(try server.stop() == .exited(0))
    }

    @Test func whoseAGrantIsOutlivesAKill() throws {
        let callers = try [token("a", "allocate,free"), token("b", "allocate,free")]
        let file = try scratch.write(callers.map(\.line).joined(separator: "\n"), to: "tokens")
        let environment = ["GFPD_TOKENS": file]
        let first = try Server(data: data, environment: environment, scratch: scratch)
        let granted = try first.client().send(
            "POST", Self.allocations, "{\"owner\": \"t\"}", fields: callers[0].fields)
        let id = try #require(granted.json["id"].int)
        try first.kill()
        let second = try Server(data: data, environment: environment, scratch: scratch)
        let client = try second.client()
        let target = "\(Self.allocations)/\(id)"
        #expect(try client.send("DELETE", target, fields: callers[1].fields).status == 403)
        let others = try client.send(
            "DELETE", "\(Self.allocations)?owner=t", fields: callers[1].fields)
        #expect(others.json["freed_allocations"].int == 0)
        let own = try client.send(
            "DELETE", "\(Self.allocations)?owner=t", fields: callers[0].fields)
        #expect(own.json["freed_allocations"].int == 1)
        #expect(try second.stop() == .exited(0))
    }

    @Test(arguments: ["0.0.0.0", "::", "192.0.2.1"])
    func beyondTheLoopbackItWantsTokens(host: String) throws {
        let refused = try GFPD.run(
            ["serve", "--host", host, "--port", "0", "--data", data], scratch: scratch)
        #expect(refused.end == .exited(1))
        #expect(refused.errors.contains("--insecure"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test(arguments: [["--insecure"], []])
    func unlessItIsToldNotTo(arguments: [String]) throws {
        let environment = arguments.isEmpty ? ["GFPD_INSECURE": "true"] : [:]
        let process = try ChildProcess(
            GFPD.binary(),
            ["serve", "--host", "0.0.0.0", "--port", "0", "--data", data] + arguments,
            environment: environment, scratch: scratch.url)
        let line = try process.firstLine()
        #expect(line?.hasPrefix("gfpd is ready at http://0.0.0.0:") == true, "\(process.errors)")
        process.send(SIGTERM)
        #expect(try process.waitForEnd() == .exited(0))
    }

    @Test func aFileThatLetsNobodyInIsTold() throws {
        let file = try scratch.write("# nobody\n", to: "tokens")
        for path in [file, scratch.path("missing")] {
            let end = try GFPD.run(
                ["serve", "--port", "0", "--data", data, "--tokens", path], scratch: scratch)
            #expect(end.end == .exited(1))
            #expect(end.errors.contains(path), "\(end.errors)")
        }
        for arguments in [["x y", "--scopes", "read"], ["x", "--scopes", "all"], ["x"]] {
            let end = try GFPD.run(["token"] + arguments, scratch: scratch)
            #expect(end.end != .exited(0))
            #expect(end.output.isEmpty)
        }
    }

    @Test func aRateLimitIsKept() throws {
        let server = try Server(data: data, ["--rate-limit", "5"], scratch: scratch)
        let client = try server.client()
        let answers = try (0..<40).map { _ in try client.get("/v1/machines") }
        let refused = answers.filter { $0.status == 429 }
        #expect(refused.count >= 20)
        #expect(answers.prefix(5).allSatisfy { $0.status == 200 })
        for answer in refused {
            #expect(answer.fields["retry-after"] == "1")
            expectProblemDocument(answer)
        }
        #expect(answers.allSatisfy { $0.fields["ratelimit-policy"] == "\"requests\";q=5;w=1" })
        #expect(try client.get("/livez").status == 200)
        #expect(try server.stop() == .exited(0))
    }

    @Test func aTraceIsKeptInTheLedger() throws {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let server = try Server(data: data, scratch: scratch)
        let granted = try server.client().send(
            "POST", Self.allocations, "{}", fields: ["traceparent": trace])
        let sequence = try #require(granted.json["sequence"].int)
        try server.kill()
        let again = try Server(data: data, scratch: scratch)
        let entry = try again.client().get("/v1/ledger/\(sequence)")
        #expect(entry.json["traceparent"].string == trace)
        #expect(try again.stop() == .exited(0))
        let verified = try GFPD.run(["verify", data], scratch: scratch)
        #expect(verified.end == .exited(0), "\(verified.output)")
    }
}
