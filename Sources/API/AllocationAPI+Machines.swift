// Machines.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// POST /v1/machines?name=x.
    func createMachine(_ call: Call) throws(Problem) -> HTTPResponse {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        guard let name = parameters.text("name"), isResourceName(name) else {
            throw Problem(at: "/query/name", resourceNameRule)
        }
        let description = try machineBody(call, &parameters)
        try parameters.finish()
        let machine = try description.machine()
        let precondition = try Precondition(call.request)
        let created = try calling { () throws(ServiceFailure) in
            try service.createMachine(named: name, machine, if: precondition, for: call.caller)
        }
        var response = json(201, version: created.lastSequence) { writer in
            writer.value(created, withTopology: true)
        }
        response.addField("Location", "/v1/machines/\(name)")
        return response
    }

    private func machineBody(
        _ call: Call, _ parameters: inout QueryParameters
    ) throws(Problem) -> MachineBody {
        let dialects = KernelDialect.allCases.map { ($0.rawValue, $0) }
        let dialect = try parameters.word("dialect", among: dialects) ?? .linux612
        switch try MediaType.ofBody(call.request, among: [.json, .text, .xml]) {
        case .text:
            guard let text = String(validating: call.request.body, as: UTF8.self) else {
                throw Problem(at: "", "must be the text of /proc/zoneinfo in UTF-8")
            }
            return .kernelTexts(MachineBody.KernelTexts(zoneinfo: text, dialect: dialect))
        case .xml:
            return .hwloc(call.request.body, dialect)
        default:
            do {
                return try MachineBody(json: call.request.body, dialect)
            } catch {
                throw Problem(error)
            }
        }
    }

    /// GET /v1/machines, oldest first.
    func listMachines(_ call: Call) throws(Problem) -> Reply {
        try readList(
            call, of: { $0.machines }, by: { $0.id },
            json: { writer, machine in writer.value(machine, withTopology: false) })
    }

    /// GET /v1/machines/{machine}.
    func getMachine(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, json: { writer, machine in writer.value(machine, withTopology: true) })
    }

    /// DELETE /v1/machines/{machine}?force=true.
    func deleteMachine(_ call: Call) throws(Problem) -> HTTPResponse {
        _ = try MediaType.accepted(by: call.request, among: [.json])
        let machine = try machine(call)
        var parameters = try QueryParameters(call.request)
        let force = try parameters.flag("force")
        try parameters.finish()
        let precondition = try Precondition(call.request)
        let deletion = try calling { () throws(ServiceFailure) in
            try service.deleteMachine(machine, force: force, if: precondition, for: call.caller)
        }
        return json { writer in
            writer.beginObject()
            writer.member("name", machine.name)
            writer.member("freed_allocations", deletion.freedAllocations)
            writer.member("freed_pages", deletion.freedPages)
            writer.member("sequence", deletion.entry.sequence.rawValue)
            writer.endObject()
        }
    }
}
