import AllocationService
import Glibc

/// What `gfpd serve` runs with: the command line, else the environment, else the defaults.
struct ServerConfiguration {
    let host: String
    let port: UInt16

    /// The ledger's directory.
    let data: String

    /// A file that describes the first machine.
    let topology: String?

    /// Seconds for which an answer is given again under its key.
    let keyRetention: UInt32

    /// Who is let in; nil: everybody.
    let tokens: TokenFile?

    /// Requests a second of each caller; nil: no limit.
    let rateLimit: UInt32?

    /// Nil: plain HTTP.
    let tls: TLSFiles?

    init(_ options: Serve) throws(Failure) {
        host = options.host ?? Self.environment("GFPD_HOST") ?? "127.0.0.1"
        data = options.data ?? Self.environment("GFPD_DATA") ?? "./data"
        topology = options.topology ?? Self.environment("GFPD_TOPOLOGY")
        if let port = options.port {
            self.port = port
        } else {
            let port: UInt16? = try Self.number("GFPD_PORT", "a port number")
            self.port = port ?? 8080
        }
        keyRetention = try Self.keyRetention(options)
        tls = try TLSFiles(
            certificate: options.tlsCertificate ?? Self.environment("GFPD_TLS_CERTIFICATE"),
            key: options.tlsKey ?? Self.environment("GFPD_TLS_KEY"),
            clientAuthorities: options.tlsClientCa ?? Self.environment("GFPD_TLS_CLIENT_CA"))
        tokens = (options.tokens ?? Self.environment("GFPD_TOKENS")).map(TokenFile.init)
        rateLimit = try Self.rateLimit(options)
        let isInsecure = options.insecure ? true : try Self.flag("GFPD_INSECURE")
        guard tokens != nil || isInsecure || isLoopback(host) else {
            throw Failure(
                "\(host) is not the loopback, and without --tokens everybody who reaches it may do "
                    + "everything: give --tokens FILE, or --insecure where that is meant")
        }
    }

    /// Requests a second of the highest limit: a bucket counts in nanoseconds.
    private static let maximumRateLimit: UInt32 = 1_000_000

    private static func rateLimit(_ options: Serve) throws(Failure) -> UInt32? {
        let name = "GFPD_RATE_LIMIT"
        let phrase = "1 to \(maximumRateLimit) requests a second"
        var rate = options.rateLimit
        if rate == nil { rate = try number(name, phrase) }
        guard let rate else { return nil }
        guard (1...maximumRateLimit).contains(rate) else {
            throw Failure("--rate-limit or \(name) must be \(phrase), not \(rate)")
        }
        return rate
    }

    /// Hours of the longest retention, which still fits as seconds: 114 years.
    private static let maximumKeyHours: UInt32 = 1_000_000

    private static func keyRetention(_ options: Serve) throws(Failure) -> UInt32 {
        let name = "GFPD_IDEMPOTENCY_HOURS"
        let phrase = "1 to \(maximumKeyHours) hours"
        var hours = options.idempotencyHours
        if hours == nil { hours = try number(name, phrase) }
        guard let hours else { return ServiceLimits.keyRetention }
        guard (1...maximumKeyHours).contains(hours) else {
            throw Failure("--idempotency-hours or \(name) must be \(phrase), not \(hours)")
        }
        return hours * 3600
    }

    /// The value of a variable that is true or false; false where it is not set, or empty.
    private static func flag(_ name: String) throws(Failure) -> Bool {
        switch environment(name) {
        case nil, "false", "0": return false
        case "true", "1": return true
        case let text?: throw Failure("\(name) must be true or false, not \"\(text)\"")
        }
    }

    /// The value of a variable that is a number; nil where it is not set, or empty.
    private static func number<Number: FixedWidthInteger>(
        _ name: String, _ phrase: String
    ) throws(Failure) -> Number? {
        guard let text = environment(name) else { return nil }
        guard let number = Number(text) else {
            throw Failure("\(name) must be \(phrase), not \"\(text)\"")
        }
        return number
    }

    /// nil where the variable is not set, or empty.
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
