/// A strict reader of one JSON document (RFC 8259), pulled by its caller.
///
/// There is no tree of values. The caller asks for what it expects, in the order of the document,
/// and every request body has a function that reads it:
///
///     var reader = JSONReader(body)
///     try reader.readObject { (key, reader) throws(JSONError) in
///         switch key {
///         case "order": order = try reader.readInt()
///         case "owner": owner = try reader.readString()
///         default: throw JSONReader.unknownMember(key)
///         }
///     }
///     try reader.finish()
///
/// Strict means: UTF-8 without a byte order mark, no comments, no trailing commas, no lone
/// surrogates, no name twice in one object, and nothing after the value. Where RFC 8259 lets
/// readers differ, the document is refused, so that two readers can't take it for different
/// requests.
///
/// A read that throws because of the value itself (its kind, or a number that is no integer or out
/// of range) has consumed nothing, and another may be tried. After any other error the reader is of
/// no more use.
public struct JSONReader: ~Copyable {
    let document: [UInt8]

    /// Offset of the first byte not consumed yet.
    var position = 0

    /// Containers that are open around `position`.
    private var depth = 0

    /// Whether a value comes next. Each read takes exactly one, so this is where a caller that
    /// reads none for a member, or two, is caught.
    private var isValueDue = true

    /// Reads `bytes`, whole; they may come from anywhere and are trusted in nothing.
    public init(_ bytes: [UInt8]) {
        document = bytes
    }

    /// The kind of the next value, told by its first byte; nothing is consumed.
    ///
    /// - Throws: where no value begins with that byte.
    public mutating func kind() throws(JSONError) -> JSONKind {
        precondition(isValueDue, "no value is due: the caller has read it already")
        skipWhitespace()
        switch nextByte {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        default: throw malformed(expected: "a value")
        }
    }

