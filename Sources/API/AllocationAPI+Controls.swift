// Stored controls.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET …/controls, in the order in which they were put.
    func listControls(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        let controls = machine.controls.sorted { $0.sequence < $1.sequence }
        return try list(call, controls, by: \.sequence) { writer, control in
            writer.value(control, on: machine)
        }
    }

    /// GET …/controls/{name}.
    func getControl(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        let stored = try calling { () throws(ServiceFailure) in
            try service.control(named: call.path[4], on: machine)
        }
        return json(version: stored.sequence) { writer in writer.value(stored, on: machine) }
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
        do {
            return try ControlFields(
                body: call.request.body, machine.allocator.machine.dialect
            ).applied(to: AllocationControl())
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
