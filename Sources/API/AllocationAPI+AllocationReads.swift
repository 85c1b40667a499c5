// Allocations: one, and lists of them. Which are alive the state knows; who asked for them, and
// those that have ended, the ledger.

import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET …/allocations/{id}.
    func getAllocation(_ call: Call) throws(Problem) -> Reply {
        let (name, id) = (call.path[2], try allocationID(call))
        return try readPlain(call) { (state) throws(Problem) in
            let machine = try state.living(name)
            guard id.rawValue <= state.lastSequence.rawValue else { throw neverGranted }
            let machineID = machine.id
            return .asking(.entry(Sequence(id.rawValue))) { (answer, state) throws(Problem) in
                guard case .entry(let entry?) = try answer.checked(), entry.machine == machineID,
                    case .granted(let record, let grant) = entry.event
                else { throw neverGranted }
                let status = GrantStatus(id, grant, on: state.machine(named: name))
                return json { writer in writer.value(entry, record, grant, machine: name, status) }
            }
        }
    }

    /// GET …/allocations: live ones by default.
    func listAllocations(_ call: Call) throws(Problem) -> Reply {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        let identity = ListIdentity(path: call.request.path, parameters.unread)
        var moment = try parameters.moment()
        let kept = try parameters.word("state", among: AllocationState.words) ?? .live
        var query = HistoryQuery()
        (query.kind, query.outcome) = (.allocate, .granted)
        try parameters.filters(into: &query)
        query.pageSize = try parameters.pageSize()
        query.isDescending = try parameters.isDescending()
        try parameters.resume(&query, identity, of: &moment)
        try parameters.finish()
        let list = AllocationList(
            machine: call.path[2], kept: kept, query: query, identity: identity, moment: moment)
        return try reply(at: moment, list.read)
    }
}

private var neverGranted: Problem {
    Problem(.allocationNotFound, "the machine never granted that allocation")
}

/// A page of a list of allocations.
private struct AllocationList: Sendable {
    /// Live grants that are looked at in memory for one page of a filtered list.
    private static let maximumGrantsScanned = 10_000

    /// Of those, whose entries are read.
    private static let maximumGrantsRead = HistoryQuery.maximumPageSize

    let machine: String
    let kept: AllocationState
    let query: HistoryQuery
    let identity: ListIdentity
    let moment: Moment?

    /// The grants' entries, and from them the page.
    func read(_ state: LedgerState) throws(Problem) -> StateAnswer {
        let machine = try state.living(machine)
        var query = query
        query.machines = [machine.id]
        query.endsWith(state)
        let (question, resume) =
            isFound(in: machine) ? live(query, machine) : (.page(query), nil)
        return .asking(question) { (answer, state) throws(Problem) in
            guard case .page(var page) = try answer.checked() else {
                preconditionFailure("a page was asked for")
            }
            page.resume = page.resume ?? resume
            return response(page, in: state)
        }
    }

    /// Whether the list's grants are looked for among the living ones, which come by ascending id.
    /// Who asked for them the ledger alone knows, and has an index of: that is the shorter way
    /// where many are alive.
    private func isFound(in machine: SimulatedMachine) -> Bool {
        guard kept == .live, !query.isDescending else { return false }
        let isKnownToLedger =
            query.owner != nil || query.controlName != nil || query.requestID != nil
        return !isKnownToLedger || machine.allocator.liveGrantCount <= Self.maximumGrantsRead
    }

    /// The live grants after the query's place, for the thread to match; and where to go on when
    /// all of them have been looked at.
    private func live(
        _ query: HistoryQuery, _ machine: SimulatedMachine
    ) -> (HistoryQuestion, resume: Sequence?) {
        let after = AllocationID(query.after?.rawValue ?? 0)
        let live = machine.allocator.liveGrants(after: after, limit: Self.maximumGrantsScanned)
        let zones = machine.allocator.machine.zones
        let found = live.lazy.filter { query.mayMatch($0.grant, in: zones[$0.grant.zone]) }
        let read = found.prefix(Self.maximumGrantsRead).map { Sequence($0.id.rawValue) }
        let resume =
            if read.count == Self.maximumGrantsRead {
                read.last
            } else if live.count == Self.maximumGrantsScanned {
                live.last.map { Sequence($0.id.rawValue) }
            } else {
                nil as Sequence?
            }
        return (.matching(Array(read), query), resume)
    }

    private func response(_ page: HistoryPage, in state: LedgerState) -> HTTPResponse {
        let living = state.machine(named: machine)
        let past = moment.map { _ in state.lastSequence }
        return json(reserving: 16 << 10) { writer in
            writer.list(resume: page.resume, identity, in: past) { writer in
                for entry in page.entries {
                    guard case .granted(let record, let grant) = entry.event else { continue }
                    let id = AllocationID(entry.sequence.rawValue)
                    let status = GrantStatus(id, grant, on: living)
                    if kept.includes(status) {
                        writer.value(entry, record, grant, machine: machine, status)
                    }
                }
            }
        }
    }
}

/// Which allocations a list holds.
private enum AllocationState {
    case live, freed, all

    static let words: [(String, AllocationState)] = [
        ("live", .live), ("freed", .freed), ("all", .all),
    ]

    func includes(_ status: GrantStatus) -> Bool {
        switch self {
        case .live: status.isLive
        case .freed: !status.isLive
        case .all: true
        }
    }
}

extension HistoryQuery {
    /// Whether the entry of a grant can be among those asked for, by what the allocator knows of
    /// the grant.
    fileprivate func mayMatch(_ grant: Grant, in zone: Zone) -> Bool {
        (order == nil || order == grant.order)
            && (node == nil || node == zone.node)
            && (self.zone == nil || self.zone == zone.type)
            && (pfn.map { pfn in grant.segments.contains { $0.contains(pfn) } } ?? true)
    }

    /// Leaves out what came after a state.
    mutating func endsWith(_ state: LedgerState) {
        let end = state.lastSequence.next
        before = min(before ?? end, end)
    }
}
