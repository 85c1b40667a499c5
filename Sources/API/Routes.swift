// Every path that is served, once. `openapi.yaml` says the same; a test holds them equal.

import HTTPServer

/// What a route does. Handlers are in the files named after the resources.
enum Endpoint {
    case createMachine, listMachines, getMachine, deleteMachine
    case listControls, getControl, putControl, deleteControl
    case allocate, listAllocations, getAllocation, freeAllocation, freeOwned, renewLease
    case batch, explain
    case getPage, freePage
    case getZones, getZoneinfo, getBuddyinfo, getPagetypeinfo, getNumastat, getFragmentation
    case listLedger, streamLedger, getLedgerEntry, getLedgerHead, verifyLedger
    case livez, readyz, getMetrics, getStart, getContract, getContractAsJSON, listProblems,
        getProblem
}

extension Endpoint {
    /// Whether the route takes an `Idempotency-Key`.
    var changesState: Bool {
        switch self {
        case .createMachine, .deleteMachine, .putControl, .deleteControl, .allocate,
            .freeAllocation, .freeOwned, .freePage, .renewLease, .batch:
            true
        default: false
        }
    }
}

extension Endpoint {
    /// The scope that a caller must have, or one of them where there are several; nil: anybody may
    /// ask, also who shows no token.
    var neededScopes: Scope? {
        switch self {
        case .livez, .readyz, .getStart, .getContract, .getContractAsJSON, .listProblems,
            .getProblem:
            nil
        case .listMachines, .getMachine, .listControls, .getControl, .listAllocations,
            .getAllocation, .getPage, .getZones, .getZoneinfo, .getBuddyinfo, .getPagetypeinfo,
            .getNumastat, .getFragmentation, .listLedger, .streamLedger, .getLedgerEntry,
            .getLedgerHead, .verifyLedger, .explain, .getMetrics:
            .read
        case .allocate, .renewLease: .allocate
        case .freeAllocation, .freeOwned, .freePage: .free
        // Each of its operations needs its own.
        case .batch: [.allocate, .free]
        case .createMachine, .deleteMachine, .putControl, .deleteControl: .admin
        }
    }
}

/// A method on a path. `{name}` stands for one segment.
struct Route {
    let method: HTTPMethod
    let pattern: String
    let segments: [String]
    let endpoint: Endpoint

    init(_ method: HTTPMethod, _ pattern: String, _ endpoint: Endpoint) {
        self.method = method
        self.pattern = pattern
        segments = pattern.dropFirst()
            .split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        self.endpoint = endpoint
    }

    static let all: [Route] = [
        Route(.post, "/v1/machines/{machine}/allocations", .allocate),
        Route(.get, "/v1/machines/{machine}/allocations", .listAllocations),
        Route(.get, "/v1/machines/{machine}/allocations/{id}", .getAllocation),
        Route(.delete, "/v1/machines/{machine}/allocations/{id}", .freeAllocation),
        Route(.delete, "/v1/machines/{machine}/allocations", .freeOwned),
        Route(.post, "/v1/machines/{machine}/pages/{pfn}/free", .freePage),
        Route(.get, "/v1/machines/{machine}/pages/{pfn}", .getPage),
        Route(.post, "/v1/machines/{machine}/batch", .batch),
        Route(.post, "/v1/machines/{machine}/allocations/{id}/renew", .renewLease),
        Route(.post, "/v1/machines/{machine}/explain", .explain),
        Route(.post, "/v1/machines", .createMachine),
        Route(.get, "/v1/machines", .listMachines),
        Route(.get, "/v1/machines/{machine}", .getMachine),
        Route(.delete, "/v1/machines/{machine}", .deleteMachine),
        Route(.get, "/v1/machines/{machine}/controls", .listControls),
        Route(.get, "/v1/machines/{machine}/controls/{name}", .getControl),
        Route(.put, "/v1/machines/{machine}/controls/{name}", .putControl),
        Route(.delete, "/v1/machines/{machine}/controls/{name}", .deleteControl),
        Route(.get, "/v1/machines/{machine}/zones", .getZones),
        Route(.get, "/v1/machines/{machine}/zoneinfo", .getZoneinfo),
        Route(.get, "/v1/machines/{machine}/buddyinfo", .getBuddyinfo),
        Route(.get, "/v1/machines/{machine}/pagetypeinfo", .getPagetypeinfo),
        Route(.get, "/v1/machines/{machine}/numastat", .getNumastat),
        Route(.get, "/v1/machines/{machine}/fragmentation", .getFragmentation),
        Route(.get, "/v1/ledger", .listLedger),
        Route(.get, "/v1/ledger/head", .getLedgerHead),
        Route(.get, "/v1/ledger/stream", .streamLedger),
        Route(.post, "/v1/ledger/verify", .verifyLedger),
        Route(.get, "/v1/ledger/{sequence}", .getLedgerEntry),
        Route(.get, "/livez", .livez),
        Route(.get, "/readyz", .readyz),
        Route(.get, "/metrics", .getMetrics),
        Route(.get, "/openapi.yaml", .getContract),
        Route(.get, "/openapi.json", .getContractAsJSON),
        Route(.get, "/", .getStart),
        Route(.get, "/problems", .listProblems),
        Route(.get, "/problems/{slug}", .getProblem),
    ]

    /// Whether the route's path is this one; a parameter is any segment that is not empty.
    func matches(_ path: [String]) -> Bool {
        guard path.count == segments.count else { return false }
        for (segment, given) in zip(segments, path)
        where segment != given && !(segment.utf8.first == UInt8(ascii: "{") && !given.isEmpty) {
            return false
        }
        return true
    }
}

/// What a request's method and path lead to.
enum RouteMatch {
    case found(Endpoint)

    /// The path is served, but not with this method: the methods that it has.
    case methodNotAllowed([HTTPMethod])
    case notFound

    /// nil where none was found.
    var endpoint: Endpoint? {
        if case .found(let endpoint) = self { endpoint } else { nil }
    }

    /// HEAD is served wherever GET is (RFC 9110, section 9.3.2). A path is that of the first
    /// pattern that it matches: a name comes before the parameter in its place.
    init(_ method: HTTPMethod, _ path: [String]) {
        var methods: [HTTPMethod] = []
        var pattern: String?
        for route in Route.all where route.matches(path) {
            guard route.pattern == pattern ?? route.pattern else { continue }
            pattern = route.pattern
            if route.method == method || (method == .head && route.method == .get) {
                self = .found(route.endpoint)
                return
            }
            methods.append(route.method)
            if route.method == .get { methods.append(.head) }
        }
        self = methods.isEmpty ? .notFound : .methodNotAllowed(methods)
    }
}
