import Foundation
import HTTPServer
import Synchronization
import TLS
import Testing

/// An application whose answers are told by the path, and which notes what it is asked, in order.
final class ScriptedApplication: HTTPApplication, Sendable {
    struct Notes {
        /// The calls: `respond /path`, `refuse 413`, `end` of a turn with requests.
        var calls: [String] = []
        var deferred: [ExchangeID] = []
        var abandoned: [ExchangeID] = []
        var drained: [ExchangeID] = []
        var turnCount = 0
        var requestsInTurn = 0
        var timeToNextTurn: Duration?
        var peers: [HTTPPeer] = []
    }

    struct FatalError: Error {}

    private let notes = Mutex(Notes())
    /// Signalled for each deferred request.
    let deferral = DispatchSemaphore(value: 0)
    /// Signalled when the turn of a `/gate` request ends, or that of a `/sent` request has been
    /// sent; the turn then waits for `gateOpening`.
    let gateReached = DispatchSemaphore(value: 0)
    let gateOpening = DispatchSemaphore(value: 0)

    var calls: [String] { notes.withLock { $0.calls } }
    var deferred: [ExchangeID] { notes.withLock { $0.deferred } }
    var abandoned: [ExchangeID] { notes.withLock { $0.abandoned } }
    var drained: [ExchangeID] { notes.withLock { $0.drained } }
    /// Who sent the requests.
    var peers: [HTTPPeer] { notes.withLock { $0.peers } }
    var turnCount: Int { notes.withLock { $0.turnCount } }
    var timeToNextTurn: Duration? { notes.withLock { $0.timeToNextTurn } }

    func beginTurn() {
        notes.withLock { notes in
            notes.turnCount += 1
            notes.requestsInTurn = 0
        }
    }

    func respond(to request: HTTPRequest, exchange: ExchangeID) -> HTTPOutcome {
        let path = String(decoding: request.path, as: UTF8.self)
        notes.withLock { notes in
            notes.calls.append("respond \(path)")
            notes.peers.append(request.peer)
            notes.requestsInTurn += 1
            if path == "/defer" || path == "/present" { notes.deferred.append(exchange) }
            if path == "/soon" { notes.timeToNextTurn = .milliseconds(1) }
            if path == "/overdue" { notes.timeToNextTurn = .seconds(-1) }
            if path == "/whenever" { notes.timeToNextTurn = nil }
        }
        switch path {
        case "/defer":
            deferral.signal()
            return .deferred
        case "/present":
            deferral.signal()
            return .deferredWhilePresent
        case "/large":
            return .answer(HTTPResponse(status: 200, body: Self.largeBody))
        case "/many":
            var response = HTTPResponse(status: 200, body: request.path)
            response.requestCount = HTTPServerLimits().maximumRequestsPerTurn
            return .answer(response)
        case "/close":
            var response = HTTPResponse(status: 200, body: Array("bye".utf8))
            response.closesConnection = true
            return .answer(response)
        default:
            let body = request.bodyCount > 0 ? request.body : request.path
            return .answer(HTTPResponse(status: 200, contentType: "text/plain", body: body))
        }
    }

    func answer(toMalformed error: HTTPRequestError) -> HTTPResponse {
        notes.withLock { $0.calls.append("refuse \(error.status)") }
        return HTTPResponse(
            status: error.status, contentType: "text/plain", body: Array(error.detail.utf8))
    }

    func endTurn() throws {
        notes.withLock { notes in
            if notes.requestsInTurn > 0 { notes.calls.append("end") }
        }
        if turnHas("/gate") { waitAtGate() }
        if turnHas("/fatal") { throw FatalError() }
    }

    func turnSent() throws {
        if turnHas("/sent") { waitAtGate() }
        if turnHas("/fatal-when-sent") { throw FatalError() }
    }

    private func turnHas(_ path: String) -> Bool {
        notes.withLock { notes in
            notes.requestsInTurn > 0
                && notes.calls.suffix(notes.requestsInTurn + 1).contains("respond \(path)")
        }
    }

