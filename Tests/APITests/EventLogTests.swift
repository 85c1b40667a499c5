import Glibc
import Ledger
import Testing

@testable import API

@Suite struct EventLogTests {
    /// A log into a pipe, and what was read from there.
    private final class Pipe {
        private let ends: [Int32]

        init() throws {
            var ends: [Int32] = [0, 0]
            try #require(unsafe pipe(&ends) == 0)
            for end in ends { try #require(fcntl(end, F_SETFL, O_NONBLOCK) == 0) }
            self.ends = ends
        }

        deinit {
            for end in ends { close(end) }
        }

        func log(
            _ format: EventLog.Format, _ access: EventLog.Access = .off
        ) -> EventLog {
            EventLog(format, access: access, descriptor: ends[1]) { Harness.firstTime }
        }

        /// What is there.
        func lines() -> [String] {
            var text: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = unsafe read(ends[0], &chunk, chunk.count)
                guard count > 0 else { break }
                text += chunk[..<count]
            }
            return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test func aLineForPeople() throws {
        let pipe = try Pipe()
        pipe.log(.text).note(
            .warning, "tried",
            [("n", .number(7)), ("word", .text("plain")), ("said", .text("two \"words\"\n"))])
        #expect(
            pipe.lines() == [
                #"2026-09-21T14:13:20.000001Z warning tried n=7 word=plain said="two \"words\"\n""#
            ])
    }

    @Test func aLineForMachines() throws {
        let pipe = try Pipe()
        pipe.log(.json).note(.info, "tried", [("n", .number(7)), ("said", .text("a\"b\n"))])
        let line = try JSONValue(Array(try #require(pipe.lines().first).utf8))
        #expect(line["time"]?.text == "2026-09-21T14:13:20.000001Z")
        #expect(line["level"]?.text == "info")
        #expect(line["event"]?.text == "tried")
        #expect(line["n"] == 7)
        #expect(line["said"]?.text == "a\"b\n")
    }

    @Test func offIsSilent() throws {
        let pipe = try Pipe()
        pipe.log(.off, .all).note(.error, "tried")
        #expect(pipe.lines() == [])
    }

    @Test func requestsLeaveALine() throws {
        let pipe = try Pipe()
        let harness = try Harness(log: pipe.log(.json, .all))
        try harness.createMachine("m")
        _ = try harness.send(
            "POST", "/v1/machines/m/allocations", "{}", headers: [("X-Request-Id", "r-1")])
        _ = try harness.send("GET", "/v1/ledger/1", headers: [("X-Request-Id", "r-2")])
        let lines = try pipe.lines().map { try JSONValue(Array($0.utf8)) }
        try #require(lines.count == 3)
        #expect(lines[1]["event"]?.text == "request")
        #expect(lines[1]["method"]?.text == "POST")
        #expect(lines[1]["path"]?.text == "/v1/machines/m/allocations")
        #expect(lines[1]["route"]?.text == "/v1/machines/{machine}/allocations")
        #expect(lines[1]["status"] == 201)
        #expect(lines[1]["request_id"]?.text == "r-1")
        #expect(lines[1]["sequence"] == 2)
        #expect(lines[1]["duration_us"]?.number != nil)
        #expect(lines[2]["request_id"]?.text == "r-2")
        #expect(lines[2]["status"] == 200)
    }

    @Test func errorsAreThoseOfTheServer() throws {
        let pipe = try Pipe()
        let harness = try Harness(log: pipe.log(.text, .errors))
        try harness.createMachine("m")
        _ = try harness.send("GET", "/nothing")
        #expect(pipe.lines() == [])
        harness.disk.freeBytes = 0
        _ = try harness.send("POST", "/v1/machines/m/allocations", "{}")
        let lines = pipe.lines()
        #expect(lines.count == 1)
        #expect(lines.first?.contains(" warning request ") ?? false)
        #expect(lines.first?.contains(" status=507 ") ?? false)
    }

    /// Nobody reads: nobody waits, and what was lost is said.
    @Test func aFullPipeLosesLinesAndNotTime() throws {
        let pipe = try Pipe()
        let log = pipe.log(.text)
        let text = String(repeating: "x", count: 1000)
        for _ in 0..<200 { log.note(.info, "long", [("text", .text(text))]) }
        let dropped = log.droppedLines
        #expect((1..<200).contains(dropped))
        #expect(pipe.lines().count == 200 - Int(dropped))
        log.note(.info, "short")
        let rest = pipe.lines()
        try #require(rest.count == 2)
        #expect(rest[0].hasSuffix("log_lines_dropped lines=\(dropped)"))
    }
}
