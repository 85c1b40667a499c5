// The service over HTTP: from a request to a handler, from its result to an answer.
//
// Everything here runs on the server's one thread. A handler decodes, calls the service, encodes.
// An answer that needs the past is deferred. In `endTurn` the turn's entries become durable; the
// server sends no answer before. The turn's questions go to the history thread after that, since
// they may be about those entries; what the handler left behind renders the answer when it comes.

public import AllocationService
public import HTTPServer
public import Ledger
public import Telemetry

public final class AllocationAPI: HTTPApplication {
    /// A check of `/readyz?verbose`, by name.
    public struct Check: Sendable {
        public let name: String
        public let detail: String

        public init(name: String, detail: String) {
            self.name = name
            self.detail = detail
        }
    }

    /// One request on its way to a handler.
    struct Call {
        let request: HTTPRequest

        /// When its turn began: `MonotonicClock.nanoseconds`.
        let start: UInt64

        /// Who asks, as far as it is known by now.
        var caller: AllocationService.Caller

        /// The path's segments, decoded.
        var path: [String] = []

        /// nil where the path leads to none.
        var endpoint: Endpoint?

        /// What the caller may do; nil where everybody may do everything.
        var scopes: Scope?

        /// Where it stands with its limit; nil where there is none.
        var rateLimit: RateLimitStatus?

        var requestID: String { caller.requestID }
    }

    /// What a handler leaves: an answer, or a question to the past and what its answer leads to.
    enum Reply {
        // The others are larger and rare; nearly every reply is copied as small as this one.
        case now(HTTPResponse)
        indirect case asking(HistoryQuestion, (HistoryAnswer) throws(Problem) -> Reply)

        /// The request waits for frees on the machine.
        indirect case waiting(WaitTicket, WaitingCall)

        /// Ledger entries, for as long as the peer likes.
        indirect case stream(StreamRequest)

        static func later(
            _ question: HistoryQuestion,
            _ render: @escaping (HistoryAnswer) throws(Problem) -> HTTPResponse
        ) -> Reply {
            .asking(question) { (answer) throws(Problem) in .now(try render(answer)) }
        }
    }

    /// A question that waits for its answer.
    private struct Pending {
        let call: Call

        /// The last entry when it was asked. The answer reflects it, and may reflect later ones.
        let sequence: Sequence
        let goOn: (HistoryAnswer) throws(Problem) -> Reply
    }

    /// What the server that carries this API is to be run with.
    public static let serverLimits: HTTPServerLimits = {
        var limits = HTTPServerLimits()
        limits.bodyLimit = BodyLimits.limit
        limits.drainTimeout = drainTimeout
        return limits
    }()

    /// How long a stop waits for answers to be made and taken, so that with a notice of a second
    /// and the ledger's last checkpoint it is over in ten.
    private static let drainTimeout = Duration.seconds(7)

    /// Whether more work is wanted. Whoever stops the server ends it first.
    public let readiness = Readiness()

    /// Whether its clients speak TLS: what the start page shows to type begins with https.
    public var isSecured = false

    let service: AllocationService

    /// What `/readyz?verbose` says of the ledger, beside what is looked at anew.
    let checks: [Check]

    /// nil where everybody is let in.
    let authenticator: Authenticator?

    /// nil where callers may send as much as they like.
    var rateLimiter: RateLimiter?

    /// Takes the place of the tokens that the API was made with; has no effect where there were
    /// none.
    public let tokenReplacement = TokenReplacement()

    /// What the ledger's storage has measured, for `/metrics`.
    let ledgerMetrics: () -> LedgerMetrics
    let log: EventLog

    var requestMetrics = RequestMetrics()
    var commitDurations = DurationHistogram()

    /// This turn's that the log tells of.
    var answered: [Answered] = []

    /// When this turn began: `MonotonicClock.nanoseconds`.
    private(set) var turnStart: UInt64 = 0

    /// Nanoseconds from there to its answers.
    private var turnDuration: UInt64 = 0

    private let openHistory: @Sendable () throws(LedgerFailure) -> any LedgerHistory
    private(set) var completions: HTTPCompletions?
    private(set) var history: HistoryThread?

    /// To be set before `start`.
    var streamLimits = StreamLimits()
    private var pending: [ExchangeID: Pending] = [:]

    /// Reads of the past that are not yet answered.
    var waitingReads: Int { pending.count }

    /// This turn's.
    private var questions: [(exchange: ExchangeID, question: HistoryQuestion)] = []
    private var requestIDs: RequestIDs

    /// Requests that wait for frees.
    var waiting: [WaitTicket: WaitingCall] = [:]

    /// What the controls in bodies said, and what answers made of controls.
    let knownControls = KnownControls()
    let renderedControls = RenderedControls()

    /// The answers to those that this turn has decided.
    var settled: [Settled] = []

    /// Whether the server has been told to stop.
    private(set) var isDraining = false

    /// Whether entries were committed since the last housekeeping.
    private var hasHousekeepingDue = false
    private(set) var lastCommitted: Sequence

