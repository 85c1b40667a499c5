// The file that `--config` names: a line `GFPD_PORT=9000` for each setting, named as the variable
// of the environment is. Blank lines, and lines that begin with #, say nothing.

/// A configuration file, read whole.
struct ConfigurationFile {
    struct Line {
        /// From 1.
        let number: Int
        let value: String
    }

    /// None, where no file is named.
    static let none = ConfigurationFile(path: "", lines: [:])

    /// Bytes of a file: far more than all settings have.
    private static let maximumBytes = 1 << 20

    let path: String

    /// By the setting's name.
    let lines: [String: Line]

    private init(path: String, lines: [String: Line]) {
        (self.path, self.lines) = (path, lines)
    }

    /// - Throws: what cannot be read, or the first line that is no setting, or names one again.
    init(path: String) throws(Failure) {
        guard let bytes = WholeFile.read(path, limit: Self.maximumBytes),
            let text = String(validating: bytes, as: UTF8.self)
        else {
            throw Failure("cannot read the configuration file \(path), or it is no text")
        }
        var lines: [String: Line] = [:]
        let texts = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, text) in texts.enumerated() {
            let text = Self.trimmed(text)
            guard !text.isEmpty, !text.hasPrefix("#") else { continue }
            let place = "\(path) line \(index + 1)"
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw Failure("\(place) is not NAME=value: \(text)") }
            let name = String(Self.trimmed(parts[0]))
            let line = Line(number: index + 1, value: Self.unquoted(Self.trimmed(parts[1])))
            guard lines.updateValue(line, forKey: name) == nil else {
                throw Failure("\(place) sets \(name) again")
            }
        }
        self.init(path: path, lines: lines)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isSpace = { (character: Character) in " \t\r".contains(character) }
        var text = text.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text
    }

    /// Without the quotation marks around it, which such files often have.
    private static func unquoted(_ text: Substring) -> String {
        guard text.count >= 2, text.first == text.last, text.first == "\"" || text.first == "'"
        else { return String(text) }
        return String(text.dropFirst().dropLast())
    }
}
