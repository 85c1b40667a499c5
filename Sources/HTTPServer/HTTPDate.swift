import Glibc

/// The `Date` field, made once a second.
struct HTTPDate {
    /// The field line with its line end.
    private(set) var line: [UInt8] = []
    private var second: time_t?

    /// Brings the line to the wall clock's second.
    mutating func update() {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        guard now.tv_sec != second else { return }
        second = now.tv_sec
        line = Array("Date: \(Self.text(now.tv_sec))\r\n".utf8)
    }

    /// IMF-fixdate, RFC 9110, section 5.6.7, of seconds since 1970.
    static func text(_ second: time_t) -> String {
        var second = second
        var fields = unsafe tm()
        unsafe gmtime_r(&second, &fields)
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let day = unsafe "\(weekdays[Int(fields.tm_wday)]), \(twoDigits(fields.tm_mday))"
        let month = unsafe "\(months[Int(fields.tm_mon)]) \(fields.tm_year + 1900)"
        let time = unsafe [fields.tm_hour, fields.tm_min, fields.tm_sec].map(twoDigits)
        return "\(day) \(month) \(time.joined(separator: ":")) GMT"
    }

    private static func twoDigits(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
