// gfpd bench: durable grants a second, over HTTP, as ratios to what this disk can sync.
//
// The server runs in this process, as `gfpd serve` would run it, on a ledger in a folder of its
// own; wrk drives it from another. Before, after each round and at the end the serial fdatasync
// rate of the same disk is measured, since machines drift: only ratios inside one run mean
// anything.

import API
import AllocationService
import ArgumentParser
import Dispatch
import Glibc
import HTTPServer
import Ledger
import PageAllocator
import SQLiteLedger

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure durable grants over HTTP against this disk's fdatasync rate.",
        discussion: "Needs wrk. Everything listens on the loopback and is removed afterwards.",
        subcommands: [BenchHistory.self])

    @Option(help: "Comma-separated numbers of connections.")
    var connections = "1,64,512"

    @Option(help: "Seconds a round.")
    var seconds = 4

    @Option(help: "Rounds; the median is printed.")
    var rounds = 3

    @Option(help: "Folder on the disk to measure.")
    var directory = "/var/tmp"

    func validate() throws {
        guard !connectionCounts.isEmpty, connectionCounts.allSatisfy({ (1...4000).contains($0) })
        else { throw ValidationError("--connections takes numbers from 1 to 4000") }
        guard (1...600).contains(seconds), (1...100).contains(rounds) else {
            throw ValidationError("--seconds takes 1 to 600, --rounds 1 to 100")
        }
    }

    private var connectionCounts: [Int] {
        connections.split(separator: ",").compactMap { Int($0) }
    }

    func run() throws {
        let folder = try BenchFolder(in: directory)
        defer { folder.remove() }
        let server = try BenchServer(ledger: folder.path + "/ledger")
        defer { server.stop() }
        try folder.write("post.lua", BenchServer.wrkScript)
        let disk = SyncRate(file: folder.path + "/sync")
        print("| connections | grants/s | p50 | p99 | fdatasync/s | grants per fdatasync |")
        print("|---|---|---|---|---|---|")
        for count in connectionCounts {
            var results: [(wrk: WrkResult, syncs: Double)] = []
            for _ in 0..<rounds {
                let wrk = try WrkResult(
                    connections: count, seconds: seconds, script: folder.path + "/post.lua",
                    url: server.url)
                results.append((wrk, try disk.measure(seconds: 1)))
            }
            results.sort { $0.wrk.rate / $0.syncs < $1.wrk.rate / $1.syncs }
            let median = results[results.count / 2]
            let ratio = (median.wrk.rate / median.syncs * 100).rounded() / 100
            print(
                "| \(count) | \(Int(median.wrk.rate)) | \(median.wrk.p50) | \(median.wrk.p99) "
                    + "| \(Int(median.syncs)) | \(ratio) |")
            fflush(nil)
        }
    }
}

/// A folder that goes when the run ends.
struct BenchFolder {
    let path: String

