// Kernel texts are lines of words. Splitting works on bytes, so that any text can be split,
// whatever is in it; numbers are read strictly, since the standard library's own readers accept a
// sign.

/// One line of a text.
struct TextLine {
    /// Counts from 1.
    let number: Int
    let text: Substring

    /// All lines of `text`, the empty ones too.
    static func lines(of text: String) -> [TextLine] {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated().map { TextLine(number: $0 + 1, text: Substring($1)) }
    }

    /// What stands between blanks, tabs and carriage returns.
    var words: [Substring] {
        text.utf8.split(whereSeparator: Self.isBlank).map { Substring($0) }
    }

    /// How many blanks the line begins with.
    var indentation: Int {
        text.utf8.prefix { $0 == UInt8(ascii: " ") }.count
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}

extension UInt64 {
    /// The number of which `digits` are the decimal digits; nil for anything else and above 64
    /// bits.
    init?(decimal digits: Substring) {
        guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            return nil
        }
        self.init(digits)
    }

    /// The number of which `digits` are the hexadecimal digits, without prefix; nil for anything
    /// else and above 64 bits.
    init?(hexadecimal digits: Substring) {
        guard digits.first != "+", digits.first != "-" else { return nil }
        self.init(digits, radix: 16)
    }
}
