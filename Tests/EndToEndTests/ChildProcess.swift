// A child process and what it prints. `Foundation.Process` needs a run loop to wait; tests that
// start and kill hundreds of servers from several threads are better off with the system calls.
// What the child prints goes to files: a pipe's end could be inherited by another child.

import Foundation
import Glibc

/// A program that was started.
final class ChildProcess {
    /// How it ended.
    enum End: Equatable {
        case exited(Int32)
        case signalled(Int32)
    }

    struct CannotStart: Error {
        let program: String
        let code: Int32
    }

    struct TookTooLong: Error {
        let program: String
    }

    let pid: pid_t
    private let program: String
    private let outputFile: URL
    private let errorFile: URL
    private var ended: End?

    /// - Parameters:
    ///   - environment: laid over this process's own, without its `GFPD_` variables.
    ///   - scratch: an existing directory, for what the program prints.
    init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:],
        scratch: URL
    ) throws {
        self.program = program
        let name = UUID().uuidString
        outputFile = scratch.appending(path: name + ".stdout")
        errorFile = scratch.appending(path: name + ".stderr")
        pid = try Self.spawn(
            program, [program] + arguments, Self.variables(environment), output: outputFile.path,
            errors: errorFile.path)
    }

    deinit {
        if ended == nil {
            Glibc.kill(pid, SIGKILL)
            _ = wait(0)
        }
    }

    /// What was printed so far.
    var output: String { Self.text(of: outputFile) }

    /// What was printed to standard error so far.
    var errors: String { Self.text(of: errorFile) }

    /// The first line of standard output without its end; nil where the program ends without one.
    func firstLine(within seconds: Double = 60) throws -> String? {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            let hasEnded = (ended ?? wait(WNOHANG)) != nil
            let output = output
            if let end = output.firstIndex(of: "\n") { return String(output[..<end]) }
            if hasEnded { return nil }
            guard Date() < deadline else { throw TookTooLong(program: program) }
            usleep(1000)
        }
    }

    var isRunning: Bool { (ended ?? wait(WNOHANG)) == nil }

    func send(_ signal: Int32) {
        Glibc.kill(pid, signal)
    }

    /// Waits for the end.
    func waitForEnd(within seconds: Double = 60) throws -> End {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let end = ended ?? wait(WNOHANG) { return end }
            guard Date() < deadline else { throw TookTooLong(program: program) }
            usleep(1000)
        }
    }

    private func wait(_ options: Int32) -> End? {
        var status: Int32 = 0
        guard unsafe waitpid(pid, &status, options) == pid else { return nil }
        let signal = status & 0x7f
        ended = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
        return ended
    }

    private static func text(of file: URL) -> String {
        String(decoding: FileManager.default.contents(atPath: file.path) ?? Data(), as: UTF8.self)
    }

    private static func variables(_ overlay: [String: String]) -> [String] {
        ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("GFPD_") }
            .merging(overlay) { $1 }
            .map { "\($0.key)=\($0.value)" }
    }

    private static func spawn(
        _ program: String, _ arguments: [String], _ variables: [String], output: String,
        errors: String
    ) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let create = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, create, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, create, 0o600)

        var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var envp = unsafe variables.map { unsafe strdup($0) } + [nil]
        defer {
            for index in unsafe argv.indices { unsafe free(argv[index]) }
            for index in unsafe envp.indices { unsafe free(envp[index]) }
        }
        var pid: pid_t = 0
        let code = unsafe posix_spawnp(&pid, program, &actions, nil, &argv, &envp)
        guard code == 0 else { throw CannotStart(program: program, code: code) }
        return pid
    }
}