    init(in directory: String) throws(Failure) {
        var template = Array("\(directory)/gfpd-bench-XXXXXX".utf8CString)
        let made = unsafe mkdtemp(&template)
        guard unsafe made != nil else { throw Failure("cannot make a folder in \(directory)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func write(_ name: String, _ text: String) throws(Failure) {
        guard let file = unsafe fopen("\(path)/\(name)", "w") else {
            throw Failure("cannot write in \(path)")
        }
        let status = unsafe fputs(text, file)
        let closed = unsafe fclose(file)
        guard status >= 0, closed == 0 else { throw Failure("cannot write in \(path)") }
    }

    func remove() {
        for name in [
            "ledger/gfpd.db", "ledger/gfpd.db-wal", "ledger/gfpd.db-shm", "ledger/gfpd.lock",
            "ledger/history.db", "ledger/history.db-wal",
            "post.lua", "sync",
        ] {
            unsafe unlink("\(path)/\(name)")
        }
        unsafe rmdir(path + "/ledger")
        unsafe rmdir(path)
    }
}

/// The server, on a thread of this process.
private final class BenchServer {
    let url: String
    private let stopper: HTTPStopper
    private let done = DispatchSemaphore(value: 0)

    /// One page from a window of 4 GiB, with an owner: what a device driver asks for.
    static let wrkScript = """
        wrk.method = 'POST'
        wrk.headers['Content-Type'] = 'application/json'
        wrk.body = '{"allocation_control":{"flags":["GFP_KERNEL"],"order":0,"node":0,' ..
          '"low_boundary":0,"high_boundary":"0xfffffffff"},"owner":"bench-1"}'

        """

    init(ledger directory: String) throws {
        let ledger = try SQLiteLedger.open(directory: directory)
        let service = try AllocationService(ledger: ledger, clock: wallClock)
        // 64 GiB: 16 million pages, more than a run can take.
        let last: UInt64 = (64 << 30) - 1
        guard let node = NodeID(0) else { preconditionFailure("node 0 is a node") }
        let machine = try Machine(
            topology: Topology(nodes: [
                .init(id: node, cpus: [0], memory: [AddressRange(first: 0, last: last)])
            ]))
        _ = try service.createMachine(named: "bench", machine, for: .init(requestID: "bench"))
        try service.commit()
        let api = AllocationAPI(service: service, checks: []) { () throws(LedgerFailure) in
            try SQLiteHistory.open(directory: directory)
        }
        let server = try HTTPServer(
            host: "127.0.0.1", port: 0, limits: AllocationAPI.serverLimits, application: api)
        api.start(server.completions)
        url = "http://127.0.0.1:\(server.port)/v1/machines/bench/allocations"
        stopper = server.stopper
        let thread = Unowned(server: server, ledger: ledger)
        DispatchQueue.global().async { [done] in
            thread.run()
            done.signal()
        }
    }

    func stop() {
        stopper.stop()
        done.wait()
    }

    /// Handed to the thread that runs it, and used nowhere else from then on.
    private final class Unowned: @unchecked Sendable {
        private let server: HTTPServer
        private let ledger: SQLiteLedger

        init(server: HTTPServer, ledger: SQLiteLedger) {
            self.server = server
            self.ledger = ledger
        }

        func run() {
            do {
                try server.run()
                try ledger.close()
            } catch {
                writeToStandardError("gfpd bench: the server stopped: \(error)\n")
            }
        }
    }
}

/// What wrk says of one round.
private struct WrkResult {
    /// Requests a second.
    let rate: Double
    let p50: String
    let p99: String

    init(connections: Int, seconds: Int, script: String, url: String) throws(Failure) {
        let command =
            "wrk -t1 -c\(connections) -d\(seconds)s --timeout 30s --latency "
            + "-s \(script) \(url) 2>&1"
        let lines = try Self.output(of: command)
        func value(_ name: String) throws(Failure) -> String {
            guard let line = lines.first(where: { $0.first == name }), line.count > 1 else {
                throw Failure("wrk did not say \(name); is it installed?")
            }
            return line[1]
        }
        if lines.contains(where: { $0.first == "Non-2xx" }) {
            throw Failure("some answers were refusals; the figures would mean nothing")
        }
        guard let rate = Double(try value("Requests/sec:")) else {
            throw Failure("wrk's output cannot be read")
        }
        self.rate = rate
        p50 = try value("50%")
        p99 = try value("99%")
    }

    /// The words of each line that a command prints.
    private static func output(of command: String) throws(Failure) -> [[String]] {
        guard let pipe = unsafe popen(command, "r") else { throw Failure("cannot run wrk") }
        var output: [UInt8] = []
        var byte = unsafe fgetc(pipe)
        while byte != EOF {
            output.append(UInt8(truncatingIfNeeded: byte))
            byte = unsafe fgetc(pipe)
        }
        let status = unsafe pclose(pipe)
        guard status == 0 else { throw Failure("wrk failed; is it installed?") }
        return String(decoding: output, as: UTF8.self).split(separator: "\n").map { line in
            line.split(separator: " ").map(String.init)
        }
    }
}

/// How often a second a 4 KiB write can be made durable, one after the other.
private struct SyncRate {
    let file: String

    /// Bytes of the file, written and synced once before, so that no write grows it.
    private static let size = 64 << 20
    private static let block = 4096

    func measure(seconds: Double) throws(Failure) -> Double {
        let descriptor = unsafe open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot write \(file)") }
        defer { close(descriptor) }
        let bytes = [UInt8](repeating: 0xa5, count: Self.block)
        for offset in stride(from: 0, to: Self.size, by: Self.block) {
            try write(bytes, descriptor, offset)
        }
        guard fsync(descriptor) == 0 else { throw Failure("cannot sync \(file)") }
        let start = wallClock().microseconds
        let end = start + Int64(seconds * 1_000_000)
        var count = 0
        var now = start
        while now < end {
            try write(bytes, descriptor, count * Self.block % Self.size)
            guard fdatasync(descriptor) == 0 else { throw Failure("cannot sync \(file)") }
            count += 1
            now = wallClock().microseconds
        }
        return Double(count) / Double(now - start) * 1_000_000
    }

    private func write(_ bytes: [UInt8], _ descriptor: Int32, _ offset: Int) throws(Failure) {
        guard unsafe pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else {
            throw Failure("cannot write \(file)")
        }
    }
}
