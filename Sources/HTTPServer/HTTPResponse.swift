// An answer: status, fields and body. Fields are kept as the bytes that go over the wire, so that
// an answer costs few allocations and is rendered by copying.

/// An answer to one request.
public struct HTTPResponse: Sendable {
    /// 200…599.
    public let status: Int
    public let contentType: StaticString?
    public let body: [UInt8]
    /// Whether the server closes the connection after this answer, whatever the peer asked for.
    public var closesConnection = false
    /// As how many requests it counts towards `HTTPServerLimits.maximumRequestsPerTurn`.
    public var requestCount = 1

    /// Field lines with their line ends.
    private(set) var fieldLines: [UInt8] = []

    /// An answer without fields of its own. `Date`, `Content-Length` and, where the connection is
    /// closed, `Connection` are the server's. 204 and 304 have no body.
    public init(status: Int, contentType: StaticString? = nil, body: [UInt8] = []) {
        precondition((200...599).contains(status), "not a final status")
        precondition(body.isEmpty || status != 204 && status != 304, "a body where there is none")
        self.status = status
        self.contentType = contentType
        self.body = body
        fieldLines.reserveCapacity(Self.usualFieldBytes)
    }

    /// An answer of which another has left the field lines (`ownFields`): it reads the same.
    ///
    /// - Returns: nil where these parts are not those of an answer.
    public init?(status: Int, ownFields: [UInt8], body: [UInt8]) {
        guard (200...599).contains(status), body.isEmpty || status != 204 && status != 304,
            Self.areFieldLines(ownFields)
        else { return nil }
        self.init(status: status, body: body)
        fieldLines = ownFields
    }

    /// The field lines that are its own, `Content-Type` among them, each with its line end.
    public var ownFields: [UInt8] {
        guard let contentType else { return fieldLines }
        var lines: [UInt8] = []
        lines.append(atMost: headBytes(Framing())) { lines in
            Self.put(contentType: contentType, to: &lines)
            lines.put(fieldLines)
        }
        return lines
    }

    /// Whether the bytes are lines of `field-name ":" SP field-value` (RFC 9112, section 5).
    private static func areFieldLines(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let end = rest.firstIndex(of: ASCII.carriageReturn), end + 1 < rest.endIndex,
                rest[end + 1] == ASCII.lineFeed,
                let colon = rest[..<end].firstIndex(of: ASCII.colon), colon > rest.startIndex,
                rest[..<colon].allSatisfy(ASCIISet.token.contains),
                rest[(colon + 1)..<end].allSatisfy(ASCII.isFieldValueByte)
            else { return false }
            rest = rest[(end + 2)...]
        }
        return true
    }

    /// Bytes that an answer's own fields seldom exceed.
    private static let usualFieldBytes = 192

    /// Adds a field. A control character in the value is a programmer's error and traps.
    public mutating func addField(_ name: StaticString, _ value: String) {
        addField(name, bytes: value.utf8.span)
    }

    public mutating func addField(_ name: StaticString, _ value: [UInt8]) {
        addField(name, bytes: value.span)
    }

    public mutating func addField(_ name: StaticString, _ value: UInt64) {
        let capacity = Self.fieldBytes(name, valueBytes: WireWriter.maximumDecimalBytes)
        fieldLines.append(atMost: capacity) { line in
            line.put(name)
            line.put(": ")
            line.put(decimal: value)
            line.put("\r\n")
        }
    }

    /// Adds a field whose value of at most `valueBytes` bytes `write` puts together, without a text
    /// of its own for it.
    public mutating func addField(
        _ name: StaticString, atMost valueBytes: Int,
        writing write: (inout HTTPFieldValue) -> Void
    ) {
        fieldLines.append(atMost: Self.fieldBytes(name, valueBytes: valueBytes)) { line in
            line.put(name)
            line.put(": ")
            var value = HTTPFieldValue(line: line)
            write(&value)
            line = value.line
            line.put("\r\n")
        }
    }

    private mutating func addField(_ name: StaticString, bytes value: Span<UInt8>) {
        precondition(
            value.isFieldValue(in: 0..<value.count), "a control character in a field")
        fieldLines.append(atMost: Self.fieldBytes(name, valueBytes: value.count)) { line in
            line.put(name)
            line.put(": ")
            line.put(value)
            line.put("\r\n")
        }
    }

    private static func fieldBytes(_ name: StaticString, valueBytes: Int) -> Int {
        name.utf8CodeUnitCount + 2 + valueBytes + 2
    }
}

