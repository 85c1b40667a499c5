// Whether the service is ready for work, and why not.

import AllocationService
import HTTPServer
import JSON
import Ledger

extension AllocationAPI {
    /// What `/readyz` looks at.
    private struct Finding {
        let check: Check

        /// What keeps the service from being ready.
        var problem: Problem?
    }

    /// GET /readyz: the ledger has been recovered and takes entries, and no stop is near. Else the
    /// problem that writes are answered with, or will be soon. `?verbose` names each check.
    func readyz(_ call: Call) throws(Problem) -> HTTPResponse {
        var parameters = try QueryParameters(call.request)
        let isVerbose = try parameters.flag("verbose")
        try parameters.finish()
        _ = try MediaType.accepted(by: call.request, among: [.json])
        let findings = [acceptance, ledgerFinding, diskFinding]
        let encoded = isVerbose ? encode(findings) : nil
        if let problem = findings.lazy.compactMap(\.problem).first {
            throw encoded.map { problem.with(.init("checks", encoded: $0)) } ?? problem
        }
        return status { writer in
            if let encoded { writer.member("checks", raw: encoded) }
        }
    }

    private func encode(_ findings: [Finding]) -> [UInt8] {
        var writer = JSONWriter(reserving: 2048)
        writer.beginArray()
        for finding in findings {
            writer.value(finding.check, finding.problem == nil ? "ok" : "failed")
        }
        for check in checks + currentChecks { writer.value(check, "ok") }
        writer.endArray()
        return writer.take()
    }

    private var acceptance: Finding {
        guard readiness.isStopping else {
            return Finding(check: Check(name: "accepting", detail: "requests are taken"))
        }
        let detail = "the server is stopping"
        return Finding(
            check: Check(name: "accepting", detail: detail),
            problem: Problem(.unavailable, detail))
    }

    private var ledgerFinding: Finding {
        if let failure = service.ledgerFailure {
            let problem = Problem(failure)
            return Finding(check: Check(name: "ledger", detail: problem.detail), problem: problem)
        }
        let sequence = service.lastSequence.rawValue
        return Finding(check: Check(name: "ledger", detail: "entries to \(sequence) are kept"))
    }

    private var diskFinding: Finding {
        do throws(ServiceFailure) {
            try service.checkLedger()
            let free = try service.freeBytes()
            return Finding(check: Check(name: "disk", detail: "\(free) bytes are free"))
        } catch {
            let problem = Problem(error)
            return Finding(check: Check(name: "disk", detail: problem.detail), problem: problem)
        }
    }

    private var currentChecks: [Check] {
        [
            Check(name: "sequence", detail: String(service.lastSequence.rawValue)),
            Check(name: "machines", detail: String(service.state.machines.count)),
            Check(name: "history_reads_waiting", detail: String(waitingReads)),
        ]
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ check: AllocationAPI.Check, _ status: StaticString) {
        beginObject()
        member("name", check.name)
        member("status", status)
        member("detail", check.detail)
        endObject()
    }
}
