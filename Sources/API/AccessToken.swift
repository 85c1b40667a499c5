// A bearer token: what a caller shows (RFC 6750), and what is kept of it. It is made of 256 random
// bits and not of anything that a person would choose, so nobody finds it by trying, and a plain
// SHA-256 keeps it as safe as a slow hash would.

import Digest

public struct AccessToken: Sendable {
    /// What the caller shows: `gfpd_` and 43 characters of base64url (RFC 4648, section 5). The
    /// prefix lets those who look for leaked secrets know it for one.
    public let text: String

    /// Random bytes in a token.
    private static let byteCount = 32

    private static let prefix = "gfpd_"

    /// A new one, from the system's source of randomness.
    public init() {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<Self.byteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
        text = Self.prefix + Self.base64URL(bytes)
    }

    /// The line that lets it in, for the file that `AccessTokens` reads.
    public func line(principal: String, _ scopes: Scope) -> String {
        "\(principal) \(scopes.text) \(AccessTokens.hashPrefix)\(Self.hexadecimal(hash.bytes))"
    }

    private var hash: SHA256.Value { SHA256.hash(Array(text.utf8)) }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> count & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
