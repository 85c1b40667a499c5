// The head of a request: request line, field lines, and what the fields say about the body.

/// What the parser has learned from the head so far. Positions count from the request's start.
struct RequestHead: Sendable {
    var method = HTTPMethod.get
    var isVersion10 = false
    var path = 0..<0
    var query: Range<Int>?
    /// The authority of a target in absolute form.
    var authority: Range<Int>?
    var host: Range<Int>?
    var contentLength: Int?
    var hasTransferEncoding = false
    var closesConnection = false
    var expectsContinue = false
    /// Where the head ends and the body begins.
    var end = 0
}

extension HTTPRequestParser {
    mutating func advanceRequestLine() throws(HTTPRequestError) -> Bool {
        guard
            let line = try takeLine(
                limit: limits.maximumRequestLineBytes, tooLong: .requestLineTooLong)
        else { return false }
        if line.isEmpty {
            try skipEmptyLine()
            return true
        }
        try head.setRequestLine(buffer, from: start, line)
        phase = .fieldLines
        return true
    }

    /// One empty line before a request is skipped: some clients end a body with one.
    private mutating func skipEmptyLine() throws(HTTPRequestError) {
        guard !hasSkippedEmptyLine else { throw .malformedRequestLine }
        hasSkippedEmptyLine = true
        start += position
        (position, scanned) = (0, 0)
    }

    mutating func advanceFieldLine() throws(HTTPRequestError) -> Bool {
        let limit = limits.maximumHeaderBytes - fieldBytes
        guard let line = try takeLine(limit: limit, tooLong: .headerTooLarge) else { return false }
        if line.isEmpty {
            head.end = position
            bodyEnd = position
            phase = try head.framing(buffer, from: start)
            try setBodyLimit()
            return true
        }
        fieldBytes += line.count
        guard fields.count < limits.maximumHeaderFields else { throw .tooManyFields }
        let field = try Self.parseFieldLine(buffer.span.extracting(start..<end), line)
        fields.append(field)
        try head.note(field, buffer, from: start)
        return true
    }

    private mutating func setBodyLimit() throws(HTTPRequestError) {
        let length = head.contentLength ?? 0
        bodyLimit = limits.maximumBodyBytes
        if let limit = limits.bodyLimit, length > bodyLimit || phase == .chunkSize {
            bodyLimit = limit(request())
        }
        guard length <= bodyLimit else { throw .bodyTooLarge }
    }

    /// `field-name ":" OWS field-value OWS`, RFC 9112, section 5.
    static func parseFieldLine(
        _ bytes: Span<UInt8>, _ line: Range<Int>
    ) throws(HTTPRequestError) -> FieldLine {
        let nameEnd = bytes.end(of: .token, in: line)
        let isNameFollowed = nameEnd < line.upperBound
        if isNameFollowed, ASCII.isWhitespace(bytes[nameEnd]) {
            throw nameEnd == line.lowerBound ? .lineFolding : .whitespaceBeforeColon
        }
        guard isNameFollowed, nameEnd > line.lowerBound, bytes[nameEnd] == ASCII.colon else {
            throw .malformedFieldName
        }
        let value = bytes.trimmingWhitespace(nameEnd + 1..<line.upperBound)
        guard bytes.isFieldValue(in: value) else {
            throw .malformedFieldValue
        }
        return FieldLine(name: line.lowerBound..<nameEnd, value: value)
    }
}

extension RequestHead {
    /// `method SP request-target SP HTTP-version`, RFC 9112, section 3.
    fileprivate mutating func setRequestLine(
        _ buffer: [UInt8], from start: Int, _ line: Range<Int>
    ) throws(HTTPRequestError) {
        let bytes = buffer.span.extracting(start...)
        let methodEnd = bytes.end(of: .token, in: line)
        guard methodEnd > line.lowerBound, methodEnd < line.upperBound,
            bytes[methodEnd] == ASCII.space
        else { throw .malformedRequestLine }
        guard
            let targetEnd = bytes.firstIndex(
                of: ASCII.space, in: methodEnd + 1..<line.upperBound)
        else { throw .malformedRequestLine }
        isVersion10 = try Self.isVersion10(bytes, targetEnd + 1..<line.upperBound)
        method = HTTPMethod(bytes, in: line.lowerBound..<methodEnd)
        try setTarget(bytes, methodEnd + 1..<targetEnd)
    }

