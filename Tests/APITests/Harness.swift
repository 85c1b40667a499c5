// The API driven by hand, as the server drives it: request bytes in, answer bytes out, one turn
// after the other, without sockets.

import AllocationService
import Glibc
import Ledger
import Testing

@testable import API
@testable import HTTPServer

/// An API over a ledger in memory.
final class Harness {
    let ledger: TestLedger
    let service: AllocationService

    /// What its disk has room for.
    let disk = TestDisk()
    let api: AllocationAPI
    private let queue: CompletionQueue
    private var exchanges: UInt64 = 0

    /// What has come for exchanges that are left open.
    var openExchanges: [ExchangeID: OpenExchange] = [:]

    /// Streams whose peers have gone, and of which something may still be on its way.
    var leftStreams: Set<ExchangeID> = []

    /// Which of the last turn's requests were answered late, in the order of the answers.
    private(set) var answeredLate: [Int] = []

    /// The clock's time: it moves on by this many microseconds at each look.
    static let tick: Int64 = 1_000_000
    static let firstTime = Timestamp(microseconds: 1_790_000_000_000_001)

    /// Takes new tokens.
    var tokenReplacement: TokenReplacement { api.tokenReplacement }

    /// The clock by which requests are counted, in nanoseconds.
    let monotonicClock = TestClock()

    /// Where the next requests come from.
    var peer = HTTPPeer()

    /// - Parameters:
    ///   - ledger: what an earlier one has left.
    ///   - entriesScanned: how many entries a page of history looks at.
    ///   - streams: how often a stream is sent something, and how long a reader may take.
    ///   - log: is told of the requests.
    init(
        over ledger: TestLedger = TestLedger(), entriesScanned: Int = 50,
        access: AccessPolicy = AccessPolicy(), streams: StreamLimits = StreamLimits(),
        log: EventLog = .silent
    ) throws {
        self.ledger = ledger
        var now = Self.firstTime.microseconds
        let disk = self.disk
        service = try AllocationService(
            ledger: ledger, freeBytes: { () throws(LedgerFailure) in disk.freeBytes },
            clock: {
                defer { now += Self.tick }
                return Timestamp(microseconds: now)
            })
        let shared = ledger.shared
        let monotonicClock = self.monotonicClock
        api = AllocationAPI(
            service: service, checks: [.init(name: "storage", detail: "in memory")], access: access,
            log: log, monotonicClock: monotonicClock.now
        ) { () throws(LedgerFailure) in TestHistory(shared, entriesScanned: entriesScanned) }
        queue = CompletionQueue(wakeUp: try WakeUp())
        api.streamLimits = streams
        api.start(HTTPCompletions(queue: queue))
    }

    /// What the operator's signal ends.
    var readiness: Readiness { api.readiness }

    /// What the server is told of the next turn.
    var timeToNextTurn: Duration? { api.timeToNextTurn }

    /// The ledger's last sequence.
    var lastSequence: UInt64 { service.state.lastSequence.rawValue }

    /// One turn with one request.
    @discardableResult
    func send(
        _ method: String, _ target: String, _ body: String? = nil,
        headers: [(String, String)] = []
    ) throws -> Answer {
        let message = Message(method, target, headers: headers, body: body)
        return try #require(try turn([message]).first)
    }

    /// One turn with all of these requests: their answers; of a stream its head.
    func turn(_ messages: [Message]) throws -> [Answer] {
        api.beginTurn()
        var answers: [Answer?] = []
        var deferred: [ExchangeID: Int] = [:]
        for message in messages {
            let exchange = nextExchange()
            let response: HTTPResponse?
            switch message.parsed {
            case .request(var request):
                request.peer = peer
                switch api.respond(to: request, exchange: exchange) {
                case .answer(let answer): response = answer
                case .deferred, .deferredWhilePresent: response = nil
                }
            case .failed(let error): response = api.answer(toMalformed: error)
            case .needMore: throw HarnessFailure.unfinishedMessage
            }
            if response == nil { deferred[exchange] = answers.count }
            answers.append(try response.map { try Answer($0, isHead: message.isHead) })
        }
        try api.endTurn()
        try api.turnSent()
        answeredLate = []
        while !deferred.isEmpty {
            for completion in try nextCompletions() where try !isOfOpenExchange(completion) {
                guard let position = deferred.removeValue(forKey: completion.exchange) else {
                    throw HarnessFailure.unexpectedCompletion
                }
                switch completion.part {
                case .whole(let response):
                    answers[position] = try Answer(response, isHead: messages[position].isHead)
                case .streamHead(let response):
                    // The peer has seen enough.
                    answers[position] = try Answer(response, isHead: true)
                    leftStreams.insert(completion.exchange)
                    api.exchangeAbandoned(completion.exchange)
                default:
                    throw HarnessFailure.unexpectedCompletion
                }
                answeredLate.append(position)
            }
        }
        return answers.compactMap(\.self)
    }

