// Rules for the text of sources that neither the compiler nor the formatter holds.

enum SourceRules {
    static let maximumColumns = 100
    static let maximumBodyLines = 70

    /// Endings of type names that say nothing about what the type is.
    static let emptyEndings = [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Impl", "Data",
    ]

    /// What the allocator, a function of its inputs alone, must not mention.
    static let impureWords: Set<String> = [
        "async", "await", "Date", "Clock", "ContinuousClock", "SuspendingClock", "clock_gettime",
        "time", "random", "SystemRandomNumberGenerator", "shuffled", "randomElement", "Foundation",
    ]

    /// For sources and tests.
    static func findings(in file: SourceFile) -> [Finding] {
        let code = SwiftText(file.text)
        return longLines(file) + unfinishedWork(file) + longBodies(file, code)
            + typeNames(file, code) + swallowedErrors(file, code)
    }

    /// For the text of any language.
    static func longLines(_ file: SourceFile) -> [Finding] {
        file.lines.enumerated().filter { $1.count > maximumColumns }.map { number, line in
            Finding("\(file.path):\(number + 1)", "\(line.count) columns")
        }
    }

    static func unfinishedWork(_ file: SourceFile) -> [Finding] {
        // Put together, so that this file does not break its own rule.
        let marks = ["TO" + "DO", "FIX" + "ME"]
        return file.lines.enumerated().flatMap { number, line in
            marks.filter { line.contains($0) }.map {
                Finding("\(file.path):\(number + 1)", "says \($0)")
            }
        }
    }

    private static func longBodies(_ file: SourceFile, _ code: SwiftText) -> [Finding] {
        code.bodies.filter { $0.lineCount > maximumBodyLines }.map {
            Finding("\(file.path):\($0.line)", "a body of \($0.lineCount) lines")
        }
    }

    private static func typeNames(_ file: SourceFile, _ code: SwiftText) -> [Finding] {
        let declaration = /\b(?:struct|class|enum|actor|protocol|typealias)\s+(\w+)/
        return String(code.code).matches(of: declaration).flatMap { match in
            emptyEndings.filter { match.1.hasSuffix($0) }.map {
                Finding(file.path, "the name \(match.1) ends in \($0)")
            }
        }
    }

    private static func swallowedErrors(_ file: SourceFile, _ code: SwiftText) -> [Finding] {
        let text = String(code.code)
        var findings: [Finding] = []
        if text.contains(/\btry!/) { findings.append(Finding(file.path, "uses try!")) }
        let source = Array(file.text)
        for match in text.matches(of: /\bcatch\b([^{}]*)\{\s*\}/) {
            let start = text.distance(from: text.startIndex, to: match.range.lowerBound)
            let end = text.distance(from: text.startIndex, to: match.range.upperBound)
            let isExplained = String(source[start..<end]).contains("// ")
            if !isExplained || match.1.allSatisfy(\.isWhitespace) {
                findings.append(Finding(file.path, "a catch that says neither what nor why"))
            }
        }
        return findings
    }

    /// For every target but those that are programs, which alone talk to a terminal.
    static func printing(_ file: SourceFile) -> [Finding] {
        String(SwiftText(file.text).code).contains(/\b(?:debugPrint|print)\(/)
            ? [Finding(file.path, "prints")] : []
    }

    /// For the allocator.
    static func impurity(_ file: SourceFile) -> [Finding] {
        let words = String(SwiftText(file.text).code)
            .split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init)
        return Set(words).intersection(impureWords).sorted().map {
            Finding(file.path, "says \($0)")
        }
    }
}
