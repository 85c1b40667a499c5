// gfpd serve: open the ledger, recover, create the first machine, serve until told to stop.

import API
import AllocationService
import ArgumentParser
import Dispatch
import Glibc
import HTTPServer
import Ledger
import PageAllocator
import SQLiteLedger
import TLS

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the HTTP API.",
        discussion: """
            Each option is also read from the environment: GFPD_HOST, GFPD_PORT, GFPD_DATA, \
            GFPD_TOPOLOGY, GFPD_IDEMPOTENCY_HOURS, GFPD_TLS_CERTIFICATE, GFPD_TLS_KEY, \
            GFPD_TLS_CLIENT_CA, GFPD_TOKENS, GFPD_INSECURE, GFPD_RATE_LIMIT. The command \
            line wins. SIGHUP reads the files of TLS and tokens again.
            """)

    @Option(help: "Address to listen on: an IP address or localhost. Default: 127.0.0.1.")
    var host: String?

    @Option(help: "Port to listen on; 0 picks a free one. Default: 8080.")
    var port: UInt16?

    @Option(help: "Directory of the ledger; made if missing. Default: ./data.")
    var data: String?

    @Option(
        help: """
            File that describes the machine "default" of a new ledger: the text of \
            /proc/zoneinfo, or a JSON topology. Default: this computer's.
            """)
    var topology: String?

    @Option(
        help: """
            Hours for which an answer is given again under its Idempotency-Key, 1 to 1000000. \
            Default: 24.
            """)
    var idempotencyHours: UInt32?

    @Option(
        help: """
            PEM file to speak TLS with: the certificate, then its intermediate authorities'. \
            Default: plain HTTP.
            """)
    var tlsCertificate: String?

    @Option(help: "PEM file of the certificate's private key, without a password.")
    var tlsKey: String?

    @Option(
        help: """
            PEM file of the authorities that sign clients' certificates. The common name of such \
            a certificate is the client's principal.
            """)
    var tlsClientCa: String?

    @Option(
        help: """
            File of those who are let in, a line for each: PRINCIPAL SCOPE,... sha256:HEX, as gfpd \
            token prints it. SIGHUP has it read again. Default: everybody is let in.
            """)
    var tokens: String?

    @Flag(help: "Listen beyond the loopback though everybody is let in.")
    var insecure = false

    @Option(
        help: """
            Requests a second that a principal may send, or without tokens an address: 1 to \
            1000000. Default: no limit.
            """)
    var rateLimit: UInt32?

    func run() throws {
        let configuration = try ServerConfiguration(self)
        let tls = try configuration.tls?.context()
        ignoreBrokenPipes()
        // Before anything is written: a wrong file is told at once.
        let access = AccessPolicy(
            tokens: try configuration.tokens?.read(), rateLimit: configuration.rateLimit)
        let descriptors = raiseDescriptorLimit()
        let ledger = try openLedger(configuration.data)
        let service = try recover(ledger, configuration)
        try createFirstMachine(in: service, configuration)

        let directory = configuration.data
        let api = AllocationAPI(service: service, checks: ledger.checks, access: access) {
            () throws(LedgerFailure) in
            try SQLiteHistory.open(directory: directory)
        }
        let server = try listen(configuration, api, tls, descriptors)
        api.start(server.completions)
        let signals =
            stopOnSignals(server.stopper)
            + [reloadOnSignal(reloads(configuration, tls, api, server.completions))]
        announce(server.port, configuration, service)
        do {
            try server.run()
        } catch {
            throw Failure("stopped, nothing unacknowledged was sent: \(error)")
        }
        try close(ledger)
        withExtendedLifetime(signals) {}
    }

    private func openLedger(_ directory: String) throws(Failure) -> SQLiteLedger {
        do {
            return try SQLiteLedger.open(directory: directory)
        } catch {
            throw Failure("cannot open the ledger in \(directory): \(error.detail)")
        }
    }

    private func recover(
        _ ledger: SQLiteLedger, _ configuration: ServerConfiguration
    ) throws(Failure) -> AllocationService {
        let directory = configuration.data
        let clock = ContinuousClock()
        let start = clock.now
        let snapshots = try snapshots(beside: ledger, directory)
        do {
            let service = try AllocationService(
                ledger: ledger,
                // Let go of when the service is there: the history thread opens them again.
                snapshots: snapshots,
                freeBytes: { () throws(LedgerFailure) in
                    try SQLiteLedger.freeBytes(directory: directory)
                }, keyRetention: configuration.keyRetention, clock: wallClock)
            report(service.recovery, clock.now - start)
            return service
        } catch {
            switch error {
            case .unreadable(let failure):
                throw Failure("cannot read the ledger: \(failure.detail)")
            case .contradiction(let sequence, let reason):
                throw Failure("ledger entry \(sequence.rawValue) does not fit: \(reason)")
            }
        }
    }

    private func snapshots(
        beside ledger: SQLiteLedger, _ directory: String
    ) throws(Failure) -> (any SnapshotSource)? {
        do {
            return try ledger.snapshots(directory: directory) { line in
                writeToStandardError("gfpd: \(line)\n")
            }
        } catch {
            throw Failure("cannot serve the ledger in \(directory): \(error.detail)")
        }
    }

    /// Says what the state was brought back from; of a new ledger there is nothing to say.
    private func report(_ recovery: Recovery.Way, _ duration: Duration) {
        guard recovery.snapshot != nil || recovery.entries > 0 else { return }
        let entries = recovery.entries == 1 ? "1 entry" : "\(recovery.entries) entries"
        let source = recovery.snapshot.map { snapshot in
            "the snapshot of entry \(snapshot.rawValue) and \(entries) after it"
        }
        let milliseconds = duration / .milliseconds(1)
        writeToStandardError(
            "gfpd: recovered from \(source ?? entries) in \(Int(milliseconds)) ms\n")
    }

    /// A new ledger gets the machine "default".
    private func createFirstMachine(
        in service: AllocationService, _ configuration: ServerConfiguration
    ) throws(Failure) {
        guard service.state.lastSequence == .zero else {
            if configuration.topology != nil {
                writeToStandardError("gfpd: the ledger is not new; --topology is not used\n")
            }
            return
        }
        let machine = try FirstMachine.machine(configuration.topology)
        do {
            _ = try service.createMachine(
                named: FirstMachine.name, machine, for: .init(requestID: "first-start"))
            try service.commit()
        } catch {
            throw Failure("cannot record the machine \(FirstMachine.name): \(error)")
        }
    }

    /// Descriptors that connections leave to the ledger's files and to what reads them.
    private static let reservedDescriptors = 128

    private func listen(
        _ configuration: ServerConfiguration, _ api: AllocationAPI, _ tls: TLSServerContext?,
        _ descriptors: Int
    ) throws(Failure) -> HTTPServer {
        var limits = AllocationAPI.serverLimits
        limits.maximumConnections = min(
            limits.maximumConnections, max(1, descriptors - Self.reservedDescriptors))
        do {
            return try HTTPServer(
                host: configuration.host, port: configuration.port, limits: limits, tls: tls,
                application: api)
        } catch {
            throw Failure(
                "cannot listen on \(configuration.host) port \(configuration.port): \(error)")
        }
    }

    /// What SIGHUP has read again.
    private func reloads(
        _ configuration: ServerConfiguration, _ tls: TLSServerContext?, _ api: AllocationAPI,
        _ completions: HTTPCompletions
    ) -> [@Sendable () throws -> Void] {
        var reloads: [@Sendable () throws -> Void] = []
        if let tls { reloads.append(tls.reload) }
        if let tokens = configuration.tokens {
            let replacement = api.tokenReplacement
            reloads.append {
                try tokens.reload(into: replacement)
                completions.requestTurn()
            }
        }
        return reloads
    }

    /// One line for whoever, or whatever, waits for the server.
    private func announce(
        _ port: UInt16, _ configuration: ServerConfiguration, _ service: AllocationService
    ) {
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        let url = "http\(configuration.tls == nil ? "" : "s")://\(host):\(port)"
        let file = "\(configuration.data)/gfpd.db"
        let sequence = service.state.lastSequence.rawValue
        let machine = service.state.machines.first
        let example =
            "curl -s --json '{}' \(url)/v1/machines/\(machine?.name ?? "NAME")/allocations"
        let summary = machine?.summary ?? "no machine"
        print(
            "gfpd is ready at \(url) (ledger \(file), sequence \(sequence); \(summary)).",
            "Try: \(example)")
        fflush(nil)
    }

    private func close(_ ledger: SQLiteLedger) throws(Failure) {
        do {
            try ledger.close()
        } catch {
            throw Failure("cannot close the ledger: \(error.detail)")
        }
    }
}