    /// Hands a request over in the middle of a turn.
    func respond(to request: HTTPRequest, exchange: ExchangeID) -> HTTPOutcome {
        api.respond(to: request, exchange: exchange)
    }

    func answer(toMalformed error: HTTPRequestError) -> HTTPResponse {
        api.answer(toMalformed: error)
    }

    /// One turn with these requests, whose peers then go without waiting.
    func leave(_ messages: [Message]) throws {
        api.beginTurn()
        let asked = try messages.map { message in
            let exchange = nextExchange()
            _ = api.respond(to: try message.request(), exchange: exchange)
            return exchange
        }
        try api.endTurn()
        asked.forEach(api.exchangeAbandoned)
    }

    /// A name for a request.
    func nextExchange() -> ExchangeID {
        exchanges += 1
        return ExchangeID(connection: exchanges, number: 1)
    }

    /// What is there now.
    func takeCompletions() -> [Completion] { queue.takeAll() }

    /// Waits for the history thread and takes a turn.
    func nextCompletions(patience: Int32 = 30_000) throws -> [Completion] {
        var descriptor = pollfd(fd: queue.wakeUp.descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&descriptor, 1, patience) == 1 else { throw HarnessFailure.noAnswer }
        queue.wakeUp.reset()
        api.beginTurn()
        try api.endTurn()
        let completions = queue.takeAll()
        try api.turnSent()
        return completions
    }

    /// All pages of a list, by its tokens.
    func pages(_ target: String, pageSize: Int) throws -> [[JSONValue]] {
        let separator = target.contains("?") ? "&" : "?"
        var pages: [[JSONValue]] = []
        var token: String?
        repeat {
            let suffix = token.map { "&page_token=\($0)" } ?? ""
            let answer = try send("GET", "\(target)\(separator)page_size=\(pageSize)\(suffix)")
            try #require(answer.status == 200, "\(target): \(answer.body)")
            let items = try #require(answer.json["items"]).elements
            #expect(items.count <= pageSize)
            pages.append(items)
            let next = answer.json["next_page_token"]?.text
            try #require(next == nil || next != token, "a list that does not go on")
            token = next
        } while token != nil
        return pages
    }

    /// All items of a list.
    func items(_ target: String, pageSize: Int = 100) throws -> [JSONValue] {
        try pages(target, pageSize: pageSize).flatMap(\.self)
    }
}

/// A disk's room, as a test would have it.
final class TestDisk {
    var freeBytes = UInt64.max
}

/// A clock that a test moves on.
final class TestClock {
    var nanoseconds: UInt64 = 5_000_000_000

    func now() -> UInt64 { nanoseconds }
}

enum HarnessFailure: Error {
    case unfinishedMessage, unexpectedCompletion, noAnswer, malformedAnswer
}

/// A request as bytes.
struct Message {
    let isHead: Bool
    let bytes: [UInt8]

    /// With a body that says what it is: JSON, unless the headers have a Content-Type.
    init(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) {
        isHead = method == "HEAD"
        var text = "\(method) \(target) HTTP/1.1\r\nHost: gfpd\r\n"
        if let body {
            if !headers.contains(where: { $0.0.lowercased() == "content-type" }) {
                text += "Content-Type: application/json\r\n"
            }
            text += "Content-Length: \(body.utf8.count)\r\n"
        }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        bytes = Array((text + "\r\n" + (body ?? "")).utf8)
    }

