// How snapshots are written: numbers of seven bits a byte, the lowest first, the eighth bit saying
// that there is more (LEB128); signed ones with their sign in the lowest bit. Most numbers of a
// snapshot are differences, and small.
//
// Reading trusts nothing: bytes that no snapshot could be end in a failure, never in a trap, nor in
// memory set aside for a count that the bytes cannot hold.

/// Why bytes are not the snapshot of a state.
public enum SnapshotFailure: Error, Hashable, Sendable {
    /// They do not begin as a snapshot does.
    case notASnapshot

    /// A later version wrote them, or an earlier one that is no longer read.
    case unknownVersion(UInt64)

    /// They end before the field at this offset does.
    case truncated(offset: Int)

    /// The field that ends at this offset has a value that it cannot have.
    case invalidValue(offset: Int)

    /// Each field is sound, but not beside the others.
    case contradiction(String)
}

extension SnapshotFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notASnapshot: "it is no snapshot"
        case .unknownVersion(let version): "it has version \(version), which is not known"
        case .truncated(let offset): "it ends at byte \(offset), too early"
        case .invalidValue(let offset): "what ends at byte \(offset) has no such value"
        case .contradiction(let what): what
        }
    }
}

package struct SnapshotWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func write(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    package mutating func write(_ value: Int) {
        precondition(value >= 0, "a negative number as an unsigned one")
        write(UInt64(value))
    }

    package mutating func write(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    /// A number that may be negative.
    package mutating func write(signed value: Int64) {
        write(UInt64(bitPattern: value << 1 ^ value >> 63))
    }

    /// A count of bytes, and those.
    package mutating func write(_ content: some Collection<UInt8>) {
        write(content.count)
        bytes += content
    }

    package mutating func write(_ text: String) {
        write(text.utf8)
    }

    /// 0, or 1 and the value.
    package mutating func write<Value>(
        _ value: Value?, _ writeValue: (inout Self, Value) -> Void
    ) {
        write(value != nil)
        if let value { writeValue(&self, value) }
    }

    /// A count, and that many elements.
    package mutating func write<Element>(
        _ list: [Element], _ writeElement: (inout Self, Element) -> Void
    ) {
        write(list.count)
        for element in list { writeElement(&self, element) }
    }
}

package struct SnapshotReader {
    private let bytes: [UInt8]
    package private(set) var offset = 0

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    @inline(__always)
    package mutating func readNumber() throws(SnapshotFailure) -> UInt64 {
        guard offset < bytes.count else { throw .truncated(offset: offset) }
        let first = bytes[offset]
        offset += 1
        return first < 0x80 ? UInt64(first) : try readNumber(from: first)
    }

    @inline(never)
    private mutating func readNumber(from first: UInt8) throws(SnapshotFailure) -> UInt64 {
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while true {
            guard offset < bytes.count else { throw .truncated(offset: offset) }
            let byte = bytes[offset]
            offset += 1
            // The tenth byte has room for one bit.
            guard shift < 63 || byte <= 1 else { throw .invalidValue(offset: offset) }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// A number that may be negative.
    @inline(__always)
    package mutating func readSigned() throws(SnapshotFailure) -> Int64 {
        let value = try readNumber()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A number in a range.
    package mutating func read<Value: FixedWidthInteger>(
        _ range: ClosedRange<Value>
    ) throws(SnapshotFailure) -> Value {
        guard let value = Value(exactly: try readNumber()), range.contains(value) else {
            throw .invalidValue(offset: offset)
        }
        return value
    }

    package mutating func readFlag() throws(SnapshotFailure) -> Bool {
        try read(UInt8(0)...1) == 1
    }

    /// A value that stands for a number; nil: there is none.
    package mutating func read<Value>(
        _ value: (UInt64) -> Value?
    ) throws(SnapshotFailure) -> Value {
        guard let value = value(try readNumber()) else { throw .invalidValue(offset: offset) }
        return value
    }

    /// How many elements follow, each of which takes a byte at least.
    package mutating func readCount() throws(SnapshotFailure) -> Int {
        let count = try readNumber()
        guard count <= UInt64(bytes.count - offset) else { throw .truncated(offset: offset) }
        return Int(count)
    }

    package mutating func readBytes() throws(SnapshotFailure) -> [UInt8] {
        let count = try readCount()
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    package mutating func readText() throws(SnapshotFailure) -> String {
        guard let text = String(validating: try readBytes(), as: UTF8.self) else {
            throw .invalidValue(offset: offset)
        }
        return text
    }

    package mutating func readOptional<Value>(
        _ readValue: (inout Self) throws(SnapshotFailure) -> Value
    ) throws(SnapshotFailure) -> Value? {
        try readFlag() ? try readValue(&self) : nil
    }

    package mutating func readList<Element>(
        _ readElement: (inout Self) throws(SnapshotFailure) -> Element
    ) throws(SnapshotFailure) -> [Element] {
        let count = try readCount()
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try readElement(&self)) }
        return elements
    }

    package func expectEnd() throws(SnapshotFailure) {
        guard offset == bytes.count else { throw .invalidValue(offset: offset) }
    }
}
