import HTTPServer
import Testing

@Suite struct RequestLineTests {
    @Test(arguments: [
        ("GET", HTTPMethod.get), ("HEAD", .head), ("POST", .post), ("PUT", .put),
        ("DELETE", .delete), ("OPTIONS", .options), ("PATCH", .patch),
        ("get", .other(Array("get".utf8))), ("GETS", .other(Array("GETS".utf8))),
        ("PROPFIND!", .other(Array("PROPFIND!".utf8))),
    ])
    func methods(name: String, method: HTTPMethod) {
        let parsed = request("\(name) / HTTP/1.1\r\n\(host)\r\n")
        #expect(parsed?.method == method)
        #expect(parsed?.method.name == name)
    }

    @Test(arguments: [
        ("GET  / HTTP/1.1", HTTPRequestError.unsupportedVersion), ("GET /  HTTP/1.1", nil),
        ("GET / HTTP/1.1 ", nil), (" GET / HTTP/1.1", nil), ("GET\t/ HTTP/1.1", nil),
        ("GET /", nil), ("GET", nil), ("G@T / HTTP/1.1", nil), ("GET / http/1.1", nil),
        ("GET / HTTP/1.10", nil), ("GET / HTTP/11", nil), ("GET / HTTP/a.b", nil),
        ("GET / HTTP/+1.1", nil), ("GET / FTP/1.1", nil), (" / HTTP/1.1", nil),
        ("GET / x HTTP/1.1", nil), ("GET /\rHTTP/1.1", nil),
    ])
    func malformed(line: String, ignored: HTTPRequestError?) {
        let error = refusal("\(line)\r\n\(host)\r\n")
        // Two spaces leave an empty target, or a version that is none.
        #expect(error == .malformedRequestLine || error == .malformedTarget)
    }

    @Test(arguments: ["2.0", "1.2", "0.9", "3.0", "1.9", "9.9"])
    func versions(version: String) {
        #expect(refusal("GET / HTTP/\(version)\r\n\(host)\r\n") == .unsupportedVersion)
        #expect(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .unsupportedVersion)
    }

    @Test(arguments: [
        ("/", "/", nil), ("/v1/a%20b?x=1&y=%zz", "/v1/a%20b", "x=1&y=%zz"), ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"), ("//a", "//a", nil), ("http://a", "/", nil),
        ("http://a/", "/", nil), ("HTTP://A/x?y", "/x", "y"), ("http://a?y", "/", "y"),
        ("https://a/x", "/x", nil),
    ])
    func targets(target: String, path: String, query: String?) {
        let parsed = request("GET \(target) HTTP/1.1\r\n\(host)\r\n")
        #expect(parsed.map { text($0.path) } == path)
        #expect(parsed?.query.map { text($0) } == query)
    }

    @Test(arguments: [
        "a", "*", "/a#b", "/a\"", "/<", "/a b", "/é", "/\u{7F}", "/\u{1}", "/a\\b", "/a|b", "/{}",
        "http://", "http:///x", "http://a@b/x", "ftp://a/x", "a:80", "http://a b/", "/[", "/^",
        "/`",
    ])
    func malformedTargets(target: String) {
        let error = refusal("GET \(target) HTTP/1.1\r\n\(host)\r\n")
        #expect(error == .malformedTarget || error == .malformedRequestLine)
    }

    @Test func asteriskIsForOptions() {
        #expect(request("OPTIONS * HTTP/1.1\r\n\(host)\r\n").map { text($0.path) } == "*")
        #expect(refusal("OPTIONS *a HTTP/1.1\r\n\(host)\r\n") == .malformedTarget)
        #expect(refusal("GET * HTTP/1.1\r\n\(host)\r\n") == .malformedTarget)
    }

    @Test func absoluteFormNamesTheHost() {
        #expect(refusal("GET http://b/ HTTP/1.1\r\n\(host)\r\n") == .malformedHost)
        #expect(refusal("GET http://a:80/ HTTP/1.1\r\n\(host)\r\n") == .malformedHost)
    }

    @Test func oneEmptyLineBeforeARequestIsSkipped() {
        #expect(request("\r\n" + message("", requestLine: "GET / HTTP/1.1")) != nil)
        #expect(refusal("\r\n\r\n" + message("")) == .malformedRequestLine)
        #expect(refusal("\n" + message("")) == .malformedLineEnd)
        let two = message("") + "\r\n" + message("")
        #expect(parse(two).count == 3)
    }
}

