// Starting, stopping, and refusing to start, as an operator sees it.

import Foundation
import Glibc
import Testing

@Suite struct LifecycleTests {
    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test func theReadyLineSaysWhatToDoNext() throws {
        let server = try Server(data: data, scratch: scratch)
        let line = server.readyLine
        #expect(line.contains("http://127.0.0.1:\(server.port)"))
        #expect(line.contains(data))
        #expect(line.contains("default"))
        #expect(line.contains("curl"))
        #expect(try server.client().get("/livez").status == 200)
    }

    /// The settings that durability rests on, as SQLite itself reads them back.
    @Test func readinessSaysHowTheLedgerIsKept() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        let plain = try client.get("/readyz")
        #expect(plain.status == 200)
        #expect(plain.json["status"].string == "ok")
        let checks = try client.get("/readyz?verbose").json["checks"].array
        let details = Dictionary(
            checks.map { ($0["name"].string ?? "", $0["detail"].string?.lowercased() ?? "") },
            uniquingKeysWith: { first, _ in first })
        #expect(details["journal_mode"] == "wal")
        // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
        #expect(details["synchronous"] == "2")
        #expect(details["wal_autocheckpoint"] == "0")
        #expect(details["trusted_schema"] == "0")
        #expect(details["sqlite_version"]?.hasPrefix("3.") ?? false)
        #expect(checks.allSatisfy { $0["status"].string == "ok" })
    }

    @Test func aStopLosesNothing() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        for order in 0...3 {
            let body = "{\"allocation_control\":{\"order\":\(order)}}"
            #expect(try client.post("/v1/machines/default/allocations", body).status == 201)
        }
        let ledger = try client.get("/v1/ledger").text
        let live = try client.get("/v1/machines/default/allocations").text
        #expect(try server.stop() == .exited(0))

        let next = try Server(data: data, scratch: scratch)
        #expect(try next.client().get("/v1/ledger").text == ledger)
        #expect(try next.client().get("/v1/machines/default/allocations").text == live)
        #expect(try next.stop() == .exited(0))
    }

    /// What a client has in hand when the operator says stop is answered.
    @Test func aStopAnswersWhatHasArrived() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        let request = "POST /v1/machines/default/allocations HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(bytes: Array(String(repeating: request, count: 8).utf8))
        server.process.send(SIGTERM)
        var answered = 0
        while let answer = try? client.receive() {
            if answer.status == 201 { answered += 1 }
        }
        #expect(try server.process.waitForEnd() == .exited(0))
        let next = try Server(data: data, scratch: scratch)
        let live = try next.client().get("/v1/machines/default/allocations").json["items"].array
        #expect(live.count == answered)
    }

    @Test func aSecondServerOnTheSameLedgerIsRefused() throws {
        let first = try Server(data: data, scratch: scratch)
        let second = try GFPD.run(["serve", "--port", "0", "--data", data], scratch: scratch)
        expectRefusal(second, "in use", "another", "lock")
        #expect(try first.client().get("/readyz").status == 200)
        #expect(try first.stop() == .exited(0))
        #expect(try Server(data: data, scratch: scratch).stop() == .exited(0))
    }

    @Test func aTakenPortIsRefused() throws {
        let first = try Server(data: data, scratch: scratch)
        let second = try GFPD.run(
            ["serve", "--port", "\(first.port)", "--data", scratch.path("other")],
            scratch: scratch)
        expectRefusal(second, "\(first.port)")
    }

    @Test func aDataDirectoryThatCannotBeIsRefused() throws {
        let file = try scratch.write("not a directory", to: "file")
        let run = try GFPD.run(
            ["serve", "--port", "0", "--data", file + "/data"], scratch: scratch)
        expectRefusal(run, file)
    }

    @Test func aForeignFileInTheLedgersPlaceIsRefused() throws {
        let server = try Server(data: data, scratch: scratch)
        let ledger = try #require(server.readyLine.firstMatch(of: /ledger ([^ ,]+)/)).1
        let other = scratch.url.appending(path: "other")
        let foreign = other.appending(path: URL(filePath: String(ledger)).lastPathComponent)
        try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
        try Data(repeating: 0x41, count: 4096).write(to: foreign)
        let run = try GFPD.run(["serve", "--port", "0", "--data", other.path], scratch: scratch)
        expectRefusal(run, other.path)
        #expect(try Data(contentsOf: foreign) == Data(repeating: 0x41, count: 4096))
    }

    @Test(arguments: [
        ("", "zoneinfo"), ("{}", "nodes"), ("{\"nodes\": []}", "nodes"),
        ("{\"nodes\": [", "JSON"), ("Node 0, zone   Normal\n", "line"), ("\u{0}\u{1}", "zoneinfo"),
        ("<topology>", "line 1 of the hwloc topology"), ("\u{feff}\n<a/>", "root element"),
    ])
    func aTopologyThatIsNoneIsRefused(text: String, word: String) throws {
        let file = try scratch.write(text, to: "topology")
        let run = try GFPD.run(
            ["serve", "--port", "0", "--data", data, "--topology", file], scratch: scratch)
        expectRefusal(run, file)
    }

    @Test func aTopologyFileThatIsMissingIsRefused() throws {
        let run = try GFPD.run(
            ["serve", "--port", "0", "--data", data, "--topology", scratch.path("none")],
            scratch: scratch)
        expectRefusal(run, scratch.path("none"))
    }

    @Test(arguments: [["--port", "65536"], ["--port", "x"], ["--unknown"], ["nonsense"]])
    func aWrongCommandLineIsRefused(arguments: [String]) throws {
        let run = try GFPD.run(["serve"] + arguments, scratch: scratch)
        #expect(run.end != .exited(0))
        #expect(run.errors.contains(arguments[0]) || run.errors.contains("Unexpected"))
    }

    @Test func theEnvironmentIsReadAndTheCommandLineWins() throws {
        let environment = [
            "GFPD_DATA": scratch.path("environment"), "GFPD_PORT": "1", "GFPD_HOST": "127.0.0.1",
        ]
        let server = try Server(data: data, environment: environment, scratch: scratch)
        #expect(server.port != 1)
        #expect(FileManager.default.fileExists(atPath: data))
        #expect(!FileManager.default.fileExists(atPath: scratch.path("environment")))
        let wrong = try GFPD.run(
            ["serve", "--data", data], environment: ["GFPD_PORT": "many"], scratch: scratch)
        expectRefusal(wrong, "GFPD_PORT")
    }

    @Test func theHealthcheckTellsTheTwoStatesApart() throws {
        let server = try Server(data: data, scratch: scratch)
        let environment = ["GFPD_PORT": "\(server.port)"]
        let well = try GFPD.run(["healthcheck"], environment: environment, scratch: scratch)
        #expect(well.end == .exited(0))
        #expect(try server.stop() == .exited(0))
        let gone = try GFPD.run(["healthcheck"], environment: environment, scratch: scratch)
        #expect(gone.end != .exited(0) && gone.end != .signalled(SIGSEGV))
        #expect(!gone.errors.isEmpty)
    }

    /// Those of IPv6 where this computer has it.
    private static let hosts =
        ["localhost", "0.0.0.0"]
        + (FileManager.default.fileExists(atPath: "/proc/net/if_inet6") ? ["::", "::1"] : [])

    @Test(arguments: hosts) func theHealthcheckAsksWhereTheServerListens(host: String) throws {
        let server = try Server(data: data, ["--host", host, "--insecure"], scratch: scratch)
        let environment = ["GFPD_HOST": host, "GFPD_PORT": "\(server.port)"]
        let well = try GFPD.run(["healthcheck"], environment: environment, scratch: scratch)
        #expect(well.end == .exited(0), "\(well)")
    }

    /// One line that names what is wrong, and an exit status that says so.
    private func expectRefusal(
        _ run: (end: ChildProcess.End, output: String, errors: String), _ words: String...
    ) {
        #expect(run.end == .exited(1), "\(run)")
        #expect(run.output == "", "nothing is announced")
        let lines = run.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(run.errors)")
        #expect(words.contains { run.errors.contains($0) }, "\(run.errors)")
    }
}
