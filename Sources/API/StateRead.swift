// Reads of the state: as it is, or with `at`, as it was.
//
// A read is a function of a state. It knows neither which sequence that stands at nor on which
// thread it runs, so what it says about the past is what it would have said then. A read of the
// present runs on the loop. One of the past runs where the past is brought back: on the history
// thread, whose machines nobody else sees.

import AllocationService
import HTTPServer
import JSON
import Ledger

/// Which state is asked for.
enum Moment: Sendable {
    /// After that entry and before the next one; zero is before the first.
    case sequence(Sequence)

    /// After the last entry that was decided at that time or before.
    case time(Timestamp)
}

/// What a read makes of a state.
enum StateAnswer {
    case response(HTTPResponse)

    /// The answer needs entries too: what to ask the ledger, and how to go on, given the same state
    /// or, of the present, perhaps a later one.
    case asking(
        HistoryQuestion,
        @Sendable (HistoryAnswer, LedgerState) throws(Problem) -> HTTPResponse)
}

/// A question about the state, taken from a request.
typealias StateRead = @Sendable (LedgerState) throws(Problem) -> StateAnswer

/// What a read said of a past state.
struct PastAnswer: Sendable {
    /// Where that state stands.
    let sequence: Sequence
    let response: Result<HTTPResponse, Problem>
}

extension AllocationAPI {
    /// Answers a read from the present state, or from that of a moment.
    func reply(at moment: Moment?, _ read: @escaping StateRead) throws(Problem) -> Reply {
        guard let moment else { return try reply(now: read) }
        if case .sequence(let sequence) = moment, sequence > service.lastSequence {
            throw Problem(.entryNotFound, "the ledger has no entry \(sequence.rawValue)")
        }
        return .later(.state(moment, read)) { (answer) throws(Problem) in
            guard case .past(let past) = try answer.checked() else {
                preconditionFailure("a past state was asked for")
            }
            return try past.response.get()
        }
    }

    private func reply(now read: StateRead) throws(Problem) -> Reply {
        switch try read(service.state) {
        case .response(let response): .now(response)
        case .asking(let question, let render):
            .later(question) { [self] (answer) throws(Problem) in
                try render(answer, service.state)
            }
        }
    }

    /// A read without further parameters, in JSON.
    func readPlain(_ call: Call, _ read: @escaping StateRead) throws(Problem) -> Reply {
        var parameters = try QueryParameters(call.request)
        let moment = try parameters.moment()
        try parameters.finish()
        _ = try MediaType.accepted(by: call.request, among: [.json])
        return try reply(at: moment, read)
    }

    /// A read of the machine that the path names, in JSON, or as the kernel prints it where the
    /// client asks for text and `text` is given.
    func readMachine(
        _ call: Call, text: (@Sendable (SimulatedMachine) -> String)? = nil,
        json write: @escaping @Sendable (inout JSONWriter, SimulatedMachine) -> Void
    ) throws(Problem) -> Reply {
        var parameters = try QueryParameters(call.request)
        let moment = try parameters.moment()
        try parameters.finish()
        let type = try MediaType.accepted(
            by: call.request, among: text == nil ? [.json] : [.json, .text])
        let name = call.path[2]
        return try reply(at: moment) { (state) throws(Problem) in
            let machine = try state.living(name)
            guard let text else {
                return .response(
                    json(version: machine.lastSequence) { writer in write(&writer, machine) })
            }
            var response =
                type == .text
                ? HTTPResponse(
                    status: 200, contentType: MediaType.text.contentType,
                    body: Array(text(machine).utf8))
                : json { writer in write(&writer, machine) }
            response.addEntityTag(machine.lastSequence)
            return .response(response.byAccept)
        }
    }

    /// A read of a page of what the state holds.
    ///
    /// - Parameters:
    ///   - items: what the list holds, ascending by place.
    ///   - place: where a page ends.
    func readList<Item>(
        _ call: Call, of items: @escaping @Sendable (LedgerState) throws(Problem) -> [Item],
        by place: @escaping @Sendable (Item) -> Sequence,
        json write: @escaping @Sendable (inout JSONWriter, Item) -> Void
    ) throws(Problem) -> Reply {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        let list = ListIdentity(path: call.request.path, parameters.unread)
        var moment = try parameters.moment()
        var page = HistoryQuery()
        page.pageSize = try parameters.pageSize()
        try parameters.resume(&page, list, of: &moment)
        try parameters.finish()
        return try reply(at: moment) { [moment, page] (state) throws(Problem) in
            let rest = try items(state).filter { place($0) > (page.after ?? .zero) }
            let items = rest.prefix(page.pageSize)
            let resume = rest.count > items.count ? items.last.map(place) : nil
            return .response(
                json { writer in
                    writer.list(resume: resume, list, in: moment.map { _ in state.lastSequence }) {
                        writer in
                        for item in items { write(&writer, item) }
                    }
                })
        }
    }
}

extension LedgerState {
    /// The machine of that name that lives in this state.
    func living(_ name: String) throws(Problem) -> SimulatedMachine {
        guard let machine = machine(named: name) else {
            throw Problem(ServiceFailure.machineNotFound)
        }
        return machine
    }
}
