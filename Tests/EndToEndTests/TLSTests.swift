// The service behind TLS, asked by curl and by its own healthcheck.

import Foundation
import Glibc
import Testing

@Suite struct TLSTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    static func file(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Certificates/\(name)").standardized.path
    }

    /// Serves with copies of these files, which a test may replace.
    private func server(_ name: String, _ more: [String] = []) throws -> Server {
        try lay(name)
        let arguments = [
            "--tls-certificate", scratch.path("certificate"), "--tls-key", scratch.path("key"),
        ]
        return try Server(data: scratch.path("data"), arguments + more, scratch: scratch)
    }

    private func lay(_ name: String) throws {
        for (suffix, place) in [(".pem", "certificate"), ("-key.pem", "key")] {
            let bytes = try Data(contentsOf: URL(filePath: Self.file(name + suffix)))
            try bytes.write(to: scratch.url.appending(path: place))
        }
    }

    private func curl(_ server: Server, _ arguments: String...) throws -> (Int32, String) {
        let url = "https://127.0.0.1:\(server.port)/livez"
        let process = try ChildProcess(
            "curl", ["--silent", "--max-time", "30", url] + arguments, scratch: scratch.url)
        guard case .exited(let status) = try process.waitForEnd() else { return (-1, "") }
        return (status, process.output)
    }

    private let authority = TLSTests.file("authority.pem")

    @Test func curlIsAnswered() throws {
        let server = try server("server")
        #expect(server.readyLine.contains("https://127.0.0.1:\(server.port)"))
        let (status, body) = try curl(server, "--cacert", authority)
        #expect(status == 0 && body.contains("ok"))
        for version in ["1.2", "1.3"] {
            #expect(try curl(server, "--cacert", authority, "--tls-max", version).0 == 0)
        }
        #expect(try curl(server, "--cacert", authority, "--tls-max", "1.1").0 != 0)
        // 60: an authority that did not sign it.
        #expect(try curl(server, "--cacert", Self.file("other-authority.pem")).0 == 60)
        #expect(try server.stop() == .exited(0))
    }

    @Test func theHealthcheckSpeaksTLS() throws {
        let server = try server("server")
        let port = ["--port", "\(server.port)"]
        let plain = try GFPD.run(["healthcheck"] + port, scratch: scratch)
        #expect(plain.end == .exited(1))
        let secured = try GFPD.run(["healthcheck", "--tls"] + port, scratch: scratch)
        #expect(secured.end == .exited(0), "\(secured.errors)")
        let told = try GFPD.run(
            ["healthcheck"] + port, environment: ["GFPD_TLS_CERTIFICATE": "x"], scratch: scratch)
        #expect(told.end == .exited(0), "\(told.errors)")
        #expect(try server.stop() == .exited(0))
    }

    @Test func theFilesAreReadAgain() throws {
        let server = try server("stranger")
        #expect(try curl(server, "--cacert", authority).0 == 60)

        try Data("no certificate".utf8).write(to: scratch.url.appending(path: "certificate"))
        server.process.send(SIGHUP)
        try wait { server.process.errors.contains("not_read_again") }
        #expect(server.process.errors.contains(scratch.path("certificate")))
        #expect(try curl(server, "--insecure").0 == 0, "the one before still serves")

        try lay("server")
        server.process.send(SIGHUP)
        try wait { try curl(server, "--cacert", authority).0 == 0 }
        #expect(try server.stop() == .exited(0))
    }

    @Test func clientsAreKnownByTheirCertificates() throws {
        let server = try server("server", ["--tls-client-ca", authority])
        func status(_ identity: String) throws -> Int32 {
            let files = [Self.file(identity + ".pem"), Self.file(identity + "-key.pem")]
            return try curl(server, "--cacert", authority, "--cert", files[0], "--key", files[1]).0
        }
        #expect(try curl(server, "--cacert", authority).0 == 0)
        #expect(try status("client") == 0)
        #expect(try status("stranger") != 0)
        #expect(try server.stop() == .exited(0))
    }

    /// A caller with this certificate, or with none: the statuses of its requests to a target, and
    /// the last one's body.
    private func call(
        _ server: Server, _ targets: [String], as identity: String? = nil,
        _ arguments: [String] = []
    ) throws -> (statuses: [Int], body: JSONValue) {
        let urls = targets.map { "https://127.0.0.1:\(server.port)\($0)" }
        let files = identity.map { [Self.file($0 + ".pem"), Self.file($0 + "-key.pem")] }
        let certificate = files.map { ["--cert", $0[0], "--key", $0[1]] } ?? []
        let process = try ChildProcess(
            "curl",
            ["--silent", "--insecure", "--max-time", "30", "--write-out", "\\n%{http_code}\\n"]
                + arguments + certificate + urls,
            scratch: scratch.url)
        try #require(try process.waitForEnd() == .exited(0), "\(process.errors)")
        let lines = process.output.split(separator: "\n")
        let statuses = lines.compactMap { Int($0) }
        return (statuses, JSONValue(String(lines.dropLast().last ?? "")))
    }

    private static let allocations = "/v1/machines/default/allocations"

    @Test func aCertificateIsACaller() throws {
        let token = try token()
        let tokens = try scratch.write(
            "nic0 allocate,read certificate\n\(token.line)\n", to: "tokens")
        let server = try server(
            "stranger", ["--tls-client-ca", authority, "--tokens", tokens])
        let machines = "/v1/machines"
        // Nobody; a certificate with two names, which is nobody's either; one that is a caller's.
        #expect(try call(server, [machines]).statuses == [401])
        #expect(try call(server, [machines], as: "two-names").statuses == [401])
        let granted = try call(server, [Self.allocations], as: "client", ["--json", "{}"])
        #expect(granted.statuses == [201])
        let sequence = try #require(granted.body["sequence"].int)
        let target = "\(Self.allocations)/\(sequence)"
        #expect(
            try call(server, [target], as: "client", ["--request", "DELETE"]).statuses == [403])
        // A token that is shown counts before the certificate.
        let denied = try call(
            server, [Self.allocations], as: "client", token.header + ["--json", "{}"])
        #expect(denied.statuses == [403])
        let entry = try call(server, ["/v1/ledger/\(sequence)"], token.header)
        #expect(entry.statuses == [200] && entry.body["principal"].string == "nic0")

        // One signal, and both files are read again.
        try lay("server")
        _ = try scratch.write("other read certificate\n\(token.line)\n", to: "tokens")
        server.process.send(SIGHUP)
        try wait { try curl(server, "--cacert", authority).0 == 0 }
        try wait { try call(server, [machines], as: "client").statuses == [401] }
        #expect(try call(server, [machines], token.header).statuses == [200])
        #expect(try server.stop() == .exited(0))
    }

    /// One that may read: how curl shows it, and its line.
    private func token() throws -> (header: [String], line: String) {
        let made = try GFPD.run(["token", "backup", "--scopes", "read"], scratch: scratch)
        let lines = made.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 2)
        return (["--header", "Authorization: Bearer \(lines[0])"], lines[1])
    }

    /// Limits count principals, whatever the address that all of them come from.
    @Test func eachCallerHasItsRate() throws {
        let token = try token()
        let tokens = try scratch.write("nic0 read certificate\n\(token.line)\n", to: "tokens")
        let server = try server(
            "server", ["--tls-client-ca", authority, "--tokens", tokens, "--rate-limit", "1"])
        // All on one connection, and more than a request a second on any machine.
        let targets = [String](repeating: "/v1/machines", count: 50)
        let statuses = try call(server, targets, as: "client").statuses
        #expect(statuses.first == 200 && statuses.contains(429))
        #expect(try call(server, ["/v1/machines"], token.header).statuses == [200])
        #expect(try server.stop() == .exited(0))
    }

    @Test func streamsGoThroughTLS() throws {
        let server = try server("server")
        let stream = try ChildProcess(
            "curl",
            [
                "--silent", "--no-buffer", "--cacert", authority,
                "https://127.0.0.1:\(server.port)/v1/ledger/stream",
            ], scratch: scratch.url)
        try wait { stream.output.contains("id: 1\nevent: entry\n") }
        for id in 2..<10 {
            #expect(
                try call(server, [Self.allocations], ["--json", "{}"]).body["id"].int == id)
            try wait { stream.output.contains("id: \(id)\nevent: entry\n") }
        }
        #expect(try server.stop() == .exited(0))
        #expect(try stream.waitForEnd() == .exited(0), "the end is not cut off")
    }

    @Test(arguments: [
        (["--tls-certificate", "none.pem"], "--tls-key"),
        (["--tls-key", "none.pem"], "--tls-certificate"),
        (["--tls-client-ca", "none.pem"], "--tls-certificate"),
        (["--tls-certificate", "none.pem", "--tls-key", "none.pem"], "none.pem"),
    ])
    func whatIsNoTLSIsRefused(arguments: [String], word: String) throws {
        let run = try GFPD.run(
            ["serve", "--port", "0", "--data", scratch.path("data")] + arguments, scratch: scratch)
        #expect(run.end == .exited(1) && run.output == "")
        #expect(run.errors.contains(word), "\(run.errors)")
    }
}
