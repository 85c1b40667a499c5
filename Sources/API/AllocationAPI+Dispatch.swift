// From a route to its handler, and what handlers have in common.

import AllocationService
import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    func reply(to call: inout Call, _ match: RouteMatch) throws(Problem) -> Reply {
        switch match {
        case .found(let endpoint):
            try admit(&call, to: endpoint)
            guard endpoint.changesState else { return try reply(to: call, endpoint) }
            call.caller.traceParent = call.request.header("traceparent").flatMap(TraceParent.kept)
            if let key = call.request.header("idempotency-key") {
                return try reply(to: call, endpoint, under: key)
            }
            return try reply(to: call, endpoint)
        case .methodNotAllowed(let methods):
            let names = methods.map(\.name).joined(separator: ", ")
            var problem = Problem(.methodNotAllowed, "this path has \(names)")
            problem.fields = [Problem.Field("Allow", names)]
            throw problem
        case .notFound:
            throw Problem(.notFound, "there is nothing at this path")
        }
    }

    func reply(to call: Call, _ endpoint: Endpoint) throws(Problem) -> Reply {
        switch endpoint {
        case .allocate: try allocate(call)
        case .listAllocations: try listAllocations(call)
        case .getAllocation: try getAllocation(call)
        case .freeAllocation: .now(try freeAllocation(call))
        case .freeOwned: try freeOwned(call)
        case .freePage: .now(try freePage(call))
        case .getPage: try getPage(call)
        case .renewLease: .now(try renewLease(call))
        case .batch: try batch(call)
        case .explain: try explain(call)
        case .createMachine: .now(try createMachine(call))
        case .listMachines: try listMachines(call)
        case .getMachine: try getMachine(call)
        case .deleteMachine: .now(try deleteMachine(call))
        case .listControls: try listControls(call)
        case .getControl: try getControl(call)
        case .putControl: .now(try putControl(call))
        case .deleteControl: .now(try deleteControl(call))
        case .getZones, .getZoneinfo: try getZoneinfo(call)
        case .getBuddyinfo: try getBuddyinfo(call)
        case .getPagetypeinfo: try getPagetypeinfo(call)
        case .getNumastat: try getNumastat(call)
        case .getFragmentation: try getFragmentation(call)
        case .listLedger: try listLedger(call)
        case .streamLedger: try streamLedger(call)
        case .getLedgerEntry: try getLedgerEntry(call)
        case .getLedgerHead: .now(try getLedgerHead(call))
        case .verifyLedger: try verifyLedger(call)
        case .livez: .now(try livez(call))
        case .readyz: .now(try readyz(call))
        case .getMetrics: .now(try getMetrics(call).byAccept)
        case .getStart: try getStart(call)
        case .getContract: .now(try getContract(call))
        case .getContractAsJSON: .now(try getContractAsJSON(call))
        case .listProblems: .now(try listProblems(call).byAccept)
        case .getProblem: .now(try getProblem(call).byAccept)
        }
    }

    /// Calls the service; its failures become problems.
    func calling<Result>(
        on machine: SimulatedMachine? = nil,
        _ body: () throws(ServiceFailure) -> Result
    ) throws(Problem) -> Result {
        do {
            return try body()
        } catch {
            throw Problem(error, on: machine)
        }
    }

    /// The machine that the path names: its third segment.
    func machine(_ call: Call) throws(Problem) -> SimulatedMachine {
        try calling { () throws(ServiceFailure) in try service.machine(named: call.path[2]) }
    }

    /// Refuses query parameters and an `Accept` without JSON.
    func expectPlainJSON(_ call: Call) throws(Problem) {
        try QueryParameters(call.request).finish()
        _ = try MediaType.accepted(by: call.request, among: [.json])
    }
}

/// A JSON answer.
func json(
    _ status: Int = 200, version: Sequence? = nil, reserving: Int = 1024,
    _ write: (inout JSONWriter) -> Void
) -> HTTPResponse {
    var writer = JSONWriter(reserving: reserving)
    write(&writer)
    var response = HTTPResponse(
        status: status, contentType: MediaType.json.contentType, body: writer.take())
    if let version { response.addEntityTag(version) }
    return response
}
