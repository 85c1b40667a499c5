extension JSONReader {
    /// Reads `true` or `false`.
    ///
    /// - Throws: where the next value is no boolean.
    public mutating func readBool() throws(JSONError) -> Bool {
        try require(.bool)
        let value = nextByte == UInt8(ascii: "t")
        try consume(literal: value ? "true" : "false")
        return value
    }

    /// Reads `null` if it comes next, and says so; any other value stays to be read.
    ///
    /// - Throws: where no value comes next.
    public mutating func readNull() throws(JSONError) -> Bool {
        guard try kind() == .null else { return false }
        try consume(literal: "null")
        return true
    }

    /// Consumes a literal name (RFC 8259 section 3), whose first byte has been seen.
    private mutating func consume(literal: StaticString) throws(JSONError) {
        let length = literal.utf8CodeUnitCount
        for offset in 0..<length {
            let expected = unsafe literal.utf8Start[offset]
            guard byte(at: position + offset) == expected else {
                throw malformed("expected '\(literal)'", at: position)
            }
        }
        consumeValue(upTo: position + length)
    }
}