@Suite struct FieldLineTests {
    @Test func valuesAreTrimmedAndJoined() {
        let parsed = request(
            message("X-A:  \t b c \t \r\nx-a:d\r\nX-Empty:\r\nX-Empty-2: \t\r\nX-High: \u{E9}\r\n"))
        #expect(parsed?.header("x-a") == "b c, d")
        #expect(parsed?.header("x-empty") == "")
        #expect(parsed?.header("x-empty-2") == "")
        #expect(parsed?.header("x-high") == "\u{E9}")
        #expect(parsed?.header("host") == "a")
        #expect(parsed?.header("x") == nil)
        #expect(parsed?.header("host", is: "a") == true)
        #expect(parsed?.header("host", is: "A") == false)
        #expect(parsed?.header("host", is: "ab") == false)
        // Several fields are a list, and none of them is the value.
        #expect(parsed?.header("x-a", is: "b c") == false)
        #expect(parsed?.header("x", is: "") == false)
        #expect(
            parsed?.headers.map(\.name) == ["Host", "X-A", "x-a", "X-Empty", "X-Empty-2", "X-High"])
    }

    @Test(arguments: [
        ("A : b\r\n", HTTPRequestError.whitespaceBeforeColon),
        ("A\t: b\r\n", .whitespaceBeforeColon), ("Content-Length : 1\r\n", .whitespaceBeforeColon),
        ("Transfer-Encoding : chunked\r\n", .whitespaceBeforeColon),
        (" A: b\r\n", .lineFolding), ("A: b\r\n c\r\n", .lineFolding),
        ("A: b\r\n\tc\r\n", .lineFolding),
        (": b\r\n", .malformedFieldName), ("A\r\n", .malformedFieldName),
        ("A(: b\r\n", .malformedFieldName), ("\u{E9}: b\r\n", .malformedFieldName),
        ("A\0: b\r\n", .malformedFieldName), ("A;: b\r\n", .malformedFieldName),
        ("A: b\0\r\n", .malformedFieldValue), ("A: \u{1}b\r\n", .malformedFieldValue),
        ("A: b\u{7F}\r\n", .malformedFieldValue), ("A: b\rc\r\n", .malformedFieldValue),
        ("A: b\r\r\n", .malformedFieldValue), ("A: \u{B}b\r\n", .malformedFieldValue),
        ("A: b\n", .malformedLineEnd), ("A: b\nContent-Length: 5\r\n", .malformedLineEnd),
        ("\n", .malformedLineEnd),
    ])
    func malformed(fields: String, error: HTTPRequestError) {
        #expect(refusal(message(fields)) == error)
    }

    @Test func lineFeedAloneEndsNothing() {
        #expect(refusal("GET / HTTP/1.1\n\(host)\r\n") == .malformedLineEnd)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\n\n") == .malformedLineEnd)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\n\n") == .malformedLineEnd)
    }

    @Test(arguments: [
        ("", HTTPRequestError.missingHost), ("Host: a\r\nHost: a\r\n", .severalHosts),
        ("Host: a\r\nhOST: b\r\n", .severalHosts), ("Host: a/b\r\n", .malformedHost),
        ("Host: a b\r\n", .malformedHost), ("Host: a, b\r\n", .malformedHost),
        ("Host: u@a\r\n", .malformedHost), ("Host: a?b\r\n", .malformedHost),
    ])
    func hosts(fields: String, error: HTTPRequestError) {
        #expect(refusal("GET / HTTP/1.1\r\n\(fields)\r\n") == error)
    }

    @Test(arguments: ["a", "a:80", "[::1]:80", "127.0.0.1", "", "a-b.c_d"])
    func validHosts(value: String) {
        #expect(request("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n")?.header("host") == value)
    }

    @Test(arguments: [
        ("", "1.1", false), ("Connection: close\r\n", "1.1", true),
        ("Connection: keep-alive, CLOSE\r\n", "1.1", true),
        ("Connection: closed\r\n", "1.1", false), ("Connection: a,,close,\r\n", "1.1", true),
        ("Connection: a\r\nConnection: close\r\n", "1.1", true),
        ("Connection: keep-alive\r\n", "1.1", false), ("", "1.0", true),
        ("Connection: keep-alive\r\n", "1.0", true),
    ])
    func closing(fields: String, version: String, closes: Bool) {
        let parsed = request(message(fields, requestLine: "GET / HTTP/\(version)"))
        #expect(parsed?.closesConnection == closes)
    }

    @Test func version10NeedsNoHost() {
        #expect(request("GET / HTTP/1.0\r\n\r\n")?.isVersion10 == true)
    }
}

