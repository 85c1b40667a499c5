import HTTPServer

/// What a parser makes of some bytes, in a form that can be compared.
enum Parsed: Equatable, CustomStringConvertible {
    case request(
        method: String, path: String, query: String?, fields: [String], body: [UInt8], closes: Bool)
    case failed(HTTPRequestError)
    /// The bytes end within a request, or after the last.
    case needMore(isWithinRequest: Bool)

    init(_ request: HTTPRequest) {
        self = .request(
            method: request.method.name, path: text(request.path),
            query: request.query.map { text($0) },
            fields: request.headers.map { "\($0.name): \($0.value)" }, body: request.body,
            closes: request.closesConnection)
    }

    var description: String {
        switch self {
        case .request(let method, let path, let query, let fields, let body, let closes):
            "\(method) \(path) ?\(query ?? "") \(fields) \(text(body)) \(closes)"
        case .failed(let error): "failed(\(error))"
        case .needMore(let isWithinRequest): "needMore(\(isWithinRequest))"
        }
    }
}

func text(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
}

/// Feeds the pieces one after the other; gives all steps but the `needMore` between pieces.
func parse(_ pieces: [[UInt8]], limits: HTTPServerLimits = HTTPServerLimits()) -> [Parsed] {
    var parser = HTTPRequestParser(limits: limits)
    var steps: [Parsed] = []
    for piece in pieces {
        parser.append(piece)
        parsing: while true {
            switch parser.next() {
            case .request(let request): steps.append(Parsed(request))
            case .needMore: break parsing
            case .failed(let error): return steps + [.failed(error)]
            }
        }
    }
    let isWithin = parser.hasBufferedBytes || parser.isInBody
    return steps + [.needMore(isWithinRequest: isWithin)]
}

func parse(_ bytes: String, limits: HTTPServerLimits = HTTPServerLimits()) -> [Parsed] {
    parse([Array(bytes.utf8)], limits: limits)
}

/// The error of a message that is refused, or nil.
func refusal(
    _ bytes: String, limits: HTTPServerLimits = HTTPServerLimits()
) -> HTTPRequestError? {
    guard case .failed(let error) = parse(bytes, limits: limits).last else { return nil }
    return error
}

/// The one request that the bytes are.
func request(_ bytes: String, limits: HTTPServerLimits = HTTPServerLimits()) -> HTTPRequest? {
    var parser = HTTPRequestParser(limits: limits)
    parser.append(Array(bytes.utf8))
    guard case .request(let request) = parser.next() else { return nil }
    return request
}

let host = "Host: a\r\n"

/// A message with these field lines, and `Host`.
func message(_ fields: String, body: String = "", requestLine: String = "POST / HTTP/1.1") -> String
{
    "\(requestLine)\r\n\(host)\(fields)\r\n\(body)"
}
