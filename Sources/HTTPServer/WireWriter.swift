// Bytes on their way to the wire. An array asks at each append whether its storage is shared and
// has room; what is made of many small pieces asks once, and then puts one behind the other.

/// Room for bytes, filled from its beginning.
@safe struct WireWriter {
    private var end: UnsafeMutablePointer<UInt8>
    private let limit: UnsafeMutablePointer<UInt8>

    fileprivate init(_ room: UnsafeMutableBufferPointer<UInt8>) {
        guard let start = room.baseAddress else { preconditionFailure("no room at all") }
        unsafe end = start
        unsafe limit = start + room.count
    }

    fileprivate func count(in room: UnsafeMutableBufferPointer<UInt8>) -> Int {
        unsafe room.count - (limit - end)
    }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        unsafe put(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    mutating func put(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe put($0) }
    }

    mutating func put(_ bytes: [UInt8]) {
        put(bytes.span)
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        precondition(unsafe bytes.count <= limit - end, "more than there is room for")
        unsafe end.update(from: start, count: bytes.count)
        unsafe end += bytes.count
    }

    mutating func put(decimal value: UInt64) {
        var count = 1
        var bound: UInt64 = 10
        while count < Self.maximumDecimalBytes && value >= bound {
            count &+= 1
            bound &*= 10
        }
        precondition(unsafe count <= limit - end, "more than there is room for")
        unsafe end += count
        var rest = value
        for offset in 1...count {
            unsafe end[-offset] = ASCII.zero &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// The digits of 2^64 - 1.
    static let maximumDecimalBytes = 20
}

extension [UInt8] {
    /// Appends what `write` puts into room for `capacity` bytes, which is 1 at least.
    @inline(__always)
    mutating func append(atMost capacity: Int, _ write: (inout WireWriter) -> Void) {
        append(addingCapacity: capacity) { (output: inout OutputSpan<UInt8>) in
            unsafe output.withUnsafeMutableBufferPointer { room, count in
                var writer = unsafe WireWriter(room)
                write(&writer)
                count = unsafe writer.count(in: room)
            }
        }
    }

    mutating func append(_ text: StaticString) {
        unsafe append(
            contentsOf: UnsafeBufferPointer(
                start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(decimal value: UInt64) {
        append(atMost: WireWriter.maximumDecimalBytes) { $0.put(decimal: value) }
    }
}