    /// Tells HTTP/1.0 from HTTP/1.1 and refuses all else.
    private static func isVersion10(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(HTTPRequestError) -> Bool {
        let start = range.lowerBound
        guard range.count == 8, bytes[start] == 0x48, bytes[start + 1] == 0x54,
            bytes[start + 2] == 0x54, bytes[start + 3] == 0x50, bytes[start + 4] == ASCII.slash,
            ASCII.isDigit(bytes[start + 5]), bytes[start + 6] == 0x2E,
            ASCII.isDigit(bytes[start + 7])
        else { throw .malformedRequestLine }
        guard bytes[start + 5] == ASCII.zero + 1, bytes[start + 7] <= ASCII.zero + 1 else {
            throw .unsupportedVersion
        }
        return bytes[start + 7] == ASCII.zero
    }

    /// Takes apart a request target, RFC 9112, section 3.2.
    private mutating func setTarget(
        _ bytes: Span<UInt8>, _ target: Range<Int>
    ) throws(HTTPRequestError) {
        guard let first = target.first else { throw .malformedTarget }
        if bytes[first] == ASCII.asterisk {
            guard target.count == 1, method == .options else { throw .malformedTarget }
            path = target
            return
        }
        var pathStart = first
        if bytes[first] != ASCII.slash {
            let authority = try Self.authority(bytes, target)
            self.authority = authority
            pathStart = authority.upperBound
        }
        let rest = pathStart..<target.upperBound
        guard bytes.end(of: .target, in: rest) == target.upperBound else { throw .malformedTarget }
        let pathEnd = bytes.firstIndex(of: ASCII.questionMark, in: rest) ?? target.upperBound
        path = pathStart..<pathEnd
        if pathEnd < target.upperBound { query = pathEnd + 1..<target.upperBound }
    }

    /// The authority of a target in absolute form: `http://authority/path?query`.
    private static func authority(
        _ bytes: Span<UInt8>, _ target: Range<Int>
    ) throws(HTTPRequestError) -> Range<Int> {
        for scheme in ["http://", "https://"] as [StaticString] {
            let start = target.lowerBound + scheme.utf8CodeUnitCount
            guard start <= target.upperBound,
                bytes.equals(scheme, in: target.lowerBound..<start)
            else { continue }
            var end = start
            while end < target.upperBound, ASCIISet.authority.contains(bytes[end]) { end += 1 }
            guard end > start,
                end == target.upperBound || bytes[end] == ASCII.slash
                    || bytes[end] == ASCII.questionMark
            else { throw .malformedTarget }
            return start..<end
        }
        throw .malformedTarget
    }

    /// Notes the fields that say how the message is framed.
    fileprivate mutating func note(
        _ field: FieldLine, _ buffer: [UInt8], from start: Int
    ) throws(HTTPRequestError) {
        let bytes = buffer.span.extracting(start...)
        let name = field.name(from: 0)
        let value = field.value(from: 0)
        switch name.count {
        case 4 where bytes.equals("host", in: name):
            try noteHost(bytes, value)
        case 6 where bytes.equals("expect", in: name):
            // HTTP/1.0 has no expectations: they are ignored, RFC 9110, section 10.1.1.
            if !isVersion10 {
                guard bytes.equals("100-continue", in: value) else { throw .unknownExpectation }
                expectsContinue = true
            }
        case 10 where bytes.equals("connection", in: name):
            noteConnection(bytes, value)
        case 14 where bytes.equals("content-length", in: name):
            guard contentLength == nil else { throw .severalContentLengths }
            contentLength = try Self.contentLength(bytes, value)
        case 17 where bytes.equals("transfer-encoding", in: name):
            // A second field would make the list of codings longer than `chunked` alone.
            guard !hasTransferEncoding, bytes.equals("chunked", in: value) else {
                throw .unsupportedTransferCoding
            }
            hasTransferEncoding = true
        default: break
        }
    }

    private mutating func noteHost(
        _ bytes: Span<UInt8>, _ value: Range<Int>
    ) throws(HTTPRequestError) {
        guard host == nil else { throw .severalHosts }
        guard bytes.end(of: .authority, in: value) == value.upperBound else {
            throw .malformedHost
        }
        host = value
    }

    /// Looks for `close` in a list of connection options, RFC 9110, section 7.6.1.
    private mutating func noteConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var rest = value
        while !rest.isEmpty {
            let end = bytes.firstIndex(of: ASCII.comma, in: rest) ?? rest.upperBound
            let option = bytes.trimmingWhitespace(rest.lowerBound..<end)
            if bytes.equals("close", in: option) { closesConnection = true }
            rest = min(end + 1, rest.upperBound)..<rest.upperBound
        }
    }

    /// Digits alone. A number beyond the machine's is `Int.max`, and so beyond every limit.
    private static func contentLength(
        _ bytes: Span<UInt8>, _ value: Range<Int>
    ) throws(HTTPRequestError) -> Int {
        guard !value.isEmpty else { throw .malformedContentLength }
        var length = 0
        for position in value {
            guard ASCII.isDigit(bytes[position]) else { throw .malformedContentLength }
            let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(bytes[position] - ASCII.zero))
            length = overflow || carry ? Int.max : sum
        }
        return length
    }

    /// How the body is framed, RFC 9112, section 6.3; what contradicts itself is refused.
    fileprivate func framing(
        _ buffer: [UInt8], from start: Int
    ) throws(HTTPRequestError) -> HTTPRequestParser.Phase {
        let bytes = buffer.span.extracting(start...)
        guard host != nil || isVersion10 else { throw .missingHost }
        if let authority, let host, !Self.isSameAuthority(bytes, authority, host) {
            throw .malformedHost
        }
        if hasTransferEncoding {
            guard !isVersion10 else { throw .transferEncodingInHTTP10 }
            guard contentLength == nil else { throw .contentLengthWithTransferEncoding }
        }
        return hasTransferEncoding ? .chunkSize : .body(count: contentLength ?? 0)
    }

    private static func isSameAuthority(
        _ bytes: Span<UInt8>, _ left: Range<Int>, _ right: Range<Int>
    ) -> Bool {
        left.count == right.count
            && zip(left, right).allSatisfy {
                ASCII.lowercased(bytes[$0]) == ASCII.lowercased(bytes[$1])
            }
    }
}
