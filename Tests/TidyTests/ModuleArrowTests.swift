import Testing

@Suite struct ModuleArrowTests {
    @Test func sourcesImportOnlyWhatTheTableAllows() throws {
        let findings = try Repository.files(below: "Sources", "swift")
            .flatMap(ModuleArrows.findings(in:))
        #expect(findings == [])
    }

    @Test func theManifestIsTheTable() throws {
        let manifest = try Repository.file("Package.swift").text
        #expect(ModuleArrows.targets(ofManifest: manifest) == ModuleArrows.dependencies)
    }

    @Test func eachTargetHasSources() throws {
        #expect(try Set(Repository.names(in: "Sources")) == Set(ModuleArrows.dependencies.keys))
        for target in ModuleArrows.dependencies.keys {
            let sources = try Repository.files(
                below: "Sources/" + target, "swift", "c", "modulemap")
            #expect(!sources.isEmpty, "\(target)")
        }
    }

    /// The test of the test: imports that no table allows.
    @Test(arguments: [
        ("Sources/PageAllocator/Order.swift", "import Ledger"),
        ("Sources/PageAllocator/Order.swift", "import Glibc"),
        ("Sources/JSON/JSONReader.swift", "public import Foundation"),
        ("Sources/HTTPServer/HTTPServer.swift", "@preconcurrency import JSON"),
        ("Sources/SQLiteLedger/SQLiteLedger.swift", "internal import CSQLite"),
        ("Sources/Ledger/Ledger.swift", "import struct Foundation.Date"),
        ("Sources/Unknown/Unknown.swift", ""),
    ])
    func aForbiddenImportIsFound(path: String, source: String) {
        let file = SourceFile(path: path, text: "// A comment.\n\(source)\n")
        #expect(ModuleArrows.findings(in: file).count == 1)
    }

    @Test func commentsAndStringsImportNothing() {
        let source = "// import Foundation\nlet text = \"\"\"\nimport Foundation\n\"\"\"\n"
        #expect(ModuleArrows.imports(of: source) == [])
    }

    @Test func aManifestIsRead() {
        let manifest = """
            .target(name: "A", swiftSettings: settings),
            .executableTarget(
                name: "B",
                dependencies: [
                    "A", .product(name: "C", package: "swift-c"),
                ]),
            .testTarget(name: "ATests", dependencies: ["A"]),
            .target(name: "Support", dependencies: ["A"], path: "Tests/Support"),
            """
        #expect(ModuleArrows.targets(ofManifest: manifest) == ["A": [], "B": ["A", "C"]])
    }
}
