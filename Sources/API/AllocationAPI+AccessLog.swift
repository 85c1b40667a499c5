// What a request leaves behind: a count, and a line in the log where the operator wants one.

import AllocationService
import HTTPServer
import Ledger

extension AllocationAPI {
    /// A request that has its answer, until that is on its way.
    struct Answered {
        let requestID: String

        /// nil for a request that could not be read.
        let request: HTTPRequest?

        /// Who was let in; nil where everybody is.
        let principal: Principal?
        let series: RequestMetrics.Series

        /// The last entry that the answer reflects.
        let sequence: Sequence
    }

    /// Counts a request that is answered with this turn.
    func note(_ status: Int, _ call: Call) {
        let series = RequestMetrics.Series(call, status)
        requestMetrics.count(series)
        guard isLogged(status) else { return }
        answered.append(Answered(call, series, reflecting: service.lastSequence))
    }

    /// Counts a request that could not be read, and is answered with this turn.
    func note(malformed status: Int, _ requestID: String) {
        let series = RequestMetrics.Series(endpoint: nil, method: .unread, status: status)
        requestMetrics.count(series)
        guard isLogged(status) else { return }
        answered.append(
            Answered(
                requestID: requestID, request: nil, principal: nil, series: series,
                sequence: service.lastSequence))
    }

    /// Counts a request that is answered after its turn.
    ///
    /// - Parameters:
    ///   - time: when: `MonotonicClock.nanoseconds`.
    ///   - sequence: nil for an answer about the state as it is.
    func note(
        late status: Int, _ call: Call, at time: UInt64, reflecting sequence: Sequence?
    ) {
        let series = RequestMetrics.Series(call, status)
        let nanoseconds = time - call.start
        requestMetrics.record(series, nanoseconds: nanoseconds)
        guard isLogged(status) else { return }
        let answered = Answered(call, series, reflecting: sequence ?? service.lastSequence)
        log(answered, nanoseconds: nanoseconds)
    }

    /// The turn's answers are on their way.
    func logTurn(nanoseconds: UInt64) {
        guard !answered.isEmpty else { return }
        for answered in answered { log(answered, nanoseconds: nanoseconds) }
        answered.removeAll(keepingCapacity: true)
    }

    private func isLogged(_ status: Int) -> Bool {
        switch log.access {
        case .off: false
        case .errors: status >= 500
        case .all: true
        }
    }

    private func log(_ answered: Answered, nanoseconds: UInt64) {
        var fields: [(name: String, value: EventLog.Value)] = []
        if let request = answered.request {
            fields.append(("peer", .text("\(request.peer.address)")))
            fields.append(("method", .text(request.method.name)))
            fields.append(("path", .text(String(decoding: request.path, as: UTF8.self))))
        }
        if let endpoint = answered.series.endpoint {
            fields.append(("route", .text(endpoint.pattern)))
        }
        if let principal = answered.principal {
            fields.append(("principal", .text(principal.name)))
        }
        fields += [
            ("status", .number(UInt64(answered.series.status))),
            ("duration_us", .number(nanoseconds / 1000)),
            ("request_id", .text(answered.requestID)),
            ("sequence", .number(answered.sequence.rawValue)),
        ]
        log.add(answered.series.status >= 500 ? .warning : .info, "request", fields)
    }
}

extension AllocationAPI.Answered {
    fileprivate init(
        _ call: AllocationAPI.Call, _ series: RequestMetrics.Series,
        reflecting sequence: Sequence
    ) {
        self.init(
            requestID: call.requestID, request: call.request, principal: call.caller.principal,
            series: series, sequence: sequence)
    }
}

extension RequestMetrics.Series {
    fileprivate init(_ call: AllocationAPI.Call, _ status: Int) {
        self.init(
            endpoint: call.endpoint, method: .init(call.request.method), status: status)
    }
}
