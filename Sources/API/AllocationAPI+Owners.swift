// Freeing all that an owner holds.
//
// The grants are looked for first: where few live, each of their entries is read; else the ledger's
// index of owners leads to them, page by page. Each page is a question to the history thread, so
// that the loop goes on meanwhile. What is granted while the search runs is looked for as well, and
// when little enough is left, the decision is taken at once on the state as it is then.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// DELETE …/allocations?owner=x: all that is left of the owner's grants; of a principal that
    /// is no administrator, of those that were made to it.
    func freeOwned(_ call: Call) throws(Problem) -> Reply {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        let machine = try machine(call)
        var parameters = try QueryParameters(call.request)
        let name = try parameters.owner()
        try parameters.finish()
        let precondition = try Precondition(call.request)
        try calling { () throws(ServiceFailure) in
            try service.check(precondition, forOperations: 0, on: machine)
        }
        let principal = call.caller.principal.flatMap { $0.ownsAll ? nil : $0.name }
        let owner = AllocationService.Owner(name: name, principal: principal)
        return try search(
            OwnerSearch(owner, on: machine, through: service.lastSequence), precondition,
            call)
    }

    /// Asks for the next page, or decides where all has been looked at.
    private func search(
        _ search: OwnerSearch, _ precondition: Precondition, _ call: Call
    ) throws(Problem) -> Reply {
        let machine = try machine(call)
        guard machine.id == search.machine else { throw Problem(ServiceFailure.machineNotFound) }
        var search = search
        guard let question = search.next(on: machine, service.lastSequence) else {
            return .now(try release(search, on: machine, precondition, call))
        }
        return .asking(question) { [self] (answer) throws(Problem) in
            guard case .page(let page) = try answer.checked() else {
                preconditionFailure("a page was asked for")
            }
            var search = search
            search.note(page, on: machine)
            return try self.search(search, precondition, call)
        }
    }

    private func release(
        _ search: OwnerSearch, on machine: SimulatedMachine, _ precondition: Precondition,
        _ call: Call
    ) throws(Problem) -> HTTPResponse {
        let release = try calling(on: machine) { () throws(ServiceFailure) in
            try service.release(
                search.owner, known: search.found, through: search.end, on: machine,
                if: precondition, for: call.caller)
        }
        var response = json { writer in
            writer.beginObject()
            writer.member("machine", machine.name)
            writer.member("owner", search.owner.name)
            writer.member("freed_allocations", release.freedAllocations)
            writer.member("freed_pages", release.freedPages)
            if let entry = release.lastEntry {
                writer.member("sequence", entry.sequence.rawValue)
            }
            writer.endObject()
        }
        response.requestCount = max(1, release.freedAllocations)
        return response
    }
}

/// The search for an owner's live grants.
private struct OwnerSearch {
    /// Live grants up to which each one's entry is read: no more than a page of the index has.
    private static let maximumGrantsRead = HistoryQuery.maximumPageSize

    let owner: AllocationService.Owner
    let machine: MachineID

    /// Found so far, ascending; some may have ended since.
    private(set) var found: [AllocationID] = []

    /// The search goes through this entry.
    private(set) var end: Sequence

    /// All up to this entry has been looked at.
    private var place: Sequence

    init(
        _ owner: AllocationService.Owner, on machine: SimulatedMachine, through end: Sequence
    ) {
        self.owner = owner
        self.machine = machine.id
        self.end = end
        // No grant is older than its machine.
        place = machine.id
    }

    /// What is to be asked next; nil where so few have been granted since that the service can look
    /// at them itself.
    mutating func next(
        on machine: SimulatedMachine, _ lastSequence: Sequence
    ) -> HistoryQuestion? {
        if place >= end {
            let later = machine.allocator.liveGrants(
                after: AllocationID(end.rawValue), limit: Self.maximumGrantsRead)
            guard later.count == Self.maximumGrantsRead else { return nil }
            end = lastSequence
        }
        var query = HistoryQuery()
        query.machines = [self.machine]
        (query.kind, query.outcome) = (.allocate, .granted)
        query.owner = owner.name
        query.pageSize = HistoryQuery.maximumPageSize
        (query.after, query.before) = (place, end.next)
        guard machine.allocator.liveGrantCount <= Self.maximumGrantsRead else {
            return .page(query)
        }
        let live = machine.allocator.liveGrants(
            after: AllocationID(place.rawValue), limit: Self.maximumGrantsRead)
        return .matching(live.map { Sequence($0.id.rawValue) }, query)
    }

    mutating func note(_ page: HistoryPage, on machine: SimulatedMachine) {
        found += page.entries.lazy.filter(owner.holds).map { AllocationID($0.sequence.rawValue) }
            .filter { machine.allocator.liveGrant($0) != nil }
        place = page.resume ?? end
    }
}

extension QueryParameters {
    /// `owner`, which must be given.
    fileprivate mutating func owner() throws(Problem) -> String {
        guard let owner = text("owner") else { throw Problem(at: "/query/owner", "must be given") }
        guard isOwner(owner) else { throw Problem(at: "/query/owner", ownerRule) }
        return owner
    }
}
