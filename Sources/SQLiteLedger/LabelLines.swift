// Labels as text: one line `name=value` each.

import Ledger

enum LabelLines {
    private static let newline = UInt8(ascii: "\n")
    private static let equals = UInt8(ascii: "=")

    static func text(_ labels: [Label]) -> String {
        var text = ""
        for (position, label) in labels.enumerated() {
            precondition(
                !label.name.utf8.contains { $0 == newline || $0 == equals }
                    && !label.value.utf8.contains(newline),
                "a label that is not one line")
            if position > 0 {
                text += "\n"
            }
            text += label.name
            text += "="
            text += label.value
        }
        return text
    }

    /// nil where a line has no equals sign.
    static func labels(_ text: String) -> [Label]? {
        var labels: [Label] = []
        for line in text.utf8.split(separator: newline, omittingEmptySubsequences: false) {
            guard let equals = line.firstIndex(of: equals) else { return nil }
            labels.append(
                Label(
                    name: String(decoding: line[..<equals], as: UTF8.self),
                    value: String(decoding: line[line.index(after: equals)...], as: UTF8.self)))
        }
        return labels
    }
}
