// Every limit of the server by name, with its unit, its default and what happens beyond it.
// A peer can make the server hold at most `maximumHeldBytes` of requests and answers, and what each
// of `maximumConnections` needs; nothing else grows with what a peer does.

/// The server's limits. The defaults suit a service with small JSON bodies.
public struct HTTPServerLimits: Sendable {
    /// Bytes of a request line without its line end; a longer one is answered 414.
    public var maximumRequestLineBytes = 8 << 10
    /// Bytes of all field lines of a request together, line ends not counted; more is 431.
    public var maximumHeaderBytes = 16 << 10
    /// Field lines of a request; more is 431. Trailer fields are held to the same number.
    public var maximumHeaderFields = 64
    /// Bytes of a request's body, decoded; more is 413.
    public var maximumBodyBytes = 1 << 20
    /// The body limit of single resources: asked with a request's head, its body still empty, when
    /// the body is larger than `maximumBodyBytes` or comes in chunks.
    public var bodyLimit: (@Sendable (_ head: HTTPRequest) -> Int)?
    /// Bytes taken from a connection by one read.
    public var maximumReadBytes = 64 << 10
    /// Bytes of large bodies read in one turn; the others wait for the next, so that small requests
    /// wait for some tenths of a millisecond at the most.
    public var maximumLargeBodyBytesPerTurn = 128 << 10
    /// Bytes of a chunk's size line with its extensions, without the line end; a longer one is 400.
    public var maximumChunkLineBytes = 256
    /// Bytes of all trailer lines of a chunked body together, line ends not counted; more is 431.
    public var maximumTrailerBytes = 4 << 10

    /// Connections open at one time; further ones wait in the kernel's queue until one closes.
    public var maximumConnections = 16_384
    /// Connections open at one time from one address, or from one /64 of IPv6: one peer cannot take
    /// all of them. Further ones are closed at once.
    public var maximumConnectionsPerAddress = 4096
    /// Connections taken from the kernel's queue in one turn; the others wait for the next.
    public var maximumAcceptsPerTurn = 256
    /// Connections that the kernel queues before they are accepted.
    public var listenBacklog = 1024

    /// Requests handed to the application in one turn; the others wait for the next. One may count
    /// as several (`HTTPResponse.requestCount`).
    public var maximumRequestsPerTurn = 1024
    /// Bytes of an answer for which it counts as one request more, since copying them takes as
    /// long.
    public var bytesPerRequest = 16 << 10
    /// Pipelined requests of one connection handled in one turn; the others wait for the next.
    public var maximumPipelinedPerTurn = 16
    /// Bytes of answers waiting for a slow reader; beyond, no more is read from it, and a stream to
    /// it is cut. One answer may be larger.
    public var maximumOutputBytes = 1 << 20
    /// Answers of one turn from which on a second thread sends them; fewer are sent by the loop.
    public var minimumAnswersHandedOver = 4
    /// Bytes of a buffer that a connection keeps between requests; a larger one is given back.
    public var maximumRetainedBufferBytes = 64 << 10
    /// Bytes of requests under way and of answers to slow readers, of all connections together.
    /// Beyond, a request that needs more is answered 503, and a reader that is slow is cut off.
    public var maximumHeldBytes = 512 << 20

    /// Steps of TLS handshakes taken in one turn, the dearest of which signs with the certificate's
    /// key; the others wait for the next, so that requests go on.
    public var maximumHandshakesPerTurn = 4
    /// From a connection to the end of its TLS handshake; then it is closed.
    public var handshakeTimeout = Duration.seconds(10)

    /// From a request's first byte to the end of its head; later is 408, and the connection closes.
    public var headTimeout = Duration.seconds(10)
    /// From the end of a request's head to the end of its body; later is 408, and the connection
    /// closes.
    public var bodyTimeout = Duration.seconds(10)
    /// Without a request under way; then the connection is closed silently.
    public var idleTimeout = Duration.seconds(75)
    /// Without a byte taken by the reader of an answer; then the connection is closed.
    public var sendTimeout = Duration.seconds(30)
    /// Between timeout checks, so the latest that a timeout is noticed; also the longest turn
    /// without traffic.
    public var sweepInterval = Duration.seconds(1)
    /// Connections ended by timeouts in one turn; the others wait for the next, so that requests go
    /// on.
    public var maximumTimeoutsPerTurn = 64

    /// After an answer that closes: how long the peer's further bytes are read and dropped, so that
    /// it can read the answer instead of a reset (RFC 9112, section 9.6).
    public var lingerTimeout = Duration.seconds(2)
    /// Bytes read and dropped in that time; after more the connection is closed at once.
    public var maximumLingerBytes = 4 << 20
    /// After `HTTPStopper.stop()`: how long answers may still be made and sent.
    public var drainTimeout = Duration.seconds(10)
    /// After `HTTPStopper.stop()`: how long a request that has begun to arrive may take to be
    /// whole; later is 503.
    public var drainReceiveTimeout = Duration.seconds(2)

    public init() {}
}

extension Duration {
    /// Whole milliseconds, at least 1 where the duration is not zero.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
