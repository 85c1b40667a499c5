// Bytes in, requests out: the HTTP/1.1 parser (RFC 9112), without sockets and without clock.
//
// The parser owns the bytes received. It is fed pieces of any size and asked for the next request;
// it looks at each byte a bounded number of times however small the pieces are, and the pieces'
// borders change no result. It is strict: what two readers could understand in two ways is
// refused, since a proxy in front may be the other reader (request smuggling). After an error it
// gives no more requests: where the next one begins is not known.
//
// Choices where the RFC leaves one: only CR LF ends a line; one empty line before a request is
// skipped (section 2.2); the absolute form is accepted where its authority is the `Host` field's;
// HTTP/1.0 connections close after one answer; trailer fields are checked and dropped.

/// A resumable parser of the requests of one connection.
public struct HTTPRequestParser: Sendable {
    /// What `next()` found.
    public enum Step: Sendable {
        /// A whole request; there may be further ones.
        case request(HTTPRequest)
        /// The bytes so far are the beginning of a request, or none at all.
        case needMore
        /// The request is refused. Every later step says the same.
        case failed(HTTPRequestError)
    }

    /// What the line or the bytes at `position` are.
    enum Phase: Sendable, Equatable {
        case requestLine
        case fieldLines
        case body(count: Int)
        case chunkSize
        case chunk(remaining: Int)
        case chunkEnd
        case trailerLines
        case complete
        case failed(HTTPRequestError)
    }

    let limits: HTTPServerLimits
    /// Its count is its capacity; the bytes received are those before `end`.
    var buffer: [UInt8] = []
    /// Bytes of the buffer that have been written to, which is what it takes of memory.
    public internal(set) var touchedBytes = 0
    /// The first byte of the request under way. Positions below are counted from here, so that they
    /// stay right when the bytes move.
    var start = 0
    var end = 0
    var phase = Phase.requestLine
    /// The first byte not yet parsed.
    var position = 0
    /// The bytes before this one, from `position`, hold no line feed.
    var scanned = 0
    var hasSkippedEmptyLine = false
    /// Bytes of field lines, or of trailer lines, so far.
    var fieldBytes = 0
    var trailerCount = 0
    var fields: [FieldLine] = []
    var head = RequestHead()
    /// Bytes that the body may have.
    var bodyLimit = 0
    /// Where the body ends so far: chunks are moved together behind the head.
    var bodyEnd = 0

    public init(limits: HTTPServerLimits = HTTPServerLimits()) {
        self.limits = limits
    }

    /// Takes the next step. Call it again after a request, and after `needMore` when there are
    /// more bytes.
    public mutating func next() -> Step {
        do throws(HTTPRequestError) {
            if phase == .complete { beginRequest() }
            while try advance() {
                if phase == .complete { return .request(request()) }
            }
            closeGap()
            return .needMore
        } catch {
            phase = .failed(error)
            return .failed(error)
        }
    }

    /// Whether bytes of an unfinished or not yet parsed request are there.
    public var hasBufferedBytes: Bool {
        phase == .complete ? start + position < end : start < end
    }

    /// The bytes held of requests not yet parsed, and of the last that was handed out.
    public var bufferedByteCount: Int { end - start }

    /// Whether the head of the request under way is whole, and its body is not.
    public var isInBody: Bool {
        switch phase {
        case .requestLine, .fieldLines, .complete, .failed: false
        case .body, .chunkSize, .chunk, .chunkEnd, .trailerLines: true
        }
    }

    /// Whether more of a body has come than most requests have.
    public var isInLargeBody: Bool { isInBody && touchedBytes > limits.maximumRetainedBufferBytes }

    /// True once for a request whose peer waits for a 100 (Continue) before it sends the body.
    public mutating func takeContinueExpectation() -> Bool {
        guard head.expectsContinue, isInBody, start + position == end else { return false }
        head.expectsContinue = false
        return true
    }

    /// Parses what is at `position`; false when the bytes there are not whole.
    private mutating func advance() throws(HTTPRequestError) -> Bool {
        switch phase {
        case .requestLine: try advanceRequestLine()
        case .fieldLines: try advanceFieldLine()
        case .body(let count): advanceBody(count)
        case .chunkSize: try advanceChunkSize()
        case .chunk(let remaining): advanceChunk(remaining)
        case .chunkEnd: try advanceChunkEnd()
        case .trailerLines: try advanceTrailerLine()
        case .complete: false
        case .failed(let error): throw error
        }
    }

    /// Forgets the request that was handed out.
    mutating func beginRequest() {
        start += position
        position = 0
        scanned = 0
        phase = .requestLine
        hasSkippedEmptyLine = false
        fieldBytes = 0
        trailerCount = 0
        fields.removeAll(keepingCapacity: true)
        head = RequestHead()
    }

    func request() -> HTTPRequest {
        HTTPRequest(
            method: head.method,
            closesConnection: head.closesConnection || head.isVersion10,
            isVersion10: head.isVersion10,
            buffer: buffer,
            start: start,
            pathRange: start + head.path.lowerBound..<start + head.path.upperBound,
            queryRange: head.query.map { start + $0.lowerBound..<start + $0.upperBound },
            bodyRange: start + head.end..<start + bodyEnd,
            fields: fields,
            nameLengths: fields.reduce(0) { $0 | $1.nameBit })
    }

    /// The next line of at most `limit` bytes, without its line end; nil when it is not whole.
    mutating func takeLine(
        limit: Int, tooLong: HTTPRequestError
    ) throws(HTTPRequestError) -> Range<Int>? {
        let received = end - start
        guard let lineFeed = firstLineFeed(from: max(scanned, position), to: received) else {
            scanned = received
            // The last byte may be the CR of the line end.
            if received - position > limit + 1 { throw tooLong }
            return nil
        }
        if lineFeed - 1 - position > limit { throw tooLong }
        guard lineFeed > position, buffer[start + lineFeed - 1] == ASCII.carriageReturn else {
            throw .malformedLineEnd
        }
        let line = position..<lineFeed - 1
        position = lineFeed + 1
        scanned = position
        return line
    }

    private func firstLineFeed(from: Int, to: Int) -> Int? {
        buffer.span.firstIndex(of: ASCII.lineFeed, in: start + from..<start + to).map { $0 - start }
    }
}
