// gfpd healthcheck: for containers, which have no curl.

import ArgumentParser
import Glibc
import TLS

struct Healthcheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running server whether it is ready; exit status 0 if it is.")

    @Option(help: "IP address of the server. Default: GFPD_HOST, else 127.0.0.1.")
    var host: String?

    @Option(help: "Port of the server. Default: GFPD_PORT, else 8080.")
    var port: UInt16?

    @Option(help: "Configuration file of the server. Default: GFPD_CONFIG.")
    var config: String?

    @Flag(help: "Ask over TLS, as is done where GFPD_TLS_CERTIFICATE is set.")
    var tls = false

    /// How long the server may take. Seconds.
    private static let timeout = 5

    func run() throws {
        var settings = try Settings(file: config)
        let port = try settings.number(
            "GFPD_PORT", port, 0...UInt16.max, default: 8080, "a port number")
        let configured = settings.text("GFPD_HOST", host, default: "127.0.0.1")
        let host = Self.address(of: configured)
        let speaksTLS = tls || settings.text("GFPD_TLS_CERTIFICATE", nil) != nil
        let status = try Self.statusLine(host: host, port: port, speaksTLS)
        guard status.hasPrefix("HTTP/1.1 200 ") else {
            throw Failure("not ready: \(status)")
        }
        print("ready")
    }

    /// Where a server is asked that listens on `host`: one that listens everywhere, on the
    /// loopback.
    private static func address(of host: String) -> String {
        switch host {
        case "0.0.0.0", "localhost": "127.0.0.1"
        case "::": "::1"
        default: host
        }
    }

    private static func statusLine(
        host: String, port: UInt16, _ speaksTLS: Bool
    ) throws(Failure) -> String {
        let descriptor = try connected(host: host, port: port)
        defer { close(descriptor) }
        let authority = host.contains(":") ? "[\(host)]" : host
        let request = Array(
            "GET /readyz HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\r\n".utf8)
        let answer =
            if speaksTLS {
                try securedAnswer(to: request, descriptor)
            } else {
                try plainAnswer(to: request, descriptor)
            }
        return String(decoding: answer.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }

    private static func plainAnswer(
        to request: [UInt8], _ descriptor: Int32
    ) throws(Failure) -> [UInt8] {
        try send(request, descriptor)
        return try receive(descriptor)
    }

    /// Over TLS, whatever the certificate: the server is this computer's own, and is told nothing.
    private static func securedAnswer(
        to request: [UInt8], _ descriptor: Int32
    ) throws(Failure) -> [UInt8] {
        guard let session = try? TLSContext(authorities: nil).session() else {
            throw Failure("TLS cannot be spoken here")
        }
        session.connect()
        var isAsked = false
        while session.failure == nil, !session.hasPeerEnded {
            var output: [UInt8] = []
            session.takeOutput(into: &output)
            if session.isEstablished, !isAsked {
                isAsked = true
                let start = output.count
                output += request
                session.seal(&output, from: start)
            }
            try send(output, descriptor)
            unsafe try receive(descriptor).withUnsafeBytes { unsafe session.receive($0) }
            var answer = [UInt8](repeating: 0, count: answerBytes)
            let count = unsafe answer.withUnsafeMutableBytes { unsafe session.read(into: $0) }
            if count > 0 { return Array(answer[..<count]) }
        }
        throw Failure("the server speaks no TLS")
    }

    /// Bytes of the answer's beginning, which has the status line.
    private static let answerBytes = 4096

    private static func send(_ bytes: [UInt8], _ descriptor: Int32) throws(Failure) {
        guard unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        else { throw Failure("the server took no request") }
    }

    private static func receive(_ descriptor: Int32) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: answerBytes)
        let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { throw Failure("the server gave no answer in \(timeout) s") }
        return Array(bytes[..<count])
    }

    private static func connected(host: String, port: UInt16) throws(Failure) -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        unsafe getaddrinfo(host, String(port), &hints, &found)
        guard let address = unsafe found else {
            throw Failure("the host must be an IP address or localhost, not \"\(host)\"")
        }
        defer { unsafe freeaddrinfo(address) }
        let descriptor = unsafe socket(
            address.pointee.ai_family, address.pointee.ai_socktype, 0)
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        guard unsafe connect(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0
        else {
            close(descriptor)
            throw Failure("nothing listens on \(host) port \(port)")
        }
        return descriptor
    }
}
