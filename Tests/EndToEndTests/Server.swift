// A gfpd that serves, as a person would start one: the real binary, a directory, a free port.

import Foundation
import Glibc
import Testing

/// A directory of its own, removed with what is in it.
final class ScratchDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appending(path: "gfpd-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        do {
            try FileManager.default.removeItem(at: url)
        } catch {
            Issue.record("the scratch directory stays behind: \(error)")
        }
    }

    func path(_ name: String) -> String { url.appending(path: name).path }

    func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: url.appending(path: name))
        return path(name)
    }
}

enum GFPD {
    /// `$GFPD_BINARY`, which `make test` sets to the release build; else the one that was built
    /// together with these tests.
    static func binary() throws -> String {
        if let path = ProcessInfo.processInfo.environment["GFPD_BINARY"] { return path }
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: tests).deletingLastPathComponent().appending(path: "gfpd").path
    }

    /// Runs gfpd to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], scratch: ScratchDirectory
    ) throws -> (end: ChildProcess.End, output: String, errors: String) {
        let process = try ChildProcess(
            binary(), arguments, environment: environment, scratch: scratch.url)
        let end = try process.waitForEnd()
        return (end, process.output, process.errors)
    }
}

/// A server that has said that it is ready.
final class Server {
    struct NotReady: Error, CustomStringConvertible {
        let description: String
    }

    let process: ChildProcess
    let port: UInt16

    /// What it said.
    let readyLine: String

    /// Held so that the directory is removed after the process, which writes to it to its end.
    private let scratch: ScratchDirectory

    /// - Parameter data: the ledger's directory.
    init(
        data: String, _ arguments: [String] = [], environment: [String: String] = [:],
        scratch: ScratchDirectory
    ) throws {
        self.scratch = scratch
        // Nobody else hears of its stop.
        let environment = ["GFPD_STOP_NOTICE": "0"].merging(environment) { $1 }
        process = try ChildProcess(
            GFPD.binary(), ["serve", "--port", "0", "--data", data] + arguments,
            environment: environment, scratch: scratch.url)
        readyLine = try process.firstLine() ?? ""
        guard let match = readyLine.firstMatch(of: /https?:\/\/[^\/]+:([0-9]+)/),
            let port = UInt16(match.1)
        else {
            throw NotReady(description: "\(readyLine)\n\(process.errors)")
        }
        self.port = port
    }

    func client() throws -> HTTPClient { try HTTPClient(port: port) }

    /// Stops it as an operator would.
    func stop() throws -> ChildProcess.End {
        process.send(SIGTERM)
        return try process.waitForEnd()
    }

    /// Ends it in the middle of whatever it does.
    func kill() throws {
        process.send(SIGKILL)
        #expect(try process.waitForEnd() == .signalled(SIGKILL))
    }
}
