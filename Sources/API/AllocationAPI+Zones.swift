// A machine's zones, in JSON and as the kernel prints them.

import HTTPServer
import JSON
import Ledger
import MachineImport
import PageAllocator

extension AllocationAPI {
    /// GET …/zones, GET …/zoneinfo.
    func getZoneinfo(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        guard try acceptsText(call) else {
            return json(version: machine.lastSequence) { writer in
                writer.zones(of: machine.allocator)
            }
        }
        let free = machine.allocator.machine.zones.indices.map {
            machine.allocator.freePages(inZone: $0)
        }
        let text = KernelText.zoneinfo(of: machine.allocator.machine, freePages: free)
        return kernelText(text, of: machine)
    }

    /// GET …/buddyinfo.
    func getBuddyinfo(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        guard try acceptsText(call) else {
            return json(version: machine.lastSequence) { writer in
                writer.freeBlocks(of: machine.allocator)
            }
        }
        let blocks = machine.allocator.machine.zones.indices.map {
            machine.allocator.freeBlocks(inZone: $0)
        }
        let text = KernelText.buddyinfo(of: machine.allocator.machine, freeBlocks: blocks)
        return kernelText(text, of: machine)
    }

    func acceptsText(_ call: Call) throws(Problem) -> Bool {
        try QueryParameters(call.request).finish()
        return try MediaType.accepted(by: call.request, among: [.json, .text]) == .text
    }

    func kernelText(_ text: String, of machine: SimulatedMachine) -> HTTPResponse {
        var response = HTTPResponse(
            status: 200, contentType: MediaType.text.contentType, body: Array(text.utf8))
        response.addEntityTag(machine.lastSequence)
        return response
    }
}
