// Where a setting comes from: the command line, else the environment, else the configuration file,
// else its default. What was used is kept, so that the server can say at its start what it runs
// with. No setting is a secret: keys and tokens are named by their files.

import Glibc

/// Settings by the names of their variables, `GFPD_PORT` and its like. An empty one is not set.
struct Settings {
    enum Source: String {
        case commandLine = "command line"
        case environment
        case file
        case `default`
    }

    /// A setting as it is used.
    struct Setting {
        let name: String

        /// nil where it is not set and has no default.
        let value: String?
        let source: Source
    }

    /// In the order in which they were asked for.
    private(set) var used: [Setting] = []
    private let file: ConfigurationFile

    /// - Parameter path: of the configuration file; else `GFPD_CONFIG` names it, or there is none.
    init(file path: String?) throws(Failure) {
        guard let path = path ?? Self.environment("GFPD_CONFIG") else {
            file = .none
            return
        }
        file = try ConfigurationFile(path: path)
    }

    mutating func text(_ name: String, _ option: String?) -> String? {
        let (value, source) = value(name, option)
        used.append(Setting(name: name, value: value, source: source))
        return value
    }

    mutating func text(_ name: String, _ option: String?, default fallback: String) -> String {
        let (value, source) = value(name, option)
        used.append(Setting(name: name, value: value ?? fallback, source: source))
        return value ?? fallback
    }

    /// - Parameter phrase: what it must be, as `1 to 60 seconds`.
    mutating func number<Number: FixedWidthInteger>(
        _ name: String, _ option: Number?, _ range: ClosedRange<Number>,
        default fallback: Number, _ phrase: String
    ) throws(Failure) -> Number {
        let text = text(name, option.map { "\($0)" }, default: "\(fallback)")
        return try number(name, text, range, phrase)
    }

    /// A number that has no default: nil where it is not set.
    mutating func number<Number: FixedWidthInteger>(
        _ name: String, _ option: Number?, _ range: ClosedRange<Number>, _ phrase: String
    ) throws(Failure) -> Number? {
        guard let text = text(name, option.map { "\($0)" }) else { return nil }
        return try number(name, text, range, phrase)
    }

    private func number<Number: FixedWidthInteger>(
        _ name: String, _ text: String, _ range: ClosedRange<Number>, _ phrase: String
    ) throws(Failure) -> Number {
        guard let number = Number(text), range.contains(number) else {
            throw Failure("\(title(name)) must be \(phrase), not \"\(text)\"")
        }
        return number
    }

    /// One of several words.
    mutating func word<Word: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ option: String?, default fallback: Word
    ) throws(Failure) -> Word {
        let text = text(name, option, default: fallback.rawValue)
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure("\(title(name)) must be one of \(words), not \"\(text)\"")
        }
        return word
    }

    /// A flag: on where it stands on the command line, or where the variable is `true` or 1.
    mutating func flag(_ name: String, _ option: Bool) throws(Failure) -> Bool {
        switch text(name, option ? "true" : nil, default: "false") {
        case "true", "1": return true
        case "false", "0": return false
        case let text: throw Failure("\(title(name)) must be true or false, not \"\(text)\"")
        }
    }

    /// The last step: what the file has beyond what was asked for is a mistake.
    func finish() throws(Failure) {
        let names = Set(used.map(\.name))
        let unknown = file.lines.filter { !names.contains($0.key) }
        guard let first = unknown.min(by: { $0.value.number < $1.value.number }) else { return }
        throw Failure("\(file.path) line \(first.value.number): there is no setting \(first.key)")
    }

    private func value(_ name: String, _ option: String?) -> (String?, Source) {
        if let option { return (option, .commandLine) }
        if let value = Self.environment(name) { return (value, .environment) }
        if let line = file.lines[name], !line.value.isEmpty { return (line.value, .file) }
        return (nil, .default)
    }

    /// The setting as a person may have written it: `--stop-notice or GFPD_STOP_NOTICE`.
    private func title(_ name: String) -> String {
        let option = name.dropFirst("GFPD_".count).lowercased().map { $0 == "_" ? "-" : $0 }
        return "--\(String(option)) or \(name)"
    }

    /// nil where the variable is not set, or empty.
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
