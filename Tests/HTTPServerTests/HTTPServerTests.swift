import Foundation
import HTTPServer
import Synchronization
import Testing

/// The server over real sockets. What could take time is waited for; nothing is asserted of time.
/// `minimumAnswersHandedOver`: every answer by the second thread, and every one by the loop.
private let handingOverFrom = [1, Int.max]

@Suite struct HTTPServerTests {
    @Test func answersAreFramed() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let response = try client.get("/a?b")
        #expect(response.status == 200)
        #expect(response.body == "/a")
        #expect(response.fields["content-type"] == "text/plain")
        #expect(response.fields["date"]?.hasSuffix(" GMT") == true)
        #expect(
            Set(response.fields.keys) == ["content-type", "content-length", "date"])
        try server.stop()
    }

    @Test(arguments: handingOverFrom)
    func connectionsAreKept(_ answers: Int) throws {
        let server = try RunningServer { $0.minimumAnswersHandedOver = answers }
        let client = try TestClient(server)
        for number in 0..<100 {
            #expect(try client.get("/\(number)").body == "/\(number)")
        }
        try server.stop()
    }

    @Test(arguments: handingOverFrom)
    func pipelinedRequestsAreAnsweredInOrder(_ answers: Int) throws {
        let server = try RunningServer { limits in
            limits.minimumAnswersHandedOver = answers
            limits.maximumPipelinedPerTurn = 3
            limits.maximumRequestsPerTurn = 5
        }
        let clients = try (0..<4).map { _ in try TestClient(server) }
        let requests = (0..<200).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        for client in clients { client.send(requests) }
        for client in clients {
            for number in 0..<200 {
                #expect(try client.readResponse().body == "/\(number)")
            }
        }
        let largestTurn = server.application.calls.split(separator: "end").map(\.count).max()
        #expect(largestTurn == 5)
        try server.stop()
    }

    @Test func bytesMayComeOneAtATime() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let chunked = message("Transfer-Encoding: chunked\r\n", body: "3\r\nabc\r\n0\r\n\r\n")
        for byte in (message("Content-Length: 3\r\n", body: "xyz") + chunked).utf8 {
            client.send([byte])
        }
        #expect(try client.readResponse().body == "xyz")
        #expect(try client.readResponse().body == "abc")
        try server.stop()
    }

    @Test(arguments: handingOverFrom)
    func largeBodiesGoBothWays(_ answers: Int) throws {
        let server = try RunningServer { $0.minimumAnswersHandedOver = answers }
        let client = try TestClient(server)
        let body = String(repeating: "0123456789abcdef", count: 1 << 16)
        for _ in 0..<3 {
            client.send(message("Content-Length: \(body.utf8.count)\r\n", body: body))
            #expect(try client.readResponse().body == body)
        }
        try server.stop()
    }

    @Test func headHasTheLengthAndNoBody() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n")
        let length = ScriptedApplication.largeBody.count
        #expect(
            try client.readResponse(isHead: true).fields["content-length"] == String(length))
        #expect(try client.get("/next").body == "/next")
        try server.stop()
    }

    @Test(arguments: [
        "GET /last HTTP/1.0\r\n\r\n", "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /close HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    func closingIsAnnounced(request: String) throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(request + message(""))
        #expect(try client.readResponse().fields["connection"] == "close")
        #expect(client.readToEnd() == "")
        #expect(server.application.calls.count { $0.hasPrefix("respond") } == 1)
        try server.stop()
    }

    @Test func halfClosedClientsAreAnswered() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("") + message("Content-Length: 3\r\n", body: "xyz") + "GET / HT")
        client.shutdownSending()
        #expect(try client.readResponse().body == "/")
        #expect(try client.readResponse().body == "xyz")
        #expect(client.readToEnd() == "")
        try server.stop()
    }

    @Test func continueIsSentWhereItIsAskedFor() throws {
        let server = try RunningServer { $0.maximumBodyBytes = 10 }
        let client = try TestClient(server)
        client.send(message("Expect: 100-continue\r\nContent-Length: 3\r\n"))
        #expect(try client.readHead().status == 100)
        client.send("xyz")
        #expect(try client.readResponse().body == "xyz")
        client.send(message("Expect: 100-continue\r\nContent-Length: 11\r\n"))
        #expect(try client.readResponse().status == 413)
        #expect(client.readToEnd() == "")
        try server.stop()
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413),
        ("GET /\(String(repeating: "a", count: 100)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 100))\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\n\r\n", 505),
    ])
    func refusalsAreAnsweredAndCloseTheConnection(request: String, status: Int) throws {
        let server = try RunningServer { limits in
            limits.maximumRequestLineBytes = 100
            limits.maximumHeaderBytes = 100
            limits.maximumBodyBytes = 10
        }
        let client = try TestClient(server)
        client.send(message("") + request + message(""))
        #expect(try client.readResponse().status == 200)
        let refusal = try client.readResponse()
        #expect(refusal.status == status)
        #expect(refusal.fields["connection"] == "close")
        #expect(client.readToEnd() == "")
        #expect(
            server.application.calls.filter { $0 != "end" } == ["respond /", "refuse \(status)"])
        try server.stop()
    }

    @Test func refusalOfALargeBodyCanBeReadAfterSendingIt() throws {
        let server = try RunningServer { $0.maximumBodyBytes = 10 }
        let client = try TestClient(server)
        let body = [UInt8](repeating: 0x78, count: 2 << 20)
        client.send(message("Content-Length: \(body.count)\r\n"))
        #expect(client.send(body))
        #expect(try client.readResponse().status == 413)
        client.shutdownSending()
        #expect(client.readToEnd() == "")
        try server.stop()
    }

    @Test func lingeringIsBounded() throws {
        let server = try RunningServer { limits in
            limits.maximumBodyBytes = 10
            limits.maximumLingerBytes = 1 << 20
            limits.lingerTimeout = .seconds(3600)
        }
        let client = try TestClient(server)
        client.send(message("Content-Length: 1000000000\r\n"))
        let piece = [UInt8](repeating: 0x78, count: 1 << 20)
        var pieces = 0
        while pieces < 100, client.send(piece) { pieces += 1 }
        #expect(pieces < 100)
        try server.stop()
    }

    @Test(arguments: handingOverFrom)
    func manyConnectionsAtOnce(_ answers: Int) throws {
        let server = try RunningServer { limits in
            limits.maximumAcceptsPerTurn = 7
            limits.minimumAnswersHandedOver = answers
        }
        let clients = try (0..<100).map { _ in try TestClient(server) }
        for (number, client) in clients.enumerated() {
            client.send("GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        for (number, client) in clients.enumerated() {
            #expect(try client.readResponse().body == "/\(number)")
        }
        try server.stop()
    }

    @Test func connectionsBeyondTheLimitWait() throws {
        let server = try RunningServer { $0.maximumConnections = 2 }
        let first = try TestClient(server)
        let second = try TestClient(server)
        #expect(try first.get("/1").status == 200)
        #expect(try second.get("/2").status == 200)
        let third = try TestClient(server)
        third.send(message("", requestLine: "GET /3 HTTP/1.1"))
        #expect(try first.get("/4").status == 200)
        #expect(try second.get("/5").status == 200)
        #expect(!third.isReadable())
        first.reset()
        #expect(try third.readResponse().body == "/3")
        #expect(try second.get("/6").status == 200)
        try server.stop()
    }

    @Test func oneAddressCannotTakeAllConnections() throws {
        let server = try RunningServer { $0.maximumConnectionsPerAddress = 2 }
        let greedy: UInt32 = 0x7F00_0002
        let first = try TestClient(server, from: greedy)
        let second = try TestClient(server, from: greedy)
        #expect(try first.get("/1").status == 200)
        #expect(try second.get("/2").status == 200)
        let third = try TestClient(server, from: greedy)
        #expect(third.readToEnd() == "")
        let other = try TestClient(server)
        #expect(try other.get("/3").body == "/3")
        #expect(
            server.application.peers.map(\.address.description)
                == ["127.0.0.2", "127.0.0.2", "127.0.0.1"])
        first.reset()
        var next = try TestClient(server, from: greedy)
        // The end of the first one may be noticed later than the beginning of this one.
        while (try? next.get("/4"))?.status != 200 { next = try TestClient(server, from: greedy) }
        #expect(try second.get("/5").status == 200)
        try server.stop()
    }

    @Test func allRequestsTogetherAreBounded() throws {
        let server = try RunningServer { limits in
            limits.maximumHeldBytes = 200 << 10
            limits.bodyTimeout = .seconds(3600)
        }
        let half = String(repeating: "x", count: 32 << 10)
        let clients = try (0..<8).map { _ in try TestClient(server) }
        for client in clients {
            client.send(message("Content-Length: \(2 * half.utf8.count)\r\n", body: half))
        }
        let other = try TestClient(server)
        #expect(try other.get("/small").status == 200)
        for client in clients { client.send(half) }
        let statuses = try clients.map { try $0.readResponse().status }
        #expect(statuses.contains(200) && statuses.contains(503))
        #expect(statuses.allSatisfy { $0 == 200 || $0 == 503 })
        // What they held is free again.
        let last = try TestClient(server)
        last.send(message("Content-Length: \(2 * half.utf8.count)\r\n", body: half + half))
        #expect(try last.readResponse().status == 200)
        try server.stop()
    }

    @Test func answersToSlowReadersAreBoundedTogether() throws {
        let server = try RunningServer { limits in
            limits.maximumHeldBytes = 4 << 20
            limits.sendTimeout = .seconds(3600)
        }
        let readers = try (0..<16).map { _ in
            try TestClient(server, receiveBufferBytes: 64 << 10)
        }
        for reader in readers {
            reader.send(String(repeating: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", count: 32))
        }
        let other = try TestClient(server)
        for _ in 0..<20 { #expect(try other.get("/other").status == 200) }
        // Read at last, some were cut off and some were not.
        let lengths = readers.map { reader in
            reader.shutdownSending()
            return reader.readToEnd().utf8.count
        }
        let whole = 32 * ScriptedApplication.largeBody.count
        #expect(lengths.contains { $0 < whole } && lengths.contains { $0 > whole })
        try server.stop()
    }

    @Test func acceptingPausesWithoutDescriptors() async {
        // In a process of its own: the limit on descriptors is the whole process's.
        await #expect(processExitsWith: .success) {
            let server = try RunningServer { $0.sweepInterval = .seconds(3600) }
            let first = try TestClient(server)
            first.send(message("", requestLine: "GET /gate HTTP/1.1"))
            server.application.gateReached.wait()
            let second = try TestClient(server)
            second.send(message("", requestLine: "GET /second HTTP/1.1"))
            let limit = try setDescriptorLimitToThoseOpen()
            server.application.gateOpening.signal()
            try #require(try first.readResponse().status == 200)
            try #require(try first.get("/first").status == 200)
            let turns = server.application.turnCount
            usleep(100_000)
            try #require(server.application.turnCount <= turns + 1)
            try #require(!second.isReadable())
            try setDescriptorLimit(limit)
            first.reset()
            try #require(try second.readResponse().body == "/second")
            try server.stop()
        }
    }

    @Test(arguments: handingOverFrom)
    func slowReadersAreNotReadFrom(_ answers: Int) throws {
        let server = try RunningServer { limits in
            limits.maximumOutputBytes = 64 << 10
            limits.minimumAnswersHandedOver = answers
        }
        let slow = try TestClient(server, receiveBufferBytes: 64 << 10)
        let count = 64
        slow.send(
            String(repeating: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", count: count) + message(""))
        let other = try TestClient(server)
        for _ in 0..<50 { #expect(try other.get("/other").status == 200) }
        // More than the kernel's buffers hold together cannot have been answered.
        #expect(server.application.calls.count { $0 == "respond /large" } < count)
        for _ in 0..<count {
            let length = try slow.readResponse().body.utf8.count
            #expect(length == ScriptedApplication.largeBody.count)
        }
        #expect(try slow.readResponse().body == "/")
        try server.stop()
    }

    @Test func readersThatStopReadingAreCutOff() throws {
        let server = try RunningServer { $0.sendTimeout = .milliseconds(100) }
        let client = try TestClient(server, receiveBufferBytes: 64 << 10)
        let count = 64
        client.send(String(repeating: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", count: count))
        while server.application.turnCount < 50 { usleep(10_000) }
        #expect(client.readToEnd().utf8.count < count * ScriptedApplication.largeBody.count)
        try server.stop()
    }

    @Test func invalidHostsAndTakenPortsAreErrors() throws {
        let application = ScriptedApplication()
        #expect(throws: HTTPServerError.invalidHost("example.com")) {
            try HTTPServer(host: "example.com", port: 0, application: application)
        }
        let server = try RunningServer()
        #expect(throws: HTTPServerError.system(call: "bind", errno: EADDRINUSE)) {
            try HTTPServer(host: "localhost", port: server.port, application: application)
        }
        try server.stop()
    }
}

@Suite struct HTTPServerTimeoutTests {
    private func refusalOfASlowPeer(_ begin: String, dribbling: Bool) throws {
        let server = try RunningServer { limits in
            limits.headTimeout = .milliseconds(100)
            limits.bodyTimeout = .milliseconds(100)
            limits.lingerTimeout = .milliseconds(50)
        }
        let client = try TestClient(server)
        client.send(begin)
        var dribbles = dribbling ? 5_000 : 0
        while dribbles > 0, !client.isReadable(waitingMilliseconds: 5) {
            client.send("x")
            dribbles -= 1
        }
        #expect(!dribbling || dribbles > 0, "the deadline is put off")
        let response = try client.readResponse()
        #expect(response.status == 408)
        #expect(response.fields["connection"] == "close")
        #expect(client.readToEnd() == "")
        #expect(server.application.calls == ["refuse 408"])
        try server.stop()
    }

    @Test(arguments: ["G", "GET / HTTP/1.1\r\nHost: a\r\nX: "], [false, true])
    func slowHeads(begin: String, dribbling: Bool) throws {
        try refusalOfASlowPeer(begin, dribbling: dribbling)
    }

    @Test(arguments: [false, true])
    func slowBodies(dribbling: Bool) throws {
        let head = message("Content-Length: 1000000\r\n")
        try refusalOfASlowPeer(head, dribbling: dribbling)
        try refusalOfASlowPeer(head + "x", dribbling: dribbling)
    }

    @Test func slowChunks() throws {
        let head = message("Transfer-Encoding: chunked\r\n", body: "fffff\r\n")
        try refusalOfASlowPeer(head, dribbling: true)
    }

    @Test func idleConnectionsAreClosedSilently() throws {
        let server = try RunningServer { $0.idleTimeout = .milliseconds(50) }
        let fresh = try TestClient(server)
        var used = try TestClient(server)
        // On a busy machine a connection can be idle for too long before it is used.
        while (try? used.get("/"))?.status != 200 { used = try TestClient(server) }
        #expect(fresh.readToEnd() == "")
        #expect(used.readToEnd() == "")
        try server.stop()
    }

    @Test func deferredExchangesHaveNoTimeout() throws {
        let server = try RunningServer { limits in
            limits.idleTimeout = .milliseconds(20)
            limits.headTimeout = .milliseconds(20)
            limits.sweepInterval = .milliseconds(5)
        }
        // On a busy machine a connection can be idle for too long before it is used.
        var client: TestClient
        repeat {
            client = try TestClient(server)
            client.send(message("", requestLine: "GET /defer HTTP/1.1") + "GET /late")
        } while server.application.deferral.wait(timeout: .now() + 5) == .timedOut
        let turns = server.application.turnCount
        while server.application.turnCount < turns + 20 { usleep(5_000) }
        server.completions.send(
            HTTPResponse(status: 200, body: Array("late".utf8)), for: server.application.deferred[0]
        )
        #expect(try client.readResponse().body == "late")
        try server.stop()
    }
}

@Suite struct HTTPServerTurnTests {
    @Test func answersAreSentAfterTheTurnHasEnded() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /gate HTTP/1.1"))
        server.application.gateReached.wait()
        #expect(!client.isReadable(waitingMilliseconds: 20))
        server.application.gateOpening.signal()
        #expect(try client.readResponse().status == 200)
        try server.stop()
    }

    @Test func requestsThatGatherDuringATurnShareTheNext() throws {
        let server = try RunningServer()
        let clients = try (0..<8).map { _ in try TestClient(server) }
        for client in clients { #expect(try client.get("/first").status == 200) }
        let gate = try TestClient(server)
        gate.send(message("", requestLine: "GET /gate HTTP/1.1"))
        server.application.gateReached.wait()
        for client in clients {
            client.send(
                message("", requestLine: "GET /a HTTP/1.1")
                    + message("", requestLine: "GET /b HTTP/1.1"))
        }
        server.application.gateOpening.signal()
        for client in clients {
            #expect(try client.readResponse().body == "/a")
            #expect(try client.readResponse().body == "/b")
        }
        let turn = Array(repeating: ["respond /a", "respond /b"], count: 8).flatMap(\.self)
        #expect(server.application.calls.suffix(17) == turn + ["end"])
        try server.stop()
    }

    @Test func nothingIsSentWhenTheTurnFails() throws {
        let server = try RunningServer()
        let bystander = try TestClient(server)
        #expect(try bystander.get("/").status == 200)
        let gate = try TestClient(server)
        gate.send(message("", requestLine: "GET /gate HTTP/1.1"))
        server.application.gateReached.wait()
        let fatal = try TestClient(server)
        bystander.send(message("", requestLine: "GET /fatal HTTP/1.1"))
        server.application.gateOpening.signal()
        #expect(try gate.readResponse().status == 200)
        #expect(throws: ScriptedApplication.FatalError.self) { try server.waitForEnd() }
        #expect(bystander.readToEnd() == "")
        #expect(fatal.readToEnd() == "")
    }

    @Test func afterwardsTheAnswersAreOnTheirWay() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /sent HTTP/1.1"))
        server.application.gateReached.wait()
        #expect(try client.readResponse().body == "/sent")
        server.application.gateOpening.signal()
        client.send(message("", requestLine: "GET /fatal-when-sent HTTP/1.1"))
        #expect(throws: ScriptedApplication.FatalError.self) { try server.waitForEnd() }
        #expect(try client.readResponse().body == "/fatal-when-sent")
    }

    @Test func turnsCanBeAskedFor() throws {
        let server = try RunningServer { $0.sweepInterval = .seconds(3600) }
        let client = try TestClient(server)
        #expect(try client.get("/").status == 200)
        for _ in 0..<10 {
            let turns = server.application.turnCount
            server.completions.requestTurn()
            while server.application.turnCount == turns { usleep(1_000) }
        }
        try server.stop()
    }

    @Test(arguments: ["/soon", "/overdue"])
    func turnsComeWhenTheApplicationWantsThem(path: String) throws {
        let server = try RunningServer { $0.sweepInterval = .seconds(3600) }
        let client = try TestClient(server)
        #expect(try client.get(path).status == 200)
        let turns = server.application.turnCount
        while server.application.turnCount < turns + 20 { usleep(1_000) }
        #expect(try client.get("/whenever").status == 200)
        usleep(20_000)
        let rest = server.application.turnCount
        usleep(50_000)
        #expect(server.application.turnCount == rest)
        try server.stop()
    }

    @Test func anAnswerMayCountAsManyRequests() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(
            message("", requestLine: "GET /many HTTP/1.1")
                + message("", requestLine: "GET /a HTTP/1.1")
                + message("", requestLine: "GET /b HTTP/1.1"))
        for body in ["/many", "/a", "/b"] { #expect(try client.readResponse().body == body) }
        #expect(
            server.application.calls
                == ["respond /many", "end", "respond /a", "respond /b", "end"])
        try server.stop()
    }
}

@Suite struct HTTPServerCompletionTests {
    private func response(_ body: String) -> HTTPResponse {
        HTTPResponse(status: 200, contentType: "text/plain", body: Array(body.utf8))
    }

    @Test func laterRequestsWaitForADeferredAnswer() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let requests = ["/a", "/defer", "/b", "/defer", "/c"].map {
            message("", requestLine: "GET \($0) HTTP/1.1")
        }
        client.send(requests.joined())
        #expect(try client.readResponse().body == "/a")
        server.application.deferral.wait()
        let other = try TestClient(server)
        #expect(try other.get("/other").status == 200)
        client.send(message("", requestLine: "GET /d HTTP/1.1"))
        #expect(try other.get("/other").status == 200)
        #expect(!client.isReadable())
        #expect(!server.application.calls.contains("respond /b"))
        server.completions.send(response("first"), for: server.application.deferred[0])
        server.application.deferral.wait()
        // The second time it is nobody's answer.
        server.completions.send(response("again"), for: server.application.deferred[0])
        server.completions.send(response("second"), for: server.application.deferred[1])
        for body in ["first", "/b", "second", "/c", "/d"] {
            #expect(try client.readResponse().body == body)
        }
        try server.stop()
    }

    @Test func answersComeFromManyThreads() throws {
        let server = try RunningServer()
        let clients = try (0..<20).map { _ in try TestClient(server) }
        for client in clients { client.send(message("", requestLine: "GET /defer HTTP/1.1")) }
        for _ in clients { server.application.deferral.wait() }
        let (completions, answer) = (server.completions, response("x"))
        for exchange in server.application.deferred.shuffled() {
            Thread { completions.send(answer, for: exchange) }.start()
        }
        for client in clients { #expect(try client.readResponse().body == "x") }
        try server.stop()
    }

    @Test func deferredAnswersFollowTheirRequests() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "HEAD /defer HTTP/1.1"))
        server.application.deferral.wait()
        server.completions.send(response("four"), for: server.application.deferred[0])
        #expect(try client.readResponse(isHead: true).fields["content-length"] == "4")
        client.send(message("", requestLine: "GET /defer HTTP/1.0"))
        client.shutdownSending()
        server.application.deferral.wait()
        server.completions.send(response("five"), for: server.application.deferred[1])
        let last = try client.readResponse()
        #expect(last.body == "five")
        #expect(last.fields["connection"] == "close")
        #expect(client.readToEnd() == "")
        try server.stop()
    }

    @Test func answersToPeersThatHaveGoneAreIgnored() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        client.reset()
        while server.application.abandoned.isEmpty { usleep(1_000) }
        let exchange = server.application.deferred[0]
        #expect(server.application.abandoned == [exchange])
        // The slot is used again; the exchange still names the old connection.
        let next = try TestClient(server)
        #expect(try next.get("/next").status == 200)
        server.completions.send(response("late"), for: exchange)
        #expect(try next.get("/after").body == "/after")
        try server.stop()
    }

    @Test func streams() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        let exchange = server.application.deferred[0]
        server.completions.write(Array("before the head".utf8), for: exchange)
        server.completions.beginStream(response("one"), for: exchange)
        let head = try client.readHead()
        #expect(head.fields["transfer-encoding"] == "chunked")
        #expect(head.fields["content-length"] == nil)
        #expect(try client.readLine() == "3")
        #expect(try client.readLine() == "one")
        server.completions.write([], for: exchange)
        server.completions.write(Array("second piece".utf8), for: exchange)
        server.completions.send(response("not now"), for: exchange)
        server.completions.endStream(for: exchange)
        server.completions.write(Array("after the end".utf8), for: exchange)
        #expect(try client.readChunks() == ["second piece"])
        #expect(try client.get("/next").body == "/next")
        try server.stop()
    }

    @Test func streamsWithoutChunks() throws {
        let server = try RunningServer()
        for (line, body) in [("GET /defer HTTP/1.0", "onetwo"), ("HEAD /defer HTTP/1.0", "")] {
            let client = try TestClient(server)
            client.send(message("", requestLine: line))
            server.application.deferral.wait()
            let exchange = server.application.deferred.last!
            server.completions.beginStream(response("one"), for: exchange)
            server.completions.write(Array("two".utf8), for: exchange)
            server.completions.endStream(for: exchange)
            let head = try client.readHead()
            #expect(head.fields["transfer-encoding"] == nil)
            #expect(head.fields["connection"] == "close")
            #expect(client.readToEnd() == body)
        }
        try server.stop()
    }

    @Test func streamsToSlowReadersAreCut() throws {
        let server = try RunningServer { $0.maximumOutputBytes = 64 << 10 }
        let client = try TestClient(server, receiveBufferBytes: 64 << 10)
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        let exchange = server.application.deferred[0]
        server.completions.beginStream(response(""), for: exchange)
        let piece = [UInt8](repeating: 0x78, count: 64 << 10)
        while server.application.abandoned.isEmpty {
            server.completions.write(piece, for: exchange)
            usleep(1_000)
        }
        #expect(server.application.abandoned == [exchange])
        let other = try TestClient(server)
        #expect(try other.get("/other").status == 200)
        try server.stop()
    }

    @Test func aPeerThatEndsIsStillAnswered() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let exchange = deferral("/defer", client, server)
        client.shutdownSending()
        #expect(!client.isReadable(waitingMilliseconds: 50))
        server.completions.send(response("late"), for: exchange)
        #expect(try client.readResponse().body == "late")
        #expect(client.readToEnd() == "")
        #expect(server.application.abandoned == [])
        try server.stop()
    }

    @Test(arguments: [false, true], [false, true])
    func onlyAPresentPeerIsAnswered(isStreaming: Bool, hasSentMore: Bool) throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let exchange = deferral("/present", client, server)
        if isStreaming {
            server.completions.beginStream(response("one"), for: exchange)
            #expect(try client.readHead().status == 200)
            #expect(try client.readLine() == "3")
            #expect(try client.readLine() == "one")
        }
        if hasSentMore { client.send(message("", requestLine: "GET /next HTTP/1.1")) }
        #expect(!client.isReadable(waitingMilliseconds: 50))
        client.shutdownSending()
        #expect(client.readToEnd() == "")
        while server.application.abandoned.isEmpty { usleep(1_000) }
        #expect(server.application.abandoned == [exchange])
        #expect(!server.application.calls.contains("respond /next"))
        try server.stop()
    }

    @Test func aPresentPeerGoesOnAfterItsAnswer() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let exchange = deferral("/present", client, server)
        server.completions.send(response("late"), for: exchange)
        #expect(try client.readResponse().body == "late")
        #expect(try client.get("/next").body == "/next")
        client.send(message("", requestLine: "GET /last HTTP/1.1"))
        client.shutdownSending()
        #expect(try client.readResponse().body == "/last")
        #expect(server.application.abandoned == [])
        try server.stop()
    }

    @Test func aStreamIsToldWhenAllOfItHasBeenTaken() throws {
        let server = try RunningServer()
        let client = try TestClient(server, receiveBufferBytes: 64 << 10)
        try expectToldWhenTaken("/defer", client, server)
        try server.stop()
    }

    @Test func aStreamIsCut() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        let exchange = deferral("/defer", client, server)
        server.completions.cutStream(for: exchange)
        server.completions.beginStream(response("one"), for: exchange)
        #expect(try client.readHead().status == 200)
        server.completions.cutStream(for: exchange)
        #expect(client.readToEnd() == "3\r\none\r\n")
        #expect(server.application.abandoned == [])
        try server.stop()
    }
}

