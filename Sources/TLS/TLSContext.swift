// What all connections of one side have in common: the certificate, the key, whom to trust. Made
// once from files and never changed, so that threads share it; a new certificate is a new context
// (`TLSServerContext`).
//
// libssl reads and writes memory here, never a socket (`TLSSession`): who owns the sockets decides
// when bytes go.

internal import CTLS

/// A certificate with its key, and who is trusted. Any thread may make sessions of it.
@safe public final class TLSContext: @unchecked Sendable {
    private let context: OpaquePointer
    private let isServer: Bool

    /// The side that answers.
    ///
    /// - Parameters:
    ///   - certificate: a PEM file: the certificate, then those of the authorities between it and
    ///     one that clients know.
    ///   - key: a PEM file with the certificate's private key, without a password.
    ///   - clientAuthorities: a PEM file with the certificates of those who sign clients'
    ///     certificates. With it a client may show one; one that none of them signed ends the
    ///     handshake. Nil: clients are not asked.
    public init(
        certificate: String, key: String, clientAuthorities: String? = nil
    ) throws(TLSError) {
        unsafe context = try unsafe Self.make(TLS_server_method())
        isServer = true
        unsafe ctls_serve_http(context)
        try unsafe Self.use(certificate: certificate, key: key, in: context)
        if let file = clientAuthorities {
            try unsafe Self.trust(file, in: context)
            unsafe SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file))
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        }
    }

    /// The side that asks.
    ///
    /// - Parameters:
    ///   - authorities: a PEM file with the certificates of those who sign servers' certificates;
    ///     nil: any server is believed, which is right only where the way to it is safe already.
    ///   - identity: the PEM files of its own certificate and key.
    public init(
        authorities: String?, identity: (certificate: String, key: String)? = nil
    ) throws(TLSError) {
        unsafe context = try unsafe Self.make(TLS_client_method())
        isServer = false
        guard unsafe ctls_ask_for_http(context) == 1 else {
            throw .library(reason: TLSError.lastReason())
        }
        if let identity {
            try unsafe Self.use(
                certificate: identity.certificate, key: identity.key, in: context)
        }
        if let authorities {
            try unsafe Self.trust(authorities, in: context)
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        }
    }

    deinit {
        unsafe SSL_CTX_free(context)
    }

    /// One connection's session, its handshake still to come; nil where memory is short.
    public func session() -> TLSSession? {
        unsafe TLSSession(context, isServer: isServer)
    }

    private static func make(_ method: OpaquePointer?) throws(TLSError) -> OpaquePointer {
        ERR_clear_error()
        guard let context = unsafe SSL_CTX_new(method) else {
            throw .library(reason: TLSError.lastReason())
        }
        guard unsafe ctls_configure(context) == 1 else {
            unsafe SSL_CTX_free(context)
            throw .library(reason: TLSError.lastReason())
        }
        return unsafe context
    }

    private static func use(
        certificate: String, key: String, in context: OpaquePointer
    ) throws(TLSError) {
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw .unusable(.certificate, file: certificate, reason: TLSError.lastReason())
        }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, X509_FILETYPE_PEM) == 1 else {
            let reason = TLSError.lastReason()
            throw reason == "key values mismatch"
                ? .keyOfAnotherCertificate : .unusable(.key, file: key, reason: reason)
        }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else {
            ERR_clear_error()
            throw .keyOfAnotherCertificate
        }
    }

    private static func trust(_ file: String, in context: OpaquePointer) throws(TLSError) {
        guard unsafe SSL_CTX_load_verify_file(context, file) == 1 else {
            throw .unusable(.clientAuthorities, file: file, reason: TLSError.lastReason())
        }
    }
}
