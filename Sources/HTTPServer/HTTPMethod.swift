/// A request's method (RFC 9110, section 9). Methods are case-sensitive: `get` is not `GET`.
public enum HTTPMethod: Sendable, Equatable {
    case get, head, post, put, delete, options, patch
    /// Any other token, as it was sent.
    case other([UInt8])

    /// The method as it stands in a request line.
    public var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        case .other(let token): String(decoding: token, as: UTF8.self)
        }
    }
}

extension HTTPMethod {
    /// The method that `range` spells; its bytes are known to be a token.
    init(_ bytes: Span<UInt8>, in range: Range<Int>) {
        // Eight bytes at most tell the known methods apart: they fit a word, and a word is switched
        // on faster than bytes are compared.
        var word: UInt64 = 0
        for position in range.prefix(8) {
            word = word << 8 | UInt64(bytes[position])
        }
        switch (range.count, word) {
        case (3, 0x47_4554): self = .get
        case (4, 0x4845_4144): self = .head
        case (4, 0x504F_5354): self = .post
        case (3, 0x50_5554): self = .put
        case (6, 0x4445_4C45_5445): self = .delete
        case (7, 0x4F_5054_494F_4E53): self = .options
        case (5, 0x50_4154_4348): self = .patch
        default: self = .other(range.map { bytes[$0] })
        }
    }
}
