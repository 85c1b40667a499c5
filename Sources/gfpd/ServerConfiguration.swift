import API
import AllocationService

/// What `gfpd serve` runs with: the command line, else the environment, else the configuration
/// file, else the defaults.
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

    /// Seconds from SIGTERM to the drain, in which the server says that it is not ready.
    let stopNotice: UInt32

    let logFormat: EventLog.Format

    /// Which requests leave a line in the log.
    let accessLog: EventLog.Access

    /// All of it, as it is said at the start.
    let settings: [Settings.Setting]

    /// Hours of the longest retention, which still fits as seconds: 114 years.
    private static let maximumKeyHours: UInt32 = 1_000_000

    /// Seconds of the longest notice: a supervisor kills what takes longer.
    private static let maximumStopNotice: UInt32 = 60

    /// Requests a second of the highest limit: a bucket counts in nanoseconds.
    private static let maximumRateLimit: UInt32 = 1_000_000

    init(_ options: Serve) throws(Failure) {
        var settings = try Settings(file: options.config)
        host = settings.text("GFPD_HOST", options.host, default: "127.0.0.1")
        port = try settings.number(
            "GFPD_PORT", options.port, 0...UInt16.max, default: 8080, "a port number")
        data = settings.text("GFPD_DATA", options.data, default: "./data")
        topology = settings.text("GFPD_TOPOLOGY", options.topology)
        let hours = try settings.number(
            "GFPD_IDEMPOTENCY_HOURS", options.idempotencyHours, 1...Self.maximumKeyHours,
            default: ServiceLimits.keyRetention / 3600, "1 to \(Self.maximumKeyHours) hours")
        keyRetention = hours * 3600
        stopNotice = try settings.number(
            "GFPD_STOP_NOTICE", options.stopNotice, 0...Self.maximumStopNotice, default: 1,
            "0 to \(Self.maximumStopNotice) seconds")
        logFormat = try settings.word("GFPD_LOG", options.log, default: .text)
        accessLog = try settings.word("GFPD_ACCESS_LOG", options.accessLog, default: .errors)
        tls = try TLSFiles(
            certificate: settings.text("GFPD_TLS_CERTIFICATE", options.tlsCertificate),
            key: settings.text("GFPD_TLS_KEY", options.tlsKey),
            clientAuthorities: settings.text("GFPD_TLS_CLIENT_CA", options.tlsClientCa))
        tokens = settings.text("GFPD_TOKENS", options.tokens).map(TokenFile.init)
        rateLimit = try settings.number(
            "GFPD_RATE_LIMIT", options.rateLimit, 1...Self.maximumRateLimit,
            "1 to \(Self.maximumRateLimit) requests a second")
        let isInsecure = try settings.flag("GFPD_INSECURE", options.insecure)
        try settings.finish()
        self.settings = settings.used
        guard tokens != nil || isInsecure || isLoopback(host) else {
            throw Failure(
                "\(host) is not the loopback, and without --tokens everybody who reaches it may do "
                    + "everything: give --tokens FILE, or --insecure where that is meant")
        }
    }
}
