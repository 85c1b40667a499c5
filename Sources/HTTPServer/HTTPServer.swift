// An HTTP/1.1 server for one application on one thread. It knows nothing of what is served.

public import TLS

/// Binds a port, and answers the requests that come there.
public final class HTTPServer {
    /// The port that is listened on.
    public let port: UInt16
    /// Takes the answers to deferred exchanges, from any thread.
    public let completions: HTTPCompletions
    /// Stops `run()`, from any thread.
    public let stopper: HTTPStopper

    private let limits: HTTPServerLimits
    private let application: any HTTPApplication
    private let tls: TLSServerContext?
    private var listener: ListeningSocket?

    /// Binds and listens; connections queue from here on and are accepted in `run()`.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 literal, or `localhost` for 127.0.0.1.
    ///   - port: 0 lets the kernel pick one.
    ///   - tls: the certificate to speak TLS with; nil: without TLS.
    public init(
        host: String, port: UInt16, limits: HTTPServerLimits = HTTPServerLimits(),
        tls: TLSServerContext? = nil, application: any HTTPApplication
    ) throws(HTTPServerError) {
        let wakeUp = try WakeUp()
        let listener = try ListeningSocket(host: host, port: port, backlog: limits.listenBacklog)
        self.port = listener.port
        self.listener = listener
        self.limits = limits
        self.application = application
        self.tls = tls
        completions = HTTPCompletions(queue: CompletionQueue(wakeUp: wakeUp))
        stopper = HTTPStopper(wakeUp: wakeUp)
    }

    /// Serves until `HTTPStopper.stop()`. To be called once.
    ///
    /// - Throws: `HTTPServerError` when the kernel refuses what the loop cannot do without, and
    ///   whatever `HTTPApplication.endTurn()` throws. Nothing of the turn that failed is sent.
    public func run() throws {
        guard let listener else { preconditionFailure("run() is called once") }
        self.listener = nil
        var loop = try EventLoop(
            application: application, limits: limits, tls: tls, listener: listener,
            completions: completions.queue)
        try loop.run()
    }
}
