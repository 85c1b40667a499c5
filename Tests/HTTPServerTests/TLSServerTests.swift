// The server behind TLS, over real sockets. What holds without TLS is tested without it; here is
// what TLS adds, and that it takes nothing away.

import Foundation
import HTTPServer
import TLS
import Testing

private func file(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Certificates/\(name)").standardized.path
}

private func serverContext(clients: Bool = false) throws -> TLSServerContext {
    try TLSServerContext(
        certificate: file("server.pem"), key: file("server-key.pem"),
        clientAuthorities: clients ? file("authority.pem") : nil)
}

private func clientContext(_ identity: String? = nil) throws -> TLSContext {
    try TLSContext(
        authorities: file("authority.pem"),
        identity: identity.map { (file($0 + ".pem"), file($0 + "-key.pem")) })
}

@Suite struct TLSServerTests {
    @Test(arguments: [1, Int.max])
    func requestsAreAnswered(handingOverFrom answers: Int) throws {
        let server = try RunningServer(tls: serverContext()) {
            $0.minimumAnswersHandedOver = answers
        }
        let client = try TestClient(server, tls: clientContext())
        for number in 0..<20 { #expect(try client.get("/\(number)").body == "/\(number)") }
        client.send((0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        for number in 0..<50 { #expect(try client.readResponse().body == "/\(number)") }
        let body = String(repeating: "0123456789abcdef", count: 1 << 16)
        client.send(message("Content-Length: \(body.utf8.count)\r\n", body: body))
        #expect(try client.readResponse().body == body)
        #expect(server.application.peers.allSatisfy { $0.certificateName == nil })
        try server.stop()
        #expect(client.readToEnd() == "")
        #expect(client.hasServerEnded, "the end is not cut off")
    }

    @Test func manyClientsShakeHandsAtOnce() throws {
        let server = try RunningServer(tls: serverContext()) { $0.maximumHandshakesPerTurn = 1 }
        let context = try clientContext()
        let clients = try (0..<30).map { _ in try TestClient(server, tls: context) }
        for client in clients { client.send(message("", requestLine: "GET /a HTTP/1.1")) }
        for client in clients { #expect(try client.readResponse().body == "/a") }
        try server.stop()
    }

    @Test func theCertificateNamesThePeer() throws {
        let server = try RunningServer(tls: serverContext(clients: true))
        for (identity, name) in [("client", "nic0"), (nil, nil), ("two-names", nil)] {
            let client = try TestClient(server, tls: clientContext(identity))
            #expect(try client.get("/").status == 200)
            #expect(server.application.peers.last?.certificateName == name)
        }
        let stranger = try TestClient(server, tls: clientContext("stranger"))
        stranger.send(message(""))
        #expect(throws: TestClient.UnexpectedEnd.self) { try stranger.readResponse() }
        #expect(stranger.tlsFailure != nil, "an alert says why")
        #expect(server.application.calls.count { $0 == "respond /" } == 3)
        try server.stop()
    }

    @Test func httpWithoutTLSIsToldSo() throws {
        let server = try RunningServer(tls: serverContext())
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET / HTTP/1.1"))
        let answer = try client.readResponse()
        #expect(answer.status == 400 && answer.body == HTTPRequestError.plainHTTP.detail)
        #expect(client.readToEnd() == "")
        #expect(server.application.calls == ["refuse 400"])
        try server.stop()
    }

    @Test func whatIsNoHandshakeIsNotServed() throws {
        let server = try RunningServer(tls: serverContext())
        for bytes in [[UInt8](repeating: 0, count: 1000), [0x16, 3, 1, 0, 4, 1, 0, 0, 0]] {
            let client = try TestClient(server)
            client.send(bytes)
            let answer = client.readToEnd()
            #expect(!answer.contains("HTTP"))
        }
        #expect(server.application.calls == [])
        try server.stop()
    }

    /// Without a byte, with half of a handshake, and byte by byte.
    @Test(arguments: ["", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"], [false, true])
    func aHandshakeMustEndInTime(begin: String, dribbling: Bool) throws {
        let server = try RunningServer(tls: serverContext()) { limits in
            limits.handshakeTimeout = .milliseconds(100)
            limits.idleTimeout = .seconds(3600)
        }
        let client = try TestClient(server)
        client.send(begin)
        var dribbles = dribbling && !begin.isEmpty ? 5000 : 0
        while dribbles > 0, !client.isReadable(waitingMilliseconds: 5) {
            client.send([0])
            dribbles -= 1
        }
        #expect(client.readToEnd() == "")
        #expect(server.application.calls == [])
        try server.stop()
    }

    @Test func afterTheHandshakeItsTimeIsForgotten() throws {
        let server = try RunningServer(tls: serverContext()) { limits in
            limits.handshakeTimeout = .seconds(3)
            limits.sweepInterval = .milliseconds(5)
        }
        let client = try TestClient(server, tls: clientContext())
        #expect(try client.get("/").status == 200)
        usleep(3_200_000)
        #expect(try client.get("/later").body == "/later")
        try server.stop()
    }

    @Test func refusalsAndTheirEndAreSealed() throws {
        let server = try RunningServer(tls: serverContext()) { $0.maximumBodyBytes = 10 }
        let client = try TestClient(server, tls: clientContext())
        client.send(message("Content-Length: 11\r\n", body: "hello world"))
        #expect(try client.readResponse().status == 413)
        #expect(client.readToEnd() == "")
        #expect(client.hasServerEnded)
        try server.stop()
    }

    /// What the peer says after its own end is not read; what it said before is answered.
    @Test func aPeerThatHasEndedIsAnswered() throws {
        let server = try RunningServer(tls: serverContext())
        let context = try clientContext()
        for endsTLS in [true, false] {
            let client = try TestClient(server, tls: context)
            client.send(message("") + message("Content-Length: 3\r\n", body: "xyz") + "GET / HT")
            if endsTLS { client.endTLS() } else { client.shutdownSending() }
            #expect(try client.readResponse().body == "/")
            #expect(try client.readResponse().body == "xyz")
            #expect(client.readToEnd() == "")
        }
        try server.stop()
    }

    @Test func slowReadersGetEverything() throws {
        let server = try RunningServer(tls: serverContext()) { limits in
            limits.maximumOutputBytes = 64 << 10
        }
        let slow = try TestClient(server, receiveBufferBytes: 64 << 10, tls: clientContext())
        let count = 16
        slow.send(String(repeating: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", count: count))
        let other = try TestClient(server, tls: clientContext())
        for _ in 0..<20 { #expect(try other.get("/other").status == 200) }
        #expect(server.application.calls.count { $0 == "respond /large" } < count)
        for _ in 0..<count {
            let length = try slow.readResponse().body.utf8.count
            #expect(length == ScriptedApplication.largeBody.count)
        }
        try server.stop()
    }

    @Test func streamsAreSealed() throws {
        let server = try RunningServer(tls: serverContext())
        let client = try TestClient(server, tls: clientContext())
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        let exchange = server.application.deferred[0]
        server.completions.beginStream(
            HTTPResponse(status: 200, contentType: "text/plain", body: Array("one".utf8)),
            for: exchange)
        server.completions.write(Array("two".utf8), for: exchange)
        server.completions.endStream(for: exchange)
        #expect(try client.readHead().fields["transfer-encoding"] == "chunked")
        #expect(try client.readChunks() == ["one", "two"])
        #expect(try client.get("/next").body == "/next")
        try server.stop()
    }

    @Test func aStreamIsToldWhenAllOfItHasBeenTaken() throws {
        let server = try RunningServer(tls: serverContext())
        let client = try TestClient(server, receiveBufferBytes: 64 << 10, tls: clientContext())
        try expectToldWhenTaken("/present", client, server)
        try server.stop()
    }

    @Test func streamsToSlowReadersAreCut() throws {
        let server = try RunningServer(tls: serverContext()) { $0.maximumOutputBytes = 64 << 10 }
        let client = try TestClient(server, receiveBufferBytes: 64 << 10, tls: clientContext())
        let exchange = deferral("/defer", client, server)
        server.completions.beginStream(HTTPResponse(status: 200), for: exchange)
        let piece = [UInt8](repeating: 0x78, count: 64 << 10)
        while server.application.abandoned.isEmpty {
            server.completions.write(piece, for: exchange)
            usleep(1_000)
        }
        #expect(server.application.abandoned == [exchange])
        #expect(try TestClient(server, tls: clientContext()).get("/other").status == 200)
        try server.stop()
    }

    /// Whether it says so as TLS has it, or not.
    @Test(arguments: [false, true])
    func onlyAPresentPeerIsAnswered(endsTLS: Bool) throws {
        let server = try RunningServer(tls: serverContext())
        let client = try TestClient(server, tls: clientContext())
        let exchange = deferral("/present", client, server)
        if endsTLS { client.endTLS() }
        client.shutdownSending()
        #expect(client.readToEnd() == "")
        while server.application.abandoned.isEmpty { usleep(1_000) }
        #expect(server.application.abandoned == [exchange])
        try server.stop()
    }
}