@Suite struct HTTPServerStopTests {
    @Test func stopClosesIdleConnections() throws {
        let server = try RunningServer()
        let fresh = try TestClient(server)
        let used = try TestClient(server)
        #expect(try used.get("/").status == 200)
        try server.stop()
        #expect(fresh.readToEnd() == "")
        #expect(used.readToEnd() == "")
    }

    /// What has begun to arrive is waited for: a head, or a body.
    @Test func stopAnswersWhatIsOnItsWay() throws {
        let server = try RunningServer()
        let body = message(
            "Content-Length: 5\r\n", body: "12345", requestLine: "POST /body HTTP/1.1")
        let requests = [message("", requestLine: "GET /head HTTP/1.1"), body]
        let clients = try requests.map { request in
            let client = try TestClient(server)
            #expect(try client.get("/").status == 200)
            client.send(String(request.dropLast(3)))
            return client
        }
        // They have been read when this is answered.
        #expect(try TestClient(server).get("/").status == 200)
        server.stopper.stop()
        #expect(clients.allSatisfy { !$0.isReadable(waitingMilliseconds: 50) })
        for (client, request) in zip(clients, requests) {
            client.send(String(request.suffix(3)))
            let response = try client.readResponse()
            #expect(response.status == 200)
            #expect(response.fields["connection"] == "close")
        }
        try server.waitForEnd()
    }

