// Path and query of a request. Both are kept as they were sent and decoded when asked for.
// Only `%XX` is decoded; `+` is a plus, since the targets are URIs and not HTML form data.

/// A path or query that is not what a URI's escapes allow.
public enum HTTPTargetError: Error, Sendable, Equatable {
    /// A `%` without two hexadecimal digits after it.
    case malformedEscape
    /// Escapes that do not spell UTF-8.
    case notUTF8
}

extension HTTPRequest {
    /// The path as it was sent, still percent-encoded, from its first `/`; `*` of `OPTIONS *`.
    public var path: [UInt8] {
        pathRange.isEmpty ? [ASCII.slash] : Array(buffer[pathRange])
    }

    /// The query as it was sent, still percent-encoded, without its `?`; nil without a `?`.
    public var query: [UInt8]? {
        queryRange.map { Array(buffer[$0]) }
    }

    /// The path's segments, each decoded: `/v1/a%2Fb` is `["v1", "a/b"]`, `/` is `[""]`, and a
    /// slash at the end gives an empty last segment. Dot segments are left as they are.
    public func pathSegments() throws(HTTPTargetError) -> [String] {
        var segments: [String] = []
        segments.reserveCapacity(Self.usualSegments)
        var rest = pathRange
        if let first = rest.first, buffer[first] == ASCII.slash { rest.removeFirst() }
        while true {
            let end = buffer.span.firstIndex(of: ASCII.slash, in: rest) ?? rest.upperBound
            segments.append(try decodedText(rest.lowerBound..<end))
            if end == rest.upperBound { return segments }
            rest = end + 1..<rest.upperBound
        }
    }

    /// Segments that a path seldom exceeds.
    private static let usualSegments = 8

    /// The query's items in their order, each decoded: `a=1&b` is `[("a", "1"), ("b", "")]`. Empty
    /// items are left out.
    public func queryItems() throws(HTTPTargetError) -> [(name: String, value: String)] {
        guard var rest = queryRange else { return [] }
        var items: [(name: String, value: String)] = []
        while !rest.isEmpty {
            let bytes = buffer.span
            let end = bytes.firstIndex(of: ASCII.ampersand, in: rest) ?? rest.upperBound
            let item = rest.lowerBound..<end
            let nameEnd = bytes.firstIndex(of: ASCII.equals, in: item) ?? end
            let value = min(nameEnd + 1, end)..<end
            if !item.isEmpty {
                items.append(
                    (try decodedText(item.lowerBound..<nameEnd), try decodedText(value)))
            }
            rest = min(end + 1, rest.upperBound)..<rest.upperBound
        }
        return items
    }

    private func decodedText(_ range: Range<Int>) throws(HTTPTargetError) -> String {
        guard buffer.span.firstIndex(of: ASCII.percent, in: range) != nil else {
            // The parser lets nothing but ASCII into a target.
            return buffer.span.asciiText(in: range)
        }
        guard let text = String(validating: try decodedBytes(range), as: UTF8.self) else {
            throw .notUTF8
        }
        return text
    }

    private func decodedBytes(_ range: Range<Int>) throws(HTTPTargetError) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            if buffer[position] != ASCII.percent {
                decoded.append(buffer[position])
                position += 1
                continue
            }
            guard range.upperBound - position > 2,
                let high = ASCII.hexadecimalValue(buffer[position + 1]),
                let low = ASCII.hexadecimalValue(buffer[position + 2])
            else { throw .malformedEscape }
            decoded.append(high << 4 | low)
            position += 3
        }
        return decoded
    }
}
