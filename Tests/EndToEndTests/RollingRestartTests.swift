// A server that is replaced under load, again and again, as a deployment does it: SIGTERM, its end,
// the next one on the same port and ledger. A client that sends an unanswered request again, under
// its key, does not notice more than a pause: each request has one effect, and what was accepted is
// answered, or refused cleanly, or its connection was idle.

import Foundation
import Glibc
import Synchronization
import Testing

@Suite(.serialized) struct RollingRestartTests {
    /// `$GFPD_RESTART_CYCLES`, which `make soak` sets.
    static let cycles =
        ProcessInfo.processInfo.environment["GFPD_RESTART_CYCLES"].flatMap { Int($0) } ?? 10
    static let clients = 6

    /// Requests that are answered before the next restart.
    static let requestsPerCycle = 60

    /// A stop longer than this is not graceful.
    static let stopSeconds = 10.0

    static let topology =
        "{\"nodes\": [{\"id\": 0, \"memory\": [{\"start\": 0, \"end\": \"0x3fffffff\"}]}]}"

    @Test func eachRequestHasOneEffect() throws {
        let scratch = try ScratchDirectory()
        let data = scratch.path("data")
        var server = try Server(data: data, scratch: scratch)
        let port = server.port
        let created = try server.client().post("/v1/machines?name=rolling", Self.topology)
        try #require(created.status == 201)
        let load = RestartLoad(port: port, clients: Self.clients)
        for cycle in 1...Self.cycles {
            load.waitForAnswers(cycle * Self.requestsPerCycle)
            let start = Date()
            #expect(try server.stop() == .exited(0))
            #expect(Date().timeIntervalSince(start) < Self.stopSeconds)
            server = try Server(data: data, ["--port", "\(port)"], scratch: scratch)
        }
        let requests = load.stop()
        #expect(load.failures == [])
        try Self.check(requests, try server.client())
        let retried = requests.count { $0.attempts > 1 }
        let replayed = requests.count { $0.wasReplayed }
        print(
            "rolling restart: \(Self.cycles) restarts, \(requests.count) requests,",
            "\(retried) sent again, \(replayed) of them done already, \(load.refusals) refused")
        #expect(try server.stop() == .exited(0))
    }

    /// The ledger has one grant for each request, the one that was answered.
    private static func check(_ requests: [RestartLoad.Request], _ client: HTTPClient) throws {
        var grants: [String: Int] = [:]
        var target: String? = "/v1/ledger?machine=rolling&kind=allocate&page_size=1000"
        while let page = target {
            let json = try client.get(page).json
            for entry in json["items"].array {
                let owner = entry["owner"].string ?? ""
                #expect(entry["outcome"].string == "granted")
                #expect(grants.updateValue(entry["sequence"].int ?? 0, forKey: owner) == nil)
            }
            target = json["next_page_token"].string.map {
                "/v1/ledger?machine=rolling&kind=allocate&page_size=1000&page_token=\($0)"
            }
        }
        #expect(grants.count == requests.count)
        #expect(requests.allSatisfy { grants[$0.owner] == $0.id })
    }
}

/// Clients that allocate one after the other, and send again what was not answered.
final class RestartLoad: Sendable {
    struct Request: Sendable {
        /// Also its key.
        let owner: String
        let id: Int
        let attempts: Int
        let wasReplayed: Bool
    }

    private struct State {
        var requests: [Request] = []
        var failures: [String] = []
        var refusals = 0
        var isStopped = false
    }

    private let port: UInt16
    private let state = Mutex(State())
    private let threads = DispatchGroup()

    /// How long a client waits before it sends again. Microseconds.
    private static let pause: UInt32 = 2000

    init(port: UInt16, clients: Int) {
        self.port = port
        for client in 0..<clients {
            threads.enter()
            Thread {
                self.run("client-\(client)")
                self.threads.leave()
            }.start()
        }
    }

    /// What should not have been answered.
    var failures: [String] { state.withLock { $0.failures } }

    /// Requests that a stopping server refused.
    var refusals: Int { state.withLock { $0.refusals } }

    func waitForAnswers(_ count: Int) {
        while state.withLock({ $0.requests.count < count && $0.failures.isEmpty }) {
            usleep(1000)
        }
    }

    /// Lets each client end the request that it is at.
    func stop() -> [Request] {
        state.withLock { $0.isStopped = true }
        threads.wait()
        return state.withLock { $0.requests }
    }

    private func run(_ name: String) {
        var connection: HTTPClient?
        var count = 0
        while !state.withLock({ $0.isStopped }) {
            count += 1
            let request = allocate("\(name)-\(count)", &connection)
            state.withLock { state in
                if let request { state.requests.append(request) } else { state.isStopped = true }
            }
        }
    }

    /// The connection that is there, else a new one.
    private func open(_ connection: inout HTTPClient?) throws(HTTPClient.Failure) -> HTTPClient {
        if let connection { return connection }
        let opened = try HTTPClient(port: port)
        connection = opened
        return opened
    }

    /// Sends until there is an answer; nil after one that should not have been.
    private func allocate(_ owner: String, _ connection: inout HTTPClient?) -> Request? {
        var attempts = 0
        while true {
            attempts += 1
            do throws(HTTPClient.Failure) {
                let client = try open(&connection)
                let answer = try client.send(
                    "POST", "/v1/machines/rolling/allocations", "{\"owner\":\"\(owner)\"}",
                    fields: ["Idempotency-Key": owner])
                if answer.fields["connection"] == "close" { connection = nil }
                if answer.status == 503 {
                    state.withLock { $0.refusals += 1 }
                } else if answer.status == 201, let id = answer.json["id"].int {
                    return Request(
                        owner: owner, id: id, attempts: attempts,
                        wasReplayed: answer.fields["idempotency-replayed"] == "true")
                } else {
                    state.withLock { $0.failures.append("\(answer.status): \(answer.text)") }
                    return nil
                }
            } catch {
                connection = nil
                if case .malformed(let reason) = error {
                    state.withLock { $0.failures.append("half an answer: \(reason)") }
                    return nil
                }
            }
            usleep(Self.pause)
        }
    }
}
