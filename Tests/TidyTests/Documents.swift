// Rules for the tree's top level and for the documents in it.

enum Documents {
    /// Nothing else is at the top of the tree, but for what `.gitignore` names.
    static let topLevel: Set<String> = [
        ".ci", ".dockerignore", ".gitignore", ".swift-format", "ARCHITECTURE.md", "CHANGELOG.md",
        "Dockerfile", "LICENSE", "Makefile", "Package.swift", "README.md", "Sources", "Tests",
        "migrations", "openapi.yaml",
    ]

    static let maximumReadmeLines = 120

    /// By this line a reader has seen what to type.
    static let firstBlockLine = 20

    static func topLevelFindings(names: [String], ignoring patterns: [String]) -> [Finding] {
        let known = names.filter { name in
            name != ".git" && !patterns.contains { ignores(pattern: $0, name) }
        }
        return topLevel.subtracting(known).sorted().map { Finding($0, "is missing") }
            + Set(known).subtracting(topLevel).sorted().map { Finding($0, "does not belong here") }
    }

    /// Patterns of `.gitignore` as this repository writes them: a name, with a `*` at its end or
    /// not, between slashes or not.
    private static func ignores(pattern: String, _ name: String) -> Bool {
        let plain = pattern.split(separator: "/").joined(separator: "/")
        return plain.hasSuffix("*") ? name.hasPrefix(plain.dropLast()) : name == plain
    }

    static func readmeFindings(_ text: String) -> [Finding] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let count = text.hasSuffix("\n") ? lines.count - 1 : lines.count
        var findings: [Finding] = []
        if count > maximumReadmeLines { findings.append(Finding("README.md", "\(count) lines")) }
        let block = lines.firstIndex { $0.hasPrefix("```") }
        if block.map({ $0 + 2 > firstBlockLine }) ?? true {
            findings.append(Finding("README.md", "no block to run by line \(firstBlockLine)"))
        }
        return findings
    }

    static func changelogFindings(_ text: String) -> [Finding] {
        text.contains(/(?m)^## \[?(?:Unreleased|[0-9]+\.[0-9]+\.[0-9]+)\b/)
            ? [] : [Finding("CHANGELOG.md", "has no section of a version, nor Unreleased")]
    }

    /// Migrations run in the order of their numbers, 1 first.
    static func migrationFindings(names: [String]) -> [Finding] {
        guard !names.isEmpty else { return [Finding("migrations", "is empty")] }
        return zip(1..., names.sorted()).compactMap { number, name in
            guard let match = name.wholeMatch(of: /([0-9]{4})_[a-z0-9_]+\.sql/) else {
                return Finding(name, "is not named NNNN_what_it_does.sql")
            }
            return Int(match.1) == number ? nil : Finding(name, "should have number \(number)")
        }
    }
}
