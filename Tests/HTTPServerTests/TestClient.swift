import Foundation
import Glibc
import TLS
import Testing

/// A blocking client socket. What takes longer than `patienceSeconds` is taken for a hang and
/// ends as if the peer had closed.
final class TestClient {
    private static let patienceSeconds = 30

    struct Response: Equatable {
        var status: Int
        var fields: [String: String]
        var body: String
    }

    struct UnexpectedEnd: Error {
        let received: String
    }

    private var descriptor: Int32
    private var received: [UInt8] = []
    private let tls: TLSSession?

    /// - Parameter host: an address of this computer to come from, 127.0.0.1 or a like one.
    init(
        _ server: RunningServer, receiveBufferBytes: Int32? = nil, from host: UInt32 = 0x7F00_0001,
        tls: TLSContext? = nil
    ) throws {
        self.tls = try tls.map { try #require($0.session()) }
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        if var bytes = receiveBufferBytes {
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience,
            socklen_t(MemoryLayout<timeval>.size))
        try bind(descriptor, host)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = server.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe connect(
                descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self),
                socklen_t(bytes.count))
        }
        try #require(status == 0)
        if let session = self.tls {
            session.connect()
            sendTLSOutput()
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Sends all of it, or as much as the peer takes before it closes; says whether it was all.
    @discardableResult
    func send(_ text: String) -> Bool {
        send(Array(text.utf8))
    }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        guard let tls else { return sendRaw(bytes) }
        while !tls.isEstablished {
            guard receive() else { return false }
        }
        var output = bytes
        tls.seal(&output, from: 0)
        return sendRaw(output)
    }

    /// Sends bytes as they are, also where TLS is spoken.
    @discardableResult
    func sendRaw(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sent...])
                return unsafe Glibc.send(
                    descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    func get(_ path: String) throws -> Response {
        send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
        return try readResponse()
    }

    /// Says that nothing more will come, as TLS has it.
    func endTLS() {
        var notice: [UInt8] = []
        tls?.end(into: &notice)
        sendRaw(notice)
    }

    func shutdownSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Closes with a reset instead of an orderly end.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
        descriptor = -1
    }

    /// Whether bytes, or the end, are there to be read now.
    func isReadable(waitingMilliseconds: Int32 = 0) -> Bool {
        if !received.isEmpty { return true }
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe Glibc.poll(&poll, 1, waitingMilliseconds) > 0
    }

    /// Reads one response with a counted body; that to a HEAD request has none.
    func readResponse(isHead: Bool = false) throws -> Response {
        var response = try readHead()
        if !isHead, let length = response.fields["content-length"].flatMap(Int.init) {
            response.body = text(try take(length))
        }
        return response
    }

    /// Reads a response's head, interim ones as well.
    func readHead() throws -> Response {
        let lines = try takeHead().components(separatedBy: "\r\n")
        let status = try #require(lines[0].split(separator: " ").dropFirst().first)
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.components(separatedBy: ": ")
            #expect(fields.updateValue(parts[1], forKey: parts[0].lowercased()) == nil)
        }
        return Response(status: try #require(Int(status)), fields: fields, body: "")
    }

    /// Reads a body in chunks, up to the last chunk.
    func readChunks() throws -> [String] {
        var chunks: [String] = []
        while true {
            let size = try #require(Int(try takeLine(), radix: 16))
            let chunk = text(try take(size))
            try #require(try takeLine() == "")
            if size == 0 { return chunks }
            chunks.append(chunk)
        }
    }

    func readLine() throws -> String {
        try takeLine()
    }

    /// All bytes up to the peer's end.
    func readToEnd() -> String {
        while receive() {}
        defer { received = [] }
        return text(received)
    }

    private func takeHead() throws -> String {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = received.firstRange(of: end) {
                let head = text(received[..<range.lowerBound])
                received.removeSubrange(..<range.upperBound)
                return head
            }
            guard receive() else { throw UnexpectedEnd(received: text(received)) }
        }
    }

    private func takeLine() throws -> String {
        while true {
            if let range = received.firstRange(of: Array("\r\n".utf8)) {
                let line = text(received[..<range.lowerBound])
                received.removeSubrange(..<range.upperBound)
                return line
            }
            guard receive() else { throw UnexpectedEnd(received: text(received)) }
        }
    }

    /// Reads so many bytes of a body.
    func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard receive() else { throw UnexpectedEnd(received: text(received)) }
        }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    private func receive() -> Bool {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe recv(descriptor, &piece, piece.count, 0)
        if count <= 0 { return false }
        guard let tls else {
            received += piece[..<count]
            return true
        }
        unsafe piece.withUnsafeBytes { bytes in
            unsafe tls.receive(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        let before = received.count
        while true {
            let count = unsafe piece.withUnsafeMutableBytes { unsafe tls.read(into: $0) }
            if count == 0 { break }
            received += piece[..<count]
        }
        sendTLSOutput()
        return received.count > before || tls.failure == nil && !tls.hasPeerEnded
    }

    private func sendTLSOutput() {
        var output: [UInt8] = []
        tls?.takeOutput(into: &output)
        sendRaw(output)
    }

    /// Whether the server has said that it sends nothing more, as TLS has it.
    var hasServerEnded: Bool { tls?.hasPeerEnded ?? false }

    var tlsFailure: TLSSession.Failure? { tls?.failure }
}

private func bind(_ descriptor: Int32, _ host: UInt32) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = host.bigEndian
    let status = unsafe withUnsafeBytes(of: &address) { bytes in
        unsafe Glibc.bind(
            descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self),
            socklen_t(bytes.count))
    }
    try #require(status == 0)
}
