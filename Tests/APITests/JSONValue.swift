// JSON as Foundation reads it, in a form that can be compared: a reader that shares nothing with
// the service's writer.

import Foundation

enum JSONValue: Equatable {
    case object([String: JSONValue])
    case array([JSONValue])
    case string(String)
    case unsigned(UInt64)
    case negative(Int64)
    case fraction(Double)
    case bool(Bool)
    case null

    init(_ bytes: [UInt8]) throws {
        let value = try JSONSerialization.jsonObject(
            with: Data(bytes), options: .fragmentsAllowed)
        self = Self(value)
    }

    /// Read from a literal of a test.
    init(text: String) {
        do {
            try self.init(Array(text.utf8))
        } catch {
            preconditionFailure("a test writes down JSON that is none: \(error)")
        }
    }

    private init(_ value: Any) {
        switch value {
        case let members as [String: Any]: self = .object(members.mapValues(Self.init))
        case let elements as [Any]: self = .array(elements.map(Self.init))
        case let text as String: self = .string(text)
        case let number as NSNumber: self = Self(number)
        default: self = .null
        }
    }

    private init(_ number: NSNumber) {
        if String(describing: type(of: number)).contains("Boolean") {
            self = .bool(number.boolValue)
        } else if number.doubleValue != number.doubleValue.rounded() {
            self = .fraction(number.doubleValue)
        } else if number.doubleValue < 0 {
            self = .negative(number.int64Value)
        } else {
            self = .unsigned(number.uint64Value)
        }
    }

    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }

    subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, index < elements.count else { return nil }
        return elements[index]
    }

    var members: [String: JSONValue] {
        if case .object(let members) = self { members } else { [:] }
    }

    var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }

    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var number: UInt64? {
        if case .unsigned(let number) = self { number } else { nil }
    }

    /// The text of it, written anew.
    var jsonText: String {
        switch self {
        case .object(let members):
            "{"
                + members.map { JSONValue.string($0).jsonText + ":" + $1.jsonText }
                .joined(separator: ",") + "}"
        case .array(let elements): "[" + elements.map(\.jsonText).joined(separator: ",") + "]"
        case .string(let text): "\"\(text)\""
        case .unsigned(let number): String(number)
        case .negative(let number): String(number)
        case .fraction(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        case .null: "null"
        }
    }

    /// Without some of its members, whose values differ from run to run.
    func without(_ names: String...) -> JSONValue {
        .object(members.filter { !names.contains($0.key) })
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral text: String) { self = .string(text) }
    init(integerLiteral number: UInt64) { self = .unsigned(number) }
    init(booleanLiteral flag: Bool) { self = .bool(flag) }
    init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    init(dictionaryLiteral members: (String, JSONValue)...) {
        self = .object(Dictionary(uniqueKeysWithValues: members))
    }
}
