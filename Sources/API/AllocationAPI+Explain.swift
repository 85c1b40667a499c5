// What would be granted, and why.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// POST …/explain: what an allocation with this body would be answered with now. Nothing is
    /// changed and nothing is written. Who owns the grants in the way is asked of the ledger.
    func explain(_ call: Call) throws(Problem) -> Reply {
        let machine = try machine(call)
        let record = try allocationBody(call, on: machine).record(on: machine)
        let precondition = try Precondition(call.request)
        let explanation = try calling(on: machine) { () throws(ServiceFailure) in
            try service.explain(record, on: machine, if: precondition)
        }
        var document = ExplanationDocument(explanation, on: machine.allocator)
        let version = machine.lastSequence
        guard !document.blockers.isEmpty else { return .now(answer(document, at: version)) }
        var query = HistoryQuery()
        query.pageSize = document.blockers.count
        return .later(.matching(document.blockerSequences, query)) { [self] reply throws(Problem) in
            guard case .page(let page) = try reply.checked() else {
                preconditionFailure("a page was asked for")
            }
            document.note(page.entries)
            return answer(document, at: version)
        }
    }

    private func answer(_ document: ExplanationDocument, at version: Sequence) -> HTTPResponse {
        json(version: version) { writer in writer.value(document) }
    }
}
