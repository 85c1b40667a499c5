// Strings are looked at eight bytes at a time: every byte at every place, before and behind others
// that end a string or must be escaped.

import JSON
import Testing

@Suite struct PlainTextTests {
    private static let lengths = 1...20

    /// Texts of `filler` with one other byte.
    private func forEachText(
        filledWith filler: UInt8, _ body: (_ text: [UInt8], _ place: Int) -> Void
    ) {
        for length in Self.lengths {
            for place in 0..<length {
                for byte in UInt8.min...UInt8.max {
                    var text = [UInt8](repeating: filler, count: length)
                    text[place] = byte
                    body(text, place)
                }
            }
        }
    }

    private func isRefused(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\\") || byte >= 0x80
    }

    /// The bytes of the string that a document begins with; nil where it is refused.
    private func content(of document: [UInt8]) -> [UInt8]? {
        var reader = JSONReader(document)
        return (try? reader.readString()).map { Array($0.utf8) }
    }

    @Test func aReaderSeesEachByteAtEachPlace() {
        forEachText(filledWith: UInt8(ascii: "a")) { text, place in
            let content = content(of: [UInt8(ascii: "\"")] + text + [UInt8(ascii: "\"")])
            if isRefused(text[place]) {
                #expect(content == nil)
            } else if text[place] == UInt8(ascii: "\"") {
                #expect(content == Array(text[..<place]))
            } else {
                #expect(content == text)
            }
        }
    }

    @Test func theFirstEndCounts() {
        for length in Self.lengths {
            for place in 0..<length {
                var text = [UInt8](repeating: UInt8(ascii: "\""), count: length + 1)
                for before in 0..<place { text[before] = UInt8(ascii: "!") }
                #expect(content(of: [UInt8(ascii: "\"")] + text)?.count == place)
            }
        }
    }

    @Test func whatIsWrittenIsReadBack() {
        for filler in ["a", "\u{80}", "\u{10ffff}", "\u{1f}", "\""] {
            for length in Self.lengths {
                for scalar in (0...0xff as ClosedRange<UInt8>).map({ Unicode.Scalar($0) }) {
                    let text =
                        String(repeating: filler, count: length) + String(Character(scalar))
                        + filler
                    var writer = JSONWriter()
                    writer.value(text)
                    #expect(content(of: writer.take()) == Array(text.utf8))
                }
            }
        }
    }
}

@Suite struct JSONTextTests {
    private func text(_ document: String) throws -> JSONText {
        var reader = JSONReader(Array(document.utf8))
        let text = try reader.readText()
        try reader.finish()
        return text
    }

    @Test func isItsBytes() throws {
        let text = try text(" \"caf\u{e9}\" ")
        #expect(Array(text) == Array("caf\u{e9}".utf8))
        #expect(text.text == "caf\u{e9}")
        #expect(text == "caf\u{e9}")
        #expect(try self.text(#""""#) == "")
    }

    @Test func isComparedWithoutItsEscapes() throws {
        #expect(try text(#""\u0061\/""#) == "a/")
        #expect(Array(try text(#""\u0061\/""#)) == Array("a/".utf8))
    }

    /// A difference in each byte of names shorter and longer than those compared at once.
    @Test func eachByteCounts() throws {
        let names: [StaticString] = ["", "a", "order", "boundary", "allocation_control"]
        for name in names {
            let bytes = name.withUTF8Buffer { unsafe Array($0) }
            #expect(try text("\"\(name)\"") == name)
            #expect(try !(text("\"\(name)x\"") == name))
            for place in bytes.indices {
                var other = bytes
                other[place] ^= 1
                #expect(try !(text("\"\(String(decoding: other, as: UTF8.self))\"") == name))
            }
        }
    }

    @Test func aValueOfAnotherKindIsRefused() {
        #expect(
            refusal(of: "7") { (reader) throws(JSONError) in _ = try reader.readText() }?.detail
                == "must be a string, found a number")
    }
}
