// Allocations and pages.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// Live grants that are looked at for one page of a filtered list.
    private static let maximumGrantsScanned = 10_000

    /// POST …/allocations: `allocate_pages(ac, additional_flags)`.
    func allocate(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        let record = try allocationBody(call, on: machine).record(on: machine)
        let precondition = try Precondition(call.request)
        let entry = try calling(on: machine) { () throws(ServiceFailure) in
            try service.allocate(record, on: machine, if: precondition, for: call.caller)
        }
        guard case .granted(_, let grant) = entry.event else {
            preconditionFailure("a granted request is recorded as granted")
        }
        var response = json(201) { writer in
            writer.value(entry, record, grant, machine: machine.name, .whole)
        }
        response.addField("Location") { value in
            value.append("/v1/machines/")
            value.append(machine.name)
            value.append("/allocations/")
            value.append(decimal: entry.sequence.rawValue)
        }
        return response
    }

    func allocationBody(
        _ call: Call, on machine: SimulatedMachine
    ) throws(Problem) -> AllocationBody {
        try expectPlainJSON(call)
        _ = try MediaType.ofBody(call.request, among: [.json])
        do {
            return try AllocationBody(call.request.body, machine.allocator.machine.dialect)
        } catch {
            throw Problem(error)
        }
    }

    /// DELETE …/allocations/{id}: all that the grant still holds.
    func freeAllocation(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        return try free(.allocation(try allocationID(call)), on: machine, call)
    }

    /// POST …/pages/{pfn}/free: `free_a_page(page)`, or with a body `free_some_pages(page, ac)`.
    func freePage(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        guard let number = UInt64(spelled: call.path[4]), number < PageFrameNumber.limit.rawValue
        else { throw Problem(at: "/path/pfn", "must be a page frame number below 2^52") }
        _ = try MediaType.ofBody(call.request, among: [.json])
        let body = try FreeBody(call.request.body, machine.allocator.machine.dialect)
        let order = try body.order(on: machine)
        return try free(.page(PageFrameNumber(number), order: order), on: machine, call)
    }

    private func free(
        _ target: FreeRecord.Target, on machine: SimulatedMachine, _ call: Call
    ) throws(Problem) -> HTTPResponse {
        let precondition = try Precondition(call.request)
        let (freed, entry) = try calling(on: machine) { () throws(ServiceFailure) in
            try service.free(target, on: machine, if: precondition, for: call.caller)
        }
        return json { writer in writer.value(freed, entry, on: machine) }
    }

    private func allocationID(_ call: Call) throws(Problem) -> AllocationID {
        guard let id = UInt64(decimal: call.path[4]), id > 0, id <= Int64.max else {
            throw Problem(at: "/path/id", "must be the id of an allocation")
        }
        return AllocationID(id)
    }

    /// GET …/allocations/{id}.
    func getAllocation(_ call: Call) throws(Problem) -> Reply {
        try expectPlainJSON(call)
        let machine = try machine(call)
        let id = try allocationID(call)
        return .later(.entry(Sequence(id.rawValue))) { [self] (answer) throws(Problem) in
            guard case .entry(let entry?) = try answer.checked(), entry.machine == machine.id,
                case .granted(let record, let grant) = entry.event
            else {
                throw Problem(.allocationNotFound, "the machine never granted that allocation")
            }
            let status = GrantStatus(id, grant, on: service.state.machine(named: machine.name))
            return json { writer in
                writer.value(entry, record, grant, machine: machine.name, status)
            }
        }
    }

    /// GET …/allocations: live ones by default.
    func listAllocations(_ call: Call) throws(Problem) -> Reply {
        let machine = try machine(call)
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        let list = ListIdentity(path: call.request.path, parameters.unread)
        var query = HistoryQuery()
        (query.machines, query.kind, query.outcome) = ([machine.id], .allocate, .granted)
        let state = try parameters.word("state", among: AllocationState.words) ?? .live
        try parameters.filters(into: &query)
        query.pageSize = try parameters.pageSize()
        query.isDescending = state == .live ? false : try parameters.isDescending()
        try parameters.resume(&query, list)
        try parameters.finish()

        let question = state == .live ? liveQuestion(query, machine) : (.page(query), nil)
        return .later(question.0) { [self] (answer) throws(Problem) in
            guard case .page(var page) = try answer.checked() else {
                preconditionFailure("a page was asked for")
            }
            page.resume = page.resume ?? question.1
            return allocationList(page, on: machine, state, list)
        }
    }

    /// The live grants after the query's place, for the thread to match; and where to go on when
    /// all of them have been looked at.
    private func liveQuestion(
        _ query: HistoryQuery, _ machine: SimulatedMachine
    ) -> (HistoryQuestion, resume: Sequence?) {
        let after = AllocationID(query.after?.rawValue ?? 0)
        let live = machine.allocator.liveGrants(after: after, limit: Self.maximumGrantsScanned)
        let sequences = live.map { Sequence($0.id.rawValue) }
        let isCut = live.count == Self.maximumGrantsScanned
        return (.matching(sequences, query), isCut ? sequences.last : nil)
    }

    private func allocationList(
        _ page: HistoryPage, on machine: SimulatedMachine, _ state: AllocationState,
        _ list: ListIdentity
    ) -> HTTPResponse {
        let living = service.state.machine(named: machine.name)
        return json(reserving: 16 << 10) { writer in
            writer.list(resume: page.resume, list) { writer in
                for entry in page.entries {
                    guard case .granted(let record, let grant) = entry.event else { continue }
                    let id = AllocationID(entry.sequence.rawValue)
                    let status = GrantStatus(id, grant, on: living)
                    if state.includes(status) {
                        writer.value(entry, record, grant, machine: machine.name, status)
                    }
                }
            }
        }
    }
}

/// Which allocations a list holds.
enum AllocationState {
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
