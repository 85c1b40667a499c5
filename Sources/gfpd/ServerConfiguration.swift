import Glibc

/// What `gfpd serve` runs with: the command line, else the environment, else the defaults.
struct ServerConfiguration {
    let host: String
    let port: UInt16

    /// The ledger's directory.
    let data: String

    /// A file that describes the first machine.
    let topology: String?

    init(_ options: Serve) throws(Failure) {
        host = options.host ?? Self.environment("GFPD_HOST") ?? "127.0.0.1"
        data = options.data ?? Self.environment("GFPD_DATA") ?? "./data"
        topology = options.topology ?? Self.environment("GFPD_TOPOLOGY")
        if let port = options.port {
            self.port = port
        } else if let text = Self.environment("GFPD_PORT") {
            guard let port = UInt16(text) else {
                throw Failure("GFPD_PORT must be a port number, not \"\(text)\"")
            }
            self.port = port
        } else {
            port = 8080
        }
    }

    /// nil where the variable is not set, or empty.
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
