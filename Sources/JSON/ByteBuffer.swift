/// Bytes in memory of their own, that only grow.
///
/// An array checks at each append whether it shares its storage and has room. An answer of 480
/// bytes takes 0.47 µs where room is made once a token and then filled, and 1.25 µs with an array.
@safe struct ByteBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0 {
        didSet { assert(count <= capacity, "more was written than room was made for") }
    }

    init(capacity: Int) {
        self.capacity = max(capacity, 64)
        unsafe base = .allocate(capacity: self.capacity)
    }

    deinit {
        unsafe base.deallocate()
    }

    /// A copy of the bytes.
    var bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Forgets the bytes and keeps the room.
    mutating func removeAll() {
        count = 0
    }

    mutating func append(_ byte: UInt8) {
        makeRoom(for: 1)
        unsafe base[count] = byte
        count &+= 1
    }

    mutating func append(_ bytes: Span<UInt8>) {
        makeRoom(for: bytes.count)
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe copy(source, to: base + count)
        }
        count &+= bytes.count
    }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { source in
            makeRoom(for: source.count)
            unsafe copy(source, to: base + count)
            count &+= source.count
        }
    }

    /// The bytes, between quotation marks.
    mutating func appendQuoted(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe appendQuoted(source, afterComma: false, beforeColon: false)
        }
    }

    /// The text, between quotation marks.
    mutating func appendQuoted(_ text: StaticString) {
        text.withUTF8Buffer { source in
            unsafe appendQuoted(source, afterComma: false, beforeColon: false)
        }
    }

    /// The text, between quotation marks, with the colon that a name has after it.
    mutating func appendName(_ name: StaticString, afterComma: Bool) {
        name.withUTF8Buffer { source in
            unsafe appendQuoted(source, afterComma: afterComma, beforeColon: true)
        }
    }

    @inline(__always)
    private mutating func appendQuoted(
        _ source: UnsafeBufferPointer<UInt8>, afterComma: Bool, beforeColon: Bool
    ) {
        makeRoom(for: source.count + 4)
        var end = unsafe base + count
        if afterComma { unsafe put(UInt8(ascii: ","), at: &end) }
        unsafe put(UInt8(ascii: "\""), at: &end)
        unsafe copy(source, to: end)
        unsafe end += source.count
        unsafe put(UInt8(ascii: "\""), at: &end)
        if beforeColon { unsafe put(UInt8(ascii: ":"), at: &end) }
        count = unsafe end - base
    }

    /// A number in decimal, without leading zeros.
    mutating func appendDecimal(_ number: UInt64) {
        var length = 1
        var bound: UInt64 = 10
        while length < 20 && number >= bound {
            length &+= 1
            bound &*= 10
        }
        makeRoom(for: length)
        count &+= length
        var rest = number
        for offset in 1...length {
            unsafe base[count &- offset] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// A number in hexadecimal, lower case, without leading zeros.
    mutating func appendHexadecimal(_ number: UInt64) {
        let length = max(1, (UInt64.bitWidth - number.leadingZeroBitCount + 3) / 4)
        makeRoom(for: length)
        count &+= length
        var rest = number
        for offset in 1...length {
            let digit = UInt8(truncatingIfNeeded: rest & 0xf)
            unsafe base[count &- offset] = Self.hexDigit(digit)
            rest >>= 4
        }
    }

    /// The digit for a value from 0 to 15.
    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }

    @inline(__always)
    private func put(_ byte: UInt8, at end: inout UnsafeMutablePointer<UInt8>) {
        unsafe end.pointee = byte
        unsafe end += 1
    }

    @inline(__always)
    private func copy(_ source: UnsafeBufferPointer<UInt8>, to end: UnsafeMutablePointer<UInt8>) {
        guard let start = source.baseAddress else { return }
        unsafe end.update(from: start, count: source.count)
    }

    @inline(__always)
    private mutating func makeRoom(for additional: Int) {
        if additional > capacity &- count { grow(by: additional) }
    }

    @inline(never)
    private mutating func grow(by additional: Int) {
        capacity = max(2 * capacity, count + additional)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe larger.moveInitialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = larger
    }
}