/// A sentence for the person at the terminal; exit status 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension SQLiteLedger {
    /// What `/readyz?verbose` says of how the ledger is kept.
    var checks: [AllocationAPI.Check] {
        let version = AllocationAPI.Check(
            name: "sqlite_version",
            detail: Self.sqliteVersion + "; the WAL-reset bug of 3.7.0 to 3.51.2 needs two "
                + "connections that write or checkpoint, and here is one")
        return [version] + settings.map { .init(name: $0.name, detail: $0.value) }
    }
}

extension SimulatedMachine {
    /// `machine default: 2 nodes, 5.1 GiB free`.
    fileprivate var summary: String {
        let nodes = allocator.machine.nodes.count
        let tenths = (allocator.freePages * PageFrameNumber.pageSize * 10) >> 30
        return "machine \(name): \(nodes) node\(nodes == 1 ? "" : "s"), "
            + "\(tenths / 10).\(tenths % 10) GiB free"
    }
}

/// The time now, from the system's clock.
func wallClock() -> Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
}

func writeToStandardError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
}

/// A peer that has gone is an error of a write, not a signal.
private func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}

/// Each connection is a descriptor; the soft limit is often 1,024. Returns the limit afterwards.
private func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    precondition(unsafe getrlimit(resource, &limit) == 0, "this process has limits")
    let before = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    return Int(clamping: unsafe setrlimit(resource, &limit) == 0 ? limit.rlim_cur : before)
}

/// SIGTERM and SIGINT let the turn end, send what is decided, and stop.
private func stopOnSignals(_ stopper: HTTPStopper) -> [any DispatchSourceSignal] {
    [SIGTERM, SIGINT].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { stopper.stop() }
        source.resume()
        return source
    }
}

/// SIGHUP reads files again. One that cannot be used is told of, and what was read before stays.
private func reloadOnSignal(
    _ reloads: [@Sendable () throws -> Void]
) -> any DispatchSourceSignal {
    signal(SIGHUP, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
    source.setEventHandler {
        for reload in reloads {
            do {
                try reload()
            } catch {
                writeToStandardError("gfpd: not read again, all stays as it was: \(error)\n")
            }
        }
    }
    source.resume()
    return source
}
