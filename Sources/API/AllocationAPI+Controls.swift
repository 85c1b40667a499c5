// Stored controls.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET …/controls, in the order in which they were put; the built-in ones last.
    func listControls(_ call: Call) throws(Problem) -> Reply {
        let name = call.path[2]
        return try readList(
            call, of: { (state) throws(Problem) in try state.living(name).listedControls },
            by: { $0.place },
            json: { writer, listed in writer.value(listed.control, on: listed.machine) })
    }

    /// GET …/controls/{name}.
    func getControl(_ call: Call) throws(Problem) -> Reply {
        let (machine, name) = (call.path[2], call.path[4])
        return try readPlain(call) { (state) throws(Problem) in
            let machine = try state.living(machine)
            guard let stored = machine.control(named: name) else {
                throw Problem(ServiceFailure.controlNotFound)
            }
            return .response(
                json(version: stored.sequence) { writer in writer.value(stored, on: machine) })
        }
    }

    /// PUT …/controls/{name}.
    func putControl(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        let control = try controlBody(call, on: machine)
        let name = call.path[4]
        guard isResourceName(name) else { throw Problem(at: "/path/name", resourceNameRule) }
        let precondition = try Precondition(call.request)
        let (stored, isNew) = try calling { () throws(ServiceFailure) in
            try service.putControl(
                named: name, control, on: machine, if: precondition, for: call.caller)
        }
        var response = json(isNew ? 201 : 200, version: stored.sequence) { writer in
            writer.value(stored, on: machine)
        }
        if isNew {
            response.addField("Location", "/v1/machines/\(machine.name)/controls/\(name)")
        }
        return response
    }

    private func controlBody(
        _ call: Call, on machine: SimulatedMachine
    ) throws(Problem) -> AllocationControl {
        guard try MediaType.ofBody(call.request, among: [.json]) != nil else {
            throw Problem(at: "", "must be an allocation_control")
        }
        var control = AllocationControl()
        try controlFields(call, on: machine).lay(over: &control, at: "")
        return control
    }

    private func controlFields(
        _ call: Call, on machine: SimulatedMachine
    ) throws(Problem) -> ControlFields {
        do {
            return try ControlFields(body: call.request.body, machine.allocator.machine.dialect)
        } catch {
            throw Problem(error)
        }
    }

    /// DELETE …/controls/{name}.
    func deleteControl(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        let precondition = try Precondition(call.request)
        _ = try calling { () throws(ServiceFailure) in
            try service.deleteControl(
                named: call.path[4], on: machine, if: precondition, for: call.caller)
        }
        return HTTPResponse(status: 204)
    }
}

/// A control, and where it stands in the list of its machine.
private struct ListedControl {
    let place: Sequence
    let control: StoredControl
    let machine: SimulatedMachine
}

extension SimulatedMachine {
    fileprivate var listedControls: [ListedControl] {
        let stored = controls.sorted { $0.sequence < $1.sequence }.map { ($0.sequence, $0) }
        return (stored + placedBuiltInControls).map { place, control in
            ListedControl(place: place, control: control, machine: self)
        }
    }

    /// The built-in controls, at places behind any entry's.
    private var placedBuiltInControls: [(Sequence, StoredControl)] {
        let controls = builtInControls.filter { control(named: $0.name)?.isBuiltIn ?? false }
        let first = UInt64(Int64.max) - UInt64(controls.count)
        return controls.enumerated().map { (Sequence(first + UInt64($0)), $1) }
    }
}
