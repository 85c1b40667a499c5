// The ledger, and what all lists have in common.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET /v1/ledger.
    func listLedger(_ call: Call) throws(Problem) -> Reply {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        let list = ListIdentity(path: call.request.path, parameters.unread)
        let query = try ledgerQuery(&parameters, list)
        return .later(.page(query)) { [self] (answer) throws(Problem) in
            guard case .page(let page) = try answer.checked() else {
                preconditionFailure("a page was asked for")
            }
            return json(reserving: 32 << 10) { writer in
                writer.list(resume: page.resume, list) { writer in
                    for entry in page.entries {
                        writer.value(entry, machine: name(of: entry.machine))
                    }
                }
            }
        }
    }

    private func ledgerQuery(
        _ parameters: inout QueryParameters, _ list: ListIdentity
    ) throws(Problem) -> HistoryQuery {
        var query = HistoryQuery()
        query.machines = try parameters.name("machine").map(service.state.machineIDs(named:))
        try parameters.ledgerFilters(into: &query)
        query.pageSize = try parameters.pageSize()
        query.isDescending = try parameters.isDescending()
        try parameters.resume(&query, list)
        try parameters.finish()
        return query
    }

    /// GET /v1/ledger/{sequence}.
    func getLedgerEntry(_ call: Call) throws(Problem) -> Reply {
        try expectPlainJSON(call)
        guard let number = UInt64(decimal: call.path[2]), number > 0, number <= Int64.max else {
            throw Problem(at: "/path/sequence", "must be a sequence, from 1")
        }
        return .later(.entry(Sequence(number))) { [self] (answer) throws(Problem) in
            guard case .entry(let entry?) = try answer.checked() else {
                throw Problem(.entryNotFound, "the ledger has no entry \(number)")
            }
            return json { writer in writer.value(entry, machine: name(of: entry.machine)) }
        }
    }

    /// The name of a machine, living or gone.
    func name(of id: MachineID) -> String {
        guard let name = service.state.names.first(where: { $0.id == id })?.name else {
            preconditionFailure("an entry of a machine that was never created")
        }
        return name
    }
}

extension HistoryAnswer {
    /// Where the state stands that the answer is of; nil for the present one.
    var pastSequence: Sequence? {
        if case .past(let past) = self { past.sequence } else { nil }
    }

    /// The answer, unless the ledger could not be read.
    func checked() throws(Problem) -> HistoryAnswer {
        if case .failed(let failure) = self { throw Problem(failure) }
        return self
    }
}

extension QueryParameters {
    /// Goes on where `page_token` says.
    mutating func resume(_ query: inout HistoryQuery, _ list: ListIdentity) throws(Problem) {
        var moment: Moment?
        try resume(&query, list, of: &moment)
    }

    /// Goes on where `page_token` says, in the state that the page before was of.
    mutating func resume(
        _ query: inout HistoryQuery, _ list: ListIdentity, of moment: inout Moment?
    ) throws(Problem) {
        guard let text = text("page_token") else { return }
        let token = try PageToken(text: text, of: list)
        if query.isDescending {
            query.before = token.sequence
        } else {
            query.after = token.sequence
        }
        if let state = token.state { moment = .sequence(state) }
    }
}

extension JSONWriter {
    /// A page of a list.
    ///
    /// - Parameter state: where the past state stands that the list is of; nil for none.
    mutating func list(
        resume: Sequence?, _ list: ListIdentity, in state: Sequence? = nil,
        _ items: (inout JSONWriter) -> Void
    ) {
        beginObject()
        key("items")
        beginArray()
        items(&self)
        endArray()
        member(resume: resume, list, in: state)
        endObject()
    }

    /// Where the next page begins; nothing on the last one.
    mutating func member(resume: Sequence?, _ list: ListIdentity, in state: Sequence?) {
        guard let resume else { return }
        member("next_page_token", PageToken(resume, of: list, in: state).text)
    }
}
