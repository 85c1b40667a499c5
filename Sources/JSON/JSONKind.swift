/// The kinds of JSON values (RFC 8259 section 3).
public enum JSONKind: Sendable {
    case object, array, string, number, bool, null

    /// The kind with its article, as it stands in an error's detail.
    var phrase: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .bool: "a boolean"
        case .null: "null"
        }
    }
}
