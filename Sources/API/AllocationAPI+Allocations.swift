// Allocations and pages.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// POST …/allocations: `allocate_pages(ac, additional_flags)`.
    func allocate(_ call: Call) throws(Problem) -> Reply {
        let machine = try machine(call)
        let body = try allocationBody(call, on: machine)
        let waitMilliseconds = body.waitMilliseconds
        let record = try body.record(on: machine)
        if let waitMilliseconds {
            return try allocate(record, on: machine, waiting: waitMilliseconds, call)
        }
        let precondition = try Precondition(call.request)
        let entry = try calling(on: machine) { () throws(ServiceFailure) in
            try service.allocate(record, on: machine, if: precondition, for: call.caller)
        }
        return .now(granted(entry, on: machine))
    }

    /// The answer to an allocation that was granted.
    func granted(_ entry: LedgerEntry, on machine: SimulatedMachine) -> HTTPResponse {
        guard case .granted(let record, let grant) = entry.event else {
            preconditionFailure("a granted request is recorded as granted")
        }
        var response = json(201) { writer in
            writer.value(
                entry, record, grant, machine: machine.name, .whole, renderedControls)
        }
        let name = machine.name
        response.addField("Location", atMost: Self.locationBytes + name.utf8.count) { value in
            value.append("/v1/machines/")
            value.append(name)
            value.append("/allocations/")
            value.append(decimal: entry.sequence.rawValue)
        }
        return response
    }

    /// What the path of an allocation has beside the machine's name, at the most.
    private static let locationBytes =
        "/v1/machines//allocations/".utf8.count + HTTPFieldValue.maximumDecimalBytes

    func allocationBody(
        _ call: Call, on machine: SimulatedMachine
    ) throws(Problem) -> AllocationBody {
        try expectPlainJSON(call)
        _ = try MediaType.ofBody(call.request, among: [.json])
        do {
            return try AllocationBody(
                call.request.body, machine.allocator.machine.dialect, knownControls)
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
        let pfn = try pageFrame(call)
        _ = try MediaType.ofBody(call.request, among: [.json])
        let body = try FreeBody(call.request.body, machine.allocator.machine.dialect)
        let order = try body.order(on: machine)
        return try free(.page(pfn, order: order), on: machine, call)
    }

    func pageFrame(_ call: Call) throws(Problem) -> PageFrameNumber {
        guard let number = UInt64(spelled: call.path[4]), number < PageFrameNumber.limit.rawValue
        else { throw Problem(at: "/path/pfn", "must be a page frame number below 2^52") }
        return PageFrameNumber(number)
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

    func allocationID(_ call: Call) throws(Problem) -> AllocationID {
        guard let id = UInt64(decimal: call.path[4]), id > 0, id <= Int64.max else {
            throw Problem(at: "/path/id", "must be the id of an allocation")
        }
        return AllocationID(id)
    }
}
