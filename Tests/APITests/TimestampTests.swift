// RFC 3339 against a table, against a reference that counts days one year at a time, and against
// Foundation.

import Foundation
import Ledger
import TestSupport
import Testing

@testable import API

struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("2000-02-29T12:00:00Z", 951_825_600_000_000),
        ("1900-03-01T00:00:00Z", -2_203_891_200_000_000),
        ("1900-02-28T23:59:59Z", -2_203_891_201_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("2026-11-22T10:02:03.000123Z", 1_795_341_723_000_123),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
        ("0000-02-29T00:00:00Z", -62_162_121_600_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ])
    func knownTimes(text: String, microseconds: Int64) {
        #expect(Timestamp(text: text)?.microseconds == microseconds)
        let canonical = text.contains(".") ? text : text.dropLast() + ".000000Z"
        #expect(Timestamp(microseconds: microseconds).text == canonical)
    }

    @Test(arguments: [
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T00:01:00-23:59", 0),
        ("1970-01-01T23:59:00+23:59", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01t00:00:00z", 0),
        ("0000-01-01T00:00:00+23:59", -62_167_305_540_000_000),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000_000),
        // A leap second is the second after it.
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500_000),
        // One to nine digits of a fraction, of which six count.
        ("1970-01-01T00:00:00.1Z", 100_000), ("1970-01-01T00:00:00.12Z", 120_000),
        ("1970-01-01T00:00:00.123Z", 123_000), ("1970-01-01T00:00:00.1234Z", 123_400),
        ("1970-01-01T00:00:00.12345Z", 123_450), ("1970-01-01T00:00:00.123456Z", 123_456),
        ("1970-01-01T00:00:00.1234567Z", 123_456), ("1970-01-01T00:00:00.12345678Z", 123_456),
        ("1970-01-01T00:00:00.999999999Z", 999_999),
    ])
    func readings(text: String, microseconds: Int64) {
        #expect(Timestamp(text: text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "Z", "1970", "1970-01-01", "1970-01-01T", "1970-01-01T00:00Z", "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z", "1970-01-01_00:00:00Z", " 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z ", "1970-01-01T00:00:00ZZ", "1970-01-01T00:00:00Zjunk",
        "19700101T000000Z", "970-01-01T00:00:00Z", "11970-01-01T00:00:00Z", "-1970-01-01T00:00:00Z",
        "+1970-01-01T00:00:00Z", "1970-1-01T00:00:00Z", "1970-01-1T00:00:00Z",
        "1970-01-01T0:00:00Z", "1970-01-01T00:0:00Z", "1970-01-01T00:00:0Z",
        "1970-00-01T00:00:00Z", "1970-13-01T00:00:00Z", "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z", "1970-06-31T00:00:00Z",
        "1970-09-31T00:00:00Z", "1970-11-31T00:00:00Z", "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2000-02-30T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.0000000001Z", "1970-01-01T00:00:00,5Z",
        "1970-01-01T00:00:00.-5Z", "1970-01-01T00:00:00.5", "1970-01-01T00:00:00+1:00",
        "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+00:60", "1970-01-01T00:00:00+0000",
        "1970-01-01T00:00:00+00", "1970-01-01T00:00:00+00:0", "1970-01-01T00:00:00~00:00",
        "1970-01-01T00:00:00Z+00:00", "1970/01/01T00:00:00Z", "1970-01-01T00-00-00Z",
        "١٩٧٠-01-01T00:00:00Z", "1970-01-01T00:00:00\u{0}Z", "0x70-01-01T00:00:00Z",
        "now", "2026-W47-7T00:00:00Z", "2026-326T00:00:00Z",
    ])
    func refused(text: String) {
        #expect(Timestamp(text: text) == nil)
    }

    /// The first day of each year, counted from 1970 one year at a time.
    static let firstDays: [Int64] = {
        var days: Int64 = 0
        for year in 0..<1970 { days -= isLeap(year) ? 366 : 365 }
        return (0...9999).map { year in
            defer { days += isLeap(year) ? 366 : 365 }
            return days
        }
    }()

    static func isLeap(_ year: Int) -> Bool {
        year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
    }

    @Test func everyYearBeginsAndEndsWhereTheReferenceSays() {
        for year in 0...9999 {
            let digits = String(repeating: "0", count: 4 - String(year).count) + String(year)
            let begin = Self.firstDays[year] * 86_400_000_000
            let february = begin + (31 + 27) * 86_400_000_000
            let march = begin + (Self.isLeap(year) ? 60 : 59) * 86_400_000_000
            let end = begin + (Self.isLeap(year) ? 366 : 365) * 86_400_000_000 - 1
            let expected = [
                (begin, "\(digits)-01-01T00:00:00.000000Z"),
                (february, "\(digits)-02-28T00:00:00.000000Z"),
                (march, "\(digits)-03-01T00:00:00.000000Z"),
                (end, "\(digits)-12-31T23:59:59.999999Z"),
            ]
            for (microseconds, text) in expected
            where Timestamp(microseconds: microseconds).text != text
                || Timestamp(text: text)?.microseconds != microseconds
            {
                Issue.record("\(text) is not \(microseconds)")
            }
        }
    }

    @Test func randomTimesReadAsFoundationReadsThem() throws {
        var random = SeededGenerator(seed: 3339)
        let formatter = ISO8601DateFormatter()
        // Foundation's calendar turns Julian before October 1582.
        let (first, last): (Int64, Int64) = (-12_212_553_600, 253_402_300_799)
        for _ in 0..<4000 {
            let second = first + Int64(random.next() % UInt64(last - first))
            let micro = Int64(random.below(1_000_000))
            let time = Timestamp(microseconds: second * 1_000_000 + micro)
            let date = try #require(formatter.date(from: time.text.prefix(19) + "Z"))
            #expect(date.timeIntervalSince1970 == Double(second), "\(time.text)")
            #expect(Timestamp(text: time.text) == time)

            let offset = random.below(24 * 60)
            let sign: Int64 = random.chance(percent: 50) ? 1 : -1
            let hours = "\(offset / 600)\(offset / 60 % 10)"
            let minutes = "\(offset % 60 / 10)\(offset % 10)"
            let shifted =
                time.text.prefix(26) + (sign > 0 ? "+" : "-") + "\(hours):\(minutes)"
            #expect(
                Timestamp(text: String(shifted))?.microseconds
                    == time.microseconds - sign * Int64(offset) * 60_000_000)
        }
    }

    @Test func noTextTraps() {
        var random = SeededGenerator(seed: 60)
        let valid = Array("2026-11-22T10:02:03.000123+01:30".unicodeScalars)
        let odd: [Unicode.Scalar] = ["-", ":", ".", "Z", "+", "9", "0", "é", "\u{0}", "T", " "]
        var taken = 0
        for _ in 0..<20_000 {
            var scalars = valid
            for _ in 0...random.below(4) {
                let position = random.below(scalars.count)
                switch random.below(3) {
                case 0: scalars[position] = random.pick(odd)
                case 1: scalars.insert(random.pick(odd), at: position)
                default: scalars.remove(at: position)
                }
            }
            var text = ""
            text.unicodeScalars.append(contentsOf: scalars)
            if let time = Timestamp(text: text) {
                taken += 1
                #expect(Timestamp(text: time.text) == time, "\(text)")
            }
        }
        #expect(taken > 100)
    }
}
