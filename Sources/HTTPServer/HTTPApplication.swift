// What an application is to the server: a function from requests to answers, called on the
// server's one thread, with fixed points in each turn of the loop at which it can do work for all
// of the turn's requests together.

/// Answers requests. All of it is called on the thread that is in `HTTPServer.run()`.
///
/// One turn of the loop is: `beginTurn()`; `respond` for each request that is whole, and `answer`
/// for each that is refused; `endTurn()`; only then the answers are sent; `turnSent()`. An
/// application that makes the turn's decisions durable in `endTurn()` therefore never acknowledges
/// one that is not.
public protocol HTTPApplication: AnyObject {
    /// How long the loop may wait for its next turn where nothing happens. It is asked before each
    /// wait; nil: no longer than the loop likes.
    var timeToNextTurn: Duration? { get }

    /// A turn begins. Turns follow each other at most `HTTPServerLimits.sweepInterval` apart, with
    /// or without requests.
    func beginTurn()

    /// Answers a request at once, or says that the answer will come through `HTTPCompletions`
    /// under this exchange.
    func respond(to request: HTTPRequest, exchange: ExchangeID) -> HTTPOutcome

    /// The answer to a request that the server refuses; its status should be `error.status`. The
    /// connection is closed after it.
    func answer(toMalformed error: HTTPRequestError) -> HTTPResponse

    /// The turn's last request has been handled; none of its answers has been sent. Throwing is
    /// fatal: nothing of this turn is sent and `HTTPServer.run()` throws the error.
    func endTurn() throws

    /// The turn's answers are with the kernel, or with the thread that sends them: the time for
    /// work that nobody waits for. Throwing is fatal, as in `endTurn()`.
    func turnSent() throws

    /// The peer of a deferred exchange has gone; its answer will be ignored.
    func exchangeAbandoned(_ exchange: ExchangeID)

    /// All that was written so far to a streamed answer is with the kernel: the time to write more.
    func streamDrained(_ exchange: ExchangeID)

    /// The server has been told to stop. What was deferred is waited for, though no longer than
    /// `HTTPServerLimits.drainTimeout`; streams have been ended.
    func drainBegan()
}

extension HTTPApplication {
    public var timeToNextTurn: Duration? { nil }
    public func beginTurn() {}
    public func endTurn() throws {}
    public func turnSent() throws {}
    public func exchangeAbandoned(_ exchange: ExchangeID) {}
    public func streamDrained(_ exchange: ExchangeID) {}
    public func drainBegan() {}
}

/// What became of a request.
public enum HTTPOutcome: Sendable {
    /// This is the answer.
    case answer(HTTPResponse)
    /// The answer comes later, through `HTTPCompletions`. Requests that the peer has sent after
    /// this one wait for it.
    case deferred
    /// As `deferred`, and the answer is of no use to a peer that sends nothing more: when it shuts
    /// down its sending side, the exchange is abandoned and the connection closed.
    case deferredWhilePresent
}

/// Names one request of one connection. It stays valid when the peer goes away: what is sent for it
/// is then ignored.
public struct ExchangeID: Sendable, Hashable {
    let slot: Int
    /// The connection's number, never used twice.
    let connection: UInt64
    /// The request's number on its connection, from 1.
    let number: UInt64

    init(slot: Int, connection: UInt64, number: UInt64) {
        self.slot = slot
        self.connection = connection
        self.number = number
    }

    /// An exchange of no server, for an application that is driven by hand.
    public init(connection: UInt64, number: UInt64) {
        self.init(slot: 0, connection: connection, number: number)
    }
}
