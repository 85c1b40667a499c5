// The two forms of a line of the log.

import JSON

extension EventLog {
    static func json(
        _ time: String, _ level: Level, _ event: StaticString,
        _ fields: [(name: String, value: Value)]
    ) -> [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.beginObject()
        writer.member("time", time)
        writer.member("level", level.rawValue)
        writer.member("event", event)
        for (name, value) in fields {
            writer.key(name)
            switch value {
            case .text(let text): writer.value(text)
            case .number(let number): writer.value(number)
            }
        }
        writer.endObject()
        return writer.take() + [UInt8(ascii: "\n")]
    }

    static func text(
        _ time: String, _ level: Level, _ event: StaticString,
        _ fields: [(name: String, value: Value)]
    ) -> [UInt8] {
        var line = "\(time) \(level.rawValue) \(event)"
        for (name, value) in fields {
            switch value {
            case .text(let text): line += " \(name)=\(quoted(text))"
            case .number(let number): line += " \(name)=\(number)"
            }
        }
        return Array((line + "\n").utf8)
    }

    /// A text that could be read as several words, or that holds what could be taken for the end of
    /// a line, as JSON writes it.
    private static func quoted(_ text: String) -> String {
        let isPlain = { (byte: UInt8) in
            (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "\"")
                && byte != UInt8(ascii: "=") && byte != UInt8(ascii: "\\")
        }
        guard text.isEmpty || !text.utf8.allSatisfy(isPlain) else { return text }
        var writer = JSONWriter(reserving: text.utf8.count + 2)
        writer.value(text)
        return String(decoding: writer.take(), as: UTF8.self)
    }
}
