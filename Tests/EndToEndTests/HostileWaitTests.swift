// Clients that have the server wait for them: with requests that wait for pages, with streams, with
// requests that never become whole.

import Foundation
import Glibc
import Testing

@Suite(.serialized) struct HostileWaitTests {
    private let scratch: ScratchDirectory
    private let server: Server
    private let client: HTTPClient

    private static let allocations = "/v1/machines/m/allocations"

    /// What nothing is free for, once the machine is filled.
    private static let block = #"{"allocation_control":{"flags":"GFP_KERNEL","order":10}"#

    /// Requests that may wait, and streams, at one time (`ServiceLimits`, `StreamLimits`).
    private static let (maximumWaiting, maximumStreams) = (256, 64)

    init() throws {
        scratch = try ScratchDirectory()
        server = try Server(data: scratch.path("data"), scratch: scratch)
        client = try server.client()
        try #require(try client.post("/v1/machines?name=m", KillTests.topology).status == 201)
    }

    /// Takes all blocks of 4 MiB; the id of one of them.
    private func fillMachine() throws -> Int {
        var last: Int?
        while true {
            let answer = try client.post(Self.allocations, Self.block + "}")
            guard answer.status == 201 else { break }
            last = answer.json["id"].int
        }
        return try #require(last)
    }

    private static func post(_ target: String, _ body: String) -> String {
        """
        POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
        Content-Length: \(body.utf8.count)\r\n\r\n\(body)
        """
    }

    private static let waitingRequest = post(allocations, block + ",\"wait_ms\":60000}")

