import Synchronization

/// A server's context that is read again from its files when they have changed. Connections that
/// are open keep what they began with.
public final class TLSServerContext: Sendable {
    private let certificate: String
    private let key: String
    private let clientAuthorities: String?
    private let current: Mutex<TLSContext>

    /// Reads the files: `TLSContext.init(certificate:key:clientAuthorities:)`.
    public init(
        certificate: String, key: String, clientAuthorities: String? = nil
    ) throws(TLSError) {
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
        current = Mutex(
            try TLSContext(
                certificate: certificate, key: key, clientAuthorities: clientAuthorities))
    }

    /// Reads the files again, for connections from now on. Where that fails, all stays as it was.
    public func reload() throws(TLSError) {
        let context = try TLSContext(
            certificate: certificate, key: key, clientAuthorities: clientAuthorities)
        current.withLock { $0 = context }
    }

    /// One connection's session, its handshake still to come; nil where memory is short.
    public func session() -> TLSSession? {
        current.withLock { $0 }.session()
    }
}
