// The ledger as it grows: Server-Sent Events.

import AllocationService
import HTTPServer
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET /v1/ledger/stream.
    func streamLedger(_ call: Call) throws(Problem) -> Reply {
        _ = try MediaType.accepted(by: call.request, among: [.eventStream])
        var parameters = try QueryParameters(call.request)
        var query = HistoryQuery()
        let machineName = try parameters.name("machine")
        try parameters.ledgerFilters(into: &query)
        try parameters.finish()
        // A client that comes back sends the parameters of the first time and its newest id.
        if let id = try Self.lastEventID(call.request) { query.after = id }
        return .stream(
            StreamRequest(query: query, machineName: machineName, requestID: call.requestID))
    }

    /// `Last-Event-ID` (WHATWG HTML, section 9.2.4): the sequence after which to go on.
    private static func lastEventID(_ request: HTTPRequest) throws(Problem) -> Sequence? {
        guard let text = request.header("last-event-id") else { return nil }
        guard let number = UInt64(decimal: text), number <= Int64.max else {
            throw Problem(
                at: "/header/Last-Event-ID", "must be the id of an event of this stream")
        }
        return Sequence(number)
    }

    /// Begins the answer; what is in it comes from the history thread.
    func open(
        _ stream: StreamRequest, _ call: Call, _ exchange: ExchangeID
    ) throws(Problem) {
        guard let completions, let history, history.hasRoomForStream else {
            throw Self.tooManyStreams
        }
        var head = HTTPResponse(status: 200, contentType: MediaType.eventStream.contentType)
        head.addField("Cache-Control", "no-store")
        completions.beginStream(finished(head, to: call), for: exchange)
        // The answer to HEAD is whole.
        guard !call.request.isHead else { return }
        history.open(stream, for: exchange, committed: lastCommitted, names: service.machineNames)
    }

    private static var tooManyStreams: Problem {
        var problem = Problem(
            .unavailable, "\(StreamLimits.maximumStreams) streams are open already")
        problem.fields = [.init("Retry-After", String(StreamLimits.secondsToRetry))]
        return problem
    }
}
