import JSON
import Testing

@Suite struct IntegerTests {
    @Test(arguments: [
        ("0", 0), ("1", 1), ("10", 10), ("9223372036854775807", UInt64(Int64.max)),
        ("9223372036854775808", 1 << 63), ("18446744073709551615", .max), ("-0", 0),
        ("1.0", 1), ("0.0", 0), ("-0.0", 0), ("1e3", 1000), ("1E+3", 1000), ("1.5e1", 15),
        ("250e-1", 25), ("1000.000e-3", 1), ("0e99999999999999999999", 0), ("0.0e-9", 0),
        ("1.8446744073709551615e19", .max), ("18446744073709551615.0", .max),
        ("184467440737095516150e-1", .max),
    ])
    func readsUnsigned(text: String, number: UInt64) throws {
        #expect(try value(of: text) { (r) throws(JSONError) in try r.readUInt64() } == number)
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("-1", -1), ("9223372036854775807", Int64.max),
        ("-9223372036854775808", .min), ("-9223372036854775807", .min + 1),
        ("-1.0", -1), ("-2e1", -20), ("-9.223372036854775808e18", .min),
    ])
    func readsSigned(text: String, number: Int64) throws {
        #expect(try value(of: text) { (r) throws(JSONError) in try r.readInt64() } == number)
        #expect(try value(of: text) { (r) throws(JSONError) in try r.readInt() } == Int(number))
    }

    @Test(arguments: [
        ("-1", "must not be negative"),
        ("-99999999999999999999", "must not be negative"),
        ("18446744073709551616", "must be at most 18446744073709551615"),
        ("99999999999999999999", "must be at most 18446744073709551615"),
        ("184467440737095516150", "must be at most 18446744073709551615"),
        ("340282366920938463463374607431768211456", "must be at most 18446744073709551615"),
        ("-1.0", "must not be negative"),
        ("1.5", "must be an integer, found a number with a fraction"),
        ("1.0001e3", "must be an integer, found a number with a fraction"),
        ("15e-1", "must be an integer, found a number with a fraction"),
        ("0.5e-7", "must be an integer, found a number with a fraction"),
        ("1e-99999999999999999999", "must be an integer, found a number with a fraction"),
        ("1e20", "must be at most 18446744073709551615"),
        ("1e99999999999999999999", "must be at most 18446744073709551615"),
        ("1.8446744073709551616e19", "must be at most 18446744073709551615"),
        ("01", "is malformed at byte 0: a number must not have a leading zero"),
        ("-01", "is malformed at byte 1: a number must not have a leading zero"),
        ("-", "is malformed at byte 1: expected a digit, found the end of the document"),
        ("--1", "is malformed at byte 1: expected a digit, found '-'"),
        ("1.", "is malformed at byte 2: expected a digit, found the end of the document"),
        ("1.e1", "is malformed at byte 2: expected a digit, found 'e'"),
        ("1e", "is malformed at byte 2: expected a digit, found the end of the document"),
        ("1e+ ", "is malformed at byte 3: expected a digit, found the byte 0x20"),
        ("+1", "is malformed at byte 0: expected a value, found '+'"),
        ("0x10", "is malformed at byte 1: expected nothing more, found 'x'"),
    ])
    func refusesUnsigned(text: String, detail: String) {
        let error = refusal(of: text) { (r) throws(JSONError) in _ = try r.readUInt64() }
        #expect(error == JSONError(detail: detail))
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "-18446744073709551616", "18446744073709551616",
    ])
    func refusesSigned(text: String) {
        let detail = "must be from -9223372036854775808 to 9223372036854775807"
        let errors = [
            refusal(of: text) { (r) throws(JSONError) in _ = try r.readInt64() },
            refusal(of: text) { (r) throws(JSONError) in _ = try r.readInt() },
        ]
        #expect(errors == [JSONError(detail: detail), JSONError(detail: detail)])
    }

    @Test func leavesANumberOutOfRangeToBeRead() throws {
        var reader = JSONReader(Array("[18446744073709551615]".utf8))
        var number: UInt64 = 0
        try reader.readArray { (_, reader) throws(JSONError) in
            #expect(throws: JSONError.self) { try reader.readInt64() }
            number = try reader.readUInt64()
        }
        try reader.finish()
        #expect(number == .max)
    }
}
