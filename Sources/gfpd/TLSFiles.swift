import TLS

/// The files that `gfpd serve` speaks TLS with.
struct TLSFiles {
    let certificate: String
    let key: String

    /// Who signs clients' certificates; nil: clients are not asked for one.
    let clientAuthorities: String?

    /// nil where there are none of them; a certificate and its key come together.
    init?(
        certificate: String?, key: String?, clientAuthorities: String?
    ) throws(Failure) {
        guard let certificate, let key else {
            guard certificate == nil, key == nil, clientAuthorities == nil else {
                throw Failure("TLS needs both --tls-certificate and --tls-key")
            }
            return nil
        }
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
    }

    /// Reads them.
    func context() throws(Failure) -> TLSServerContext {
        do {
            return try TLSServerContext(
                certificate: certificate, key: key, clientAuthorities: clientAuthorities)
        } catch {
            throw Failure("cannot speak TLS: \(error)")
        }
    }
}
