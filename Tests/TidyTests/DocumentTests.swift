import Testing

@Suite struct DocumentTests {
    @Test func theTopLevelIsWhatItShouldBe() throws {
        let ignored = try Repository.file(".gitignore").lines.map(String.init)
        let findings = try Documents.topLevelFindings(
            names: Repository.names(), ignoring: ignored.filter { !$0.isEmpty })
        #expect(findings == [])
    }

    @Test func theReadmeIsShortAndBeginsWithACommand() throws {
        #expect(Documents.readmeFindings(try Repository.file("README.md").text) == [])
    }

    @Test func theChangelogHasASection() throws {
        #expect(Documents.changelogFindings(try Repository.file("CHANGELOG.md").text) == [])
    }

    @Test func migrationsAreNumberedAndEmbedded() throws {
        let names = try Repository.names(in: "migrations")
        #expect(Documents.migrationFindings(names: names) == [])
        let manifest = try Repository.file("Package.swift").text
        let embedded = manifest.matches(of: /\.embedInCode\("migrations\/([^"]+)"\)/)
            .map { String($0.1) }
        #expect(embedded.sorted() == names)
    }

    // MARK: The tests of the tests

    @Test func aStrangeTopLevelIsFound() {
        var names = Array(Documents.topLevel) + [".git", ".build", ".build-asan"]
        let ignored = ["/.build/", "/.build-*/"]
        #expect(Documents.topLevelFindings(names: names, ignoring: ignored) == [])
        names.append("notes.txt")
        #expect(Documents.topLevelFindings(names: names, ignoring: ignored).count == 1)
        names.removeAll { $0 == "LICENSE" }
        #expect(Documents.topLevelFindings(names: names, ignoring: ignored).count == 2)
    }

    @Test func aBadReadmeIsFound() {
        let block = "```sh\nmake run\n```\n"
        let lines = { String(repeating: "x\n", count: $0) }
        #expect(Documents.readmeFindings(lines(18) + block + lines(99)) == [])
        #expect(Documents.readmeFindings(lines(19) + block).count == 1)
        #expect(Documents.readmeFindings(block + lines(118)).count == 1)
        #expect(Documents.readmeFindings("# gfpd\n").count == 1)
    }

    @Test(arguments: ["## Unreleased\n", "# C\n\n## [Unreleased]\n", "## 0.1.0 - 2026-11-23\n"])
    func aChangelogIsRead(text: String) {
        #expect(Documents.changelogFindings(text) == [])
    }

    @Test func aChangelogWithoutSectionsIsFound() {
        #expect(Documents.changelogFindings("# Changelog\nUnreleased\n").count == 1)
    }

    @Test func aGapInMigrationsIsFound() {
        #expect(Documents.migrationFindings(names: ["0001_a.sql", "0002_b.sql"]) == [])
        #expect(Documents.migrationFindings(names: ["0001_a.sql", "0003_b.sql"]).count == 1)
        #expect(Documents.migrationFindings(names: ["1_a.sql"]).count == 1)
        #expect(Documents.migrationFindings(names: []).count == 1)
    }
}
