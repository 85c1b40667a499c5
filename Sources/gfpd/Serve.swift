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
            Each option is also read from the environment, as GFPD_ and its name in capitals: \
            GFPD_PORT, GFPD_IDEMPOTENCY_HOURS. A configuration file has the same names, a line \
            GFPD_PORT=9000 each. The command line wins, then the environment, then the file. \
            SIGHUP reads the files of TLS and tokens again.
            """)

    @Option(help: "Configuration file: lines NAME=value, and comments that begin with #.")
    var config: String?

    @Option(help: "Address to listen on: an IP address or localhost. Default: 127.0.0.1.")
    var host: String?

    @Option(help: "Port to listen on; 0 picks a free one. Default: 8080.")
    var port: UInt16?

    @Option(help: "Directory of the ledger; made if missing. Default: ./data.")
    var data: String?

    @Option(
        help: """
            File that describes the machine "default" of a new ledger: the text of \
            /proc/zoneinfo, an hwloc topology in XML, or a JSON topology. Default: this computer's.
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
            Seconds between SIGTERM and the end of service, in which /readyz answers 503 and all \
            else goes on, 0 to 60. Default: 1.
            """)
    var stopNotice: UInt32?

    @Option(help: "Form of the log on standard error: text, json or off. Default: text.")
    var log: String?

    @Option(
        help: """
            Requests that leave a line in the log: all, off, or errors, which are those of status \
            500 and above. Default: errors.
            """)
    var accessLog: String?

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
        let log = EventLog(
            configuration.logFormat, access: configuration.accessLog, clock: wallClock)
        let tls = try configuration.tls?.context()
        ignoreBrokenPipes()
        // Before anything is written: a wrong file is told at once.
        let access = AccessPolicy(
            tokens: try configuration.tokens?.read(), rateLimit: configuration.rateLimit)
        let descriptors = raiseDescriptorLimit()
        let ledger = try openLedger(configuration.data)
        let service = try recover(ledger, configuration, log)
        try createFirstMachine(in: service, configuration, log)

        let directory = configuration.data
        let api = AllocationAPI(
            service: service, checks: ledger.checks, access: access, log: log,
            ledgerMetrics: { ledger.metrics },
            openHistory: { () throws(LedgerFailure) in
                try SQLiteHistory.open(directory: directory, report: log.reporter("history"))
            })
        api.isSecured = tls != nil
        holdSignals()
        let server = try listen(configuration, api, tls, descriptors)
        api.start(server.completions)
        log.note(.info, "configuration", configuration.settings.logFields)
        let signals =
            stopOnSignals(server.stopper, after: configuration.stopNotice, api.readiness, log)
            + [reloadOnSignal(reloads(configuration, tls, api, server.completions, log), log)]
        announce(server.port, configuration, service)
        do {
            try server.run()
        } catch {
            let reason = (error as? LedgerFailure)?.detail ?? "\(error)"
            throw Failure(
                "stopped, since it cannot go on: \(reason). What was answered is in the ledger; "
                    + "what was under way was not answered, and the next start finds out from disk "
                    + "whether it happened")
        }
        api.stop()
        try close(ledger)
        log.note(
            .info, "stopped", [("sequence", .number(service.state.lastSequence.rawValue))])
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
        _ ledger: SQLiteLedger, _ configuration: ServerConfiguration, _ log: EventLog
    ) throws(Failure) -> AllocationService {
        let directory = configuration.data
        let clock = ContinuousClock()
        let start = clock.now
        let snapshots = try snapshots(beside: ledger, directory, log)
        do {
            let service = try AllocationService(
                ledger: ledger,
                // Let go of when the service is there: the history thread opens them again.
                snapshots: snapshots,
                freeBytes: { () throws(LedgerFailure) in
                    try SQLiteLedger.freeBytes(directory: directory)
                }, keyRetention: configuration.keyRetention, clock: wallClock)
            report(service.recovery, clock.now - start, log)
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
        beside ledger: SQLiteLedger, _ directory: String, _ log: EventLog
    ) throws(Failure) -> (any SnapshotSource)? {
        do {
            return try ledger.snapshots(directory: directory, report: log.reporter("history"))
        } catch {
            throw Failure("cannot serve the ledger in \(directory): \(error.detail)")
        }
    }

    /// Says what the state was brought back from; of a new ledger there is nothing to say.
    private func report(_ recovery: Recovery.Way, _ duration: Duration, _ log: EventLog) {
        guard recovery.snapshot != nil || recovery.entries > 0 else { return }
        var fields: [(name: String, value: EventLog.Value)] = []
        if let snapshot = recovery.snapshot {
            fields.append(("snapshot", .number(snapshot.rawValue)))
        }
        fields.append(("entries", .number(UInt64(recovery.entries))))
        fields.append(("duration_ms", .number(UInt64(duration / .milliseconds(1)))))
        log.note(.info, "recovered", fields)
    }

    /// A new ledger gets the machine "default".
    private func createFirstMachine(
        in service: AllocationService, _ configuration: ServerConfiguration, _ log: EventLog
    ) throws(Failure) {
        guard service.state.lastSequence == .zero else {
            if configuration.topology != nil {
                log.note(
                    .warning, "topology_not_used", [("reason", .text("the ledger is not new"))])
            }
            return
        }
        let machine = try FirstMachine.machine(configuration.topology, log)
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
        _ completions: HTTPCompletions, _ log: EventLog
    ) -> [@Sendable () throws -> Void] {
        var reloads: [@Sendable () throws -> Void] = []
        if let tls { reloads.append(tls.reload) }
        if let tokens = configuration.tokens {
            let replacement = api.tokenReplacement
            reloads.append {
                try tokens.reload(into: replacement, log)
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

extension SQLiteLedger {
    fileprivate var metrics: AllocationAPI.LedgerMetrics {
        .init(
            syncs: syncDurations, checkpoints: checkpointDurations, logFrames: UInt64(logFrames))
    }
}

extension EventLog {
    /// Says what another part of the process has to say.
    fileprivate func reporter(_ event: StaticString) -> @Sendable (String) -> Void {
        { line in self.note(.warning, event, [("detail", .text(line))]) }
    }
}

extension [Settings.Setting] {
    /// What is set, and where it is from unless it is the default.
    fileprivate var logFields: [(name: String, value: EventLog.Value)] {
        let values = compactMap { setting in
            setting.value.map { (name: setting.name, value: EventLog.Value.text($0)) }
        }
        let sources = filter { $0.source != .default }.map { "\($0.name) \($0.source.rawValue)" }
        return values + [("sources", .text(sources.joined(separator: ", ")))]
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

/// Signals that sources take.
private let awaitedSignals = [SIGTERM, SIGINT, SIGHUP]

/// Has the signals wait until a source takes them. A thread that does not block one could be given
/// it instead, so this comes before any is started; threads inherit it.
private func holdSignals() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in awaitedSignals { unsafe sigaddset(&signals, number) }
    precondition(unsafe pthread_sigmask(SIG_BLOCK, &signals, nil) == 0, "these signals exist")
}

/// SIGTERM and SIGINT let the turn end, send what is decided, and stop. SIGTERM comes from a
/// supervisor, whose load balancer is given notice first; SIGINT from a person, who is not kept
/// waiting, and neither is who sends a second signal.
private func stopOnSignals(
    _ stopper: HTTPStopper, after notice: UInt32, _ readiness: Readiness, _ log: EventLog
) -> [any DispatchSourceSignal] {
    [SIGTERM, SIGINT].map { number in
        let queue = DispatchQueue.global()
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler {
            let isFirst = readiness.end()
            let hasNotice = isFirst && number == SIGTERM && notice > 0
            log.note(
                .info, "stopping",
                [
                    ("signal", .number(UInt64(number))),
                    ("notice_s", .number(hasNotice ? UInt64(notice) : 0)),
                ])
            guard hasNotice else {
                stopper.stop()
                return
            }
            queue.asyncAfter(deadline: .now() + .seconds(Int(notice))) { stopper.stop() }
        }
        source.resume()
        return source
    }
}

/// SIGHUP reads files again. One that cannot be used is told of, and what was read before stays.
private func reloadOnSignal(
    _ reloads: [@Sendable () throws -> Void], _ log: EventLog
) -> any DispatchSourceSignal {
    let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
    source.setEventHandler {
        for reload in reloads {
            do {
                try reload()
            } catch {
                log.note(
                    .error, "not_read_again",
                    [("reason", .text("\(error)")), ("effect", .text("all stays as it was"))])
            }
        }
    }
    source.resume()
    return source
}
