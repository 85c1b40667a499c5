// What an operator sees: the configuration file, the log, and how the server stops.

import Foundation
import Glibc
import Testing

@Suite struct OperationTests {
    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test func theEnvironmentWinsOverTheFileAndTheCommandLineOverBoth() throws {
        let file = try scratch.write(
            """
            # What this host runs with.
            GFPD_HOST = 127.0.0.1
            GFPD_DATA="\(scratch.path("from-file"))"

            GFPD_PORT=1
            GFPD_IDEMPOTENCY_HOURS=7
            GFPD_STOP_NOTICE=9
            GFPD_LOG=json
            """, to: "gfpd.conf")
        let process = try ChildProcess(
            GFPD.binary(), ["serve", "--config", file, "--port", "0"],
            environment: ["GFPD_STOP_NOTICE": "0"], scratch: scratch.url)
        _ = try process.firstLine()
        let configuration = try #require(Self.events(process.errors, "configuration").first)
        #expect(configuration["GFPD_DATA"].string == scratch.path("from-file"))
        #expect(configuration["GFPD_IDEMPOTENCY_HOURS"].string == "7")
        #expect(configuration["GFPD_STOP_NOTICE"].string == "0")
        #expect(configuration["GFPD_PORT"].string == "0")
        let sources = configuration["sources"].string ?? ""
        #expect(sources.contains("GFPD_PORT command line"))
        #expect(sources.contains("GFPD_STOP_NOTICE environment"))
        #expect(sources.contains("GFPD_DATA file"))
        #expect(!sources.contains("GFPD_TOPOLOGY"))
        process.send(SIGTERM)
        #expect(try process.waitForEnd() == .exited(0))
        #expect(FileManager.default.fileExists(atPath: scratch.path("from-file")))
    }

    @Test(arguments: [
        ("GFPD_PORT", "line 1"), ("\nGFPD_PROT=1", "line 2"),
        ("GFPD_PORT=1\nGFPD_PORT=2", "line 2"),
        ("GFPD_PORT=many", "GFPD_PORT"), ("GFPD_LOG=loud", "text, json, off"),
        ("GFPD_CONFIG=other", "GFPD_CONFIG"),
    ])
    func aFileWithAMistakeIsRefused(text: String, word: String) throws {
        let file = try scratch.write(text, to: "gfpd.conf")
        let run = try GFPD.run(["serve", "--data", data, "--config", file], scratch: scratch)
        #expect(run.end == .exited(1))
        #expect(run.errors.contains(word), "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test func aFileThatIsMissingIsRefused() throws {
        let file = scratch.path("none")
        let run = try GFPD.run(
            ["serve", "--data", data], environment: ["GFPD_CONFIG": file], scratch: scratch)
        #expect(run.end == .exited(1))
        #expect(run.errors.contains(file))
    }

    /// A load balancer has the time to see it; whoever comes meanwhile is served.
    @Test func aStopIsAnnouncedBeforeItComes() throws {
        let server = try Server(
            data: data, ["--log", "json"], environment: ["GFPD_STOP_NOTICE": "1"],
            scratch: scratch)
        let client = try server.client()
        #expect(try client.get("/readyz").status == 200)
        let start = Date()
        server.process.send(SIGTERM)
        while try client.get("/readyz").status == 200 {}
        let late = try server.client()
        #expect(try late.get("/readyz?verbose").status == 503)
        #expect(try late.post("/v1/machines/default/allocations", "{}").status == 201)
        #expect(try server.process.waitForEnd() == .exited(0))
        let seconds = Date().timeIntervalSince(start)
        #expect((0.9..<10).contains(seconds))
        let stopping = try #require(Self.events(server.process.errors, "stopping").first)
        #expect(stopping["notice_s"].int == 1)
        let stopped = try #require(Self.events(server.process.errors, "stopped").first)
        #expect(stopped["sequence"].int == 2)
    }

    /// Whoever stops it by hand is not kept waiting, and nobody by a second signal.
    @Test(arguments: [[SIGINT], [SIGTERM, SIGTERM]])
    func noNoticeForAPerson(signals: [Int32]) throws {
        let server = try Server(
            data: data, environment: ["GFPD_STOP_NOTICE": "60"], scratch: scratch)
        for signal in signals {
            server.process.send(signal)
            usleep(50_000)
        }
        #expect(try server.process.waitForEnd(within: 10) == .exited(0))
    }

    /// A log that was kept could be damaged while nobody looks.
    @Test func aStopLeavesAnEmptyLog() throws {
        let server = try Server(data: data, scratch: scratch)
        #expect(try server.client().post("/v1/machines/default/allocations", "{}").status == 201)
        #expect(try server.stop() == .exited(0))
        let log = try FileManager.default.attributesOfItem(atPath: data + "/gfpd.db-wal")
        #expect(log[.size] as? Int == 0)
    }

    @Test func whatTheDiskTakesIsMeasured() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        #expect(try client.post("/v1/machines/default/allocations", "{}").status == 201)
        let lines = try client.get("/metrics").text.split(separator: "\n")
        #expect(lines.last == "# EOF")
        let commits = "gfpd_ledger_commit_duration_seconds_count "
        let syncs = "gfpd_ledger_fsync_duration_seconds_count "
        #expect(lines.contains("\(commits)1"))
        // That of the first machine's commit too.
        #expect(lines.contains("\(syncs)2"))
    }

    private static func events(_ log: String, _ name: String) -> [JSONValue] {
        log.split(separator: "\n").map { JSONValue(parsing: Array($0.utf8)) }
            .filter { $0["event"].string == name }
    }
}
