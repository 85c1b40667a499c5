import JSON
import Testing

@Suite struct StringTests {
    private func string(_ document: [UInt8]) throws(JSONError) -> [UInt8] {
        var reader = JSONReader(document)
        let text = try reader.readString()
        try reader.finish()
        return Array(text.utf8)
    }

    @Test(arguments: [
        (#""""#, ""), (#""a""#, "a"), (#""\"\\\/""#, "\"\\/"),
        (#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"), (#""\u0000""#, "\0"),
        (#""\u001F\u007f""#, "\u{1f}\u{7f}"),
        (#""\u0041\u00e9\u20AC""#, "A\u{e9}\u{20ac}"),
        (#""\ud7ff\uE000\uffff""#, "\u{d7ff}\u{e000}\u{ffff}"),
        (#""\uD800\uDC00""#, "\u{10000}"), (#""\udbff\udfff""#, "\u{10ffff}"),
        (#""x\ud83d\ude00y""#, "x\u{1f600}y"),
        ("\"\u{7f}\u{80}\u{7ff}\u{800}\"", "\u{7f}\u{80}\u{7ff}\u{800}"),
        (
            "\"\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}\"",
            "\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}"
        ),
        (
            "\"a string that is longer than fifteen bytes, \\u00fc\"",
            "a string that is longer than fifteen bytes, \u{fc}"
        ),
        ("\"\u{feff}\"", "\u{feff}"),
    ])
    func reads(text: String, content: String) throws {
        #expect(try string(Array(text.utf8)) == Array(content.utf8))
    }

    @Test func keepsEveryByteOfEveryScalarAsItIs() throws {
        for first in stride(from: UInt32(0x20), through: 0x10_ffff, by: 0x400) {
            var content = ""
            for number in first..<first + 0x400 where number != 0x22 && number != 0x5c {
                if let scalar = Unicode.Scalar(number) { content.unicodeScalars.append(scalar) }
            }
            #expect(try string(Array("\"\(content)\"".utf8)) == Array(content.utf8))
        }
    }

    @Test func readsEveryEscapedCodeUnitOrRefusesIt() throws {
        for unit in UInt16.min...UInt16.max {
            let digits = String(unit, radix: 16)
            let escape = "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            let document = Array("\"\(escape)\"".utf8)
            if let scalar = Unicode.Scalar(unit) {
                #expect(try string(document) == Array(String(Character(scalar)).utf8))
            } else {
                #expect(
                    refusal(of: document)?.detail
                        == "is malformed at byte 1: a surrogate without its pair")
            }
        }
    }

    @Test(arguments: [
        (#""\ud800""#, 1), (#""\udc00""#, 1), (#""\ud800\ud800""#, 1), (#""\udc00\ud800""#, 1),
        (#""a\ud800b""#, 2), (#""\ud800\n""#, 1), (#""\ud800\u0041""#, 1), (#""\ud800u0041""#, 1),
    ])
    func refusesALoneSurrogate(text: String, offset: Int) {
        #expect(
            refusal(of: text)?.detail
                == "is malformed at byte \(offset): a surrogate without its pair")
    }

    @Test(arguments: [
        (#""\x""#, 2), (#""\u12G4""#, 5), (#""\u123""#, 6), (#""\""#, 3), (#""\'""#, 2),
        (#""\U0041""#, 2), (#""\ud800\u""#, 9), (#""\u+123""#, 3), (#""\ ""#, 2),
    ])
    func refusesAnEscape(text: String, offset: Int) throws {
        let detail = try #require(refusal(of: text)?.detail)
        #expect(detail.hasPrefix("is malformed at byte \(offset): "))
    }

    @Test func refusesEveryRawControlCharacter() {
        for byte in UInt8(0)..<0x20 {
            #expect(
                refusal(of: [0x22, 0x61, byte, 0x22])?.detail
                    == "is malformed at byte 2: a control character must be escaped")
        }
    }

    /// RFC 3629 section 3, class by class.
    static let notUTF8: [[UInt8]] = [
        // A continuation byte alone.
        [0x80], [0xbf], [0x41, 0x80],
        // Cut short, by the end or by another character.
        [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98],
        [0xc3, 0x41], [0xe2, 0x41, 0x82], [0xe2, 0x82, 0x41], [0xf0, 0x9f, 0x98, 0x41],
        // Overlong, in two, three and four bytes.
        [0xc0, 0x80], [0xc0, 0xaf], [0xc1, 0xbf],
        [0xe0, 0x80, 0x80], [0xe0, 0x80, 0xaf], [0xe0, 0x9f, 0xbf],
        [0xf0, 0x80, 0x80, 0xaf], [0xf0, 0x8f, 0xbf, 0xbf],
        // Surrogates, the last a pair as in CESU-8.
        [0xed, 0xa0, 0x80], [0xed, 0xad, 0xbf], [0xed, 0xae, 0x80], [0xed, 0xbf, 0xbf],
        [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
        // Above U+10FFFF, and the forms of five and six bytes.
        [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf7, 0xbf, 0xbf, 0xbf],
        [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
        // Bytes that UTF-8 never has.
        [0xfe], [0xff], [0xfe, 0xff],
    ]

    @Test(
        arguments: [
            ([0xc0, 0xaf], "an overlong form"),
            ([0xed, 0xa0, 0x80], "a surrogate"),
            ([0xe2, 0x82], "a character that is cut short"),
            ([0x80], "a continuation byte on its own"),
            ([0xff], "a byte that UTF-8 doesn't have, or a value above U+10FFFF"),
            (
                [0xf4, 0x90, 0x80, 0x80],
                "a byte that UTF-8 doesn't have, or a value above U+10FFFF"
            ),
        ] as [([UInt8], String)])
    func saysWhyItIsNotUTF8(bytes: [UInt8], reason: String) {
        let quote = UInt8(ascii: "\"")
        let detail = "is malformed at byte 1: the string is not UTF-8: \(reason)"
        #expect(refusal(of: [quote] + bytes + [quote]) == JSONError(detail: detail))
    }

    @Test(arguments: notUTF8)
    func refusesWhatIsNotUTF8(bytes: [UInt8]) throws {
        let quote = UInt8(ascii: "\"")
        let detail = try #require(refusal(of: [quote] + bytes + [quote])?.detail)
        let offset = bytes.first == 0x41 ? 2 : 1
        #expect(detail.hasPrefix("is malformed at byte \(offset): the string is not UTF-8"))
        let name = Array("{\"".utf8) + bytes + Array("\":1}".utf8)
        #expect(refusal(of: name)?.detail.contains("is not UTF-8") == true)
        let beforeEscape = [quote] + bytes + Array(#"\n""#.utf8)
        #expect(refusal(of: beforeEscape)?.detail.contains("is not UTF-8") == true)
    }
}
