// Whether an address is this computer's own, where nobody else can come from.

import Glibc

/// Whether a host, as `--host` takes it, is the loopback: `localhost`, 127.0.0.0/8 (RFC 1122,
/// section 3.2.1.3) or `::1` (RFC 4291, section 2.5.3).
func isLoopback(_ host: String) -> Bool {
    if host == "localhost" { return true }
    var version4 = in_addr()
    if unsafe inet_pton(AF_INET, host, &version4) == 1 {
        return UInt32(bigEndian: version4.s_addr) >> 24 == 127
    }
    var version6 = [UInt8](repeating: 0, count: 16)
    guard unsafe inet_pton(AF_INET6, host, &version6) == 1 else { return false }
    return version6 == [UInt8](repeating: 0, count: 15) + [1]
}
