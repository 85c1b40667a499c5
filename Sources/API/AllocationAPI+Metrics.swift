// GET /metrics: the service as monitors see it. Names and units are those of the field:
// OpenTelemetry's for HTTP, Prometheus' for the process, the kernel's for pages.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator
public import Telemetry

/// Limits of what monitors are told.
enum MetricLimits {
    /// Zones whose free pages are told, order by order: about a megabyte of text. Machines beyond
    /// are left out whole.
    static let zones = 1024
}

extension AllocationAPI {
    /// What the ledger's storage has measured.
    public struct LedgerMetrics {
        /// Of the write-ahead log, as the disk took them.
        public var syncs: DurationHistogram
        public var checkpoints: DurationHistogram

        /// Frames (pages) in the write-ahead log.
        public var logFrames: UInt64

        public init(
            syncs: DurationHistogram = DurationHistogram(),
            checkpoints: DurationHistogram = DurationHistogram(), logFrames: UInt64 = 0
        ) {
            (self.syncs, self.checkpoints, self.logFrames) = (syncs, checkpoints, logFrames)
        }
    }

    /// GET /metrics, in OpenMetrics, or in the older text format for who accepts no other.
    func getMetrics(_ call: Call) throws(Problem) -> HTTPResponse {
        try QueryParameters(call.request).finish()
        let type = try MediaType.accepted(by: call.request, among: [.openMetrics, .text])
        var text = OpenMetricsText(
            type == .openMetrics ? .openMetrics : .prometheus, reserving: 32 << 10)
        write(requestsTo: &text)
        write(ledgerTo: &text)
        write(machinesTo: &text)
        Self.write(ProcessStatistics(), to: &text)
        let contentType =
            type == .openMetrics
            ? type.contentType : "text/plain; version=0.0.4; charset=utf-8"
        return HTTPResponse(status: 200, contentType: contentType, body: text.finished())
    }

    private func write(requestsTo text: inout OpenMetricsText) {
        text.family(
            "http_server_request_duration_seconds", .histogram, unit: "seconds",
            "From the turn that read the request to its answer, the ledger's commit included.")
        for (key, durations) in requestMetrics.series {
            var labels: [OpenMetricsText.Label] = []
            if key.method != .unread {
                labels.append(("http_request_method", key.method.rawValue))
            }
            labels.append(("http_response_status_code", String(key.status)))
            if let endpoint = key.endpoint { labels.append(("http_route", endpoint.pattern)) }
            text.samples(durations, labels)
        }
        text.family(
            "gfpd_history_reads_waiting", .gauge, "Reads of the past that wait for their answer.")
        text.sample(UInt64(waitingReads))
        text.family("gfpd_log_dropped_lines", .counter, "Log lines that nobody took in time.")
        text.sample(log.droppedLines)
    }

    private func write(ledgerTo text: inout OpenMetricsText) {
        text.family(
            "gfpd_ledger_entries", .counter, "Entries recorded since the start, by what they say.")
        for (kind, outcome, count) in service.entryCounts.counts {
            text.sample(count, [("kind", kind.name), ("outcome", outcome.name)])
        }
        text.family("gfpd_ledger_sequence", .gauge, "The last entry's sequence.")
        text.sample(service.lastSequence.rawValue)
        text.family(
            "gfpd_ledger_commit_duration_seconds", .histogram, unit: "seconds",
            "Commits of the entries of a turn, the sync of the log included.")
        text.samples(commitDurations)
        let ledger = ledgerMetrics()
        text.family(
            "gfpd_ledger_fsync_duration_seconds", .histogram, unit: "seconds",
            "Syncs of the write-ahead log.")
        text.samples(ledger.syncs)
        text.family(
            "gfpd_ledger_checkpoint_duration_seconds", .histogram, unit: "seconds",
            "Checkpoints: copying the write-ahead log into the database.")
        text.samples(ledger.checkpoints)
        text.family("gfpd_ledger_log_frames", .gauge, "Pages in the write-ahead log.")
        text.sample(ledger.logFrames)
        if let free = try? service.freeBytes() {
            text.family(
                "gfpd_ledger_free_bytes", .gauge, unit: "bytes",
                "What the file system of the ledger has left.")
            text.sample(free)
        }
    }

