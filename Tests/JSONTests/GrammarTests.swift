import JSON
import Testing

/// Texts that RFC 8259 accepts and refuses, in the manner of JSONTestSuite: `y_` and `n_`.
@Suite struct GrammarTests {
    static let accepted = [
        "[]", "{}", "\"\"", "0", "-0", "true", "false", "null", " [] ", "\t\n\r []", "[\n]", "{\t}",
        "[1]", "[1,2]", "[ 1 , 2 ]", "[[]]", "[[],[]]", "[{}]", "[null,1,\"1\",{}]", "[\"\"]",
        "{\"a\":1}", "{\"\":0}", "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\":{}}", "{\"a\":[]}",
        "{\"a\\u0000b\":1}", "{\"\\\"\":1}", "{\"a\":1,\"A\":2}", "\"\u{7f}\"", "\"\\u0000\"",
        "[-1]", "[123]", "[1.5]", "[0.1]", "[-0.1]", "[0e1]", "[0E+1]", "[1e-2]", "[1.5E+10]",
        "[123e65]", "[1E400]", "[0.00000000000000000000000000000001]", "[-0.0]",
        "[100000000000000000000000000000000000000]", "[20e1]", "[1e00]", "\"\u{2028}\u{2029}\"",
        "\"/\"", "\"\\/\"", "[\"\u{fffd}\"]", "{\"a\":\"b\",\"c\":[true,false,null]}", "\"'\"",
    ]

    static let refused = [
        "", " ", "\n", "[", "]", "{", "}", "[1", "[1,", "[,", "[,1]", "[1,,2]", "[1,]", "[1,,]",
        "[1 2]", "[1;2]", "[1:2]", "[\"a\"", "[\"\": 1]", "[]]", "[][]", "{}{}", "{}}", "1 2",
        "[1]x", "[]#", "[1] // c", "[/* c */]", "[1}", "{1}", "{a:1}", "{'a':1}", "{1:1}",
        "{null:1}", "{[]:1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1,}",
        "{\"a\":1,,\"b\":2}", "{,\"a\":1}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,\"b\"", "{\"a\"", "{\"a", "{\"a\":1}{", "{\"a\":1,1}", "{\"a\",1}",
        "nul", "nulll", "Null", "NULL", "tru", "truee", "True", "fals", "falsee", "n", "t", "f",
        "NaN", "nan", "Infinity", "-Infinity", "inf", "undefined", "+1", "-", "--1", "-a", "- 1",
        "01", "-01", "00", "0.", ".5", "-.5", "1.", "1.e1", "1.5.5", "1e", "1e+", "1e-", "1e1.5",
        "1e1e1", "0e", "0x1", "0x", "1_000", "1,000", "1f", "1L", "1a", "\u{ff11}", "2.e3", "0.e1",
        "\"", "\"a", "'a'", "\"\\\"", "\"\\", "\"\\u", "\"\\u1\"", "\"\\x41\"", "\"\\0\"",
        "\"\\a\"", "\"\\v\"", "\"\n\"", "\"\t\"", "\"\0\"", "\"a\"b\"", "a", "\\u0022\\u0022",
        "\u{feff}", "\u{feff}{}", "{}\u{feff}", "\u{a0}[]", "[\u{c}]", "[\u{b}1]", "\u{2060}1",
        "[\u{85}]", "\0", "1\0", "[]\0", "{\"a\":1}\0", "<null>", "[<null>]", "*", "=", ",", ":",
        "{\"a\":1,\"a\":1}",
    ]

    @Test(arguments: accepted)
    func accepts(text: String) {
        #expect(refusal(of: text) == nil)
    }

    @Test(arguments: refused)
    func refuses(text: String) {
        #expect(refusal(of: text) != nil)
    }

    @Test func refusesOtherEncodings() {
        #expect(refusal(of: [0xff, 0xfe, 0x5b, 0, 0x5d, 0]) != nil)
        #expect(refusal(of: [0, 0x5b, 0, 0x5d]) != nil)
        #expect(refusal(of: [0xe5]) != nil)
    }
}

/// No bytes, however damaged, may make the reader trap: that would be one request to end them all.
@Suite struct DamageTests {
    /// Every kind of token, nested, with each kind of escape and UTF-8 of each length.
    static let document = Array(
        """
        {"flags":["GFP_KERNEL","__GFP_\\u0043OMP"],"order":-10,\
        "a/b":[{"c~d":18446744073709551615}],\
        "f":1.5e+3, "t":true,"n":[null,false,{}],"s":"\u{e9}\u{20ac}\u{1f600}\\ud83d\\ude00\\n"}
        """.utf8)

    @Test func readsTheWholeDocument() throws {
        var reader = JSONReader(Self.document)
        try reader.skipValue()
        try reader.finish()
    }

    @Test func refusesTheDocumentCutAtEachByte() {
        for length in 0..<Self.document.count {
            #expect(refusal(of: Array(Self.document[..<length])) != nil, "cut at \(length)")
        }
    }

    @Test func survivesEachChangeOfOneByte() {
        for offset in Self.document.indices {
            var damaged = Self.document
            for byte in UInt8.min...UInt8.max {
                damaged[offset] = byte
                checkAgreement(on: damaged)
            }
        }
    }

    @Test func survivesEachByteLeftOutOrDoubled() {
        for offset in Self.document.indices {
            var shorter = Self.document
            shorter.remove(at: offset)
            checkAgreement(on: shorter)
            var longer = Self.document
            longer.insert(longer[offset], at: offset)
            checkAgreement(on: longer)
        }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func survivesNoise(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("{}[]\":,\\u0019d8eE+-. truefalsn\n\u{e9}".utf8) + [0, 0x80, 0xff]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...24, using: &generator)
            checkAgreement(
                on: (0..<count).map { _ in alphabet.randomElement(using: &generator)! })
        }
    }

    /// Skipping and reading are different code: they must agree on what is wrong, and where.
    private func checkAgreement(on document: [UInt8]) {
        let skipped = refusal(of: document)
        let read = refusal(of: document) { (reader) throws(JSONError) in
            _ = try JSONTree(from: &reader)
        }
        if skipped != read {
            let text = String(decoding: document, as: UTF8.self)
            Issue.record("\(text): skipping says \(skipped as Any), reading \(read as Any)")
        }
    }
}

@Suite struct RoundTripTests {
    /// The seeds are the test's arguments, so that a failure names its own.
    @Test(arguments: UInt64(0)..<64)
    func readsWhatItHasWritten(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let tree = JSONTree.random(depth: 5, using: &generator)
            var writer = JSONWriter()
            tree.write(to: &writer)
            var reader = JSONReader(writer.take())
            #expect(try JSONTree(from: &reader) == tree, "seed \(seed)")
            try reader.finish()
        }
    }
}
