// Which module may know which. `Package.swift` is held equal to this table, and so is each `import`
// line, so that an arrow is added in three places or not at all.

enum ModuleArrows {
    /// The modules of the package that each target depends on.
    static let dependencies: [String: Set<String>] = [
        "PageAllocator": [],
        "CExpat": [],
        "XML": ["CExpat"],
        "MachineImport": ["PageAllocator", "XML"],
        "Ledger": ["PageAllocator"],
        "CSQLite": [],
        "SQLite": ["CSQLite"],
        "CCrypto": [],
        "Digest": ["CCrypto"],
        "Telemetry": [],
        "SQLiteLedger": ["Digest", "Ledger", "PageAllocator", "SQLite", "Telemetry"],
        "AllocationService": ["Ledger", "PageAllocator"],
        "JSON": [],
        "CEpoll": [],
        "CTLS": [],
        "TLS": ["CTLS"],
        "HTTPServer": ["CEpoll", "TLS"],
        "CContract": [],
        "API": [
            "AllocationService", "CContract", "Digest", "HTTPServer", "JSON", "Ledger",
            "MachineImport", "PageAllocator", "Telemetry",
        ],
        "gfpd": [
            "API", "AllocationService", "ArgumentParser", "HTTPServer", "Ledger", "MachineImport",
            "PageAllocator", "SQLiteLedger", "TLS",
        ],
        "CListBuddy": [],
        "AllocatorBench": ["CListBuddy", "PageAllocator"],
    ]

    /// What the toolchain ships and a target may import; nobody imports Foundation.
    static let system: [String: Set<String>] = [
        "SQLite": ["Glibc"],
        "SQLiteLedger": ["Glibc"],
        "TLS": ["Synchronization"],
        "Telemetry": ["Glibc"],
        "HTTPServer": ["Dispatch", "Glibc", "Synchronization"],
        "API": ["Dispatch", "Glibc", "Synchronization"],
        "gfpd": ["Dispatch", "Glibc", "Synchronization"],
        "AllocatorBench": ["Glibc"],
    ]

    /// Imports that the table does not allow.
    static func findings(in file: SourceFile) -> [Finding] {
        guard let modules = dependencies[file.target] else {
            return [Finding(file.path, "\(file.target) is no target")]
        }
        let allowed = modules.union(system[file.target] ?? [])
        return imports(of: file.text).filter { !allowed.contains($0) }
            .map { Finding(file.path, "\(file.target) must not import \($0)") }
    }

    /// The modules that a source imports, in order.
    static func imports(of source: String) -> [String] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let"]
        return SwiftText(source).lines.compactMap { line in
            var words = line.split(separator: " ")[...]
            while let word = words.first, word != "import" {
                let isModifier = word.hasPrefix("@") || word == "public" || word == "package"
                guard isModifier || word == "internal" || word == "private" || word == "fileprivate"
                else { return nil }
                words.removeFirst()
            }
            guard let name = words.dropFirst().first(where: { !kinds.contains($0) }) else {
                return nil
            }
            return name.split(separator: ".").first.map(String.init)
        }
    }

    /// The targets of a manifest that hold sources of the service, with their dependencies.
    static func targets(ofManifest manifest: String) -> [String: Set<String>] {
        var targets: [String: Set<String>] = [:]
        for kind in [".target(", ".executableTarget(", ".systemLibrary("] {
            for start in manifest.ranges(of: kind) {
                let body = balanced(manifest[start.upperBound...])
                guard let name = body.firstMatch(of: /name: "(\w+)"/),
                    !body.contains(/path: "Tests\//)
                else { continue }
                targets[String(name.1)] = dependencies(in: body)
            }
        }
        return targets
    }

    private static func dependencies(in target: Substring) -> Set<String> {
        guard let list = target.firstMatch(of: /dependencies: \[([^\]]*)\]/) else { return [] }
        let names = list.1.replacing(/package: "[^"]*"/, with: "").matches(of: /"(\w+)"/)
        return Set(names.map { String($0.1) })
    }

    /// The text up to the parenthesis that closes the one before it.
    private static func balanced(_ text: Substring) -> Substring {
        var depth = 1
        let end = text.firstIndex { character in
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            return depth == 0
        }
        return text[..<(end ?? text.endIndex)]
    }
}
