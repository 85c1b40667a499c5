// Media types: what a body is said to be, and what a client accepts.

import HTTPServer

enum MediaType: String, CaseIterable {
    case json = "application/json"
    case text = "text/plain"
    case xml = "application/xml"
    case yaml = "application/yaml"
    case html = "text/html"
    case eventStream = "text/event-stream"
    case openMetrics = "application/openmetrics-text"

    var contentType: StaticString {
        switch self {
        case .json: "application/json"
        case .text: "text/plain; charset=utf-8"
        case .xml: "application/xml"
        case .yaml: "application/yaml"
        case .html: "text/html; charset=utf-8"
        case .eventStream: "text/event-stream"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    private var family: Substring { rawValue.prefix { $0 != "/" } }

    /// The media type of a request's body, which must be one of `taken`; nil where it has no body.
    static func ofBody(
        _ request: HTTPRequest, among taken: [MediaType]
    ) throws(Problem) -> MediaType? {
        // What nearly every client sends needs no taking apart.
        if taken.contains(.json), request.header("content-type", is: "application/json") {
            return .json
        }
        guard let field = request.header("content-type") else {
            if request.bodyCount == 0 { return nil }
            throw unsupported(taken)
        }
        let parts = field.split(separator: ";", omittingEmptySubsequences: false).map(trimmed)
        guard let type = taken.first(where: { $0.rawValue == parts[0].lowercased() }) else {
            if request.bodyCount == 0 { return nil }
            throw unsupported(taken)
        }
        for parameter in parts.dropFirst() where !parameter.isEmpty {
            let pair = parameter.lowercased().split(separator: "=", maxSplits: 1)
            let value = pair.count == 2 ? pair[1].filter { $0 != "\"" } : ""
            if pair.first == "charset", value != "utf-8", value != "us-ascii" {
                throw Problem(.unsupportedMediaType, "the charset must be utf-8")
            }
        }
        return type
    }

    private static func unsupported(_ taken: [MediaType]) -> Problem {
        let names = taken.map(\.rawValue).joined(separator: " or ")
        return Problem(.unsupportedMediaType, "the Content-Type must be \(names)")
    }

    /// The one of `offered` that the client likes best; the first of equals (RFC 9110, 12.5.1).
    static func accepted(
        by request: HTTPRequest, among offered: [MediaType]
    ) throws(Problem) -> MediaType {
        guard let field = request.header("accept"), field != "*/*" else { return offered[0] }
        let ranges = field.split(separator: ",").compactMap { AcceptRange(String($0)) }
        var best: (type: MediaType, quality: Int)?
        for type in offered {
            let quality = type.quality(in: ranges)
            if quality > (best?.quality ?? 0) { best = (type, quality) }
        }
        guard let best else {
            let names = offered.map(\.rawValue).joined(separator: " and ")
            throw Problem(.notAcceptable, "\(names) can be had here")
        }
        return best.type
    }

    /// 0…1000: that of the most specific range that covers the type.
    private func quality(in ranges: [AcceptRange]) -> Int {
        var best: (specificity: Int, quality: Int) = (-1, 0)
        for range in ranges {
            let specificity =
                range.pattern == rawValue
                ? 2 : range.pattern == family + "/*" ? 1 : range.pattern == "*/*" ? 0 : -1
            if specificity > best.specificity { best = (specificity, range.quality) }
        }
        return best.quality
    }
}

extension HTTPResponse {
    /// The answer, which is another one for another `Accept`, as caches must know (RFC 9110,
    /// section 12.5.5).
    var byAccept: HTTPResponse {
        var response = self
        response.addField("Vary", "Accept")
        return response
    }
}

/// One element of an `Accept` field.
private struct AcceptRange {
    let pattern: String

    /// Thousandths: 0…1000.
    let quality: Int

    init?(_ text: String) {
        let parts = text.split(separator: ";").map(trimmed)
        guard let pattern = parts.first else { return nil }
        self.pattern = pattern.lowercased()
        var quality = 1000
        for part in parts.dropFirst() where part.hasPrefix("q=") || part.hasPrefix("Q=") {
            guard let value = Self.thousandths(part.dropFirst(2)) else { return nil }
            quality = value
        }
        self.quality = quality
    }

    /// `qvalue`: 0 to 1 with at most three digits after the point (RFC 9110, section 12.4.2).
    private static func thousandths(_ text: Substring) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : ""
        guard parts[0] == "0" || parts[0] == "1", fraction.utf8.count <= 3,
            fraction.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let value = Int(parts[0] + fraction + "000".dropFirst(fraction.count)), value <= 1000
        else { return nil }
        return value
    }
}

/// `text` without white space at its ends.
func trimmed(_ text: Substring) -> String {
    let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var bytes = text.utf8
    while let first = bytes.first, isSpace(first) { bytes.removeFirst() }
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    return String(Substring(bytes))
}
