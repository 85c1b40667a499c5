// Every route, every method, and paths that are nearly one.

import Testing

@testable import API
@testable import HTTPServer

struct RouteTests {
    static let methods: [HTTPMethod] = [
        .get, .head, .post, .put, .delete, .options, .patch, .other(Array("get".utf8)),
        .other(Array("TRACE".utf8)),
    ]

    /// The methods of each path, written down by hand from the contract.
    static let contract: [(path: String, allow: Set<String>)] = [
        ("/v1/machines", ["POST", "GET", "HEAD"]),
        ("/v1/machines/m", ["GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/controls", ["GET", "HEAD"]),
        ("/v1/machines/m/controls/c", ["PUT", "GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/allocations", ["POST", "GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/allocations/1", ["GET", "HEAD", "DELETE"]),
        ("/v1/machines/m/allocations/1/renew", ["POST"]),
        ("/v1/machines/m/pages/1/free", ["POST"]),
        ("/v1/machines/m/batch", ["POST"]),
        ("/v1/machines/m/zones", ["GET", "HEAD"]),
        ("/v1/machines/m/zoneinfo", ["GET", "HEAD"]),
        ("/v1/machines/m/pages/1", ["GET", "HEAD"]),
        ("/v1/machines/m/explain", ["POST"]),
        ("/v1/machines/m/buddyinfo", ["GET", "HEAD"]),
        ("/v1/machines/m/pagetypeinfo", ["GET", "HEAD"]),
        ("/v1/machines/m/numastat", ["GET", "HEAD"]),
        ("/v1/machines/m/fragmentation", ["GET", "HEAD"]),
        ("/v1/ledger", ["GET", "HEAD"]),
        ("/v1/ledger/1", ["GET", "HEAD"]),
        ("/v1/ledger/head", ["GET", "HEAD"]),
        ("/v1/ledger/stream", ["GET", "HEAD"]),
        ("/v1/ledger/verify", ["POST"]),
        ("/livez", ["GET", "HEAD"]),
        ("/readyz", ["GET", "HEAD"]),
        ("/metrics", ["GET", "HEAD"]),
        ("/openapi.yaml", ["GET", "HEAD"]),
        ("/openapi.json", ["GET", "HEAD"]),
        ("/", ["GET", "HEAD"]),
        ("/problems", ["GET", "HEAD"]),
        ("/problems/not-found", ["GET", "HEAD"]),
    ]

    static func match(_ method: HTTPMethod, _ target: String) throws -> RouteMatch {
        RouteMatch(method, try Message("GET", target).request().pathSegments())
    }

    @Test func theContractHasEveryRoute() {
        let methods = Self.contract.reduce(0) { $0 + $1.allow.filter { $0 != "HEAD" }.count }
        #expect(Route.all.count == methods)
    }

    @Test(arguments: RouteTests.contract.indices)
    func eachMethod(position: Int) throws {
        let (path, allow) = Self.contract[position]
        for method in Self.methods {
            switch try Self.match(method, path) {
            case .found: #expect(allow.contains(method.name), "\(method.name) \(path)")
            case .methodNotAllowed(let methods):
                #expect(!allow.contains(method.name), "\(method.name) \(path)")
                #expect(Set(methods.map(\.name)) == allow)
                #expect(methods.count == allow.count)
            case .notFound: Issue.record("\(path) is not found")
            }
        }
    }

    @Test(arguments: RouteTests.contract.indices)
    func nearMisses(position: Int) throws {
        let path = Self.contract[position].path
        var misses = [path + "/", path + "//", "/" + path, path + "/x/y/z"]
        let segments = path.dropFirst().split(separator: "/").map(String.init)
        // Without its only segment a path is that of the start page.
        for position in segments.indices where segments.count > 1 {
            var other = segments
            other[position] = ""
            misses.append("/" + other.joined(separator: "/"))
            other[position] = "%00"
            let isParameter = ["m", "c", "1", "head", "stream", "verify", "not-found"]
                .contains(segments[position])
            if !isParameter { misses.append("/" + other.joined(separator: "/")) }
            if !isParameter {
                other[position] = segments[position].uppercased()
                misses.append("/" + other.joined(separator: "/"))
            }
        }
        for miss in misses {
            guard case .notFound = try Self.match(.get, miss) else {
                Issue.record("\(miss) is found")
                continue
            }
        }
    }

    @Test func segmentsAreDecodedOnce() throws {
        for target in [
            "/v1/%6dachines/m", "/%76%31/machines/m", "/v1/machines/a%2Fb", "/v1/machines/%2525",
            "/v1/machines/%7Bmachine%7D", "/v1/machines/m?x=/y", "/v1/machines/..",
        ] {
            guard case .found(.getMachine) = try Self.match(.get, target) else {
                Issue.record("\(target) is not found")
                continue
            }
        }
        for target in [
            "/x", "/v1", "/v1/machines%2Fm/zones", "/v2/machines", "/metrics/x", "//",
        ] {
            guard case .notFound = try Self.match(.get, target) else {
                Issue.record("\(target) is found")
                continue
            }
        }
    }

    @Test func answersSayWhichMethodsThereAre() throws {
        let harness = try Harness.withMachine()
        let answer = try harness.send("PATCH", "/v1/machines/m")
        expectProblem(answer, 405, "method-not-allowed")
        #expect(answer["Allow"] == "GET, HEAD, DELETE")
        let lower = try harness.send("get", "/v1/machines/m")
        expectProblem(lower, 405, "method-not-allowed")
        let free = try harness.send("GET", "/v1/machines/m/pages/1/free")
        #expect(free["Allow"] == "POST")
        expectProblem(try harness.send("GET", "/v1/machines/m/"), 404, "not-found")
        expectProblem(try harness.send("OPTIONS", "*"), 404, "not-found")
        for target in ["/v1/machines/%", "/v1/machines/%f", "/v1/machines/%zz", "/%ff"] {
            expectProblem(try harness.send("GET", target), 400, "invalid-request")
        }
    }
}
