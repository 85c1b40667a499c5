/// Bytes in memory of their own, that only grow.
///
/// An array checks at each append whether it shares its storage and has room. An answer of 480
/// bytes takes 0.47 µs where room is made once a token and then filled, and 1.25 µs with an array.
/// What is written in many places is inlined there, so that a name is a few stores.
@usableFromInline
@safe struct ByteBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    @usableFromInline var count = 0

    init(capacity: Int) {
        self.capacity = Swift.max(capacity, 64)
        unsafe base = .allocate(capacity: self.capacity)
    }

    @inlinable deinit {
        unsafe base.deallocate()
    }

    /// A copy of the bytes.
    var bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Forgets the bytes and keeps the room.
    mutating func removeAll() {
        count = 0
    }

    @inlinable
    @inline(__always)
    mutating func append(_ byte: UInt8) {
        makeRoom(for: 1)
        unsafe base[count] = byte
        count &+= 1
    }

    @inlinable
    @inline(__always)
    mutating func append(_ text: StaticString) {
        makeRoom(for: text.utf8CodeUnitCount)
        put(text)
    }

    mutating func append(_ bytes: Span<UInt8>) {
        makeRoom(for: bytes.count)
        unsafe bytes.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            unsafe (base + count).update(from: start, count: source.count)
        }
        count &+= bytes.count
    }

    /// The text, between quotation marks.
    @inlinable
    @inline(__always)
    mutating func appendQuoted(_ text: StaticString) {
        makeRoom(for: text.utf8CodeUnitCount &+ 2)
        put(UInt8(ascii: "\""))
        put(text)
        put(UInt8(ascii: "\""))
    }

    /// The text, between quotation marks, with the colon that a name has after it.
    @inlinable
    @inline(__always)
    mutating func appendName(_ name: StaticString, afterComma: Bool) {
        makeRoom(for: name.utf8CodeUnitCount &+ 4)
        if afterComma { put(UInt8(ascii: ",")) }
        put(UInt8(ascii: "\""))
        put(name)
        put(UInt8(ascii: "\""))
        put(UInt8(ascii: ":"))
    }

    /// The bytes, between quotation marks.
    mutating func appendQuoted(_ bytes: Span<UInt8>) {
        makeRoom(for: bytes.count &+ 2)
        put(UInt8(ascii: "\""))
        append(bytes)
        makeRoom(for: 1)
        put(UInt8(ascii: "\""))
    }

    /// A number in decimal, without leading zeros.
    @inlinable
    @inline(__always)
    mutating func appendDecimal(_ number: UInt64) {
        if number < 10 {
            append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number))
        } else {
            appendDigits(of: number)
        }
    }

    @usableFromInline
    mutating func appendDigits(of number: UInt64) {
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
            unsafe base[count &- offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// A number in hexadecimal, lower case, without leading zeros.
    mutating func appendHexadecimal(_ number: UInt64) {
        let length = Swift.max(1, (UInt64.bitWidth - number.leadingZeroBitCount + 3) / 4)
        makeRoom(for: length)
        var rest = number
        count &+= length
        var end = unsafe base + count
        for _ in 0..<length {
            unsafe end -= 1
            unsafe end.pointee = Self.hexDigit(UInt8(truncatingIfNeeded: rest & 0xf))
            rest &>>= 4
        }
    }

    /// The digit for a value from 0 to 15.
    @inline(__always)
    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value &+ (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
    }

    /// Without making room.
    @inlinable
    @inline(__always)
    mutating func put(_ byte: UInt8) {
        unsafe base[count] = byte
        count &+= 1
    }

    /// Without making room.
    @inlinable
    @inline(__always)
    mutating func put(_ text: StaticString) {
        unsafe (base + count).update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }

    @inlinable
    @inline(__always)
    mutating func makeRoom(for additional: Int) {
        if additional > capacity &- count { grow(by: additional) }
    }

    @usableFromInline
    @inline(never)
    mutating func grow(by additional: Int) {
        capacity = Swift.max(2 * capacity, count + additional)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe larger.moveInitialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = larger
    }
}
