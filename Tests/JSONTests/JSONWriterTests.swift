import JSON
import Testing

@Suite struct JSONWriterTests {
    @Test func writesEachMember() {
        let document = text { writer in
            writer.beginObject()
            writer.member("text", "a\"b")
            writer.member("constant", StaticString("Normal"))
            writer.member("yes", true)
            writer.member("no", false)
            writer.member("int", -1)
            writer.member("byte", UInt8.max)
            writer.member("address", hex: 0x1_0000_0000)
            writer.nullMember("order")
            writer.member("raw", raw: Array("[1,2]".utf8))
            writer.key(String("k\n"))
            writer.value(StaticString("v"))
            writer.endObject()
        }
        #expect(
            document == #"{"text":"a\"b","constant":"Normal","yes":true,"no":false,"int":-1,"#
                + #""byte":255,"address":"0x100000000","order":null,"raw":[1,2],"k\n":"v"}"#)
    }

    @Test func setsCommasItself() {
        let document = text { writer in
            writer.beginArray()
            writer.beginArray()
            writer.endArray()
            writer.beginObject()
            writer.endObject()
            writer.value(1)
            writer.null()
            writer.raw(Array("{}".utf8))
            writer.beginObject()
            writer.key("a")
            writer.beginArray()
            writer.value("x")
            writer.hexValue(0)
            writer.endArray()
            writer.key("b")
            writer.beginObject()
            writer.endObject()
            writer.endObject()
            writer.endArray()
        }
        #expect(document == #"[[],{},1,null,{},{"a":["x","0x0"],"b":{}}]"#)
    }

    @Test func writesEachLengthOfDecimal() {
        var number: UInt64 = 1
        for _ in 0..<20 {
            for neighbour in [number - 1, number, number + 1] {
                #expect(text { $0.value(neighbour) } == "\(neighbour)")
            }
            number = number.multipliedReportingOverflow(by: 10).partialValue
        }
        #expect(text { $0.value(UInt64.max) } == "18446744073709551615")
        #expect(text { $0.value(Int64.min) } == "-9223372036854775808")
        #expect(text { $0.value(Int64.max) } == "9223372036854775807")
        #expect(text { $0.value(Int8.min) } == "-128")
        #expect(text { $0.value(0) } == "0")
    }

    @Test func writesEachLengthOfHexadecimal() {
        for shift in 0..<64 {
            for number in [UInt64.max >> UInt64(shift), 1 << UInt64(shift)] {
                #expect(text { $0.hexValue(number) } == "\"0x" + String(number, radix: 16) + "\"")
            }
        }
        #expect(text { $0.hexValue(0) } == "\"0x0\"")
    }

    @Test func escapesWhatItMustAndNothingElse() {
        let short: [UInt8: String] = [
            0x08: "\\b", 0x09: "\\t", 0x0a: "\\n", 0x0c: "\\f", 0x0d: "\\r", 0x22: "\\\"",
            0x5c: "\\\\",
        ]
        for byte in UInt8(0)..<0x80 {
            let character = String(Character(Unicode.Scalar(byte)))
            let long = "\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
            let expected = short[byte] ?? (byte < 0x20 ? long : character)
            #expect(text { $0.value("a\(character)b") } == "\"a\(expected)b\"")
        }
        let unicode = "\u{7f}\u{80}\u{e9}\u{2028}\u{20ac}\u{1f600}"
        #expect(text { $0.value(unicode) } == "\"\(unicode)\"")
        #expect(text { $0.value("") } == "\"\"")
    }

    @Test func growsFromAnyReservation() {
        for reserved in [0, 1, 63, 64, 65, 10_000] {
            var writer = JSONWriter(reserving: reserved)
            writer.beginArray()
            for number in 0..<2_000 { writer.value(number) }
            writer.value(String(repeating: "x", count: 5_000))
            writer.endArray()
            let numbers = (0..<2_000).map { "\($0)" }.joined(separator: ",")
            let expected = "[" + numbers + ",\"" + String(repeating: "x", count: 5_000) + "\"]"
            #expect(writer.take() == Array(expected.utf8))
        }
    }

    @Test func makesRoomForEveryToken() {
        for length in 0..<140 {
            let padding = String(repeating: "x", count: length)
            let document = text { writer in
                writer.beginArray()
                writer.value(padding)
                writer.value(UInt64.max)
                writer.hexValue(.max)
                writer.value(StaticString("Normal"))
                writer.value("\u{1}")
                writer.raw(Array("{}".utf8))
                writer.beginObject()
                writer.member("managed", false)
                writer.member("present", true)
                writer.endObject()
                writer.endArray()
            }
            let rest =
                #",18446744073709551615,"0xffffffffffffffff","Normal","\u0001",{},"#
                + #"{"managed":false,"present":true}]"#
            #expect(document == "[\"\(padding)\"" + rest)
        }
    }

    @Test func startsAfreshOnceTaken() {
        var writer = JSONWriter(reserving: 16)
        writer.value("first")
        #expect(writer.bytes == Array("\"first\"".utf8))
        #expect(writer.take() == Array("\"first\"".utf8))
        #expect(writer.bytes.isEmpty)
        writer.value(2)
        #expect(writer.take() == Array("2".utf8))
    }

    @Test func nestsAsDeepAsAReaderTakes() throws {
        var writer = JSONWriter()
        for _ in 0..<JSONLimits.maximumDepth { writer.beginArray() }
        for _ in 0..<JSONLimits.maximumDepth { writer.endArray() }
        #expect(refusal(of: writer.take()) == nil)
    }
}

/// A writer that is used wrongly traps before half a document leaves it.
@Suite struct JSONWriterMisuseTests {
    @Test func trapsOnAMemberWithoutAName() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.beginObject()
            writer.value(1)
        }
    }

    @Test func trapsOnANameWithoutAnObject() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.beginArray()
            writer.key("a")
        }
    }

    @Test func trapsOnANameWithoutAValue() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("a")
            writer.endObject()
        }
    }

    @Test func trapsOnTheWrongEnd() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.beginObject()
            writer.endArray()
        }
    }

    @Test func trapsOnASecondValue() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.value(1)
            writer.value(2)
        }
    }

    @Test func trapsOnADocumentThatIsNotWhole() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            writer.beginObject()
            _ = writer.take()
        }
    }

    @Test func trapsOnNesting() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONWriter()
            for _ in 0...JSONLimits.maximumDepth { writer.beginArray() }
        }
    }
}
