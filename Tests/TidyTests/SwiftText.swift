// Just enough of Swift's lexical grammar to check sources: where comments and string literals are,
// and where a body's brace closes.

/// A Swift source as the checks see it.
struct SwiftText {
    /// The source with comments and the contents of string literals blanked, lines kept.
    let code: [Character]

    init(_ source: String) {
        var blanking = Blanking(source)
        code = blanking.run()
    }

    var lines: [Substring] {
        String(code).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// A function, initializer, deinitializer or subscript that has a body.
    struct Body {
        /// The line of its keyword, from 1.
        let line: Int

        /// From the keyword's line to that of the closing brace.
        let lineCount: Int
    }

    /// The bodies, nested ones too, in source order.
    var bodies: [Body] {
        let keywords: Set<String> = ["func", "init", "deinit", "subscript"]
        var bodies: [Body] = []
        var line = 1
        var word = ""
        for (position, character) in code.enumerated() {
            if character.isLetter || character.isNumber || character == "_" {
                word.append(character)
                continue
            }
            if keywords.contains(word), isDeclaration(word, endingAt: position),
                let end = endOfBody(from: position)
            {
                let newlines = code[position..<end].count { $0 == "\n" }
                bodies.append(Body(line: line, lineCount: newlines + 1))
            }
            word = ""
            if character == "\n" { line += 1 }
        }
        return bodies
    }

    /// `self.init(…)` and `.init(…)` are calls.
    private func isDeclaration(_ word: String, endingAt position: Int) -> Bool {
        let start = position - word.count
        return start == 0 || (code[start - 1] != "." && code[start - 1] != "`")
    }

    /// The position after the brace that closes the body; nil for a requirement without one.
    private func endOfBody(from start: Int) -> Int? {
        var position = start
        var depth = 0
        while position < code.count {
            switch code[position] {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return closing(from: position)
            case "}" where depth == 0: return nil
            case "\n" where depth == 0 && !continues(after: position): return nil
            default: break
            }
            // A closing parenthesis that was never opened: a call's, around a requirement's name.
            if depth < 0 { return nil }
            position += 1
        }
        return nil
    }

    /// Whether the declaration goes on in the next line: with its brace, its result or its clause.
    private func continues(after newline: Int) -> Bool {
        let next = code[(newline + 1)...].prefix { $0 != "\n" }.drop { $0 == " " }
        let before = code[..<newline].last { $0 != " " }
        return ["{", "->", "where", "throws", "async"].contains { next.starts(with: $0) }
            || before == "," || before == ":" || before == ">"
    }

    private func closing(from open: Int) -> Int? {
        var depth = 0
        for position in open..<code.count {
            if code[position] == "{" { depth += 1 }
            if code[position] == "}" {
                depth -= 1
                if depth == 0 { return position + 1 }
            }
        }
        return nil
    }
}

/// Walks a source once and blanks what is not code.
private struct Blanking {
    private var text: [Character]
    private var position = 0

    init(_ source: String) {
        text = Array(source)
    }

    mutating func run() -> [Character] {
        while position < text.count {
            if starts("//") {
                blank(until: "\n")
            } else if starts("/*") {
                blank(until: "*/")
                blank(count: 2)
            } else if starts("\"\"\"") {
                position += 3
                blankString(until: "\"\"\"")
            } else if starts("\"") {
                position += 1
                blankString(until: "\"")
            } else {
                position += 1
            }
        }
        return text
    }

    private func starts(_ token: String) -> Bool {
        text[position...].starts(with: token)
    }

    private mutating func blank(until end: String) {
        while position < text.count, !starts(end) {
            blank(count: 1)
        }
    }

    /// A backslash takes the character behind it along.
    private mutating func blankString(until quote: String) {
        while position < text.count, !starts(quote) {
            blank(count: starts("\\") ? 2 : 1)
        }
        position += quote.count
    }

    private mutating func blank(count: Int) {
        for _ in 0..<count where position < text.count {
            if text[position] != "\n" { text[position] = " " }
            position += 1
        }
    }
}
