// Messages that two readers of HTTP could understand in two ways, or that no writer of HTTP may
// send. Behind each stands a request that only a reader who was misled would see.

/// A message that must be refused whole.
struct SmugglingVector: CustomStringConvertible {
    let description: String
    let bytes: [UInt8]

    /// What the second reader would see: an allocation under this request id.
    static let smuggledID = "smuggled"
    private static let smuggled = """
        POST /v1/machines/m/allocations HTTP/1.1\r\nHost: a\r\n\
        X-Request-Id: \(smuggledID)\r\nContent-Length: 0\r\n\r\n
        """

    /// Field lines of a POST, and its body.
    private init(_ name: String, _ fields: String, body: String = "") {
        self.init(name, whole: "POST /v1/machines/m/explain HTTP/1.1\r\n\(fields)\r\n\(body)")
    }

    private init(_ name: String, whole: String) {
        description = name
        bytes = Array((whole + Self.smuggled).utf8)
    }

    private static let host = "Host: a\r\n"
    private static let chunked = "Transfer-Encoding: chunked\r\n"
    private static let lastChunk = "0\r\n\r\n"

    static let all: [SmugglingVector] = lengths + codings + chunks + fields + requestLines

    private static let lengths: [SmugglingVector] = [
        .init("length before coding", host + "Content-Length: 5\r\n" + chunked, body: lastChunk),
        .init("coding before length", host + chunked + "Content-Length: 5\r\n", body: lastChunk),
        .init("length 0 and coding", host + "Content-Length: 0\r\n" + chunked, body: lastChunk),
        .init("two lengths", host + "Content-Length: 2\r\nContent-Length: 0\r\n", body: "{}"),
        .init("one length twice", host + "Content-Length: 2\r\nContent-Length: 2\r\n", body: "{}"),
        .init("a list of lengths", host + "Content-Length: 2, 2\r\n", body: "{}"),
        .init("a length with a sign", host + "Content-Length: +2\r\n", body: "{}"),
        .init("a negative length", host + "Content-Length: -1\r\n"),
        .init("a hexadecimal length", host + "Content-Length: 0x2\r\n", body: "{}"),
        .init("a fraction", host + "Content-Length: 2.0\r\n", body: "{}"),
        .init("an empty length", host + "Content-Length: \r\n"),
        .init("a length with a space in it", host + "Content-Length: 1 2\r\n", body: "{}"),
        .init(
            "a length beyond 64 bits", host + "Content-Length: 18446744073709551618\r\n", body: "{}"
        ),
        .init("a length in other digits", host + "Content-Length: \u{0662}\r\n", body: "{}"),
    ]

    private static let codings: [SmugglingVector] = [
        .init("chunked twice", host + chunked + chunked, body: lastChunk),
        .init(
            "a list that ends in chunked", host + "Transfer-Encoding: gzip, chunked\r\n",
            body: lastChunk),
        .init(
            "chunked not last", host + "Transfer-Encoding: chunked, identity\r\n", body: lastChunk),
        .init("identity", host + "Transfer-Encoding: identity\r\n"),
        .init("an unknown coding", host + "Transfer-Encoding: xchunked\r\n", body: lastChunk),
        .init("chunked in quotes", host + "Transfer-Encoding: \"chunked\"\r\n", body: lastChunk),
        .init(
            "chunked with a parameter", host + "Transfer-Encoding: chunked;a=b\r\n", body: lastChunk
        ),
        .init("a vertical tab", host + "Transfer-Encoding: \u{b}chunked\r\n", body: lastChunk),
        .init("an empty coding", host + "Transfer-Encoding: \r\n"),
        .init(
            "a space before the colon", host + "Transfer-Encoding : chunked\r\n", body: lastChunk),
        .init(
            "chunked of HTTP/1.0",
            whole: "POST /v1/machines/m/explain HTTP/1.0\r\n\(host)\(chunked)\r\n\(lastChunk)"),
    ]

    private static let chunks: [SmugglingVector] = [
        ("0x prefix", "0x2\r\n{}\r\n0\r\n\r\n"), ("a sign", "+2\r\n{}\r\n0\r\n\r\n"),
        ("no size", "\r\n{}\r\n0\r\n\r\n"), ("a space", " 2\r\n{}\r\n0\r\n\r\n"),
        ("a size behind a space", "2 \r\n{}\r\n0\r\n\r\n"),
        ("a bare LF behind the size", "2\n{}\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "2;a\rb\r\n{}\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
        ("bytes behind the chunk", "2\r\n{}x\r\n0\r\n\r\n"),
        ("no end of the chunk", "2\r\n{}0\r\n\r\n"), ("LF ends the chunk", "2\r\n{}\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("a trailer that is none", "0\r\nbad\r\n\r\n"),
        ("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"),
        ("a long line", "2;" + String(repeating: "a", count: 1000) + "\r\n{}\r\n0\r\n\r\n"),
    ].map { .init("chunk: " + $0.0, host + chunked, body: $0.1) }

    private static let fields: [SmugglingVector] = [
        ("folding", host + "A: b\r\n c\r\n"), ("folding by tab", host + "A: b\r\n\tc\r\n"),
        ("a first line that is folded", " A: b\r\n" + host), ("a bare LF", host + "A: b\nB: c\r\n"),
        ("LF LF", "Host: a\nA: b\n\n"), ("a bare CR", host + "A: b\rB: c\r\n"),
        ("NUL in a value", host + "A: b\u{0}c\r\n"), ("NUL in a name", host + "A\u{0}: b\r\n"),
        ("two hosts", host + "Host: b\r\n"), ("one host twice", host + host), ("no host", ""),
        ("a host with a path", "Host: a/b\r\n"), ("a host with a space", "Host: a b\r\n"),
        ("a host with a user", "Host: u@a\u{e9}\r\n"), ("no name", host + ": b\r\n"),
        ("no colon", host + "Content-Length\r\n"), ("a space in a name", host + "A b: c\r\n"),
        ("a name that is no ASCII", host + "\u{c4}: b\r\n"),
        ("an unknown expectation", host + "Expect: 200-ok\r\n"),
    ].map { .init("field: " + $0.0, $0.1) }

    private static let requestLines: [SmugglingVector] = [
        ("two spaces", "POST  / HTTP/1.1"), ("a tab", "POST\t/ HTTP/1.1"),
        ("a space at the end", "POST / HTTP/1.1 "), ("a space in the target", "POST /a b HTTP/1.1"),
        ("HTTP/0.9", "GET /"), ("HTTP/2", "PRI * HTTP/2.0"), ("HTTP/1.2", "GET / HTTP/1.2"),
        ("another protocol", "GET / ICAP/1.0"), ("a small version", "GET / http/1.1"),
        ("NUL in the target", "GET /\u{0} HTTP/1.1"),
        ("no ASCII in the target", "GET /\u{e9} HTTP/1.1"),
        ("a fragment", "GET /#a HTTP/1.1"), ("no slash", "GET a HTTP/1.1"),
        ("an asterisk", "GET * HTTP/1.1"), ("an authority", "CONNECT a:80 HTTP/1.1"),
        ("another host", "GET http://b/ HTTP/1.1"), ("another scheme", "GET ftp://a/ HTTP/1.1"),
        ("no method", " / HTTP/1.1"), ("a method in brackets", "(GET) / HTTP/1.1"),
        ("a TLS hello", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}"),
    ].map { .init("line: " + $0.0, whole: "\($0.1)\r\n\(host)\r\n") }
}
