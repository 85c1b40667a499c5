// Times as text: RFC 3339, UTC, with microseconds (`2026-11-22T10:02:03.000123Z`).

import Ledger

extension Timestamp {
    private static let microsecondsPerSecond: Int64 = 1_000_000
    private static let secondsPerDay: Int64 = 86_400

    /// The time in RFC 3339 with six digits after the second.
    var text: String {
        let ascii = ascii
        return String(decoding: ascii.indices.map { ascii[$0] }, as: UTF8.self)
    }

    /// The bytes of `text`.
    var ascii: InlineArray<27, UInt8> {
        let (day, second, micro) = parts
        let date = CivilDate(daysSinceEpoch: day)
        var text = InlineArray<27, UInt8>(repeating: UInt8(ascii: "0"))
        text.write(date.year, before: 4, digits: 4)
        text[4] = UInt8(ascii: "-")
        text.write(date.month, before: 7, digits: 2)
        text[7] = UInt8(ascii: "-")
        text.write(date.day, before: 10, digits: 2)
        text[10] = UInt8(ascii: "T")
        text.write(second / 3600, before: 13, digits: 2)
        text[13] = UInt8(ascii: ":")
        text.write(second / 60 % 60, before: 16, digits: 2)
        text[16] = UInt8(ascii: ":")
        text.write(second % 60, before: 19, digits: 2)
        text[19] = UInt8(ascii: ".")
        text.write(micro, before: 26, digits: 6)
        text[26] = UInt8(ascii: "Z")
        return text
    }

    private var parts: (day: Int64, second: Int64, micro: Int64) {
        let (seconds, micro) = microseconds.flooredDivision(by: Self.microsecondsPerSecond)
        let (day, second) = seconds.flooredDivision(by: Self.secondsPerDay)
        return (day, second, micro)
    }

    /// A time in RFC 3339: with `Z` or an offset, and up to nine digits after the second, of which
    /// six count. nil where the text is none. A leap second reads as the second after it.
    init?(text: String) {
        var scanner = DigitScanner(text)
        guard let year = scanner.number(digits: 4), scanner.skip("-"),
            let month = scanner.number(digits: 2), scanner.skip("-"),
            let day = scanner.number(digits: 2), scanner.skip("T") || scanner.skip("t"),
            let hour = scanner.number(digits: 2), scanner.skip(":"),
            let minute = scanner.number(digits: 2), scanner.skip(":"),
            let second = scanner.number(digits: 2), let micro = scanner.fraction(),
            let offset = scanner.offset(), scanner.isAtEnd,
            let date = CivilDate(year: year, month: month, day: day),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        let seconds =
            date.daysSinceEpoch * Self.secondsPerDay + hour * 3600 + minute * 60 + second - offset
        self.init(microseconds: seconds * Self.microsecondsPerSecond + micro)
    }
}

/// A day of the proleptic Gregorian calendar.
private struct CivilDate {
    let year: Int64
    let month: Int64
    let day: Int64

    /// nil where the month has no such day.
    init?(year: Int64, month: Int64, day: Int64) {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(month), (1...lengths[Int(month - 1)]).contains(day) else {
            return nil
        }
        (self.year, self.month, self.day) = (year, month, day)
    }

    // Both ways count in years that begin in March, so that the leap day is a year's last, and in
    // eras of 400 years, which all have 146,097 days.

    init(daysSinceEpoch: Int64) {
        let (era, dayOfEra) = (daysSinceEpoch + 719_468).flooredDivision(by: 146_097)
        let leapDays = dayOfEra / 1460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).flooredDivision(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

private struct DigitScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else {
            return false
        }
        position += 1
        return true
    }

    private mutating func digit() -> Int64? {
        guard position < bytes.count,
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
        else { return nil }
        defer { position += 1 }
        return Int64(bytes[position] - UInt8(ascii: "0"))
    }

    mutating func number(digits: Int) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    /// Microseconds of an optional fraction.
    mutating func fraction() -> Int64? {
        guard skip(".") else { return 0 }
        var micro: Int64 = 0
        var digits = 0
        while let digit = digit() {
            if digits < 6 { micro = micro * 10 + digit }
            digits += 1
        }
        guard (1...9).contains(digits) else { return nil }
        for _ in 0..<max(0, 6 - digits) { micro *= 10 }
        return micro
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int64? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int64
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(digits: 2), skip(":"), let minutes = number(digits: 2),
            hours < 24, minutes < 60
        else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension InlineArray<27, UInt8> {
    /// Writes a number's last digits so that they end before `end`.
    @inline(__always)
    fileprivate mutating func write(_ number: Int64, before end: Int, digits: Int) {
        var rest = UInt32(truncatingIfNeeded: number)
        for offset in 1...digits {
            self[end - offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}
