import Testing

@Suite struct SourceRuleTests {
    @Test(arguments: ["Sources", "Tests"])
    func swiftSourcesKeepTheRules(folder: String) throws {
        let files = try Repository.files(below: folder, "swift")
        #expect(!files.isEmpty)
        #expect(files.flatMap(SourceRules.findings(in:)) == [])
    }

    @Test func otherTextsKeepTheRules() throws {
        let files =
            try Repository.files(below: "Sources", "c", "h", "modulemap")
            + Repository.files(below: "migrations", "sql")
            + ["Package.swift", "openapi.yaml", "Dockerfile"].map(Repository.file)
        #expect(files.flatMap { SourceRules.longLines($0) + SourceRules.unfinishedWork($0) } == [])
    }

    @Test func onlyTheCommandLinePrints() throws {
        let files = try Repository.files(below: "Sources", "swift")
            .filter { !["gfpd", "AllocatorBench"].contains($0.target) }
        #expect(files.flatMap(SourceRules.printing) == [])
    }

    @Test func theAllocatorIsAFunctionOfItsInputs() throws {
        let files = try Repository.files(below: "Sources/PageAllocator", "swift")
        #expect(!files.isEmpty)
        #expect(files.flatMap(SourceRules.impurity) == [])
    }

    // MARK: The tests of the tests

    @Test(arguments: [
        Sample("a long line", String(repeating: "x", count: 101)),
        Sample("a mark", "// TO" + "DO: later"),
        Sample("another mark", "// FIX" + "ME"),
        Sample("a manager", "struct PageManager {}"),
        Sample("utilities", "final class StringUtils {}"),
        Sample("an implementation", "enum LedgerImpl {}"),
        Sample("an alias", "typealias PageData = Int"),
        Sample("a forced try", "let order = try! parse(text)"),
        Sample("an empty catch", "do { try run() } catch {}"),
        Sample("a catch without a reason", "do { try run() } catch is Refusal {}"),
        Sample("a catch of everything", "do { try run() } catch {\n    // Fine.\n}"),
        Sample("a long function", "func long() {\n", steps: 69, "}"),
        Sample(
            "a long initializer", "struct S {\n    init(a: Int) throws {\n", steps: 69, "    }\n}"),
    ])
    func aBrokenRuleIsFound(sample: Sample) {
        #expect(SourceRules.findings(in: sample.file).count == 1)
    }

    @Test(arguments: [
        Sample("a whole line", String(repeating: "x", count: 100)),
        Sample("a comment", "// A struct PageManager was here; try! and catch {} too."),
        Sample("a string", "let text = \"struct PageManager {}\""),
        Sample("harmless names", "struct DataRange {}\nfunc utilize() {}"),
        Sample("a catch with a reason", "do { try run() } catch is Refusal {\n    // Fine.\n}"),
        Sample("a catch that throws", "do { try run() } catch { throw Failure(error) }"),
        Sample("a function of 70 lines", "func whole() {\n", steps: 68, "}"),
        Sample(
            "requirements", "protocol P {\n    func a()\n    func b() -> Int\n    init()\n}\n",
            steps: 80, "struct S {}"),
        Sample(
            "braces in a string", "func a(\n    _ b: Int\n) {\n    \"\"\"\n    }}} {\n    \"\"\"\n}"
        ),
    ])
    func aKeptRuleIsNotFound(sample: Sample) {
        #expect(SourceRules.findings(in: sample.file) == [])
    }

    /// A source to check the checks with.
    struct Sample: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let file: SourceFile

        init(_ name: String, _ start: String, steps: Int = 0, _ end: String = "") {
            testDescription = name
            let body = String(repeating: "        step()\n", count: steps)
            file = SourceFile(path: "Sources/JSON/Sample.swift", text: start + body + end + "\n")
        }
    }

    @Test func printingIsFound() {
        let file = SourceFile(path: "Sources/JSON/A.swift", text: "func f() { print(1) }")
        #expect(SourceRules.printing(file).count == 1)
        let comment = SourceFile(path: "Sources/JSON/A.swift", text: "// print(1)\nfingerprint(1)")
        #expect(SourceRules.printing(comment) == [])
    }

    @Test(arguments: ["await f()", "Int.random(in: 0...1)", "let now = Date()", "time(nil)"])
    func impurityIsFound(source: String) {
        let file = SourceFile(path: "Sources/PageAllocator/A.swift", text: source)
        #expect(SourceRules.impurity(file).count == 1)
    }

    @Test func linesAreCountedFromTheKeyword() {
        let bodies = SwiftText("// one\nstruct S {\n    func f() {\n        g()\n    }\n}\n").bodies
        #expect(bodies.map(\.line) == [3])
        #expect(bodies.map(\.lineCount) == [3])
    }
}
