/// A writer of one JSON document (RFC 8259), without white space, into bytes.
///
///     var writer = JSONWriter(reserving: 512)
///     writer.beginObject()
///     writer.member("pfn", frame.number)
///     writer.member("zone", "Normal")
///     writer.endObject()
///     let body = writer.take()
///
/// Commas are its own business. What can't be written (a member without a name, a container that is
/// not closed) is a programmer error and traps, so that no answer leaves half made. Names are not
/// compared with one another.
public struct JSONWriter: ~Copyable {
    @usableFromInline var buffer: ByteBuffer

    /// Whether a comma goes before the next name or value of the innermost container.
    @usableFromInline var needsComma = false

    /// Whether a name has been written and its value has not.
    @usableFromInline var isValueDue = false

    /// Containers that are open.
    @usableFromInline var depth = 0

    /// One bit for each open container, the innermost lowest: 1 for an object, 0 for an array.
    @usableFromInline var containers: UInt32 = 0

    /// - Parameter capacity: bytes to set aside; more are found when needed.
    public init(reserving capacity: Int = 0) {
        buffer = ByteBuffer(capacity: capacity)
    }

    /// A copy of the document so far.
    public var bytes: [UInt8] { buffer.bytes }

    /// The whole document. The writer starts afresh, in the same memory.
    public mutating func take() -> [UInt8] {
        precondition(depth == 0 && needsComma, "the document is not whole")
        let document = buffer.bytes
        buffer.removeAll()
        needsComma = false
        return document
    }
}

// MARK: - Containers and names

extension JSONWriter {
    @inlinable public mutating func beginObject() { begin(UInt8(ascii: "{"), objectBit: 1) }
    @inlinable public mutating func endObject() { end(UInt8(ascii: "}"), objectBit: 1) }
    @inlinable public mutating func beginArray() { begin(UInt8(ascii: "["), objectBit: 0) }
    @inlinable public mutating func endArray() { end(UInt8(ascii: "]"), objectBit: 0) }

    /// A member's name: ASCII that needs no escape, which is taken on trust in release builds.
    @inlinable
    @inline(__always)
    public mutating func key(_ name: StaticString) {
        assert(Self.isPlainASCII(name), "a name that needs escapes must be written as a String")
        let isSeparated = beginKey()
        buffer.appendName(name, afterComma: isSeparated)
    }

    /// A member's name, of any characters. A literal takes the overload above, which is faster.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        if beginKey() { buffer.append(UInt8(ascii: ",")) }
        appendString(name)
        buffer.append(UInt8(ascii: ":"))
    }

    @inlinable
    mutating func begin(_ bracket: UInt8, objectBit: UInt32) {
        beginValue()
        precondition(depth < JSONLimits.maximumDepth, "deeper than a reader takes")
        depth += 1
        containers = containers << 1 | objectBit
        buffer.append(bracket)
        needsComma = false
    }

    @inlinable
    mutating func end(_ bracket: UInt8, objectBit: UInt32) {
        precondition(depth > 0 && containers & 1 == objectBit, "another container is open")
        precondition(!isValueDue, "a member has no value")
        depth -= 1
        containers >>= 1
        buffer.append(bracket)
        needsComma = true
    }

    /// Whether a comma goes before the name.
    @inlinable
    mutating func beginKey() -> Bool {
        precondition(depth > 0 && containers & 1 == 1 && !isValueDue, "no name goes here")
        isValueDue = true
        return needsComma
    }

    @inlinable
    mutating func beginValue() {
        if isValueDue {
            isValueDue = false
        } else {
            precondition(containers & 1 == 0, "a member's name goes before its value")
            if needsComma {
                precondition(depth > 0, "a document is one value")
                buffer.append(UInt8(ascii: ","))
            }
        }
        needsComma = true
    }
}

// MARK: - Values

extension JSONWriter {
    public mutating func value(_ text: String) {
        beginValue()
        appendString(text)
    }

    /// A string of ASCII that needs no escape, which is taken on trust in release builds.
    @inlinable
    public mutating func value(_ text: StaticString) {
        assert(Self.isPlainASCII(text), "a text that needs escapes must be written as a String")
        beginValue()
        buffer.appendQuoted(text)
    }

    @inlinable
    public mutating func value(_ flag: Bool) {
        beginValue()
        buffer.append(flag ? "true" : "false")
    }

    /// An integer of at most 64 bits, in decimal.
    @inlinable
    public mutating func value(_ integer: some FixedWidthInteger) {
        decimalValue(UInt64(integer.magnitude), isNegative: integer < 0)
    }

    /// A string that holds a number in hexadecimal, lower case, without leading zeros: `"0x1000"`.
    public mutating func hexValue(_ number: UInt64) {
        beginValue()
        buffer.append("\"0x")
        buffer.appendHexadecimal(number)
        buffer.append(UInt8(ascii: "\""))
    }

    @inlinable
    public mutating func null() {
        beginValue()
        buffer.append("null")
    }

    /// A string of ASCII that needs no escape, which is taken on trust in release builds.
    public mutating func value(ascii text: Span<UInt8>) {
        assert(PlainText.end(in: text, from: 0) == text.count, "a text that needs escapes")
        beginValue()
        buffer.appendQuoted(text)
    }

    /// A value that is encoded already: one whole JSON value, which is taken on trust.
    public mutating func raw(_ value: [UInt8]) {
        beginValue()
        buffer.append(value.span)
    }

    @inlinable
    mutating func decimalValue(_ magnitude: UInt64, isNegative: Bool) {
        beginValue()
        if isNegative { buffer.append(UInt8(ascii: "-")) }
        buffer.appendDecimal(magnitude)
    }
}

// MARK: - Strings

extension JSONWriter {
    /// A quoted string; only what RFC 8259 section 7 demands is escaped, all else stays UTF-8.
    private mutating func appendString(_ text: String) {
        let utf8 = text.utf8.span
        if PlainText.end(in: utf8, from: 0) == utf8.count {
            buffer.appendQuoted(utf8)
        } else {
            appendEscaped(utf8)
        }
    }

    private mutating func appendEscaped(_ utf8: Span<UInt8>) {
        buffer.append(UInt8(ascii: "\""))
        for index in utf8.indices {
            let byte = utf8[index]
            if Self.needsEscape(byte) { appendEscape(of: byte) } else { buffer.append(byte) }
        }
        buffer.append(UInt8(ascii: "\""))
    }

    private mutating func appendEscape(of byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): buffer.append("\\\"")
        case UInt8(ascii: "\\"): buffer.append("\\\\")
        case 0x08: buffer.append("\\b")
        case 0x09: buffer.append("\\t")
        case 0x0a: buffer.append("\\n")
        case 0x0c: buffer.append("\\f")
        case 0x0d: buffer.append("\\r")
        default:
            buffer.append(byte < 0x10 ? "\\u000" : "\\u00")
            buffer.appendHexadecimal(UInt64(byte))
        }
    }

    @inlinable
    static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    @inlinable
    static func isPlainASCII(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { utf8 in
            unsafe utf8.allSatisfy { $0 < 0x80 && !needsEscape($0) }
        }
    }
}