    /// - Parameters:
    ///   - access: who may ask for what.
    ///   - monotonicClock: nanoseconds of a clock that never goes back.
    ///   - openHistory: opens the reading end of the ledger; called on the thread that will own it.
    ///   - checks: how the ledger is kept, for `/readyz?verbose`.
    ///   - ledgerMetrics: asked on the loop's thread.
    public init(
        service: AllocationService, checks: [Check], access: AccessPolicy = AccessPolicy(),
        log: EventLog = .silent,
        ledgerMetrics: @escaping () -> LedgerMetrics = { LedgerMetrics() },
        monotonicClock: @escaping () -> UInt64 = { MonotonicClock.nanoseconds },
        openHistory: @escaping @Sendable () throws(LedgerFailure) -> any LedgerHistory
    ) {
        self.service = service
        self.checks = checks
        let replacement = tokenReplacement
        authenticator = access.tokens.map { Authenticator($0, replacement) }
        rateLimiter = access.rateLimit.map { RateLimiter(rate: $0, clock: monotonicClock) }
        self.log = log
        self.ledgerMetrics = ledgerMetrics
        self.openHistory = openHistory
        requestIDs = RequestIDs()
        lastCommitted = service.lastSequence
    }

    /// Starts the history thread, whose answers go through the server's completions.
    public func start(_ completions: HTTPCompletions) {
        self.completions = completions
        history = HistoryThread(
            open: openHistory, completions: completions, streams: streamLimits)
    }

    /// Waits for the history thread to end. No question is taken any more.
    public func stop() {
        history = nil
    }

    /// The next lease that is over, or the next request that has waited long enough.
    public var timeToNextTurn: Duration? {
        guard let wait = service.timeToNextWait else { return service.timeToNextExpiry }
        return min(wait, service.timeToNextExpiry ?? wait)
    }

    public func beginTurn() {
        turnStart = MonotonicClock.nanoseconds
        authenticator?.update()
        service.endLeases()
        guard let history, let completions else { return }
        for (exchange, answer) in history.takeAnswers() {
            guard let waiting = pending.removeValue(forKey: exchange) else { continue }
            let last = service.lastSequence
            guard let response = goOn(waiting, answer, exchange) else { continue }
            // What was decided only now reflects itself.
            let asked = service.lastSequence == last ? waiting.sequence : nil
            let sequence = answer.pastSequence ?? asked
            note(late: response.status, waiting.call, at: turnStart, reflecting: sequence)
            let finished = finished(response, to: waiting.call, reflecting: sequence)
            completions.send(finished, for: exchange)
        }
    }

    /// What an answer of the ledger's leads to: a response, or nil where more is to be asked.
    private func goOn(
        _ waiting: Pending, _ answer: HistoryAnswer, _ exchange: ExchangeID
    ) -> HTTPResponse? {
        do throws(Problem) {
            switch try waiting.goOn(answer) {
            case .now(let response):
                return response
            case .asking(let question, let goOn):
                let next = Pending(call: waiting.call, sequence: waiting.sequence, goOn: goOn)
                try ask(question, next, exchange)
                return nil
            case .waiting, .stream:
                preconditionFailure("what asks the past first neither waits nor streams")
            }
        } catch {
            return response(to: waiting.call, error)
        }
    }

    public func respond(to request: HTTPRequest, exchange: ExchangeID) -> HTTPOutcome {
        var call = Call(
            request: request, start: turnStart,
            caller: AllocationService.Caller(requestID: requestIDs.id(for: request)))
        let response: HTTPResponse
        do throws(Problem) {
            call.path = try Self.path(of: request)
            let match = RouteMatch(request.method, call.path)
            call.endpoint = match.endpoint
            switch try reply(to: &call, match) {
            case .now(let answer):
                response = answer
            case .asking(let question, let goOn):
                let sequence = service.lastSequence
                try ask(question, Pending(call: call, sequence: sequence, goOn: goOn), exchange)
                return .deferred
            case .waiting(let ticket, var waited):
                waited.exchange = exchange
                waiting[ticket] = waited
                return .deferredWhilePresent
            case .stream(let stream):
                try open(stream, call, exchange)
                note(200, call)
                return .deferredWhilePresent
            }
        } catch {
            response = self.response(to: call, error)
        }
        note(response.status, call)
        return .answer(finished(response, to: call))
    }

    public func answer(toMalformed error: HTTPRequestError) -> HTTPResponse {
        let requestID = requestIDs.next()
        let response = Problem(error).response(instance: nil, requestID: requestID)
        note(malformed: response.status, requestID)
        return finished(response, requestID)
    }

    public func endTurn() throws {
        settleWaiting()
        let start = lastCommitted != service.lastSequence ? MonotonicClock.nanoseconds : nil
        // Also where nothing was recorded: an append that failed records nothing, and is final.
        try service.commit()
        measureTurn(committedFrom: start)
        hasHousekeepingDue = hasHousekeepingDue || lastCommitted != service.lastSequence
        lastCommitted = service.lastSequence
        sendSettled()
        history?.note(committed: lastCommitted, names: service.machineNames)
        putQuestions()
    }

