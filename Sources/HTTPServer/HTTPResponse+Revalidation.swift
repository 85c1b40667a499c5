// What a conditional read needs of an answer: which version it is of, and the answer that says that
// the client has it already.

extension HTTPResponse {
    /// The value of the first field that was added under this name, spelled the same way.
    public func field(_ name: StaticString) -> String? {
        let prefix = Array("\(name): ".utf8)
        var rest = fieldLines[...]
        while let end = rest.firstIndex(of: ASCII.carriageReturn) {
            let line = rest[..<end]
            if line.starts(with: prefix) {
                return String(decoding: line.dropFirst(prefix.count), as: UTF8.self)
            }
            rest = rest[end...].dropFirst(2)
        }
        return nil
    }

    /// 304 in the place of this answer, with its fields but those of the body (RFC 9110, section
    /// 15.4.5).
    public var asNotModified: HTTPResponse {
        guard let response = HTTPResponse(status: 304, ownFields: fieldLines, body: []) else {
            preconditionFailure("an answer's fields are field lines")
        }
        return response
    }
}
