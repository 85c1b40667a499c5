import HTTPServer
import Testing

/// SplitMix64: the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Messages of every kind, valid and not, each to be taken apart in every way.
private let corpus: [String] = [
    message("", requestLine: "GET /v1/machines?page_size=3 HTTP/1.1"),
    message("Content-Length: 11\r\nX-Request-Id: 7\r\n", body: "hello world"),
    message(
        "Transfer-Encoding: chunked\r\n",
        body: "5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n"),
    message("Connection: close\r\n", requestLine: "DELETE http://a/x HTTP/1.1"),
    "\r\n" + message("", requestLine: "OPTIONS * HTTP/1.1"),
    "GET / HTTP/1.0\r\n\r\n",
    message("Content-Length: 2\r\n", body: "ab") + message("Content-Length: 0\r\n")
        + message("Transfer-Encoding: chunked\r\n", body: "0\r\n\r\n") + message(""),
    message("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"),
    message("Transfer-Encoding: chunked\r\n", body: "3\r\nabcd\r\n0\r\n\r\n"),
    message("A : b\r\n"), message("A: b\n"), "GET / HTTP/3.0\r\n\r\n", "\r\n\r\n\r\n",
    message("Content-Length: 1000\r\n"), message("X: " + String(repeating: "y", count: 300)),
    message("", requestLine: "GET /" + String(repeating: "z", count: 300) + " HTTP/1.1"),
    message(
        "Transfer-Encoding: chunked\r\n", body: "1;" + String(repeating: "z", count: 99) + "\r\n"),
]

/// Small enough for the corpus to reach them.
private let tightLimits: HTTPServerLimits = {
    var limits = HTTPServerLimits()
    limits.maximumRequestLineBytes = 200
    limits.maximumHeaderBytes = 200
    limits.maximumChunkLineBytes = 50
    limits.maximumBodyBytes = 500
    return limits
}()

@Suite struct HTTPRequestParserFuzzTests {
    @Test(arguments: corpus)
    func everySplitGivesTheSame(message: String) {
        let bytes = Array(message.utf8)
        for limits in [HTTPServerLimits(), tightLimits] {
            let whole = parse([bytes], limits: limits)
            for split in 0...bytes.count {
                let pieces = [Array(bytes[..<split]), Array(bytes[split...])]
                #expect(parse(pieces, limits: limits) == whole, "split at \(split)")
            }
            #expect(parse(bytes.map { [$0] }, limits: limits) == whole, "byte by byte")
        }
    }

    @Test(arguments: corpus.filter { refusal($0) == nil })
    func everyTruncationNeedsMore(message: String) {
        let bytes = Array(message.utf8)
        for count in 0..<bytes.count {
            let steps = parse([Array(bytes[..<count])])
            guard case .needMore = steps.last else {
                Issue.record("\(steps) of the first \(count) bytes")
                return
            }
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func mutationsNeverTrapAndSplitsAgree(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        for _ in 0..<4000 {
            var bytes = Array(corpus.randomElement(using: &generator)!.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                mutate(&bytes, &generator)
            }
            let whole = parse([bytes], limits: tightLimits)
            let split = Int.random(in: 0...bytes.count, using: &generator)
            let pieces = [Array(bytes[..<split]), Array(bytes[split...])]
            #expect(parse(pieces, limits: tightLimits) == whole, "\(text(bytes)) at \(split)")
            readEverything(bytes)
        }
    }

    private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        let interesting = Array("\r\n\0\t :;,%?#/*+-0159afxAFHh\u{7F}".utf8) + [0x80, 0xFF]
        let position = Int.random(in: 0..<max(1, bytes.count), using: &generator)
        let byte = interesting.randomElement(using: &generator)!
        switch Int.random(in: 0..<5, using: &generator) {
        case 0 where !bytes.isEmpty: bytes[position] = byte
        case 1 where !bytes.isEmpty: bytes.remove(at: position)
        case 2: bytes.insert(byte, at: min(position, bytes.count))
        case 3 where !bytes.isEmpty:
            let end = Int.random(in: position...bytes.count, using: &generator)
            bytes.insert(contentsOf: Array(bytes[position..<end]), at: position)
        default: bytes.removeLast(min(bytes.count, position))
        }
    }

    /// Asks every request for all it can tell; errors are as good as values.
    private func readEverything(_ bytes: [UInt8]) {
        var parser = HTTPRequestParser(limits: tightLimits)
        parser.append(bytes)
        while case .request(let request) = parser.next() {
            _ = try? request.pathSegments()
            _ = try? request.queryItems()
            _ = (request.headers, request.body, request.header("x-request-id"))
            #expect(request.bodyCount <= tightLimits.maximumBodyBytes)
        }
    }
}
