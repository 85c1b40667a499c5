internal import CTLS

/// Why certificates and keys cannot be used.
public enum TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a file should hold cannot be read from it.
    case unusable(Part, file: String, reason: String)
    /// The key is not that of the certificate.
    case keyOfAnotherCertificate
    /// libssl failed where no file is to blame.
    case library(reason: String)

    /// What a file is read for.
    public enum Part: String, Sendable {
        case certificate = "a certificate"
        case key = "a private key without a password"
        case clientAuthorities = "certificates of client authorities"
    }

    public var description: String {
        switch self {
        case .unusable(let part, let file, let reason):
            "\(file) is not \(part.rawValue): \(reason)"
        case .keyOfAnotherCertificate: "the private key is not that of the certificate"
        case .library(let reason): "libssl: \(reason)"
        }
    }

    /// The reason that libssl left behind last; the queue of reasons is empty afterwards.
    static func lastReason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard let text = unsafe ERR_reason_error_string(code) else {
            return "error \(String(code, radix: 16))"
        }
        return unsafe String(cString: text)
    }
}