@Suite struct FramingTests {
    @Test(arguments: [
        ("Content-Length: +5\r\n", HTTPRequestError.malformedContentLength),
        ("Content-Length: -5\r\n", .malformedContentLength),
        ("Content-Length: 5,5\r\n", .malformedContentLength),
        ("Content-Length: 5, 5\r\n", .malformedContentLength),
        ("Content-Length: 5 5\r\n", .malformedContentLength),
        ("Content-Length: 0x5\r\n", .malformedContentLength),
        ("Content-Length: 5a\r\n", .malformedContentLength),
        ("Content-Length: 5.0\r\n", .malformedContentLength),
        ("Content-Length:\r\n", .malformedContentLength),
        ("Content-Length: \u{661}\r\n", .malformedContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", .severalContentLengths),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", .severalContentLengths),
        ("Content-Length: 5\r\ncontent-length: 0\r\n", .severalContentLengths),
        ("Content-Length: 9223372036854775807\r\n", .bodyTooLarge),
        ("Content-Length: 9223372036854775808\r\n", .bodyTooLarge),
        ("Content-Length: 18446744073709551616\r\n", .bodyTooLarge),
        ("Content-Length: 99999999999999999999999999999999\r\n", .bodyTooLarge),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .contentLengthWithTransferEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", .contentLengthWithTransferEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", .contentLengthWithTransferEncoding),
        ("Transfer-Encoding: gzip\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: gzip, chunked\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: chunked, chunked\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: chunked,\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: identity\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: xchunked\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding: \"chunked\"\r\n", .unsupportedTransferCoding),
        ("Transfer-Encoding:\r\n", .unsupportedTransferCoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            .unsupportedTransferCoding
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            .unsupportedTransferCoding
        ),
        ("Transfer-Encoding: chunked\u{B}\r\n", .malformedFieldValue),
        ("Expect: 200-ok\r\n", .unknownExpectation),
        ("Expect: 100-continue, x\r\n", .unknownExpectation),
    ])
    func refused(fields: String, error: HTTPRequestError) {
        #expect(refusal(message(fields, body: "0\r\n\r\n")) == error)
    }

    @Test func version10HasNoTransferEncoding() {
        let chunked = message(
            "Transfer-Encoding: chunked\r\n", body: "0\r\n\r\n", requestLine: "POST / HTTP/1.0")
        #expect(refusal(chunked) == .transferEncodingInHTTP10)
    }

    @Test(arguments: [("0", ""), ("5", "hello"), ("005", "hello"), ("\t5 ", "hello")])
    func counted(length: String, body: String) {
        let steps = parse(message("Content-Length: \(length)\r\n", body: body) + message(""))
        #expect(steps.count == 3)
        guard case .request(_, _, _, _, let bytes, _) = steps[0] else {
            Issue.record("no request: \(steps)")
            return
        }
        #expect(text(bytes) == body)
    }

    @Test(arguments: [
        ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"), ("005\r\nhello\r\n00\r\n\r\n", "hello"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("5;a=b; c=\"d\"\r\nhello\r\n0;x\r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\nX-Trailer: 1\r\nY: 2\r\n\r\n", "hello"),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ])
    func chunked(chunks: String, body: String) {
        let steps = parse(message("Transfer-Encoding: Chunked\r\n", body: chunks) + message(""))
        #expect(steps.count == 3)
        guard case .request(_, _, _, let fields, let bytes, _) = steps[0] else {
            Issue.record("no request: \(steps)")
            return
        }
        #expect(text(bytes) == body)
        #expect(fields == ["Host: a", "Transfer-Encoding: Chunked"])
    }

    @Test(arguments: [
        ("5 \r\nhello\r\n0\r\n\r\n", HTTPRequestError.malformedChunk),
        (" 5\r\nhello\r\n0\r\n\r\n", .malformedChunk), ("\r\n", .malformedChunk),
        ("0x5\r\nhello\r\n0\r\n\r\n", .malformedChunk), ("+5\r\nhello\r\n", .malformedChunk),
        ("-1\r\n", .malformedChunk), ("g\r\n", .malformedChunk), (";a\r\n", .malformedChunk),
        ("5 ;a\r\nhello\r\n", .malformedChunk), ("5;\u{1}\r\nhello\r\n", .malformedChunk),
        ("5;a\rb\r\nhello\r\n", .malformedChunk), ("5\nhello\r\n0\r\n\r\n", .malformedLineEnd),
        ("5;a\nhello\r\n", .malformedLineEnd), ("5\r\nhello\n0\r\n\r\n", .malformedChunk),
        ("5\r\nhelloX\r\n0\r\n\r\n", .malformedChunk), ("4\r\nhello\r\n0\r\n\r\n", .malformedChunk),
        ("5\r\nhello\r0\r\n\r\n", .malformedChunk), ("6\r\nhello\r\n0\r\n\r\n", .malformedChunk),
        ("ffffffffffffffff\r\n", .bodyTooLarge), ("10000000000000005\r\n", .bodyTooLarge),
        ("7fffffffffffffff\r\n", .bodyTooLarge), ("100001\r\n", .bodyTooLarge),
        ("0\r\nX : 1\r\n\r\n", .whitespaceBeforeColon), ("0\r\n X: 1\r\n\r\n", .lineFolding),
        ("0\r\nX\r\n\r\n", .malformedFieldName), ("0\r\n\n", .malformedLineEnd),
        ("0\r\nX: \0\r\n\r\n", .malformedFieldValue),
    ])
    func malformedChunks(chunks: String, error: HTTPRequestError) {
        #expect(refusal(message("Transfer-Encoding: chunked\r\n", body: chunks)) == error)
    }

    /// What two questions after the bytes of an unfinished request give.
    private func expectations(_ bytes: String) -> [Bool] {
        var parser = HTTPRequestParser()
        parser.append(Array(bytes.utf8))
        guard case .needMore = parser.next() else {
            Issue.record("the request is not to be whole")
            return []
        }
        return [parser.takeContinueExpectation(), parser.takeContinueExpectation()]
    }

    @Test func expectationIsTakenOnceAndOnlyBeforeTheBody() {
        let head = message("Expect: 100-Continue\r\nContent-Length: 2\r\n")
        #expect(expectations(head) == [true, false])
        #expect(expectations(head + "x") == [false, false])
        #expect(expectations(String(head.dropLast())) == [false, false])
        #expect(expectations(message("Content-Length: 2\r\n")) == [false, false])
    }

    @Test func version10HasNoExpectations() {
        let head = "POST / HTTP/1.0\r\nContent-Length: 2\r\n"
        #expect(expectations(head + "Expect: 100-continue\r\n\r\n") == [false, false])
        #expect(expectations(head + "Expect: x\r\n\r\n") == [false, false])
    }
}

