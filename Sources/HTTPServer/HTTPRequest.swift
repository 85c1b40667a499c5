// One whole request, as the application sees it.
//
// A request is a view of the bytes as they came: it shares the connection's buffer and says where
// in it things are, so that a request costs no allocation and no text is made that nobody asks
// for. It is a value like any other and may be kept; the buffer is then copied when the
// connection reads on.

/// A request, whole and well-formed (RFC 9112).
public struct HTTPRequest: Sendable {
    public let method: HTTPMethod
    /// Whether the connection is closed after the answer: `Connection: close`, or HTTP/1.0.
    public let closesConnection: Bool
    /// Whether the peer speaks HTTP/1.0.
    public let isVersion10: Bool
    let buffer: [UInt8]
    /// Where the request begins in the buffer; field lines are counted from here.
    let start: Int
    let pathRange: Range<Int>
    let queryRange: Range<Int>?
    let bodyRange: Range<Int>
    let fields: [FieldLine]
    /// The lengths of the fields' names: bit n is there for a name of n bytes.
    let nameLengths: UInt64

    /// Who sent it.
    public var peer = HTTPPeer()

    public var isHead: Bool { method == .head }

    /// The body, decoded from chunks where it was sent in chunks. Copied with each call.
    public var body: [UInt8] { Array(buffer[bodyRange]) }

    /// The length of the body in bytes.
    public var bodyCount: Int { bodyRange.count }

    /// The value of the field `lowercaseName`, without white space at its ends; the values of
    /// several such fields joined with ", " (RFC 9110, section 5.3); nil without such a field.
    public func header(_ lowercaseName: StaticString) -> String? {
        // Most names that are asked for are in no request.
        guard nameLengths & FieldLine.bit(nameLength: lowercaseName.utf8CodeUnitCount) != 0 else {
            return nil
        }
        let bytes = buffer.span
        var value: String?
        for field in fields where bytes.equals(lowercaseName, in: field.name(from: start)) {
            let next = bytes.text(in: field.value(from: start))
            value = value.map { $0 + ", " + next } ?? next
        }
        return value
    }

    /// Whether there is one field `lowercaseName`, and its value is these bytes: without a text of
    /// it.
    public func header(_ lowercaseName: StaticString, is value: StaticString) -> Bool {
        let bytes = buffer.span
        var isFound = false
        for field in fields where bytes.equals(lowercaseName, in: field.name(from: start)) {
            guard !isFound, bytes.isSame(value, in: field.value(from: start)) else { return false }
            isFound = true
        }
        return isFound
    }

    /// All fields in the order in which they were sent, names as they were spelled.
    public var headers: [(name: String, value: String)] {
        fields.map { field in
            (
                String(decoding: buffer[field.name(from: start)], as: UTF8.self),
                String(decoding: buffer[field.value(from: start)], as: UTF8.self)
            )
        }
    }
}

/// Where a field line's name and value are, counted from the request's first byte.
struct FieldLine: Sendable {
    let nameStart: UInt32
    let nameEnd: UInt32
    let valueStart: UInt32
    let valueEnd: UInt32

    init(name: Range<Int>, value: Range<Int>) {
        nameStart = UInt32(name.lowerBound)
        nameEnd = UInt32(name.upperBound)
        valueStart = UInt32(value.lowerBound)
        valueEnd = UInt32(value.upperBound)
    }

    /// The bit of a set of lengths; those from 63 on share one.
    static func bit(nameLength: Int) -> UInt64 { 1 << UInt64(min(nameLength, 63)) }

    var nameBit: UInt64 { Self.bit(nameLength: Int(nameEnd - nameStart)) }

    func name(from start: Int) -> Range<Int> { start + Int(nameStart)..<start + Int(nameEnd) }
    func value(from start: Int) -> Range<Int> { start + Int(valueStart)..<start + Int(valueEnd) }
}
