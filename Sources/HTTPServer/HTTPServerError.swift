import Glibc

/// Why a server could not be made or cannot go on.
public enum HTTPServerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The host is no IPv4 or IPv6 literal and not `localhost`.
    case invalidHost(String)
    /// A system call failed; its name and `errno`.
    case system(call: String, errno: Int32)

    public var description: String {
        switch self {
        case .invalidHost(let host):
            "'\(host)' is no IPv4 or IPv6 address and not localhost"
        case .system(let call, let number):
            unsafe "\(call): \(String(cString: strerror(number)))"
        }
    }

    /// The error of the system call `call`, which has just failed.
    static func last(_ call: String) -> HTTPServerError {
        .system(call: call, errno: errno)
    }
}
