// Why a request is refused before the application sees it. After each of them the connection is
// closed: where the message ends is not known, or the peer has not sent it in time.

/// A request that the server does not hand to the application.
public enum HTTPRequestError: Error, Sendable, Equatable, CaseIterable {
    /// A line does not end in CR LF, or holds a lone CR or LF (RFC 9112, section 2.2).
    case malformedLineEnd
    /// Not `method SP request-target SP HTTP-version` (RFC 9112, section 3).
    case malformedRequestLine
    /// The request target is none of the forms that the method allows, or holds a byte that a URI
    /// may not hold (RFC 9112, section 3.2).
    case malformedTarget
    /// A field line without a name, or with a byte in the name that is no token character.
    case malformedFieldName
    /// White space between field name and colon (RFC 9112, section 5.1).
    case whitespaceBeforeColon
    /// A field line that begins with white space (RFC 9112, section 5.2).
    case lineFolding
    /// A control character in a field value (RFC 9110, section 5.5).
    case malformedFieldValue
    /// HTTP/1.1 without a `Host` field (RFC 9112, section 3.2).
    case missingHost
    /// More than one `Host` field.
    case severalHosts
    /// A `Host` that is no host and port, or not that of an absolute request target.
    case malformedHost
    /// A `Content-Length` that is not digits alone (RFC 9110, section 8.6).
    case malformedContentLength
    /// More than one `Content-Length`, even of one value (RFC 9112, section 6.3).
    case severalContentLengths
    /// `Content-Length` together with `Transfer-Encoding` (RFC 9112, section 6.1).
    case contentLengthWithTransferEncoding
    /// `Transfer-Encoding` in an HTTP/1.0 request (RFC 9112, section 6.1).
    case transferEncodingInHTTP10
    /// A chunked body that is not in the form of RFC 9112, section 7.1.
    case malformedChunk
    /// The request was not whole in time.
    case timeout
    /// The body is larger than `maximumBodyBytes`.
    case bodyTooLarge
    /// The request line is longer than `maximumRequestLineBytes`.
    case requestLineTooLong
    /// An `Expect` other than `100-continue` (RFC 9110, section 10.1.1).
    case unknownExpectation
    /// The field lines are longer than `maximumHeaderBytes`, or the trailers than
    /// `maximumTrailerBytes`.
    case headerTooLarge
    /// More field lines than `maximumHeaderFields`.
    case tooManyFields
    /// A transfer coding other than `chunked` alone (RFC 9112, section 6.1).
    case unsupportedTransferCoding
    /// A version other than HTTP/1.0 and HTTP/1.1.
    case unsupportedVersion
    /// HTTP without TLS, where TLS is spoken.
    case plainHTTP
    /// All connections together hold `maximumHeldBytes`, and the request needs more.
    case noRoom
    /// The server stops, and the request is not whole, or not answered, in the time that is left.
    case stopping

    /// The status to answer with.
    public var status: Int {
        switch self {
        case .malformedLineEnd, .malformedRequestLine, .malformedTarget, .malformedFieldName,
            .whitespaceBeforeColon, .lineFolding, .malformedFieldValue, .missingHost,
            .severalHosts, .malformedHost, .malformedContentLength, .severalContentLengths,
            .contentLengthWithTransferEncoding, .transferEncodingInHTTP10, .malformedChunk,
            .plainHTTP:
            400
        case .timeout: 408
        case .bodyTooLarge: 413
        case .requestLineTooLong: 414
        case .unknownExpectation: 417
        case .headerTooLarge, .tooManyFields: 431
        case .unsupportedTransferCoding: 501
        case .noRoom, .stopping: 503
        case .unsupportedVersion: 505
        }
    }

    /// One sentence for the peer.
    public var detail: String {
        switch self {
        case .malformedLineEnd: "A line does not end in CR LF."
        case .malformedRequestLine: "The request line is not method, target and version."
        case .malformedTarget: "The request target is not a path with an optional query."
        case .malformedFieldName: "A header field has no valid name."
        case .whitespaceBeforeColon: "White space stands between a field name and its colon."
        case .lineFolding: "A header field is folded over several lines."
        case .malformedFieldValue: "A header field's value holds a control character."
        case .missingHost: "The Host field is missing."
        case .severalHosts: "There is more than one Host field."
        case .malformedHost: "The Host field is not a host, or not that of the request target."
        case .malformedContentLength: "Content-Length is not a decimal number."
        case .severalContentLengths: "There is more than one Content-Length."
        case .contentLengthWithTransferEncoding:
            "Content-Length and Transfer-Encoding exclude each other."
        case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding."
        case .malformedChunk: "The chunked body is malformed."
        case .timeout: "The request was not complete in time."
        case .bodyTooLarge: "The body is larger than the server accepts."
        case .requestLineTooLong: "The request line is longer than the server accepts."
        case .unknownExpectation: "The only expectation that the server meets is 100-continue."
        case .headerTooLarge: "The header fields are longer than the server accepts."
        case .tooManyFields: "There are more header fields than the server accepts."
        case .unsupportedTransferCoding: "The only transfer coding is chunked."
        case .unsupportedVersion: "The server speaks HTTP/1.1 and HTTP/1.0."
        case .plainHTTP: "This is a TLS port: the URL begins with https."
        case .noRoom: "Too many requests are being received to hold this one too."
        case .stopping: "The server is stopping."
        }
    }
}
