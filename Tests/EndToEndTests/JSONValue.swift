import Foundation

/// A JSON text as Foundation reads it: a second opinion on what gfpd writes. A member that is not
/// there, or is of another kind, reads as nil.
struct JSONValue {
    private let value: Any?

    init(parsing bytes: [UInt8]) {
        value = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
    }

    init(_ text: String) {
        self.init(parsing: Array(text.utf8))
    }

    private init(member value: Any?) {
        self.value = value
    }

    subscript(name: String) -> JSONValue { JSONValue(member: (value as? [String: Any])?[name]) }

    subscript(index: Int) -> JSONValue {
        let elements = array
        return elements.indices.contains(index) ? elements[index] : JSONValue(member: nil)
    }

    var isThere: Bool { value != nil }

    var int: Int? { value as? Int }

    var string: String? { value as? String }

    var bool: Bool? { value as? Bool }

    var array: [JSONValue] { (value as? [Any])?.map { JSONValue(member: $0) } ?? [] }

    var members: [String: JSONValue] {
        (value as? [String: Any])?.mapValues { JSONValue(member: $0) } ?? [:]
    }

    /// A 64-bit address in hexadecimal.
    var address: UInt64? {
        string.flatMap { $0.hasPrefix("0x") ? UInt64($0.dropFirst(2), radix: 16) : nil }
    }
}

/// A JSON text made of literals, members in the order of their names.
func jsonText(_ object: Any) -> String {
    guard
        let data = try? JSONSerialization.data(
            withJSONObject: object, options: [.sortedKeys, .fragmentsAllowed])
    else { preconditionFailure("a test's literal is no JSON") }
    return String(decoding: data, as: UTF8.self)
}