/// The value of a field while it is put together.
public struct HTTPFieldValue: ~Copyable {
    fileprivate var line: WireWriter

    /// The bytes of a decimal number at the most.
    public static let maximumDecimalBytes = WireWriter.maximumDecimalBytes

    /// Without control characters, which is taken on trust.
    public mutating func append(_ text: StaticString) {
        line.put(text)
    }

    /// A control character traps. A literal takes the overload above.
    @_disfavoredOverload
    public mutating func append(_ text: String) {
        let bytes = text.utf8.span
        precondition(
            bytes.isFieldValue(in: 0..<bytes.count), "a control character in a field")
        line.put(bytes)
    }

    public mutating func append(decimal number: UInt64) {
        line.put(decimal: number)
    }
}

extension HTTPResponse {
    /// How one answer is put on the wire.
    public struct Framing: Sendable {
        /// The `Date` field line with its line end, or nothing.
        public var dateLine: [UInt8] = []
        /// The request was HEAD: the body is left out, and its length is kept.
        public var omitsBody = false
        /// The body comes in chunks after the head, until the last chunk.
        var isChunked = false
        /// The connection is closed after the answer.
        public var closesConnection = false

        public init() {}
    }

    /// Appends the answer as RFC 9112 has it.
    public func append(to output: inout [UInt8], framing: Framing) {
        output.append(atMost: headBytes(framing) + body.count) { output in
            putHead(to: &output, framing: framing)
            if status != 204, status != 304 {
                output.put("Content-Length: ")
                output.put(decimal: UInt64(body.count))
                output.put("\r\n")
            }
            output.put("\r\n")
            if !framing.omitsBody { output.put(body) }
        }
    }

    /// Appends the head of a streamed answer, whose body is ended by the last chunk, or by the
    /// connection's end.
    func appendStreamHead(to output: inout [UInt8], framing: Framing) {
        output.append(atMost: headBytes(framing)) { output in
            putHead(to: &output, framing: framing)
            if framing.isChunked { output.put("Transfer-Encoding: chunked\r\n") }
            output.put("\r\n")
        }
    }

    /// The status line and all fields but those that frame the body.
    private func putHead(to output: inout WireWriter, framing: Framing) {
        output.put("HTTP/1.1 ")
        output.put(decimal: UInt64(status))
        output.put(" ")
        output.put(Self.reasonPhrase(status))
        output.put("\r\n")
        output.put(framing.dateLine)
        if let contentType { Self.put(contentType: contentType, to: &output) }
        output.put(fieldLines)
        if framing.closesConnection { output.put("Connection: close\r\n") }
    }

    /// As many bytes as a head may have, or more.
    private func headBytes(_ framing: Framing) -> Int {
        Self.fixedHeadBytes + framing.dateLine.count + fieldLines.count
            + (contentType?.utf8CodeUnitCount ?? 0)
    }

    /// A bound of what a head has beside the lines and the content type that it is given: the
    /// status line, the names of the fields, and what says how the body is framed.
    private static let fixedHeadBytes = 192

    private static func put(contentType: StaticString, to output: inout WireWriter) {
        output.put("Content-Type: ")
        output.put(contentType)
        output.put("\r\n")
    }

    /// The phrases of RFC 9110, section 15; none for a status without one.
    static func reasonPhrase(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 203: "Non-Authoritative Information"
        case 204: "No Content"
        case 205: "Reset Content"
        case 206: "Partial Content"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        default: ""
        }
    }
}
