/// Objects by how they are spelled.
///
/// Programs ask for the same thing again and again, in the same bytes. A caller that keeps what an
/// object of so many bytes said, and meets the same bytes again, need not read them again: to
/// compare a hundred bytes takes a thirtieth of reading them.
extension JSONReader {
    /// An object that comes next, as far as its first closing brace tells where it ends. It is the
    /// whole object where it has no object within, and no brace in a string.
    public struct Spelling {
        let range: Range<Int>

        /// The same for the same bytes. Well spread in its highest bits.
        public let hash: UInt64
    }

    /// The spelling of the object that comes next; nil where that is no object, or one of more than
    /// `maximumBytes`. Nothing but white space is consumed.
    ///
    /// - Throws: where no value comes next.
    public mutating func spelling(upTo maximumBytes: Int) throws(JSONError) -> Spelling? {
        guard try kind() == .object else { return nil }
        let limit = min(document.count, position + maximumBytes)
        var end = position
        var hash: UInt64 = 0
        while end < limit {
            let word = word(at: end)
            let braces = word.highBits(ofBytes: UInt8(ascii: "}"))
            // Behind the brace it is no part of the object.
            let bits = braces == 0 ? 64 : UInt64(braces.trailingZeroBitCount &+ 1)
            // 2^64 divided by the golden ratio, as in Fibonacci hashing.
            hash = (hash ^ word &<< (64 &- bits)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash &>> 32
            end &+= Int(bits / 8)
            if braces == 0 { continue }
            return end <= limit ? Spelling(range: position..<end, hash: hash) : nil
        }
        return nil
    }

    /// The bytes of a spelling.
    public func bytes(of spelling: Spelling) -> [UInt8] { Array(document[spelling.range]) }

    /// Consumes the object that comes next where it is spelled `text`; false, and nothing is
    /// consumed, where it is not. It is held to no rule: the caller has read the same bytes before.
    public mutating func consume(_ spelling: Spelling, ifSameAs text: [UInt8]) -> Bool {
        precondition(spelling.range.lowerBound == position, "a spelling of what came before")
        let known = JSONText(verbatim: 0..<text.count, in: text)
        guard known.hasBytes(of: document, at: spelling.range) else { return false }
        consumeValue(upTo: spelling.range.upperBound)
        return true
    }

    /// Whether the value that was read last was the one so spelled, whole.
    public func hasConsumed(_ spelling: Spelling) -> Bool {
        position == spelling.range.upperBound
    }

    /// Eight bytes of the document, the first of them lowest; zeros behind its end.
    @inline(__always)
    private func word(at offset: Int) -> UInt64 {
        if document.count &- offset >= 8 {
            // The bounds have been checked.
            return unsafe document.span.bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt64.self
            ).littleEndian
        }
        var word: UInt64 = 0
        for place in 0..<document.count - offset {
            word |= UInt64(document[offset + place]) << UInt64(8 * place)
        }
        return word
    }
}