    /// The turn's entries are durable, and its answers are on their way.
    ///
    /// - Parameter start: when the commit began; nil where there was nothing to commit.
    private func measureTurn(committedFrom start: UInt64?) {
        guard start != nil || requestMetrics.hasCounts else { return }
        let end = MonotonicClock.nanoseconds
        if let start { commitDurations.record(nanoseconds: end - start) }
        turnDuration = end - turnStart
        requestMetrics.endTurn(nanoseconds: turnDuration)
    }

    /// The answers to the turn have been sent.
    public func turnSent() throws {
        logTurn(nanoseconds: turnDuration)
        log.write()
        guard hasHousekeepingDue else { return }
        hasHousekeepingDue = false
        try service.housekeep()
    }

    public func exchangeAbandoned(_ exchange: ExchangeID) {
        pending[exchange] = nil
        history?.abandon(exchange)
        if !waiting.isEmpty { abandonWait(of: exchange) }
    }

    public func streamDrained(_ exchange: ExchangeID) {
        history?.noteDrained(exchange)
    }

    public func drainBegan() {
        isDraining = true
    }

    private static func path(of request: HTTPRequest) throws(Problem) -> [String] {
        do {
            return try request.pathSegments()
        } catch {
            throw Problem(error)
        }
    }

    private func ask(
        _ question: HistoryQuestion, _ waiting: Pending, _ exchange: ExchangeID
    ) throws(Problem) {
        guard history != nil, pending.count < HistoryThread.maximumWaiting else {
            throw Self.tooManyQuestions
        }
        pending[exchange] = waiting
        questions.append((exchange, question))
    }

    private static var tooManyQuestions: Problem {
        Problem(.unavailable, "too many history reads are waiting")
    }

    private func putQuestions() {
        guard let history, let completions, !questions.isEmpty else { return }
        for (exchange, question) in questions {
            guard let waiting = pending[exchange], !history.ask(question, for: exchange) else {
                continue
            }
            // Questions of peers that have gone fill the queue.
            pending[exchange] = nil
            let refusal = response(to: waiting.call, Self.tooManyQuestions)
            note(late: refusal.status, waiting.call, at: turnStart, reflecting: waiting.sequence)
            completions.send(finished(refusal, to: waiting.call), for: exchange)
        }
        questions = []
    }

    func response(to call: Call, _ problem: Problem) -> HTTPResponse {
        let path = String(decoding: call.request.path, as: UTF8.self)
        return problem.response(instance: path, requestID: call.requestID)
    }

    func finished(
        _ response: consuming HTTPResponse, to call: Call, reflecting sequence: Sequence? = nil
    ) -> HTTPResponse {
        if call.request.isConditionalRead { response = conditional(response, to: call) }
        response = finished(response, call.requestID, reflecting: sequence)
        if let rateLimit = call.rateLimit { rateLimit.addFields(to: &response) }
        return response
    }

    private func conditional(_ answer: HTTPResponse, to call: Call) -> HTTPResponse {
        do throws(Problem) {
            return try answer.answering(conditionsOf: call.request)
        } catch {
            return response(to: call, error)
        }
    }

    /// What every answer carries. `sequence` is nil for an answer about the state as it is.
    private func finished(
        _ response: consuming HTTPResponse, _ requestID: String,
        reflecting sequence: Sequence? = nil
    ) -> HTTPResponse {
        response.addField("X-Request-Id", requestID)
        response.addField(
            "Gfpd-Sequence", (sequence ?? service.lastSequence).rawValue)
        return response
    }
}

/// Names for requests: the client's own where it sent one, else ours.
struct RequestIDs {
    /// Differs from one start of the server to the next.
    private let prefix: [UInt8]
    private var count: UInt64 = 0

    init() {
        prefix = Array((String(UInt32.random(in: 0x100_0000...0xfff_ffff), radix: 16) + "-").utf8)
    }

    mutating func next() -> String {
        count += 1
        let digits = max(1, (UInt64.bitWidth - count.leadingZeroBitCount + 3) / 4)
        return unsafe String(unsafeUninitializedCapacity: prefix.count + digits) { text in
            _ = unsafe text.initialize(fromContentsOf: prefix)
            for place in 0..<digits {
                let digit = UInt8(truncatingIfNeeded: count >> UInt64(4 * place) & 0xf)
                unsafe text[prefix.count + digits - 1 - place] =
                    digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
            }
            return prefix.count + digits
        }
    }

    /// The `X-Request-Id` of a request, cut to the limit; a new one where it has none, or one that
    /// is not printable ASCII.
    mutating func id(for request: HTTPRequest) -> String {
        guard let given = request.header("x-request-id"), !given.isEmpty,
            given.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { return next() }
        return String(given.prefix(ServiceLimits.requestIDLength))
    }
}