    /// Reads an object, and calls `member` for each member, to read its value.
    ///
    /// - Parameter member: consumes exactly one value. What it throws gets the member's name in
    ///   front of its pointer.
    /// - Throws: where the next value is no object, has a name twice, or exceeds `JSONLimits`.
    public mutating func readObject(
        _ member: (borrowing JSONKey, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(.object)
        if close(with: UInt8(ascii: "}")) { return }
        var names = MemberNames()
        repeat {
            let key = try readKey()
            guard names.count < JSONLimits.maximumMembers else {
                throw failure("must have at most \(JSONLimits.maximumMembers) members")
            }
            guard names.insert(key, in: document) else {
                throw failure("must not be given more than once").inMember(key.text)
            }
            let level = expectValue()
            do throws(JSONError) {
                try member(key, &self)
            } catch {
                throw error.inMember(key.text)
            }
            requireValueConsumed(at: level)
        } while try continues(until: UInt8(ascii: "}"), else: "',' or '}'")
    }

    /// Reads an array, and calls `element` for each element, to read it.
    ///
    /// - Parameter element: is given the index, from 0, and consumes exactly one value. What it
    ///   throws gets the index in front of its pointer.
    /// - Throws: where the next value is no array, or exceeds `JSONLimits`.
    public mutating func readArray(
        _ element: (Int, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(.array)
        if close(with: UInt8(ascii: "]")) { return }
        var index = 0
        repeat {
            let level = expectValue()
            do throws(JSONError) {
                try element(index, &self)
            } catch {
                throw error.inElement(index)
            }
            requireValueConsumed(at: level)
            index += 1
        } while try continues(until: UInt8(ascii: "]"), else: "',' or ']'")
    }

    /// Reads the next value, whatever it is, and holds it to every rule.
    public mutating func skipValue() throws(JSONError) {
        switch try kind() {
        case .object:
            try readObject { (_, reader) throws(JSONError) in try reader.skipValue() }
        case .array:
            try readArray { (_, reader) throws(JSONError) in try reader.skipValue() }
        case .string: try skipString()
        case .number: try skipNumber()
        case .bool: _ = try readBool()
        case .null: _ = try readNull()
        }
    }

    /// Ends the document: nothing but white space may follow the value that was read.
    public mutating func finish() throws(JSONError) {
        precondition(depth == 0 && !isValueDue, "the document's value has not been read")
        skipWhitespace()
        guard position == document.count else { throw malformed(expected: "nothing more") }
    }

    /// An error about the value that is being read, for the rules of the caller's domain:
    /// `throw reader.failure("must be a power of two")`.
    public func failure(_ detail: String) -> JSONError {
        JSONError(detail: detail)
    }

    /// An error about a member that the caller doesn't know; thrown from the closure that was given
    /// `key`, its pointer ends with that name.
    public static func unknownMember(_ key: borrowing JSONKey) -> JSONError {
        JSONError(detail: "is not a known member")
    }
}

// MARK: - Containers

extension JSONReader {
    /// Consumes the first byte of a container.
    private mutating func open(_ container: JSONKind) throws(JSONError) {
        try require(container)
        guard depth < JSONLimits.maximumDepth else {
            throw failure("must not be nested more than \(JSONLimits.maximumDepth) levels deep")
        }
        depth += 1
        position += 1
    }

    /// Consumes the last byte of a container if it comes next.
    private mutating func close(with end: UInt8) -> Bool {
        skipWhitespace()
        guard nextByte == end else { return false }
        position += 1
        depth -= 1
        isValueDue = false
        return true
    }

    /// Consumes what follows a member or an element: a comma, and the container goes on, or its
    /// end.
    private mutating func continues(
        until end: UInt8, else expected: StaticString
    ) throws(JSONError) -> Bool {
        if close(with: end) { return false }
        guard nextByte == UInt8(ascii: ",") else { throw malformed(expected: "\(expected)") }
        position += 1
        return true
    }

    /// Consumes a member's name and the colon after it.
    private mutating func readKey() throws(JSONError) -> JSONKey {
        skipWhitespace()
        guard nextByte == UInt8(ascii: "\"") else { throw malformed(expected: "a member's name") }
        let name = try scanString()
        guard name.range.count <= JSONLimits.maximumNameBytes else {
            throw failure("must have no name longer than \(JSONLimits.maximumNameBytes) bytes")
        }
        skipWhitespace()
        guard nextByte == UInt8(ascii: ":") else { throw malformed(expected: "':'") }
        position += 1
        return try text(of: name)
    }

    /// Hands the turn to a closure that has one value to read; answers the depth it starts at.
    private mutating func expectValue() -> Int {
        isValueDue = true
        return depth
    }

    /// Traps where a closure has read no value, or has swallowed an error halfway through one.
    private func requireValueConsumed(at level: Int) {
        precondition(!isValueDue && depth == level, "a closure must read the whole of its value")
    }
}

// MARK: - Single values and bytes

extension JSONReader {
    /// Consumes nothing; throws unless a value of that kind comes next.
    mutating func require(_ expected: JSONKind) throws(JSONError) {
        let found = try kind()
        guard found == expected else {
            throw failure("must be \(expected.phrase), found \(found.phrase)")
        }
    }

    /// Marks the value that was due as consumed, up to `end`.
    mutating func consumeValue(upTo end: Int) {
        position = end
        isValueDue = false
    }

    /// The byte at `position`, or 0 at the end of the document: no rule allows a NUL byte, so that
    /// only the text of an error tells the two apart.
    var nextByte: UInt8 { byte(at: position) }

    /// The byte at an offset, or 0 behind the end.
    @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        offset < document.count ? document[offset] : 0
    }

    /// White space is rare between the tokens that programs send, so that only its test is inlined.
    @inline(__always)
    mutating func skipWhitespace() {
        if nextByte <= UInt8(ascii: " ") { skipWhitespaceRun() }
    }

    @inline(never)
    private mutating func skipWhitespaceRun() {
        while true {
            switch nextByte {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"):
                position += 1
            default: return
            }
        }
    }

    /// The document breaks the grammar at `position`.
    func malformed(expected: String) -> JSONError {
        malformed(expected: expected, at: position)
    }

    /// The document breaks the grammar at a byte offset, which is where `expected` should stand.
    func malformed(expected: String, at offset: Int) -> JSONError {
        malformed("expected \(expected), found \(phrase(forByteAt: offset))", at: offset)
    }

    /// The document breaks the grammar at a byte offset.
    func malformed(_ reason: String, at offset: Int) -> JSONError {
        failure("is malformed at byte \(offset): \(reason)")
    }

    private func phrase(forByteAt offset: Int) -> String {
        guard offset < document.count else { return "the end of the document" }
        let byte = document[offset]
        if (0x21...0x7e).contains(byte) { return "'\(Unicode.Scalar(byte))'" }
        let digits = String(byte, radix: 16, uppercase: true)
        return "the byte 0x" + (byte < 0x10 ? "0" : "") + digits
    }
}
