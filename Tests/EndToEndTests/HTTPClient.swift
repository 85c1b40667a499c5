// A blocking HTTP/1.1 client on one connection. It takes answers apart strictly, so that it also
// checks them, and can send what no decent client would.

import Foundation
import Glibc

/// An answer as it came.
struct Answer {
    let status: Int

    /// Names in lower case.
    let fields: [String: String]
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    var json: JSONValue { JSONValue(parsing: body) }
}

final class HTTPClient {
    /// Why there is no answer.
    enum Failure: Error {
        case cannotConnect(Int32)

        /// The peer is gone, in the middle of an answer or before it.
        case closed
        case malformed(String)
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16) throws(Failure) {
        descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var patience = timeval(tv_sec: 30, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            // `deinit` closes: it runs for an initializer that throws, too.
            throw .cannotConnect(errno)
        }
    }

    deinit {
        close(descriptor)
    }

    /// Asks, and waits for the answer. A body without a media type is sent as JSON.
    func send(
        _ method: String, _ target: String, _ body: String? = nil,
        fields: [String: String] = [:]
    ) throws(Failure) -> Answer {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if let body {
            head += "Content-Length: \(body.utf8.count)\r\n"
            if !fields.keys.contains("Content-Type") {
                head += "Content-Type: application/json\r\n"
            }
        }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        try send(bytes: Array((head + "\r\n" + (body ?? "")).utf8))
        return try receive(bodyless: method == "HEAD")
    }

    func get(_ target: String, fields: [String: String] = [:]) throws(Failure) -> Answer {
        try send("GET", target, fields: fields)
    }

    func post(_ target: String, _ body: String? = nil) throws(Failure) -> Answer {
        try send("POST", target, body)
    }

    func send(bytes: [UInt8]) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { buffer in
                unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, noSignal)
            }
            guard count > 0 else { throw .closed }
            rest = rest.dropFirst(count)
        }
    }

    /// - Parameter bodyless: the answer to HEAD has the length of a body and no body.
    func receive(bodyless: Bool = false) throws(Failure) -> Answer {
        let lines = try head().components(separatedBy: "\r\n")
        guard lines[0].hasPrefix("HTTP/1.1 "), let status = Int(lines[0].dropFirst(9).prefix(3))
        else { throw .malformed("no status line: \(lines[0])") }
        if status == 100 { return try receive(bodyless: bodyless) }

        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstRange(of: ": ") else {
                throw .malformed("no field line: \(line)")
            }
            fields[line[..<colon.lowerBound].lowercased()] = String(line[colon.upperBound...])
        }
        guard
            let length = fields["content-length"].flatMap({ Int($0) }) ?? (status == 204 ? 0 : nil)
        else { throw .malformed("no length") }
        let body = try bodyless ? [] : take(length)
        return Answer(status: status, fields: fields, body: body)
    }

    /// Up to the empty line, which is dropped.
    private func head() throws(Failure) -> String {
        let end: [UInt8] = [13, 10, 13, 10]
        while true {
            if let range = buffer.firstRange(of: end) {
                defer { buffer.removeFirst(range.upperBound) }
                return String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
            }
            try receiveMore()
        }
    }

    private func take(_ count: Int) throws(Failure) -> [UInt8] {
        while buffer.count < count { try receiveMore() }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func receiveMore() throws(Failure) {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { throw .closed }
        buffer += chunk[..<count]
    }

    private var noSignal: Int32 { Int32(MSG_NOSIGNAL) }
}
