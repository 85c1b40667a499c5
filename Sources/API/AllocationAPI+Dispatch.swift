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
            call.traceParent = call.request.header("traceparent").flatMap(TraceParent.kept)
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
        case .batch: .now(try batch(call))
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
        case .getMetrics: .now(try getMetrics(call))
        case .getStart: try getStart(call)
        case .getContract: .now(try getContract(call))
        case .getContractAsJSON: .now(try getContractAsJSON(call))
        case .listProblems: .now(try listProblems(call))
        case .getProblem: .now(try getProblem(call))
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

extension HTTPResponse {
    /// `ETag`: the sequence that the answer's subject stands at.
    mutating func addEntityTag(_ version: Sequence) {
        addField("ETag") { value in
            value.append("\"")
            value.append(decimal: version.rawValue)
            value.append("\"")
        }
    }
}

extension Precondition {
    /// `If-Match` and `If-None-Match` of a request that writes.
    init(_ request: HTTPRequest) throws(Problem) {
        let match = request.header("if-match")
        let noneMatch = request.header("if-none-match")
        switch (match, noneMatch) {
        case (nil, nil):
            self = .none
        case ("*", nil):
            self = .exists
        case (let tags?, nil):
            self = .matches(try Self.versions(tags))
        case (nil, "*"):
            self = .absent
        case (nil, _):
            throw Problem(at: "/header/If-None-Match", "must be *")
        default:
            throw Problem(
                at: "/header/If-None-Match", "must not be given together with If-Match")
        }
    }

    /// The versions among entity tags, of which there must be one at least. A weak tag, or one that
    /// is no version, is the tag of nothing here and never matches (RFC 9110, section 13.1.1).
    private static func versions(_ tags: String) throws(Problem) -> [Sequence] {
        var versions: [Sequence] = []
        for element in tags.split(separator: ",", omittingEmptySubsequences: false) {
            let tag = trimmed(element)
            let opaque = tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]
            guard opaque.count >= 2, opaque.first == "\"", opaque.last == "\"",
                opaque.dropFirst().dropLast().utf8.allSatisfy(isEntityTagByte)
            else {
                throw Problem(at: "/header/If-Match", "must be * or entity tags like \"7\"")
            }
            if let number = UInt64(tag.dropFirst().dropLast()), tag == "\"\(number)\"" {
                versions.append(Sequence(number))
            }
        }
        return versions
    }

    /// `etagc`: RFC 9110, section 8.8.3.
    private static func isEntityTagByte(_ byte: UInt8) -> Bool {
        byte == 0x21 || (0x23...0x7e).contains(byte) || byte >= 0x80
    }
}