    @Test func stopRefusesWhatDoesNotArrive() throws {
        let server = try RunningServer { $0.drainReceiveTimeout = .milliseconds(50) }
        let client = try TestClient(server)
        #expect(try client.get("/").status == 200)
        client.send("GET / HT")
        #expect(try TestClient(server).get("/").status == 200)
        server.stopper.stop()
        let response = try client.readResponse()
        #expect(response.status == 503)
        #expect(response.fields["connection"] == "close")
        client.shutdownSending()
        try server.waitForEnd()
    }

    @Test(arguments: handingOverFrom)
    func stopAnswersWhatHasBeenReceivedWhole(_ answers: Int) throws {
        let server = try RunningServer { limits in
            limits.maximumPipelinedPerTurn = 2
            limits.minimumAnswersHandedOver = answers
        }
        let gate = try TestClient(server)
        let client = try TestClient(server)
        #expect(try client.get("/").status == 200)
        gate.send(message("", requestLine: "GET /gate HTTP/1.1"))
        server.application.gateReached.wait()
        let queued = try TestClient(server)
        queued.send(message("", requestLine: "GET /queued HTTP/1.1"))
        client.send(String(repeating: message(""), count: 5))
        server.stopper.stop()
        server.stopper.stop()
        server.application.gateOpening.signal()
        #expect(try gate.readResponse().status == 200)
        for _ in 0..<5 { #expect(try client.readResponse().status == 200) }
        #expect(client.readToEnd() == "")
        let last = try queued.readResponse()
        #expect(last.body == "/queued")
        #expect(last.fields["connection"] == "close")
        #expect(queued.readToEnd() == "")
        gate.shutdownSending()
        try server.waitForEnd()
    }

    @Test func stopWaitsForDeferredAnswersAndEndsStreams() throws {
        let server = try RunningServer()
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        let stream = try TestClient(server)
        stream.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        let (first, second) = (server.application.deferred[0], server.application.deferred[1])
        server.completions.beginStream(HTTPResponse(status: 200), for: second)
        #expect(try stream.readHead().status == 200)
        server.stopper.stop()
        #expect(try stream.readChunks() == [])
        #expect(stream.readToEnd() == "")
        #expect(!client.isReadable())
        server.completions.send(HTTPResponse(status: 202), for: first)
        let response = try client.readResponse()
        #expect(response.status == 202)
        #expect(response.fields["connection"] == "close")
        #expect(client.readToEnd() == "")
        client.shutdownSending()
        try server.waitForEnd()
        #expect(server.application.abandoned == [second])
        #expect(server.application.calls.count { $0 == "drain" } == 1)
    }

    @Test func theDrainIsBounded() throws {
        let server = try RunningServer { limits in
            limits.drainTimeout = .milliseconds(50)
            limits.sweepInterval = .seconds(3600)
        }
        let client = try TestClient(server)
        client.send(message("", requestLine: "GET /defer HTTP/1.1"))
        server.application.deferral.wait()
        server.stopper.stop()
        #expect(try client.readResponse().status == 503)
        client.shutdownSending()
        try server.waitForEnd()
    }
}
