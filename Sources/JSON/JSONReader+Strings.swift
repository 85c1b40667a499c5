/// Where a string's text lies in the document, between its quotation marks.
struct StringToken {
    let range: Range<Int>
    let hasEscapes: Bool
}

extension JSONReader {
    /// Reads a string.
    ///
    /// - Throws: where the next value is no string, or one that is not UTF-8 (RFC 3629), has a raw
    ///   control character, or an escape that stands for no Unicode scalar value.
    public mutating func readString() throws(JSONError) -> String {
        try require(.string)
        let token = try scanString()
        consumeValue(upTo: position)
        guard token.hasEscapes else {
            return document.text(in: token.range)
        }
        return String(decoding: try unescapedBytes(of: token), as: UTF8.self)
    }

    /// Reads a string as a view on its bytes.
    ///
    /// - Throws: as `readString`.
    public mutating func readText() throws(JSONError) -> JSONText {
        try require(.string)
        let text = try text(of: try scanString())
        consumeValue(upTo: position)
        return text
    }

    func text(of token: StringToken) throws(JSONError) -> JSONText {
        if token.hasEscapes { return JSONText(unescaped: try unescapedBytes(of: token)) }
        return JSONText(verbatim: token.range, in: document)
    }

    /// Reads a string that nobody asked for.
    mutating func skipString() throws(JSONError) {
        try require(.string)
        _ = try scanString()
        consumeValue(upTo: position)
    }

    /// Consumes a string, whose first quotation mark comes next, and holds it to every rule.
    mutating func scanString() throws(JSONError) -> StringToken {
        let start = position + 1
        var offset = start
        var hasEscapes = false
        var isASCII = true
        scan: while true {
            offset = PlainText.end(in: document.span, from: offset, isASCII: &isASCII)
            switch byte(at: offset) {
            case UInt8(ascii: "\""):
                break scan
            case UInt8(ascii: "\\"):
                hasEscapes = true
                offset = try escape(at: offset).end
            default:
                throw malformedCharacter(at: offset)
            }
        }
        if !isASCII { try validateUTF8(in: start..<offset) }
        position = offset + 1
        return StringToken(range: start..<offset, hasEscapes: hasEscapes)
    }

    /// The text of a string that was scanned, its escapes replaced.
    func unescapedBytes(of token: StringToken) throws(JSONError) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(token.range.count)
        var offset = token.range.lowerBound
        while offset < token.range.upperBound {
            guard document[offset] == UInt8(ascii: "\\") else {
                text.append(document[offset])
                offset += 1
                continue
            }
            let escape = try escape(at: offset)
            text.append(contentsOf: UTF8.encode(escape.scalar)!)
            offset = escape.end
        }
        return text
    }

    private func malformedCharacter(at offset: Int) -> JSONError {
        guard offset < document.count else {
            return malformed("the document ends within a string", at: offset)
        }
        return malformed("a control character must be escaped", at: offset)
    }

    /// Refuses what RFC 3629 section 3 does: overlong forms, surrogates, values above U+10FFFF,
    /// and incomplete sequences.
    private func validateUTF8(in range: Range<Int>) throws(JSONError) {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: document.span.extracting(range))
        } catch {
            let offset = range.lowerBound + error.byteOffsets.lowerBound
            throw malformed("the string is not UTF-8: \(phrase(for: error.kind))", at: offset)
        }
    }

    private func phrase(for kind: UTF8.ValidationError.Kind) -> String {
        switch kind {
        case .overlongEncodingByte: "an overlong form"
        case .surrogateCodePointByte: "a surrogate"
        case .truncatedScalar: "a character that is cut short"
        case .unexpectedContinuationByte: "a continuation byte on its own"
        default: "a byte that UTF-8 doesn't have, or a value above U+10FFFF"
        }
    }
}

// MARK: - Escapes

extension JSONReader {
    /// What the escape at an offset, which is that of its backslash, stands for, and where it ends
    /// (RFC 8259 section 7).
    private func escape(at offset: Int) throws(JSONError) -> (scalar: Unicode.Scalar, end: Int) {
        let end = offset + 2
        switch byte(at: offset + 1) {
        case UInt8(ascii: "\""): return ("\"", end)
        case UInt8(ascii: "\\"): return ("\\", end)
        case UInt8(ascii: "/"): return ("/", end)
        case UInt8(ascii: "b"): return ("\u{8}", end)
        case UInt8(ascii: "f"): return ("\u{c}", end)
        case UInt8(ascii: "n"): return ("\n", end)
        case UInt8(ascii: "r"): return ("\r", end)
        case UInt8(ascii: "t"): return ("\t", end)
        case UInt8(ascii: "u"): return try unicodeEscape(at: offset)
        default: throw malformed(expected: "one of \"\\/bfnrtu", at: offset + 1)
        }
    }

    /// `\uXXXX`, or two of them that make a surrogate pair.
    private func unicodeEscape(
        at offset: Int
    ) throws(JSONError) -> (scalar: Unicode.Scalar, end: Int) {
        let first = try codeUnit(at: offset + 2)
        if let scalar = Unicode.Scalar(first) { return (scalar, offset + 6) }
        guard UTF16.isLeadSurrogate(first),
            byte(at: offset + 6) == UInt8(ascii: "\\"), byte(at: offset + 7) == UInt8(ascii: "u")
        else { throw malformed("a surrogate without its pair", at: offset) }
        let second = try codeUnit(at: offset + 8)
        guard UTF16.isTrailSurrogate(second) else {
            throw malformed("a surrogate without its pair", at: offset)
        }
        return (UTF16.decode(UTF16.EncodedScalar([first, second])), offset + 12)
    }

    /// The value of four hexadecimal digits.
    private func codeUnit(at offset: Int) throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for digitOffset in offset..<offset + 4 {
            let digit = Character(Unicode.Scalar(byte(at: digitOffset))).hexDigitValue
            guard let digit else {
                throw malformed(expected: "a hexadecimal digit", at: digitOffset)
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