    private func waitAtGate() {
        gateReached.signal()
        gateOpening.wait()
    }

    func exchangeAbandoned(_ exchange: ExchangeID) {
        notes.withLock { $0.abandoned.append(exchange) }
    }

    func streamDrained(_ exchange: ExchangeID) {
        notes.withLock { $0.drained.append(exchange) }
    }

    func drainBegan() {
        notes.withLock { $0.calls.append("drain") }
    }

    static let largeBody = [UInt8](repeating: 0x78, count: 1 << 20)
}

/// A server with a scripted application, running on a thread of its own until it is stopped.
final class RunningServer: Sendable {
    let application: ScriptedApplication
    let port: UInt16
    let completions: HTTPCompletions
    let stopper: HTTPStopper
    private let outcome = Mutex<Result<Void, any Error>?>(nil)
    private let end = DispatchSemaphore(value: 0)

    init(
        tls: TLSServerContext? = nil, _ setLimits: (inout HTTPServerLimits) -> Void = { _ in }
    ) throws {
        var limits = HTTPServerLimits()
        limits.sweepInterval = .milliseconds(20)
        limits.lingerTimeout = .milliseconds(200)
        // A test has few connections, and the second thread is the harder way.
        limits.minimumAnswersHandedOver = 1
        setLimits(&limits)
        let application = ScriptedApplication()
        self.application = application
        let server = try HTTPServer(
            host: "127.0.0.1", port: 0, limits: limits, tls: tls, application: application)
        port = server.port
        completions = server.completions
        stopper = server.stopper
        // Nothing else uses the server from here on.
        nonisolated(unsafe) let runningServer = server
        Thread { [self] in
            let result = Result { try unsafe runningServer.run() }
            outcome.withLock { $0 = result }
            end.signal()
        }.start()
    }

    /// Waits until `run()` has returned, and throws what it threw.
    func waitForEnd() throws {
        end.wait()
        try outcome.withLock { $0 }?.get()
    }

    func stop() throws {
        stopper.stop()
        try waitForEnd()
    }
}

/// Asks for what is answered later; returns what names the exchange.
func deferral(_ path: String, _ client: TestClient, _ server: RunningServer) -> ExchangeID {
    client.send(message("", requestLine: "GET \(path) HTTP/1.1"))
    server.application.deferral.wait()
    return server.application.deferred.last!
}

/// That the application hears when all that was written to a stream has been taken, not before.
func expectToldWhenTaken(_ path: String, _ client: TestClient, _ server: RunningServer) throws {
    let exchange = deferral(path, client, server)
    server.completions.beginStream(
        HTTPResponse(status: 200, contentType: "text/plain"), for: exchange)
    #expect(try client.readHead().status == 200)
    while server.application.drained.isEmpty { usleep(1_000) }
    let taken = server.application.drained.count
    // More than the kernel's buffers hold.
    let piece = [UInt8](repeating: 0x78, count: 8 << 20)
    server.completions.write(piece, for: exchange)
    usleep(50_000)
    #expect(server.application.drained.count == taken)
    #expect(try client.readLine() == String(piece.count, radix: 16))
    #expect(try client.take(piece.count) == piece)
    while server.application.drained.count == taken { usleep(1_000) }
    #expect(Set(server.application.drained) == [exchange])
}

/// Leaves the process no free descriptor; returns the limit that it had.
func setDescriptorLimitToThoseOpen() throws -> rlim_t {
    var limit = rlimit()
    try #require(unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    let firstFree = dup(0)
    try #require(firstFree > 0)
    close(firstFree)
    try setDescriptorLimit(rlim_t(firstFree))
    return limit.rlim_cur
}

func setDescriptorLimit(_ descriptors: rlim_t) throws {
    var limit = rlimit()
    try #require(unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    limit.rlim_cur = descriptors
    try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
}
