// Renewing a lease.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// POST …/allocations/{id}/renew: the grant ends `ttl_seconds` from now.
    func renewLease(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        let id = try allocationID(call)
        let seconds = try renewalBody(call)
        let precondition = try Precondition(call.request)
        let (entry, _) = try calling { () throws(ServiceFailure) in
            try service.renew(
                id, ttlSeconds: seconds, on: machine, if: precondition, for: call.caller)
        }
        guard case .granted(let record, let grant) = entry.event else {
            preconditionFailure("what is renewed was granted")
        }
        let status = GrantStatus(id, grant, on: machine)
        return json { writer in
            writer.value(entry, record, grant, machine: machine.name, status)
        }
    }

    private func renewalBody(_ call: Call) throws(Problem) -> UInt32 {
        _ = try MediaType.ofBody(call.request, among: [.json])
        do throws(JSONError) {
            var seconds: UInt32?
            if call.request.bodyCount > 0 {
                var reader = JSONReader(call.request.body)
                try reader.readObject { (key, reader) throws(JSONError) in
                    switch key {
                    case "ttl_seconds": seconds = try reader.readTTL()
                    default: throw JSONReader.unknownMember(key)
                    }
                }
                try reader.finish()
            }
            guard let seconds else {
                throw JSONError(pointer: "/ttl_seconds", detail: "must be given")
            }
            return seconds
        } catch {
            throw Problem(error)
        }
    }
}
