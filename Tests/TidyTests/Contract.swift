// What `openapi.yaml` says, read line by line: the document keeps to block style with two spaces a
// level, and braces only on one line. And what the sources say about the same things.

enum Contract {
    /// `GET /v1/machines` and its like, from the lines below `paths:`.
    static func operations(of document: String) -> Set<String> {
        let methods: Set<String> = ["get", "put", "post", "delete", "patch", "options", "head"]
        var operations: Set<String> = []
        var isInPaths = false
        var path = ""
        for line in document.split(separator: "\n") {
            if !line.hasPrefix(" ") { isInPaths = line == "paths:" }
            guard isInPaths, line.hasSuffix(":") else { continue }
            let name = line.dropLast().drop { $0 == " " }
            switch line.count - name.count - 1 {
            case 2: path = String(name)
            case 4 where methods.contains(String(name)):
                operations.insert("\(name.uppercased()) \(path)")
            default: break
            }
        }
        return operations
    }

    /// The same from the routes table.
    static func operations(ofRoutes source: String) -> Set<String> {
        Set(
            source.matches(of: /Route\(\.(\w+), "([^"]+)"/).map {
                "\($0.1.uppercased()) \($0.2)"
            })
    }

    /// Paths that a table holds twice.
    static func repeatedRoutes(in source: String) -> [Finding] {
        let routes = source.matches(of: /Route\(\.(\w+), "([^"]+)"/).map { "\($0.1) \($0.2)" }
        return Dictionary(grouping: routes) { $0 }.filter { $1.count > 1 }.keys.sorted().map {
            Finding("routes", "\($0) is there twice")
        }
    }

    /// The raw values of `enum ProblemKind: String`, each with its status.
    static func slugs(ofKinds source: String) -> Set<String> {
        Set(source.matches(of: /case \w+ = "([a-z0-9-]+)"/).map { String($0.1) })
    }

    /// The values of the schema `Slug`.
    static func slugs(of document: String) -> Set<String> {
        guard let schema = document.firstRange(of: "\n    Slug:\n") else { return [] }
        let rest = document[schema.upperBound...]
        let end = rest.firstMatch(of: /\n    \w/)?.range.lowerBound ?? rest.endIndex
        return Set(rest[..<end].matches(of: /\n        - ([a-z0-9-]+)/).map { String($0.1) })
    }

    /// The number at the end of `path`: one level deeper a key, the last ones perhaps in braces
    /// behind the one before.
    static func number(at path: [String], of document: String) -> UInt64? {
        var block = document.split(separator: "\n")[...]
        for (level, key) in path.enumerated() {
            let indent = String(repeating: " ", count: level * 2)
            guard let found = block.firstIndex(where: { $0.hasPrefix("\(indent)\(key):") }) else {
                return nil
            }
            if let number = number(of: path[path.count - 1], in: block[found]) { return number }
            block = block[(found + 1)...].prefix { $0.hasPrefix(indent + "  ") }
        }
        return nil
    }

    private static func number(of key: String, in line: Substring) -> UInt64? {
        guard let place = line.firstRange(of: key + ": ") else { return nil }
        return UInt64(line[place.upperBound...].prefix { $0.isNumber })
    }

    /// The constants of a Swift source that are a number, a shifted number or seconds, by name.
    static func constants(of source: String) -> [String: UInt64] {
        let declaration =
            #/
            (?:let|var) \s (\w+) (?: : \s \w+ )? \s = \s
            (?: Duration\.seconds\( )? ([0-9][0-9_]*) (?: \s << \s ([0-9]+) )? \)? \n
            /#
        var constants: [String: UInt64] = [:]
        for match in source.matches(of: declaration) {
            guard let value = UInt64(match.2.filter { $0 != "_" }) else { continue }
            constants[String(match.1)] = value << (match.3.flatMap { UInt64($0) } ?? 0)
        }
        return constants
    }

    /// The numbers of a table's row in README, by the row's first cell: `8 KiB`, `1,024`, `2^30`.
    /// What stands in parentheses only says a number again.
    static func limits(inRow name: String, of readme: String) -> [UInt64] {
        guard let row = readme.split(separator: "\n").first(where: { $0.hasPrefix("| \(name) |") })
        else { return [] }
        let cell = row.dropFirst(name.count + 4).replacing(/\([^)]*\)/, with: "")
        let number = /2\^(?<power>[0-9]+)|(?<digits>[0-9][0-9,]*)(?<unit> KiB| MiB)?/
        return cell.matches(of: number).compactMap { match in
            if let power = match.power.flatMap({ UInt64($0) }) { return 1 << power }
            let shift: UInt64 = match.unit == " KiB" ? 10 : match.unit == " MiB" ? 20 : 0
            return match.digits.flatMap { UInt64($0.filter(\.isNumber)) }.map { $0 << shift }
        }
    }
}