    /// 1,000 requests wait, or are told that too many do; their peers go, in all the ways in which
    /// peers go; and the next 1,000 find the place of the first.
    @Test func waitsOfPeersThatGoLeaveNothing() throws {
        let block = try fillMachine()
        let before = try server.openSockets()
        let last = try client.get("/v1/ledger/head").json["sequence"].int
        for round in 0..<3 {
            var peers = try HostilePeer.crowd(1000, port: server.port)
            for peer in peers { peer.send(Self.waitingRequest) }
            let refusedCount = peers.count - Self.maximumWaiting
            try wait { peers.count(where: \.isReadable) == refusedCount }
            for peer in peers where peer.isReadable {
                let head = try #require(peer.readHead())
                #expect(head.hasPrefix("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 1\r\n"))
            }
            if round == 1 { for peer in peers { peer.resetAtTheEnd() } }
            if round == 2 {
                for peer in peers { peer.shutdownSending() }
                for peer in peers { #expect(peer.readToEnd() == "") }
            }
            peers = []
            try wait { try server.openSockets() == before }
        }
        // Nobody is left to be granted what is free now.
        let freed = try client.send("DELETE", "\(Self.allocations)/\(block)")
        #expect(freed.status == 200)
        #expect(try client.get("/v1/ledger/head").json["sequence"].int == last.map { $0 + 1 })
        try server.expectWell(residentMegabytes: 256)
    }

    @Test func requestsBehindOneThatWaitsAreAnsweredAfterIt() throws {
        let block = try fillMachine()
        let impatient = try server.client()
        let messages = [
            "GET /v1/machines/m HTTP/1.1\r\nHost: a\r\n\r\n", Self.waitingRequest,
            "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", Self.post("/v1/machines/m/explain", "{}"),
        ]
        try impatient.send(bytes: Array(messages.joined().utf8))
        #expect(try impatient.receive().status == 200)
        #expect(try client.send("DELETE", "\(Self.allocations)/\(block)").status == 200)
        let granted = try impatient.receive()
        #expect(granted.status == 201 && granted.json["id"].int != block)
        #expect(try impatient.receive().status == 404)
        #expect(try impatient.receive().json["would_grant"].isThere)
        try server.expectWell(residentMegabytes: 256)
    }

    @Test func streamsBeyondTheLimitAreToldToComeAgain() throws {
        let before = try server.openSockets()
        var peers = try HostilePeer.crowd(Self.maximumStreams, port: server.port)
        for peer in peers {
            peer.send("GET /v1/ledger/stream HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try #require(peer.readHead()).hasPrefix("HTTP/1.1 200 "))
        }
        for _ in 0..<100 {
            let refused = try client.get("/v1/ledger/stream")
            #expect(refused.status == 503 && refused.fields["retry-after"] == "5")
        }
        peers.removeFirst()
        try wait {
            let next = try HostilePeer(port: server.port)
            next.send("GET /v1/ledger/stream HTTP/1.1\r\nHost: a\r\n\r\n")
            return try #require(next.readHead()).hasPrefix("HTTP/1.1 200 ")
        }
        #expect(try client.post(Self.allocations, "{}").status == 201)
        peers = []
        try wait { try server.openSockets() == before }
        try server.expectWell(residentMegabytes: 256)
    }

    /// Heads and bodies that come byte by byte are waited for 10 seconds, not for each byte.
    @Test(.enabled(if: HostileClientTests.isMeasured))
    func slowRequestsEndAtTheirTime() throws {
        let head = "GET /livez HTTP/1.1\r\nHost: a\r\nX: "
        let body = "POST \(Self.allocations) HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"
        let peers = try HostilePeer.crowd(1000, port: server.port)
        for (number, peer) in peers.enumerated() { peer.send(number % 2 == 0 ? head : body) }
        let start = Date()
        var left = peers[...]
        try wait { () throws -> Bool in
            for peer in left { _ = peer.sendWithoutWaiting([UInt8(ascii: " ")]) }
            usleep(200_000)
            #expect(try client.get("/v1/machines/m").status == 200)
            left.removeAll(where: \.isReadable)
            return left.isEmpty
        }
        print("1,000 slow requests ended after \(-start.timeIntervalSinceNow) s")
        for peer in peers {
            #expect(try #require(peer.readToEnd()).hasPrefix("HTTP/1.1 408 "))
        }
        try server.expectWell(residentMegabytes: 256)
    }

    /// A reader of a stream over TLS stops reading. It is cut off when it has taken nothing for
    /// half a minute, and until then keeps nobody waiting.
    @Test(.enabled(if: HostileClientTests.isMeasured))
    func aStreamThatNobodyReadsIsCut() throws {
        let secured = try Server(
            data: scratch.path("secured"),
            [
                "--tls-certificate", TLSTests.file("server.pem"),
                "--tls-key", TLSTests.file("server-key.pem"),
            ], scratch: scratch)
        let url = "https://127.0.0.1:\(secured.port)"
        func curl(_ arguments: String...) throws -> ChildProcess {
            try ChildProcess("curl", ["--silent", "--insecure"] + arguments, scratch: scratch.url)
        }
        let reader = try curl("--no-buffer", url + "/v1/ledger/stream")
        try wait { reader.output.contains("id: 1\n") }
        let before = try secured.openSockets()
        reader.send(SIGSTOP)

        // More than the kernel keeps for a reader.
        let label = String(repeating: "x", count: 255)
        let labels = Dictionary(uniqueKeysWithValues: (0..<16).map { ("l\($0)", label) })
        let operation = ["allocate": ["labels": labels]]
        let batch = ["operations": [[String: Any]](repeating: operation, count: 4000)]
        let body = try scratch.write(jsonText(batch), to: "batch")
        let start = Date()
        let writer = try curl("--fail", "--json", "@\(body)", url + "/v1/machines/default/batch")
        #expect(try writer.waitForEnd() == .exited(0))
        print("a batch beside a reader that stopped took \(-start.timeIntervalSinceNow) s")
        try wait { try secured.openSockets() == before - 1 }
        print("the reader was cut after \(-start.timeIntervalSinceNow) s")
        reader.send(SIGCONT)
        #expect(try reader.waitForEnd() != .exited(0))
        try secured.expectResident(atMostMegabytes: 512)
        #expect(try secured.stop() == .exited(0))
    }
}
