// The service behind TLS, asked by curl and by its own healthcheck.

import Foundation
import Glibc
import Testing

@Suite struct TLSTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private static func file(_ name: String) -> String {
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
        while !server.process.errors.contains("not_read_again") { usleep(1000) }
        #expect(server.process.errors.contains(scratch.path("certificate")))
        #expect(try curl(server, "--insecure").0 == 0, "the one before still serves")

        try lay("server")
        server.process.send(SIGHUP)
        while try curl(server, "--cacert", authority).0 != 0 { usleep(10_000) }
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
