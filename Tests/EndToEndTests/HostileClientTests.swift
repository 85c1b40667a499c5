// Clients that mean harm, all at a real server: what they send is refused cleanly, what they hold
// is bounded, and who behaves is served meanwhile.

import Foundation
import Glibc
import Testing

@Suite(.serialized) struct HostileClientTests {
    private let scratch: ScratchDirectory
    private let server: Server
    private let client: HTTPClient

    /// `GFPD_HOSTILE_FACTOR`: by how much the others' p99 may grow meanwhile. Without it nothing is
    /// asserted of time, since other tests run beside this one.
    private static let factor = ProcessInfo.processInfo.environment["GFPD_HOSTILE_FACTOR"]
        .flatMap(Double.init)

    /// Whether nothing else runs, so that time may be asserted of, and taken.
    static var isMeasured: Bool { factor != nil }

    init() throws {
        scratch = try ScratchDirectory()
        server = try Server(data: scratch.path("data"), scratch: scratch)
        client = try server.client()
        try #require(try client.post("/v1/machines?name=m", KillTests.topology).status == 201)
    }

    // MARK: What is sent

    @Test func whatTwoReadersCouldReadInTwoWaysIsRefused() throws {
        for vector in SmugglingVector.all {
            let peer = try HostilePeer(port: server.port)
            peer.send(vector.bytes)
            let answer = try #require(peer.readToEnd(), "\(vector)")
            let statuses = answer.matches(of: #/HTTP/1\.1 ([0-9])[0-9]{2} /#).map(\.1)
            #expect(statuses == ["4"] || statuses == ["5"], "\(vector): \(answer)")
            #expect(answer.contains("\r\nConnection: close\r\n"), "\(vector): \(answer)")
            #expect(answer.contains("application/problem+json"), "\(vector): \(answer)")
        }
        let smuggled = try client.get("/v1/ledger?request_id=\(SmugglingVector.smuggledID)")
        #expect(smuggled.json["items"].array.isEmpty)
        try server.expectWell(residentMegabytes: 256)
    }

    @Test func deepAndBrokenBodiesAreRefused() throws {
        let bytes = 1 << 20
        let texts: [[UInt8]] = [
            [UInt8](repeating: UInt8(ascii: "["), count: bytes),
            Array(String(repeating: "{\"labels\":", count: bytes / 10).utf8),
            Array("{\"owner\":\"".utf8) + [UInt8](repeating: 0xff, count: bytes - 20)
                + Array("\"}".utf8),
            Array("{\"owner\":\"".utf8) + [0xed, 0xa0, 0x80] + Array("\"}".utf8),
            Array("{\"owner\":\"".utf8) + [0xc0, 0xaf] + Array("\"}".utf8),
            Array("{\"allocation_control\":{\"order\":1".utf8)
                + [UInt8](repeating: UInt8(ascii: "0"), count: bytes - 40) + Array("}}".utf8),
            [UInt8](repeating: 0, count: bytes),
        ]
        for target in ["allocations", "explain", "batch"] {
            for text in texts {
                let head = """
                    POST /v1/machines/m/\(target) HTTP/1.1\r\nHost: a\r\n\
                    Content-Type: application/json\r\nContent-Length: \(text.count)\r\n\r\n
                    """
                try client.send(bytes: Array(head.utf8) + text)
                let answer = try client.receive()
                #expect(answer.status == 400, "\(answer.text)")
            }
        }
        try server.expectWell(residentMegabytes: 256)
    }

    /// Several at once, each as large as a batch may be.
    @Test func the64MiBBodiesOfManyAreHeldWithinBounds() throws {
        let size = 64 << 20
        let target = "POST /v1/machines/m/batch HTTP/1.1\r\nHost: a\r\n"
        let head = "\(target)Content-Type: application/json\r\nContent-Length: \(size)\r\n\r\n"
        let peers = try HostilePeer.crowd(12, port: server.port)
        let piece = [UInt8](repeating: UInt8(ascii: " "), count: 1 << 20)
        for peer in peers { peer.send(head) }
        let quiet = try latencies()
        var busy: [Latencies] = []
        for _ in 0..<(size >> 20) {
            for peer in peers { peer.send(piece) }
            busy.append(try latencies(count: 4))
        }
        for peer in peers {
            peer.shutdownSending()
            let answer = try #require(peer.readToEnd())
            let status = answer.dropFirst("HTTP/1.1 ".count).prefix(3)
            // White space alone is no JSON, and not all of it may have come in time; a reset may
            // have taken the 503 with it.
            #expect(["400", "408", "503", ""].contains(status), "\(answer)")
        }
        expectUndisturbed(
            "64 MiB bodies", quiet, Latencies(sorted: busy.flatMap(\.sorted).sorted()))
        try server.expectWell(residentMegabytes: 1024)
    }

    // MARK: How much is sent

    @Test func headerFloodsAreCutOff() throws {
        let peers = try HostilePeer.crowd(200, port: server.port)
        let start = "GET /livez HTTP/1.1\r\nHost: a\r\n"
        let lines = String(repeating: "X: y\r\n", count: 1000)
        let long = "X: " + String(repeating: "y", count: 32 << 10)
        for (number, peer) in peers.enumerated() {
            peer.send(start)
            peer.send(number % 2 == 0 ? lines : long)
        }
        for peer in peers {
            let answer = try #require(peer.readToEnd())
            #expect(answer.hasPrefix("HTTP/1.1 431 ") || answer.isEmpty, "\(answer)")
        }
        try server.expectWell(residentMegabytes: 256)
    }

    /// Requests without end from peers that read no answer.
    @Test func pipeliningFloodsHoldUpNobody() throws {
        let peers = try HostilePeer.crowd(64, port: server.port)
        let request = "GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n"
        let flood = Array(String(repeating: request, count: 1000).utf8)
        let quiet = try latencies()
        for _ in 0..<20 {
            for peer in peers { _ = peer.sendWithoutWaiting(flood) }
        }
        let busy = try latencies()
        expectUndisturbed("pipelining floods", quiet, busy)
        try server.expectWell(residentMegabytes: 768)
    }

    /// 10,000 connections from three addresses, each with a head that never ends.
    @Test func tenThousandSlowConnectionsDisturbNobody() throws {
        raiseDescriptorLimit()
        let quiet = try latencies()
        var peers = try HostilePeer.crowd(10_000, port: server.port)
        for peer in peers {
            peer.send("POST /v1/machines/m/allocations HTTP/1.1\r\nHost: a\r\nX: ")
        }
        let busy = try latencies()
        for peer in peers { _ = peer.sendWithoutWaiting([UInt8(ascii: "y")]) }
        // Who comes only now is served as well.
        #expect(try server.client().get("/v1/machines/m").status == 200)
        expectUndisturbed("10,000 slow connections", quiet, busy)
        try server.expectWell(residentMegabytes: 512)
        peers = []
        try server.expectWell(residentMegabytes: 512)
    }

    @Test func oneAddressCannotTakeAll() throws {
        raiseDescriptorLimit()
        let peers = try HostilePeer.crowd(4500, port: server.port, perAddress: .max)
        #expect(try server.client().get("/v1/machines/m").status == 200)
        let last = try #require(peers.last)
        last.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(last.readToEnd() == "", "beyond its share")
        try server.expectWell(residentMegabytes: 512)
    }

    @Test func halfClosedPeersAreAnsweredAndLeft() throws {
        let before = try server.openSockets()
        let peers = try HostilePeer.crowd(500, port: server.port)
        for (number, peer) in peers.enumerated() {
            if number % 2 == 0 { peer.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HT") }
            peer.shutdownSending()
        }
        for (number, peer) in peers.enumerated() {
            let answer = try #require(peer.readToEnd())
            #expect(answer.hasPrefix("HTTP/1.1 200 ") == (number % 2 == 0))
        }
        try wait { try server.openSockets() <= before }
        try server.expectWell(residentMegabytes: 256)
    }

    // MARK: What is told

    @Test func noAnswerTellsWhatServes() throws {
        let targets = ["/livez", "/readyz", "/v1/machines", "/none", "/openapi.yaml", "/problems"]
        for target in targets {
            let answer = try client.get(target)
            for name in ["server", "x-powered-by", "via", "x-runtime"] {
                #expect(answer.fields[name] == nil)
            }
            #expect(!answer.fields.values.contains { $0.lowercased().contains("swift") })
        }
    }

    // MARK: The others

    private struct Latencies {
        /// Milliseconds, ascending.
        let sorted: [Double]

        var count: Int { sorted.count }
        var p99: Double { sorted[sorted.count * 99 / 100] }
    }

    /// How long an allocation takes that is on disk when it is answered.
    private func latencies(
        count: Int = HostileClientTests.isMeasured ? 1000 : 20
    ) throws -> Latencies {
        let clock = ContinuousClock()
        let times = try (0..<count).map { _ in
            let start = clock.now
            let answer = try client.post("/v1/machines/m/allocations", "{\"owner\":\"other\"}")
            try #require([201, 409].contains(answer.status), "\(answer.text)")
            return (clock.now - start) / .milliseconds(1)
        }
        return Latencies(sorted: times.sorted())
    }

    private func expectUndisturbed(_ name: String, _ quiet: Latencies, _ busy: Latencies) {
        print("\(name): p99 \(quiet.p99) ms quiet, \(busy.p99) ms meanwhile")
        if let factor = Self.factor { #expect(busy.p99 <= factor * quiet.p99, "\(name)") }
    }

    private func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(resource, &limit)
    }
}