    private func write(machinesTo text: inout OpenMetricsText) {
        var zonesSoFar = 0
        let machines = service.state.machines.prefix { machine in
            zonesSoFar += machine.allocator.machine.zones.count
            return zonesSoFar <= MetricLimits.zones
        }
        text.family("gfpd_machines", .gauge, "Machines.")
        text.sample(UInt64(service.state.machines.count))
        text.family(
            "gfpd_machines_left_out", .gauge,
            "Machines of which the samples below say nothing, since there are so many zones.")
        text.sample(UInt64(service.state.machines.count - machines.count))
        text.family("gfpd_live_allocations", .gauge, "Grants that still hold pages.")
        for machine in machines {
            text.sample(UInt64(machine.allocator.liveGrantCount), [("machine", machine.name)])
        }
        text.family(
            "gfpd_managed_pages", .gauge, unit: "pages", "Pages that the buddy lists manage.")
        for machine in machines {
            for zone in machine.allocator.machine.zones where zone.isPopulated {
                text.sample(zone.managedPages, Self.labels(machine, zone))
            }
        }
        text.family(
            "gfpd_free_pages", .gauge, unit: "pages", "Free pages in blocks of that order.")
        for machine in machines {
            Self.writeFreePages(of: machine, to: &text)
        }
    }

    private static func writeFreePages(
        of machine: SimulatedMachine, to text: inout OpenMetricsText
    ) {
        for (position, zone) in machine.allocator.machine.zones.enumerated()
        where zone.isPopulated {
            let labels = labels(machine, zone)
            let blocks = machine.allocator.freeBlocks(inZone: position)
            for (order, count) in blocks.enumerated() {
                text.sample(count << UInt64(order), labels + [("order", String(order))])
            }
        }
    }

    private static func labels(
        _ machine: SimulatedMachine, _ zone: Zone
    ) -> [OpenMetricsText.Label] {
        [
            ("machine", machine.name), ("node", String(zone.node.rawValue)),
            ("zone", zone.type.name),
        ]
    }

    private static func write(_ process: ProcessStatistics, to text: inout OpenMetricsText) {
        text.family(
            "process_cpu_seconds", .counter, unit: "seconds",
            "Processor time of all threads, in user and in kernel mode.")
        text.sample(nanoseconds: process.processorNanoseconds)
        if let start = process.startNanoseconds {
            text.family(
                "process_start_time_seconds", .gauge, unit: "seconds",
                "When the process began, since 1970.")
            text.sample(nanoseconds: start)
        }
        let bytes: [(StaticString, StaticString, UInt64?)] = [
            ("process_resident_memory_bytes", "Memory in use.", process.residentBytes),
            ("process_virtual_memory_bytes", "Address space in use.", process.virtualBytes),
        ]
        for case (let name, let help, let value?) in bytes {
            text.family(name, .gauge, unit: "bytes", help)
            text.sample(value)
        }
        let counts: [(StaticString, StaticString, UInt64?)] = [
            ("process_open_fds", "Open descriptors.", process.openDescriptors),
            ("process_max_fds", "Descriptors that may be open.", process.maximumDescriptors),
            ("process_threads", "Threads.", process.threads),
        ]
        for case (let name, let help, let value?) in counts {
            text.family(name, .gauge, help)
            text.sample(value)
        }
    }
}

extension Endpoint {
    /// The path of its route, with `{name}` for what differs.
    var pattern: String {
        guard let route = Route.all.first(where: { $0.endpoint == self }) else {
            preconditionFailure("an endpoint without a route")
        }
        return route.pattern
    }
}
