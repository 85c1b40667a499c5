import Testing

@testable import HTTPServer

@Suite struct HTTPResponseTests {
    private func rendered(_ response: HTTPResponse, _ framing: HTTPResponse.Framing) -> String {
        var output: [UInt8] = []
        response.append(to: &output, framing: framing)
        return text(output)
    }

    @Test func fieldsAndBody() {
        var response = HTTPResponse(
            status: 201, contentType: "application/json", body: Array("{}".utf8))
        response.addField("Location", "/v1/machines/a")
        response.addField("Gfpd-Sequence", UInt64.max)
        response.addField("X-Zero", 0)
        response.addField("X-Bytes", Array("a\tb".utf8))
        var framing = HTTPResponse.Framing()
        framing.dateLine = Array("Date: now\r\n".utf8)
        let head = """
            HTTP/1.1 201 Created\r
            Date: now\r
            Content-Type: application/json\r
            Location: /v1/machines/a\r
            Gfpd-Sequence: 18446744073709551615\r
            X-Zero: 0\r
            X-Bytes: a\tb\r

            """
        #expect(rendered(response, framing) == head + "Content-Length: 2\r\n\r\n{}")
        framing.omitsBody = true
        framing.closesConnection = true
        #expect(
            rendered(response, framing)
                == head + "Connection: close\r\nContent-Length: 2\r\n\r\n")
    }

    @Test(arguments: [
        (200, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (204, "HTTP/1.1 204 No Content\r\n\r\n"), (304, "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (299, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"),
    ])
    func empty(status: Int, expected: String) {
        #expect(rendered(HTTPResponse(status: status), HTTPResponse.Framing()) == expected)
    }

    @Test func answersCanBeKept() throws {
        var first = HTTPResponse(
            status: 201, contentType: "application/json", body: Array("{}".utf8))
        first.addField("Location", "/v1/machines/a")
        first.addField("ETag", "\"7\"")
        var second = try #require(
            HTTPResponse(status: 201, ownFields: first.ownFields, body: first.body))
        #expect(rendered(second, .init()) == rendered(first, .init()))
        #expect(second.ownFields == first.ownFields)
        second.addField("X-More", "1")
        #expect(text(second.ownFields).hasSuffix("ETag: \"7\"\r\nX-More: 1\r\n"))
        let empty = try #require(
            HTTPResponse(status: 204, ownFields: HTTPResponse(status: 204).ownFields, body: []))
        #expect(rendered(empty, .init()) == "HTTP/1.1 204 No Content\r\n\r\n")
    }

    @Test(arguments: [
        (99, "", ""), (600, "", ""), (204, "", "x"), (304, "", "x"), (200, "A: b", ""),
        (200, "A: b\n", ""), (200, "A: b\r", ""), (200, "A: b\r\n\r\n", ""), (200, ": b\r\n", ""),
        (200, "A b: c\r\n", ""), (200, "A: b\0\r\n", ""), (200, "A: b\rc\r\n", ""),
        (200, "A\r\n", ""), (200, "A: b\r\nc\r\n", ""),
    ])
    func whatIsNoAnswerIsNotTaken(status: Int, fields: String, body: String) {
        let response = HTTPResponse(
            status: status, ownFields: Array(fields.utf8), body: Array(body.utf8))
        #expect(response == nil)
    }

    @Test(arguments: ["a\r\nb", "a\n", "\r", "\0", "\u{7F}"])
    func controlCharactersTrap(value: String) async {
        await #expect(processExitsWith: .failure) { [value] in
            var response = HTTPResponse(status: 200)
            response.addField("X", value)
        }
    }

    @Test func everyErrorHasAReasonPhrase() {
        for error in HTTPRequestError.allCases {
            #expect(HTTPResponse.reasonPhrase(error.status).utf8CodeUnitCount > 0)
            #expect(error.detail.hasSuffix("."))
        }
    }

    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
    ])
    func dates(second: Int, expected: String) {
        #expect(HTTPDate.text(second) == expected)
    }
}

@Suite struct ASCIITests {
    private let alphanumerics =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    @Test func setsAreTheirAlphabets() {
        let unreserved = alphanumerics + "-._~"
        let subDelimiters = "!$&'()*+,;="
        let alphabets: [(ASCIISet, String)] = [
            (.token, alphanumerics + "!#$%&'*+-.^_`|~"),
            (.target, unreserved + subDelimiters + "%:@/?"),
            (.authority, unreserved + subDelimiters + "%:[]"),
        ]
        for (set, alphabet) in alphabets {
            for byte in UInt8.min...UInt8.max {
                #expect(set.contains(byte) == alphabet.utf8.contains(byte), "\(byte)")
            }
        }
    }

    /// Each byte at each place among others that carry or borrow.
    @Test func eightBytesAreLowercasedAsEachIs() {
        for neighbour: UInt8 in [0, 0x40, 0x41, 0x5a, 0x5b, 0x7f, 0x80, 0xff] {
            for place in 0..<8 {
                for byte in UInt8.min...UInt8.max {
                    var bytes = [UInt8](repeating: neighbour, count: 8)
                    bytes[place] = byte
                    #expect(ASCII.lowercased(word(bytes)) == word(bytes.map(ASCII.lowercased)))
                }
            }
        }
    }

    private func word(_ bytes: [UInt8]) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A name of any length is told from one that differs in a byte.
    @Test(
        arguments: [
            "te", "host", "connect", "upgrade1", "forwarded", "content-length", "transfer-encoding",
        ] as [StaticString])
    func namesAreCompared(name: StaticString) {
        let bytes = Array("\(name)".utf8)
        let capitals = Array("\(name)".uppercased().utf8)
        #expect(isEqual(bytes, name) && isEqual(capitals, name))
        #expect(isSame(bytes, name) && !isSame(capitals, name))
        #expect(!isEqual(bytes.dropLast(), name) && !isEqual(bytes + [0], name))
        for place in bytes.indices {
            var other = capitals
            other[place] ^= 0x80
            #expect(!isEqual(other, name))
        }
    }

    private func isEqual(_ bytes: [UInt8], _ name: StaticString) -> Bool {
        bytes.span.equals(name, in: 0..<bytes.count)
    }

    private func isSame(_ bytes: [UInt8], _ name: StaticString) -> Bool {
        bytes.span.isSame(name, in: 0..<bytes.count)
    }

    @Test func digits() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            let value = byte < 128 ? character.hexDigitValue : nil
            #expect(ASCII.hexadecimalValue(byte).map(Int.init) == value)
            #expect(ASCII.isDigit(byte) == (value != nil && value! < 10 && character.isNumber))
        }
    }
}