@Suite struct ParserLimitTests {
    private func outcome(_ bytes: String, _ limits: HTTPServerLimits) -> HTTPRequestError? {
        let steps = parse(bytes, limits: limits)
        if case .request = steps[0] { return nil }
        guard case .failed(let error) = steps[0] else {
            Issue.record("neither request nor error: \(steps)")
            return nil
        }
        return error
    }

    @Test(arguments: [-1, 0, 1])
    func requestLine(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumRequestLineBytes = 100
        let target = "/" + String(repeating: "a", count: 100 + excess - "GET / HTTP/1.1".count)
        let error = outcome("GET \(target) HTTP/1.1\r\n\(host)\r\n", limits)
        #expect(error == (excess > 0 ? .requestLineTooLong : nil))
    }

    @Test func lineWithoutEndIsRefusedAtItsLimit() {
        var limits = HTTPServerLimits()
        limits.maximumRequestLineBytes = 100
        limits.maximumHeaderBytes = 100
        #expect(refusal(String(repeating: "a", count: 101), limits: limits) == nil)
        #expect(
            refusal(String(repeating: "a", count: 102), limits: limits) == .requestLineTooLong)
        let begun = "GET / HTTP/1.1\r\n"
        #expect(
            refusal(begun + String(repeating: "a", count: 102), limits: limits) == .headerTooLarge)
    }

    @Test(arguments: [-1, 0, 1])
    func header(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumHeaderBytes = 200
        let fields = ["Host: a", "X: " + String(repeating: "b", count: 90)]
        let rest = 200 + excess - fields.joined().utf8.count - "Y: ".utf8.count
        let lines = fields + ["Y: " + String(repeating: "c", count: rest)]
        let error = outcome("GET / HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n\r\n", limits)
        #expect(error == (excess > 0 ? .headerTooLarge : nil))
    }

    @Test(arguments: [-1, 0, 1])
    func fieldCount(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumHeaderFields = 10
        let fields = String(repeating: "A: b\r\n", count: 9 + excess)
        #expect(outcome(message(fields), limits) == (excess > 0 ? .tooManyFields : nil))
    }

    @Test(arguments: [-1, 0, 1])
    func body(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumBodyBytes = 1000
        let body = String(repeating: "x", count: 1000 + excess)
        let counted = message("Content-Length: \(body.utf8.count)\r\n", body: body)
        #expect(outcome(counted, limits) == (excess > 0 ? .bodyTooLarge : nil))
        let chunk = String(body.utf8.count - 500, radix: 16)
        let chunks = "1f4\r\n\(body.prefix(500))\r\n\(chunk)\r\n\(body.dropFirst(500))\r\n0\r\n\r\n"
        let chunked = message("Transfer-Encoding: chunked\r\n", body: chunks)
        #expect(outcome(chunked, limits) == (excess > 0 ? .bodyTooLarge : nil))
    }

    @Test func bodyLimitOfSingleResources() {
        var limits = HTTPServerLimits()
        limits.maximumBodyBytes = 10
        limits.bodyLimit = { head in text(head.path) == "/large" ? 20 : 10 }
        let body = String(repeating: "x", count: 20)
        for (path, length, error) in [
            ("/large", 20, nil), ("/large", 21, HTTPRequestError.bodyTooLarge),
            ("/small", 11, .bodyTooLarge), ("/small", 10, nil),
        ] {
            let head = "POST \(path) HTTP/1.1\r\n\(host)Content-Length: \(length)\r\n\r\n"
            #expect(outcome(head + body + "x", limits) == error, "\(path) \(length)")
            let chunks =
                "\(String(length, radix: 16))\r\n\((body + "x").prefix(length))\r\n0\r\n\r\n"
            let chunked =
                "POST \(path) HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n\(chunks)"
            #expect(outcome(chunked, limits) == error, "\(path) \(length) in chunks")
        }
    }

    @Test(arguments: [-1, 0, 1])
    func chunkLine(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumChunkLineBytes = 50
        let line = "1;" + String(repeating: "e", count: 48 + excess)
        let chunked = message("Transfer-Encoding: chunked\r\n", body: "\(line)\r\nx\r\n0\r\n\r\n")
        #expect(outcome(chunked, limits) == (excess > 0 ? .malformedChunk : nil))
    }

    @Test(arguments: [-1, 0, 1])
    func trailers(excess: Int) {
        var limits = HTTPServerLimits()
        limits.maximumTrailerBytes = 60
        limits.maximumHeaderFields = 5
        let value = String(repeating: "v", count: 60 + excess - 6)
        let long = message(
            "Transfer-Encoding: chunked\r\n", body: "0\r\nA: \(value)\r\nB: \r\n\r\n")
        #expect(outcome(long, limits) == (excess > 0 ? .headerTooLarge : nil))
        let lines = String(repeating: "A: b\r\n", count: 5 + excess)
        let many = message("Transfer-Encoding: chunked\r\n", body: "0\r\n\(lines)\r\n")
        #expect(outcome(many, limits) == (excess > 0 ? .tooManyFields : nil))
    }

    @Test func manySmallChunksTakeNoMoreThanTheirBytes() {
        var parser = HTTPRequestParser()
        parser.append(Array(message("Transfer-Encoding: chunked\r\n").utf8))
        let extension200 = String(repeating: "e", count: 200)
        for _ in 0..<10_000 {
            parser.append(Array("1;\(extension200)\r\nx\r\n".utf8))
            guard case .needMore = parser.next() else {
                Issue.record("the last chunk is missing")
                return
            }
        }
        #expect(parser.bufferedByteCount < 11_000)
        parser.append(Array("0\r\n\r\n".utf8))
        guard case .request(let request) = parser.next() else {
            Issue.record("the request is whole")
            return
        }
        #expect(request.bodyCount == 10_000)
    }

    /// The buffer is reserved at once when some of the body has come, and takes memory as it comes.
    @Test(arguments: [700 << 10, (2 << 20) + 1, 5 << 20]) func aLargeBodyTakesWhatHasCome(
        count: Int
    ) throws {
        var limits = HTTPServerLimits()
        limits.maximumBodyBytes = 8 << 20
        var parser = HTTPRequestParser(limits: limits)
        parser.append(Array("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n".utf8))
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        var fed = 0
        while fed < count - 10_000 {
            guard case .needMore = parser.next() else {
                Issue.record("after \(fed)")
                return
            }
            parser.append(body[fed..<fed + 10_000])
            fed += 10_000
            #expect(parser.touchedBytes < fed + 1024)
        }
        #expect(parser.isInLargeBody)
        // The next request comes in one piece with the end of the body.
        parser.append(body[fed...] + Array("GET /b HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        guard case .request(let first) = parser.next() else {
            Issue.record("no request")
            return
        }
        #expect(first.body == body)
        guard case .request(let next) = parser.next() else {
            Issue.record("no next")
            return
        }
        #expect(String(decoding: next.path, as: UTF8.self) == "/b")
        #expect(!parser.isInLargeBody)
    }
}
