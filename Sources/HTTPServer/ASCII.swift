// Character classes of HTTP and URIs as 128-bit sets, so that testing a byte is a shift and a mask.
// The constants are spelled in hexadecimal so that the compiler lays them out statically; the tests
// compare each of them with its alphabet in the RFC.

import Glibc

/// A set of ASCII bytes; bytes above 127 are in no set.
struct ASCIISet {
    let low: UInt64
    let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        // Shifts look at the lowest six bits alone. Without a branch, since bytes are of all kinds.
        let half = byte & 0x40 == 0 ? low : high
        return half &>> UInt64(byte) & UInt64(~byte &>> 7) & 1 == 1
    }

    /// `tchar`, RFC 9110, section 5.6.2.
    static let token = ASCIISet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
    /// `pchar`, `/` and `?`: the bytes of an origin-form target, RFC 9112, section 3.2.1.
    static let target = ASCIISet(low: 0xafff_fff2_0000_0000, high: 0x47ff_fffe_87ff_ffff)
    /// The bytes of `uri-host [":" port]`, RFC 3986, section 3.2.2.
    static let authority = ASCIISet(low: 0x2fff_7ff2_0000_0000, high: 0x47ff_fffe_afff_fffe)
}

/// The bytes that the grammar of HTTP names.
enum ASCII {
    static let horizontalTab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let percent: UInt8 = 0x25
    static let ampersand: UInt8 = 0x26
    static let asterisk: UInt8 = 0x2A
    static let comma: UInt8 = 0x2C
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let questionMark: UInt8 = 0x3F
    static let delete: UInt8 = 0x7F

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool {
        byte &- zero < 10
    }

    /// The value of a hexadecimal digit, 0…15, or nil.
    @inline(__always)
    static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte &- zero }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// 1 in each of eight bytes.
    static let everyByte: UInt64 = 0x0101_0101_0101_0101

    /// `lowercased` of each of eight bytes.
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        let heptets = word & (everyByte &* 0x7f)
        // The highest bit of a byte is set by the addition where its heptet is `A` or more, and
        // where it is more than `Z`.
        let fromA = heptets &+ everyByte &* (0x80 - 0x41)
        let afterZ = heptets &+ everyByte &* (0x80 - 0x5b)
        let isUpper = (fromA ^ afterZ) & ~word & (everyByte &* 0x80)
        return word | isUpper &>> 2
    }

    /// `OWS` is made of these two, RFC 9110, section 5.6.3.
    @inline(__always)
    static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == space || byte == horizontalTab
    }

    /// `field-vchar`, space and tab: what a field value may hold, RFC 9110, section 5.5.
    @inline(__always)
    static func isFieldValueByte(_ byte: UInt8) -> Bool {
        byte >= space ? byte != delete : byte == horizontalTab
    }
}

extension Span<UInt8> {
    /// Whether the bytes of `range` are `text`, letters compared without case; `text` is lower
    /// case.
    func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
        isSame(text, in: range, ignoringCase: true)
    }

    /// Whether the bytes of `range` are those of `text`.
    func isSame(_ text: StaticString, in range: Range<Int>) -> Bool {
        isSame(text, in: range, ignoringCase: false)
    }

    /// Eight bytes at a time where there are as many; the last eight lap over those before.
    @inline(__always)
    private func isSame(
        _ text: StaticString, in range: Range<Int>, ignoringCase: Bool
    ) -> Bool {
        let length = range.count
        guard length == text.utf8CodeUnitCount else { return false }
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        guard length >= 8 else { return isSame(bytewise: text, in: range, ignoringCase) }
        var offset = 0
        while true {
            let word = unsafe bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: range.lowerBound &+ offset, as: UInt64.self)
            let other = unsafe UnsafeRawPointer(text.utf8Start).loadUnaligned(
                fromByteOffset: offset, as: UInt64.self)
            guard (ignoringCase ? ASCII.lowercased(word) : word) == other else { return false }
            if offset == length &- 8 { return true }
            offset = Swift.min(offset &+ 8, length &- 8)
        }
    }

    @inline(__always)
    private func isSame(
        bytewise text: StaticString, in range: Range<Int>, _ ignoringCase: Bool
    ) -> Bool {
        for offset in 0..<range.count {
            let byte = unsafe self[unchecked: range.lowerBound &+ offset]
            let other = unsafe text.utf8Start[offset]
            guard (ignoringCase ? ASCII.lowercased(byte) : byte) == other else { return false }
        }
        return true
    }

    /// Where the bytes of `set` end that `range` begins with. The bounds are checked once, not for
    /// each byte.
    func end(of set: ASCIISet, in range: Range<Int>) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        var position = range.lowerBound
        while position < range.upperBound, unsafe set.contains(self[unchecked: position]) {
            position &+= 1
        }
        return position
    }

    /// Whether each byte of `range` is one that a field value may hold (`ASCII.isFieldValueByte`).
    func isFieldValue(in range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        guard range.count >= 8 else { return isFieldValue(bytewise: range) }
        // The last eight bytes lap over those before.
        let last = range.upperBound &- 8
        var position = range.lowerBound
        while true {
            let word = unsafe bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: position, as: UInt64.self)
            guard Self.hasNoControl(word) || isFieldValue(bytewise: position..<position &+ 8) else {
                return false
            }
            if position == last { return true }
            position = Swift.min(position &+ 8, last)
        }
    }

    private func isFieldValue(bytewise range: Range<Int>) -> Bool {
        for position in range {
            guard unsafe ASCII.isFieldValueByte(self[unchecked: position]) else { return false }
        }
        return true
    }

    /// Whether none of eight bytes is below 0x20 or 0x7f. A subtraction sets the highest bit of a
    /// byte that is less than what is subtracted from it; those that have it anyway are left out.
    /// Its borrow comes from a byte that is one.
    @inline(__always)
    private static func hasNoControl(_ word: UInt64) -> Bool {
        let everyByte = ASCII.everyByte
        let deletes = word ^ everyByte &* UInt64(ASCII.delete)
        let isControl = (word &- everyByte &* 0x20) & ~word
        let isDelete = (deletes &- everyByte) & ~deletes
        return (isControl | isDelete) & (everyByte &* 0x80) == 0
    }

    /// `range` without the spaces and tabs at its two ends.
    func trimmingWhitespace(_ range: Range<Int>) -> Range<Int> {
        var (first, last) = (range.lowerBound, range.upperBound)
        while first < last, ASCII.isWhitespace(self[first]) { first += 1 }
        while last > first, ASCII.isWhitespace(self[last - 1]) { last -= 1 }
        return first..<last
    }

    /// The position of the first `byte` in `range`. A head's lines are found with it, so it is the
    /// C library's search, which looks at many bytes at a time.
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        guard !range.isEmpty else { return nil }
        return unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            let start = unsafe base + range.lowerBound
            guard let found = unsafe memchr(start, Int32(byte), range.count) else { return nil }
            return unsafe UnsafeRawPointer(found) - base
        }
    }

    /// The text of `range`, which is known to be ASCII and is not looked at again.
    func asciiText(in range: Range<Int>) -> String {
        unsafe String(copying: UTF8Span(unchecked: extracting(range), isKnownASCII: true))
    }

    /// The text of `range`; what is not UTF-8 in it is repaired.
    func text(in range: Range<Int>) -> String {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return unsafe withUnsafeBytes { bytes in
            // From a pointer: a slice of an array takes the long way through `Collection`.
            unsafe String(
                decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        }
    }
}
