// gfpd healthcheck: for containers, which have no curl.

import ArgumentParser
import Glibc

struct Healthcheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running server whether it is ready; exit status 0 if it is.")

    @Option(help: "Address of the server. Default: 127.0.0.1, or GFPD_HOST where that is one.")
    var host: String?

    @Option(help: "Port of the server. Default: GFPD_PORT, else 8080.")
    var port: UInt16?

    /// How long the server may take. Seconds.
    private static let timeout = 5

    func run() throws {
        let port = port ?? ServerConfiguration.environment("GFPD_PORT").flatMap(UInt16.init) ?? 8080
        let configured = host ?? ServerConfiguration.environment("GFPD_HOST") ?? "127.0.0.1"
        // A server that listens everywhere is asked on the loopback.
        let host = ["0.0.0.0", "localhost"].contains(configured) ? "127.0.0.1" : configured
        let status = try Self.statusLine(host: host, port: port)
        guard status.hasPrefix("HTTP/1.1 200 ") else {
            throw Failure("not ready: \(status)")
        }
        print("ready")
    }

    private static func statusLine(host: String, port: UInt16) throws(Failure) -> String {
        let descriptor = try connected(host: host, port: port)
        defer { close(descriptor) }
        let request = Array(
            "GET /readyz HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n".utf8)
        guard
            unsafe send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
                == request.count
        else { throw Failure("the server took no request") }
        var answer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { throw Failure("the server gave no answer in \(timeout) s") }
        let line = answer[..<count].prefix { $0 != UInt8(ascii: "\r") }
        return String(decoding: line, as: UTF8.self)
    }

    private static func connected(host: String, port: UInt16) throws(Failure) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            throw Failure("the host must be an IPv4 address, not \"\(host)\"")
        }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw Failure("nothing listens on \(host) port \(port)")
        }
        return descriptor
    }
}
