// Entity tags: what a client knows of a resource, and what it asks for if that still holds (RFC
// 9110, sections 8.8.3 and 13.1). The tag of a version is its sequence in quotation marks.

import AllocationService
import HTTPServer
import Ledger

struct EntityTag: Equatable {
    let isWeak: Bool

    /// What stands between the quotation marks.
    let opaque: String

    /// The tag of a version.
    init(_ version: Sequence) {
        isWeak = false
        opaque = String(version.rawValue)
    }

    /// The version that the tag is of; nil for a weak tag, or one of nothing here.
    var version: Sequence? {
        guard !isWeak, let number = UInt64(opaque), opaque == String(number) else { return nil }
        return Sequence(number)
    }

    /// The tags of a field, with commas between; nil where it is something else.
    static func list(_ text: String) -> [EntityTag]? {
        var rest = trimmed(text[...])[...]
        var tags: [EntityTag] = []
        while true {
            guard let tag = EntityTag(prefixOf: &rest) else { return nil }
            tags.append(tag)
            rest = trimmed(rest)[...]
            guard !rest.isEmpty else { return tags }
            guard rest.first == "," else { return nil }
            rest = trimmed(rest.dropFirst())[...]
        }
    }

    /// Takes a tag off a text.
    private init?(prefixOf text: inout Substring) {
        isWeak = text.hasPrefix("W/")
        var rest = isWeak ? text.dropFirst(2) : text
        guard rest.first == "\"" else { return nil }
        rest = rest.dropFirst()
        guard let end = rest.utf8.firstIndex(of: UInt8(ascii: "\"")),
            rest[..<end].utf8.allSatisfy(Self.isOpaque)
        else { return nil }
        opaque = String(rest[..<end])
        text = rest[end...].dropFirst()
    }

    /// `etagc`: RFC 9110, section 8.8.3.
    private static func isOpaque(_ byte: UInt8) -> Bool {
        byte == 0x21 || (0x23...0x7e).contains(byte) || byte >= 0x80
    }
}

extension HTTPRequest {
    /// Entity tags that a field has, or `*`; nil without the field.
    ///
    /// - Throws: `invalid-request` where it has neither.
    func condition(_ name: StaticString, called field: String) throws(Problem) -> EntityCondition? {
        guard let text = header(name) else { return nil }
        if text == "*" { return .any }
        guard let tags = EntityTag.list(text) else {
            throw Problem(at: "/header/\(field)", "must be * or entity tags like \"7\"")
        }
        return .tags(tags)
    }

    /// Whether it is a read that depends on what the client knows.
    var isConditionalRead: Bool {
        guard method == .get || method == .head else { return false }
        return header("if-none-match") != nil || header("if-match") != nil
    }
}

/// What `If-Match` or `If-None-Match` names.
enum EntityCondition {
    /// Whatever there is.
    case any
    case tags([EntityTag])
}

extension HTTPResponse {
    /// `ETag`: the sequence that the answer's subject stands at.
    mutating func addEntityTag(_ version: Sequence) {
        addField("ETag", atMost: 2 + HTTPFieldValue.maximumDecimalBytes) { value in
            value.append("\"")
            value.append(decimal: version.rawValue)
            value.append("\"")
        }
    }

    /// The answer to a conditional read, where this is that to the same read without conditions
    /// (RFC 9110, section 13.2.2). What has no version is answered as it is.
    func answering(conditionsOf request: HTTPRequest) throws(Problem) -> HTTPResponse {
        guard status == 200, let current = field("ETag").flatMap(EntityTag.list)?.first else {
            return self
        }
        if let match = try request.condition("if-match", called: "If-Match") {
            // The strong comparison: the server's own tags are strong.
            if case .tags(let tags) = match, !tags.contains(current) {
                throw Problem(ServiceFailure.preconditionFailed(current: current.version))
            }
        }
        switch try request.condition("if-none-match", called: "If-None-Match") {
        case .any: return asNotModified
        // The weak comparison.
        case .tags(let tags) where tags.contains { $0.opaque == current.opaque }:
            return asNotModified
        case .tags, nil: return self
        }
    }
}

extension Precondition {
    /// `If-Match` and `If-None-Match` of a request that writes.
    init(_ request: borrowing HTTPRequest) throws(Problem) {
        let noneMatch = request.header("if-none-match")
        guard noneMatch == nil || noneMatch == "*" else {
            throw Problem(at: "/header/If-None-Match", "must be *")
        }
        switch try request.condition("if-match", called: "If-Match") {
        case nil: self = noneMatch == nil ? .none : .absent
        case _? where noneMatch != nil:
            throw Problem(
                at: "/header/If-None-Match", "must not be given together with If-Match")
        case .any: self = .exists
        // A weak tag, or one that is no version, never matches (RFC 9110, section 13.1.1).
        case .tags(let tags): self = .matches(tags.compactMap(\.version))
        }
    }
}
