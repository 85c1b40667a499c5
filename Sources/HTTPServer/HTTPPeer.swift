// Who is at the other end of a connection, as far as the connection itself tells.

import CEpoll
import Glibc

/// The peer of a request's connection.
public struct HTTPPeer: Sendable, Equatable {
    public var address: PeerAddress
    /// The common name of the subject of the peer's TLS certificate, which one of the authorities
    /// that the server knows has signed; nil where it showed none.
    public var certificateName: String?

    public init(address: PeerAddress = PeerAddress(), certificateName: String? = nil) {
        self.address = address
        self.certificateName = certificateName
    }
}

/// An IP address. Of IPv4 it is the IPv6 address that stands for it, `::ffff:a.b.c.d`
/// (RFC 4291, section 2.5.5.2).
public struct PeerAddress: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    /// `::`, the address of nobody.
    public init() {
        (high, low) = (0, 0)
    }

    /// The IPv6 address of these two numbers.
    public init(high: UInt64, low: UInt64) {
        (self.high, self.low) = (high, low)
    }

    init(_ address: cepoll_address) {
        (high, low) = (address.high, address.low)
    }

    public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    /// Whether it is this computer's own: 127.0.0.0/8 or `::1`.
    public var isLoopback: Bool {
        isIPv4 ? low >> 24 & 0xff == 127 : high == 0 && low == 1
    }

    /// What a limit for one peer is counted by: of IPv6 the first 64 bits, since whoever has one
    /// address there has all that begin with them (RFC 6177).
    public var network: PeerAddress { isIPv4 ? self : PeerAddress(high: high, low: 0) }
}

extension PeerAddress: CustomStringConvertible {
    /// `192.0.2.1`, or IPv6 as RFC 5952 has it.
    public var description: String {
        if isIPv4 {
            return [24, 16, 8, 0].map { String(low >> UInt64($0) & 0xff) }.joined(separator: ".")
        }
        var words = (high.bigEndian, low.bigEndian)
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard unsafe inet_ntop(AF_INET6, &words, &text, socklen_t(text.count)) != nil else {
            preconditionFailure("16 bytes are an IPv6 address")
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
