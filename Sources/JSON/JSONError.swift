/// Why a document was refused, and where.
///
/// An error is made with the empty pointer, by the code that looks at the value. On its way out,
/// each enclosing object and array puts its own token in front. A document that is accepted
/// therefore never pays for a path.
public struct JSONError: Error, Equatable {
    /// RFC 6901 JSON Pointer to the offending value; empty for the whole document.
    public var pointer: String

    /// What is wrong, to be read after the name of the value: "must be a string, found a number".
    public var detail: String

    public init(pointer: String = "", detail: String) {
        self.pointer = pointer
        self.detail = detail
    }

    /// The same error, seen from the object that holds the member.
    func inMember(_ name: String) -> JSONError {
        JSONError(pointer: "/" + Self.escaped(name) + pointer, detail: detail)
    }

    /// The same error, seen from the array that holds the element.
    func inElement(_ index: Int) -> JSONError {
        JSONError(pointer: "/\(index)" + pointer, detail: detail)
    }

    /// A name as a reference token: `~` is `~0` and `/` is `~1` (RFC 6901 section 3).
    private static func escaped(_ name: String) -> String {
        var token = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "~": token += "~0"
            case "/": token += "~1"
            default: token.unicodeScalars.append(scalar)
            }
        }
        return token
    }
}
