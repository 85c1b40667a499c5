// What a body is said to be, and what a client accepts.

import Testing

@testable import API

struct MediaTypeTests {
    @Test(arguments: [
        // The first of those offered, where the client does not care.
        (nil, "application/json"), ("*/*", "application/json"), ("*/*;q=0.1", "application/json"),
        ("text/plain, application/json", "application/json"),
        ("text/plain;q=0.5, application/json;q=0.5", "application/json"),
        // The better one.
        ("text/plain", "text/plain"), ("TEXT/Plain", "text/plain"), ("text/*", "text/plain"),
        ("text/plain, application/json;q=0.9", "text/plain"),
        ("text/plain;q=0.002, application/json;q=0.001", "text/plain"),
        ("application/json;q=0, */*", "text/plain"),
        ("*/*;q=0.5, text/plain", "text/plain"),
        ("*/*, application/json;q=0.5", "text/plain"),
        ("application/*;q=0.3, text/*;q=0.4, */*;q=1", "text/plain"),
        ("text/plain ; q=1 , application/json ; q=0.999", "text/plain"),
        ("text/plain;Q=1.000, application/json;q=0.000", "text/plain"),
        ("text/plain;charset=utf-8", "text/plain"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        // The more specific range counts, whatever its order.
        ("application/json;q=0.2, application/*;q=0.9, text/plain;q=0.5", "text/plain"),
        ("application/*;q=0.9, application/json;q=0.2, text/plain;q=0.5", "text/plain"),
        // Malformed elements are as if they were not there.
        ("application/json;q=2, text/plain;q=0.1", "text/plain"),
        ("application/json;q=-1, text/plain;q=0.1", "text/plain"),
        ("application/json;q=nan, text/plain;q=0.1", "text/plain"),
        ("application/json;q=0x1, text/plain;q=0.1", "text/plain"),
        ("application/json;q=1e0, text/plain;q=0.1", "text/plain"),
        ("application/json;q=0.0001, text/plain;q=0.1", "text/plain"),
        ("application/json;q=1.001, text/plain;q=0.1", "text/plain"),
        ("application/json;q=, text/plain;q=0.1", "text/plain"),
        ("application/json;q=.5, text/plain;q=0.1", "text/plain"),
        ("application/json;q=+1, text/plain;q=0.1", "text/plain"),
        (",,text/plain,,", "text/plain"),
    ])
    func accepted(field: String?, type: String) throws {
        let headers = field.map { [("Accept", $0)] } ?? []
        let request = try Message("GET", "/", headers: headers).request()
        #expect(try MediaType.accepted(by: request, among: [.json, .text]).rawValue == type)
    }

    @Test(arguments: [
        "image/png", "application/json;q=0", "text/html", "json", "*", "*/json", "application",
        "", "application/jsonp", "*/*;q=0", "application/json;q=0, */*;q=0", "\"application/json\"",
    ])
    func notAcceptable(field: String) throws {
        let request = try Message("GET", "/", headers: [("Accept", field)]).request()
        let problem = #expect(throws: Problem.self) {
            try MediaType.accepted(by: request, among: [.json])
        }
        #expect(problem?.kind == .notAcceptable)
    }

    @Test(arguments: [
        ("application/json", "application/json"),
        ("Application/JSON", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json;charset=UTF-8", "application/json"),
        ("application/json; charset=\"utf-8\"", "application/json"),
        ("application/json; charset=us-ascii", "application/json"),
        ("application/json ; x=y ; charset=utf-8 ;", "application/json"),
        ("text/plain", "text/plain"), ("text/plain;charset=utf-8", "text/plain"),
    ])
    func bodies(field: String, type: String) throws {
        let headers = [("Content-Type", field)]
        let request = try Message("POST", "/", headers: headers, body: "{}").request()
        #expect(try MediaType.ofBody(request, among: [.json, .text])?.rawValue == type)
    }

    @Test(arguments: [
        "application/xml", "text/html", "application/jsonx", "json", "application/json, text/plain",
        "application/json; charset=latin1", "application/json; charset=utf-16",
        "application/json;charset", "application/json;charset=", "multipart/form-data",
        "application/x-www-form-urlencoded", "",
    ])
    func refusedBodies(field: String) throws {
        let headers = [("Content-Type", field)]
        let request = try Message("POST", "/", headers: headers, body: "{}").request()
        let problem = #expect(throws: Problem.self) {
            try MediaType.ofBody(request, among: [.json, .text])
        }
        #expect(problem?.kind == .unsupportedMediaType)
    }

    @Test func aBodyNeedsATypeAndNoBodyNeedsNone() throws {
        let none = try Message("POST", "/").request()
        #expect(try MediaType.ofBody(none, among: [.json]) == nil)
        let bytes = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}".utf8)
        let untyped = try Message(isHead: false, bytes: bytes).request()
        #expect(throws: Problem.self) { try MediaType.ofBody(untyped, among: [.json]) }
        let text = try Message("POST", "/", headers: [("Content-Type", "text/plain")]).request()
        #expect(try MediaType.ofBody(text, among: [.json]) == nil)
    }
}
