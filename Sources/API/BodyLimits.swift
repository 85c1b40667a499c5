// How many bytes a body may have, where it may have more than others.

import HTTPServer

enum BodyLimits {
    /// Of `POST …/batch`.
    static let batchBytes = 64 << 20

    /// Of an hwloc topology: 2,048 processing units with their caches take about 800 KB.
    static let topologyBytes = 8 << 20

    /// Bytes that the body of a request may have.
    @Sendable static func limit(for head: HTTPRequest) -> Int {
        guard let path = try? head.pathSegments(),
            case .found(let endpoint) = RouteMatch(head.method, path)
        else { return HTTPServerLimits().maximumBodyBytes }
        switch endpoint {
        case .batch: return batchBytes
        case .createMachine where isXML(head): return topologyBytes
        default: return HTTPServerLimits().maximumBodyBytes
        }
    }

    private static func isXML(_ head: HTTPRequest) -> Bool {
        (try? MediaType.ofBody(head, among: [.xml])) == .xml
    }
}
