import HTTPServer
import Testing

@Suite struct HTTPRequestTargetTests {
    private func get(_ target: String) throws -> HTTPRequest {
        try #require(request("GET \(target) HTTP/1.1\r\n\(host)\r\n"))
    }

    @Test(arguments: [
        ("/", [""]), ("/v1", ["v1"]), ("/v1/", ["v1", ""]), ("/v1/a%2Fb", ["v1", "a/b"]),
        ("//", ["", ""]), ("/a+b", ["a+b"]), ("/%C3%A9", ["é"]), ("/..%2e/.", ["...", "."]),
        ("http://a", [""]),
    ])
    func segments(target: String, expected: [String]) throws {
        #expect(try get(target).pathSegments() == expected)
    }

    @Test func asterisk() throws {
        let options = try #require(request("OPTIONS * HTTP/1.1\r\n\(host)\r\n"))
        #expect(try options.pathSegments() == ["*"])
    }

    @Test(arguments: ["/%", "/%1", "/%1g", "/%g1", "/a%", "/%%41", "/%+1"])
    func malformedEscapes(target: String) throws {
        #expect(throws: HTTPTargetError.malformedEscape) { try get(target).pathSegments() }
        let query = "/?a=" + target.dropFirst()
        #expect(throws: HTTPTargetError.malformedEscape) { try get(query).queryItems() }
    }

    @Test(arguments: ["%FF", "%C3", "%C0%80", "%ED%A0%80"])
    func escapesThatAreNotUTF8(escapes: String) throws {
        #expect(throws: HTTPTargetError.notUTF8) { try get("/" + escapes).pathSegments() }
        #expect(throws: HTTPTargetError.notUTF8) { try get("/?" + escapes).queryItems() }
    }

    @Test(arguments: [
        ("/", ""), ("/?", ""), ("/?a", "a=;"), ("/?a=1&b=2", "a=1;b=2;"),
        ("/?a=&=b&&c", "a=;=b;c=;"),
        ("/?a=b=c", "a=b=c;"), ("/?a+b=c%20d", "a+b=c d;"), ("/?%26=%3D", "&==;"),
        ("/?a=1&", "a=1;"),
        ("/?t=%C3%A9", "t=é;"),
    ])
    func queryItems(target: String, expected: String) throws {
        let items = try get(target).queryItems()
        #expect(items.map { "\($0.name)=\($0.value);" }.joined() == expected)
    }
}
