import HTTPServer

/// The request parser: whatever comes, and in whatever pieces, it gives the same requests, keeps to
/// its limits, and each request can be asked for everything.
enum HTTPTarget {
    /// Small enough for short inputs to reach them.
    private static let limits: HTTPServerLimits = {
        var limits = HTTPServerLimits()
        limits.maximumRequestLineBytes = 200
        limits.maximumHeaderBytes = 300
        limits.maximumHeaderFields = 8
        limits.maximumChunkLineBytes = 40
        limits.maximumTrailerBytes = 100
        limits.maximumBodyBytes = 400
        return limits
    }()

    /// What one step came to.
    private enum Step: Equatable {
        case request(String, fields: [String], body: [UInt8], closes: Bool)
        case failed(HTTPRequestError)
    }

    static func run(_ input: [UInt8]) {
        let whole = steps(of: [input])
        precondition(steps(of: input.map { [$0] }) == whole, "byte by byte it is another message")
        // The first byte says where else to cut.
        let cut = input.isEmpty ? 0 : Int(input[0]) % (input.count + 1)
        let halves = [Array(input[..<cut]), Array(input[cut...])]
        precondition(steps(of: halves) == whole, "in two pieces it is another message")
    }

    private static func steps(of pieces: [[UInt8]]) -> [Step] {
        var parser = HTTPRequestParser(limits: limits)
        var steps: [Step] = []
        for piece in pieces {
            parser.append(piece)
            parsing: while true {
                switch parser.next() {
                case .request(let request): steps.append(step(request))
                case .needMore: break parsing
                case .failed(let error): return steps + [.failed(error)]
                }
            }
        }
        return steps
    }

    private static func step(_ request: HTTPRequest) -> Step {
        precondition(request.bodyCount <= limits.maximumBodyBytes)
        precondition(request.headers.count <= limits.maximumHeaderFields)
        let segments = (try? request.pathSegments()) ?? []
        let items = ((try? request.queryItems()) ?? []).map { "\($0.name)=\($0.value)" }
        let target = ([request.method.name] + segments + ["?"] + items).joined(separator: "/")
        let fields = request.headers.map { "\($0.name): \($0.value)" }
        precondition(fields.allSatisfy { !$0.utf8.contains(13) && !$0.utf8.contains(10) })
        _ = request.header("host")
        return .request(
            target, fields: fields, body: request.body, closes: request.closesConnection)
    }
}