    init(isHead: Bool, bytes: [UInt8]) {
        (self.isHead, self.bytes) = (isHead, bytes)
    }

    var parsed: HTTPRequestParser.Step {
        var parser = HTTPRequestParser()
        parser.append(bytes)
        return parser.next()
    }

    /// The request, which must be one.
    func request() throws -> HTTPRequest {
        guard case .request(let request) = parsed else { throw HarnessFailure.unfinishedMessage }
        return request
    }
}

/// An answer as a client reads it off the wire.
struct Answer {
    let status: Int
    let fields: [(name: String, value: String)]
    let bytes: [UInt8]

    init(_ response: HTTPResponse, isHead: Bool) throws {
        var framing = HTTPResponse.Framing()
        framing.omitsBody = isHead
        var wire: [UInt8] = []
        response.append(to: &wire, framing: framing)
        let end = try #require(
            wire.indices.first { wire[$0...].starts(with: Array("\r\n\r\n".utf8)) })
        let lines = String(decoding: wire[..<end], as: UTF8.self).components("\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count > 1, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
            throw HarnessFailure.malformedAnswer
        }
        self.status = status
        fields = lines.dropFirst().map { line in
            let parts = line.components(": ")
            return (parts[0], parts.dropFirst().joined(separator: ": "))
        }
        bytes = Array(wire[(end + 4)...])
    }

    var body: String { String(decoding: bytes, as: UTF8.self) }

    /// `null` where the body is no JSON: every test of a member then fails.
    var json: JSONValue { (try? JSONValue(bytes)) ?? .null }

    /// The value of a field that is there once.
    subscript(name: String) -> String? {
        let values = fields.filter { $0.name == name }
        return values.count == 1 ? values[0].value : nil
    }

    /// The last segment of a problem's type.
    var slug: String? {
        guard self["Content-Type"] == "application/problem+json" else { return nil }
        return json["type"]?.text.map { String($0.dropFirst("/problems/".count)) }
    }

    /// The place that a problem names first.
    var pointer: String? { json["errors"]?[0]?["pointer"]?.text }

    var sequence: UInt64? { json["sequence"]?.number }
}

extension String {
    func components(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}

/// Expects a problem, and the place that it names; `pointer` nil: none is looked at.
func expectProblem(
    _ answer: Answer, _ status: Int, _ slug: String, at pointer: String? = nil,
    _ comment: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let comment = "\(comment()) -> \(answer.status) \(answer.body)"
    #expect(answer.status == status, "\(comment)", sourceLocation: sourceLocation)
    #expect(answer.slug == slug, "\(comment)", sourceLocation: sourceLocation)
    if let pointer {
        #expect(answer.pointer == pointer, "\(comment)", sourceLocation: sourceLocation)
    }
}

/// A machine of 40 MiB: DMA and DMA32 on node 0, Normal on node 1.
enum SmallMachine {
    static let topology = """
        {"nodes": [
          {"id": 0, "cpus": [0, 1], "memory": [{"start": "0x1000", "end": "0x1ffffff"}]},
          {"id": 1, "cpus": [2], "memory": [{"start": "0x2000000", "end": "0x27fffff"}]}],
         "zones": {"DMA": "0xffffff", "DMA32": "0x1ffffff"}}
        """
    static let managedPages: UInt64 = 4095 + 4096 + 2048
}

extension Harness {
    /// With one machine, `m`.
    static func withMachine(
        entriesScanned: Int = 50, streams: StreamLimits = StreamLimits()
    ) throws -> Harness {
        let harness = try Harness(entriesScanned: entriesScanned, streams: streams)
        try harness.createMachine("m")
        return harness
    }

    func createMachine(_ name: String) throws {
        let answer = try send("POST", "/v1/machines?name=\(name)", SmallMachine.topology)
        try #require(answer.status == 201, "\(answer.body)")
    }

    /// Allocates on `m`, which must be possible.
    @discardableResult
    func allocate(_ body: String = "{}", on machine: String = "m") throws -> JSONValue {
        let answer = try send("POST", "/v1/machines/\(machine)/allocations", body)
        try #require(answer.status == 201, "\(body): \(answer.body)")
        return answer.json
    }
}
