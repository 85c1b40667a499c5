/// What stands for itself in a JSON string (RFC 8259 section 7): all but quotation marks,
/// backslashes and the control characters U+0000 to U+001F. Looked for eight bytes at a time.
enum PlainText {
    /// The offset of the first byte from `start` on that does not stand for itself; the text's
    /// count where there is none.
    static func end(in text: Span<UInt8>, from start: Int) -> Int {
        var isASCII = true
        return end(in: text, from: start, isASCII: &isASCII)
    }

    /// Clears `isASCII` where a byte before that one is none of ASCII.
    @inline(__always)
    static func end(in text: Span<UInt8>, from start: Int, isASCII: inout Bool) -> Int {
        precondition(start >= 0)
        var allBits: UInt64 = 0
        defer { if allBits & highBits != 0 { isASCII = false } }
        var offset = start
        while text.count &- offset >= 8 {
            // The bounds have been checked.
            let word = unsafe text.bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt64.self
            ).littleEndian
            let marks = marks(word)
            guard marks == 0 else {
                allBits |= word & (marks &- 1) & ~marks
                return offset &+ marks.trailingZeroBitCount / 8
            }
            allBits |= word
            offset &+= 8
        }
        while offset < text.count {
            let byte = unsafe text[unchecked: offset]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
            allBits |= UInt64(byte)
            offset &+= 1
        }
        return offset
    }

    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The highest bit of each byte of a word that does not stand for itself, up to the first of
    /// them; what is set behind that one means nothing.
    ///
    /// A subtraction sets the highest bit of a byte that is less than what is subtracted from it
    /// (bytes from 0x80 on, which have it anyway, are left out), and borrows from the byte behind.
    @inline(__always)
    private static func marks(_ word: UInt64) -> UInt64 {
        let controls = (word &- UInt64.ones &* 0x20) & ~word & highBits
        return controls | word.highBits(ofBytes: UInt8(ascii: "\""))
            | word.highBits(ofBytes: UInt8(ascii: "\\"))
    }
}
