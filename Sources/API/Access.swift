// Who may ask for what: `AllocationAPI` puts each request to it, once its route is known.
//
// Without tokens everybody may do everything, and the server listens on the loopback. With tokens a
// request shows one (RFC 6750), or comes over a connection whose certificate was verified; else it
// is refused before anything of it is looked at. Health checks and the documents are open to all.

import Digest
import HTTPServer
import Synchronization

/// What an operator has decided about access.
public struct AccessPolicy: Sendable {
    /// Who is let in; nil: everybody, to do everything.
    public var tokens: AccessTokens?

    /// Requests a second that a principal may send, or where there are no tokens, an address; nil:
    /// as many as it likes.
    public var rateLimit: UInt32?

    public init(tokens: AccessTokens? = nil, rateLimit: UInt32? = nil) {
        self.tokens = tokens
        self.rateLimit = rateLimit
    }
}

/// Takes new tokens from any thread. Who is let in by them, and who no more, is so from the next
/// turn of the loop on.
public final class TokenReplacement: Sendable {
    private let next = Mutex<AccessTokens?>(nil)

    public func replace(with tokens: AccessTokens) {
        next.withLock { $0 = tokens }
    }

    func take() -> AccessTokens? {
        next.withLock { next in
            defer { next = nil }
            return next
        }
    }
}

/// Lets callers in.
final class Authenticator {
    private var tokens: AccessTokens
    private let replacement: TokenReplacement
    private let sha256 = SHA256()

    init(_ tokens: AccessTokens, _ replacement: TokenReplacement) {
        self.tokens = tokens
        self.replacement = replacement
    }

    /// From now on the tokens last given count.
    func update() {
        if let tokens = replacement.take() { self.tokens = tokens }
    }

    /// Who sends a request.
    ///
    /// - Throws: `unauthorized` where nobody is known by what the request shows.
    func bearer(_ request: HTTPRequest) throws(Problem) -> AccessTokens.Bearer {
        guard let credentials = request.header("authorization") else {
            if let name = request.peer.certificateName {
                guard let bearer = tokens.bearer(ofCertificate: name) else {
                    throw Problem(
                        unauthorized: "the certificate's principal is not let in", isChallenge: true
                    )
                }
                return bearer
            }
            throw Problem(unauthorized: "a bearer token must be shown", isChallenge: true)
        }
        guard let token = Self.token(credentials) else {
            throw Problem(
                unauthorized: "Authorization must be Bearer and a token", isChallenge: true)
        }
        guard let bearer = tokens.bearer(of: token, sha256) else {
            throw Problem(unauthorized: "the token is nobody's", isChallenge: false)
        }
        return bearer
    }

    /// `Bearer` SP token (RFC 6750, section 2.1); the scheme in any case (RFC 9110, section 11.1).
    private static func token(_ credentials: String) -> String? {
        let parts = credentials.split(separator: " ")
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }
}

extension Problem {
    /// - Parameter isChallenge: whether no token was shown that could be wrong (RFC 6750, section
    ///   3.1: then the challenge has no error code).
    fileprivate init(unauthorized detail: String, isChallenge: Bool) {
        self.init(.unauthorized, detail)
        let challenge = "Bearer realm=\"gfpd\"" + (isChallenge ? "" : ", error=\"invalid_token\"")
        fields = [Field("WWW-Authenticate", challenge)]
    }

    /// - Parameter needed: what would have done; any of them.
    init(insufficient scopes: Scope, needed: Scope) {
        let names = needed.names
        self.init(
            .insufficientScope,
            "the scope \(names.joined(separator: " or ")) is needed; the principal has "
                + scopes.text)
        members = [Member("needed_scopes", names)]
        fields = [
            Field(
                "WWW-Authenticate",
                "Bearer realm=\"gfpd\", error=\"insufficient_scope\", "
                    + "scope=\"\(names.joined(separator: " "))\"")
        ]
    }
}
