// A peer that means harm, or is merely broken: bytes as they are, from any loopback address, and no
// patience.

import Foundation
import Glibc

final class HostilePeer {
    struct CannotConnect: Error {
        let code: Int32
    }

    /// How long an answer, or the connection's end, is waited for.
    private static let patienceSeconds = 30

    private let descriptor: Int32

    /// - Parameter host: the last two bytes of an address that begins with 127.0.
    init(port: UInt16, from host: UInt16 = 2) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
        var yes: Int32 = 1
        // The port is chosen with the other end's, so that one address has enough of them.
        unsafe setsockopt(
            descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &yes,
            socklen_t(MemoryLayout<Int32>.size))
        let own = unsafe Self.withAddress(0x7f00_0000 | UInt32(host), 0) { address, size in
            unsafe bind(descriptor, address, size)
        }
        let other = unsafe Self.withAddress(0x7f00_0001, port) { address, size in
            unsafe connect(descriptor, address, size)
        }
        guard descriptor >= 0, own == 0, other == 0 else {
            // `deinit` closes: it runs for an initializer that throws, too.
            throw CannotConnect(code: errno)
        }
    }

    deinit {
        close(descriptor)
    }

    /// Sends all of it, or as much as the server takes before it closes; says whether it was all.
    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe Glibc.send(
                    descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// Sends what the socket takes at once; says whether it took anything.
    func sendWithoutWaiting(_ bytes: [UInt8]) -> Bool {
        unsafe Glibc.send(
            descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) > 0
    }

    /// Lets the connection end in a reset instead of an orderly end.
    func resetAtTheEnd() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    func shutdownSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Whether bytes, or the end, are there to be read now.
    var isReadable: Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe Glibc.poll(&poll, 1, 0) > 0
    }

    /// What has come at least up to the end of an answer's head; nil where it does not come.
    func readHead() -> String? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while bytes.firstRange(of: Array("\r\n\r\n".utf8)) == nil {
            let count = unsafe recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { return nil }
            bytes += piece[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What comes up to the end of the connection; nil where it does not end.
    func readToEnd() -> String? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe recv(descriptor, &piece, piece.count, 0)
            if count == 0 || count < 0 && errno == ECONNRESET {
                return String(decoding: bytes, as: UTF8.self)
            }
            guard count > 0 else { return nil }
            bytes += piece[..<count]
        }
    }

    private static func withAddress(
        _ host: UInt32, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        return unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe body(
                bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }
}

extension HostilePeer {
    /// Many at once, spread over addresses so that none has more than its share.
    static func crowd(_ count: Int, port: UInt16, perAddress: Int = 4000) throws -> [HostilePeer] {
        try (0..<count).map { number in
            try HostilePeer(port: port, from: UInt16(2 + number / perAddress))
        }
    }
}
