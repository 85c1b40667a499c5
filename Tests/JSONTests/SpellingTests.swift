// Objects are known again by their bytes: where the first closing brace ends one, wherever that
// stands among eight bytes and however near the document's end, and nowhere else.

import JSON
import Testing

@Suite struct SpellingTests {
    /// The spelling that a document begins with, and whether it was the whole value.
    private func spelling(
        of document: String, upTo limit: Int = 64
    ) throws -> (text: String, isWhole: Bool)? {
        var reader = JSONReader(Array(document.utf8))
        guard let spelling = try reader.spelling(upTo: limit) else { return nil }
        let text = String(decoding: reader.bytes(of: spelling), as: UTF8.self)
        try reader.skipValue()
        return (text, reader.hasConsumed(spelling))
    }

    @Test(arguments: 0..<20)
    func anObjectEndsWithItsBrace(length: Int) throws {
        let name = String(repeating: "a", count: length)
        for tail in ["", " ", "  ", "       ", "        ", "                   "] {
            let found = try spelling(of: " {\"\(name)\":1}\(tail)")
            #expect(found?.text == "{\"\(name)\":1}")
            #expect(found?.isWhole == true)
        }
    }

    @Test func aBraceBeforeTheEndIsNotTheWhole() throws {
        for document in [#"{"a":{"b":1}}"#, #"{"a":"}"}"#, #"{"a":"}","b":{}}"#] {
            #expect(try spelling(of: document)?.isWhole == false)
        }
    }

    @Test func whatIsNoShortObjectHasNone() throws {
        for document in ["[{}]", "1", "\"}\"", #"{"a":"\#(String(repeating: "x", count: 64))"}"#] {
            #expect(try spelling(of: document) == nil)
        }
        #expect(try spelling(of: #"{"a":1}"#, upTo: 7)?.isWhole == true)
        #expect(try spelling(of: #"{"a":1}"#, upTo: 6) == nil)
        #expect(try spelling(of: #"{"a":1"#) == nil)
    }

    @Test func theSameBytesAreConsumed() throws {
        let object = #"{"flags":["GFP_KERNEL"],"order":3}"#
        for place in 0..<object.utf8.count {
            var other = Array(object.utf8)
            other[place] ^= 1
            var reader = JSONReader(Array(object.utf8))
            let found = try reader.spelling(upTo: 64)
            let spelling = try #require(found)
            let isOther = reader.consume(spelling, ifSameAs: other)
            let isShorter = reader.consume(spelling, ifSameAs: Array(object.utf8.dropLast()))
            let isSame = reader.consume(spelling, ifSameAs: Array(object.utf8))
            #expect(!isOther && !isShorter && isSame)
            try reader.finish()
        }
    }

    @Test func eachByteCountsInTheHash() throws {
        let object = #"{"flags":["GFP_KERNEL"],"order":3}"#
        var hashes: Set<UInt64> = []
        for place in 1..<object.utf8.count - 1 {
            var other = Array(object.utf8)
            other[place] ^= 1
            hashes.insert(try #require(try hash(of: other)))
        }
        #expect(hashes.count == object.utf8.count - 2)
        // The bytes behind the object do not.
        #expect(try hash(of: Array("{}".utf8)) == hash(of: Array("{} ,1".utf8)))
    }

    private func hash(of document: [UInt8]) throws -> UInt64? {
        var reader = JSONReader(document)
        return try reader.spelling(upTo: 64)?.hash
    }
}
