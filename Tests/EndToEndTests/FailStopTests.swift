// The disk refuses a sync under a serving gfpd: nothing is acknowledged any more, the process ends
// and says why, and the next one has all that was acknowledged.

import Foundation
import Glibc
import Testing

@Suite(.serialized) struct FailStopTests {
    private let scratch: ScratchDirectory
    private let failing: FailingSync
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
        failing = try FailingSync(in: scratch)
    }

    @Test("of the log, in a commit")
    func commit() throws {
        try expectFailStop(on: try start()) { server in
            try failing.fail(filesEndingIn: "/gfpd.db-wal")
            return try server.process.waitForEnd()
        }
    }

    @Test("of the database, in a checkpoint between commits")
    func checkpoint() throws {
        let server = try start()
        try fillLog(server)
        try expectFailStop(on: server) { server in
            try failing.fail(filesEndingIn: "/gfpd.db")
            return try server.process.waitForEnd(within: KillTests.patienceSeconds * 2)
        }
    }

    @Test("of the database, in the checkpoint of a stop")
    func lastCheckpoint() throws {
        try expectFailStop(on: try start()) { server in
            try failing.fail(filesEndingIn: "/gfpd.db")
            return try server.stop()
        }
    }

    private func start() throws -> Server {
        try Server(data: data, environment: failing.environment, scratch: scratch)
    }

    /// Leaves little of the log until its checkpoint is due: with 100,000 entries, of 4,096 pages
    /// more than 3,000.
    private func fillLog(_ server: Server) throws {
        let client = try server.client()
        let refused = """
            {"allocate": {"allocation_control": {"low_boundary": 4096, "high_boundary": 8190}}}
            """
        let operations = [String](repeating: refused, count: 10_000).joined(separator: ",")
        for _ in 0..<10 {
            let answer = try client.post(
                "/v1/machines/default/batch", "{\"operations\": [\(operations)]}")
            try #require(answer.status == 200, "\(answer.text.prefix(300))")
        }
    }

    /// - Parameter end: makes syncs of a server under load fail, and waits for its end.
    private func expectFailStop(
        on server: Server, _ end: (Server) throws -> ChildProcess.End
    ) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var model = try KillTests.createMachine(server)
        let operations = try KillTests.load(server, 1, model, &random) { server in
            let ended = try end(server)
            #expect(ended == .exited(1))
        }
        #expect(server.process.errors.contains("disk I/O error"), "\(server.process.errors)")

        let next = try Server(data: data, scratch: scratch)
        var tally = KillTests.Tally()
        do {
            try KillTests.check(next, operations, &model, &tally)
        } catch {
            Issue.record("seed \(seed): \(error)")
        }
        #expect(tally.granted > 10)
        #expect(try next.stop() == .exited(0))
        let verified = try GFPD.run(["verify", data], scratch: scratch)
        #expect(verified.end == .exited(0), "\(verified.output)\(verified.errors)")
    }
}
