/// A number as it stands in the document (RFC 8259 section 6).
private struct NumberToken {
    /// Offset behind its last byte.
    var end: Int
    var isNegative: Bool
    /// Whether it is written without a fraction and an exponent.
    var isPlain: Bool
    /// The integer part without its sign; nil where 64 bits don't hold it.
    var magnitude: UInt64?
}

extension JSONReader {
    /// Reads an integer from 0 to 2^64 - 1.
    ///
    /// - Throws: where the next value is no number, no integer, or out of range.
    public mutating func readUInt64() throws(JSONError) -> UInt64 {
        let token = try scanInteger()
        guard !token.isNegative || token.magnitude == 0 else {
            throw failure("must not be negative")
        }
        guard let value = token.magnitude else {
            throw failure("must be at most \(UInt64.max)")
        }
        consumeValue(upTo: token.end)
        return value
    }

    /// Reads an integer from -2^63 to 2^63 - 1.
    ///
    /// - Throws: where the next value is no number, no integer, or out of range.
    public mutating func readInt64() throws(JSONError) -> Int64 {
        let token = try scanInteger()
        guard let magnitude = token.magnitude,
            let value = Int64(magnitude: magnitude, isNegative: token.isNegative)
        else {
            throw failure("must be from \(Int64.min) to \(Int64.max)")
        }
        consumeValue(upTo: token.end)
        return value
    }

    /// Reads an integer of the machine's word, which has 64 bits.
    ///
    /// - Throws: as `readInt64`.
    public mutating func readInt() throws(JSONError) -> Int {
        Int(try readInt64())
    }

    /// Reads a number that nobody asked for.
    mutating func skipNumber() throws(JSONError) {
        try require(.number)
        consumeValue(upTo: try scanNumber().end)
    }

    /// The next value, an integer of any size; nothing is consumed.
    private mutating func scanInteger() throws(JSONError) -> NumberToken {
        let found = try kind()
        guard found == .number else { throw failure("must be an integer, found \(found.phrase)") }
        let token = try scanNumber()
        return token.isPlain ? token : try integer(spelledAs: token)
    }

    /// An integer written with a fraction or an exponent: to JSON Schema and to most writers `1.0`
    /// and `1e3` are integers (JSON Schema Core 2020-12, section 4.2.3). Exact at any size.
    private func integer(spelledAs token: NumberToken) throws(JSONError) -> NumberToken {
        let start = token.isNegative ? position + 1 : position
        var power = try exponent(of: token)
        power += document[start..<token.end].prefix { $0.isDigit }.count
        var magnitude: UInt64? = 0
        for byte in document[start..<token.end].prefix(while: { $0 | 0x20 != UInt8(ascii: "e") })
        where byte.isDigit {
            power -= 1
            if power >= 0 {
                magnitude = magnitude?.appending(digit: byte)
            } else if byte != UInt8(ascii: "0") {
                throw failure("must be an integer, found a number with a fraction")
            }
        }
        while power > 0, let value = magnitude, value > 0 {
            magnitude = value.appending(digit: UInt8(ascii: "0"))
            power -= 1
        }
        return NumberToken(
            end: token.end, isNegative: token.isNegative, isPlain: false, magnitude: magnitude)
    }

    /// The power of ten behind `e`, 0 where there is none. It is cut where no number of a document
    /// has as many digits.
    private func exponent(of token: NumberToken) throws(JSONError) -> Int {
        let number = document[position..<token.end]
        guard let mark = number.firstIndex(where: { $0 | 0x20 == UInt8(ascii: "e") }) else {
            return 0
        }
        let hasSign = !document[mark + 1].isDigit
        var end = hasSign ? mark + 2 : mark + 1
        let size = Int(min(try scanDigits(from: &end) ?? .max, 1 << 40))
        return hasSign && document[mark + 1] == UInt8(ascii: "-") ? -size : size
    }

    /// The number at `position`, held to the grammar; nothing is consumed.
    private func scanNumber() throws(JSONError) -> NumberToken {
        let isNegative = nextByte == UInt8(ascii: "-")
        let start = isNegative ? position + 1 : position
        var end = start
        let magnitude = try scanDigits(from: &end)
        guard byte(at: start) != UInt8(ascii: "0") || end == start + 1 else {
            throw malformed("a number must not have a leading zero", at: start)
        }
        let integerEnd = end
        if byte(at: end) == UInt8(ascii: ".") {
            end += 1
            _ = try scanDigits(from: &end)
        }
        if byte(at: end) | 0x20 == UInt8(ascii: "e") {
            end += 1
            if byte(at: end) == UInt8(ascii: "+") || byte(at: end) == UInt8(ascii: "-") { end += 1 }
            _ = try scanDigits(from: &end)
        }
        return NumberToken(
            end: end, isNegative: isNegative, isPlain: end == integerEnd, magnitude: magnitude)
    }

    /// One digit or more, and their value, nil where 64 bits don't hold it.
    private func scanDigits(from offset: inout Int) throws(JSONError) -> UInt64? {
        let start = offset
        var value: UInt64 = 0
        var isOverflown = false
        while case let digit = byte(at: offset) &- UInt8(ascii: "0"), digit < 10 {
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(digit))
            isOverflown = isOverflown || overflowed || carried
            value = sum
            offset += 1
        }
        guard offset > start else { throw malformed(expected: "a digit", at: offset) }
        return isOverflown ? nil : value
    }
}

extension Int64 {
    /// The integer of that size and sign; nil where 64 bits don't hold it.
    fileprivate init?(magnitude: UInt64, isNegative: Bool) {
        guard isNegative else {
            self.init(exactly: magnitude)
            return
        }
        guard magnitude <= Int64.min.magnitude else { return nil }
        self = Int64(truncatingIfNeeded: 0 &- magnitude)
    }
}

extension UInt64 {
    /// Ten times the number and the digit, in ASCII; nil where 64 bits don't hold it.
    fileprivate func appending(digit: UInt8) -> UInt64? {
        let (product, overflowed) = multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
        return overflowed || carried ? nil : sum
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
