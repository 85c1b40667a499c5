import Glibc

/// A bound, listening, non-blocking TCP socket, closed when nobody has it any more.
final class ListeningSocket: Sendable {
    let descriptor: Int32
    /// The port bound: the kernel's choice where 0 was asked for.
    let port: UInt16

    init(host: String, port: UInt16, backlog: Int) throws(HTTPServerError) {
        var address = try Self.address(host: host, port: port)
        let descriptor = socket(
            Int32(address.ss_family),
            Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .last("socket") }
        do throws(HTTPServerError) {
            try Self.listen(descriptor, &address, backlog)
            self.port = try Self.boundPort(descriptor)
            self.descriptor = descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit {
        close(descriptor)
    }

    private static func address(
        host: String, port: UInt16
    ) throws(HTTPServerError) -> sockaddr_storage {
        var storage = sockaddr_storage()
        let literal = host == "localhost" ? "127.0.0.1" : host
        let isVersion4 = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr_in.self)
            unsafe address.pointee.sin_port = port.bigEndian
            return unsafe inet_pton(AF_INET, literal, &address.pointee.sin_addr) == 1
        }
        if isVersion4 {
            storage.ss_family = sa_family_t(AF_INET)
            return storage
        }
        let isVersion6 = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr_in6.self)
            unsafe address.pointee.sin6_port = port.bigEndian
            return unsafe inet_pton(AF_INET6, literal, &address.pointee.sin6_addr) == 1
        }
        guard isVersion6 else { throw .invalidHost(host) }
        storage.ss_family = sa_family_t(AF_INET6)
        return storage
    }

    private static func listen(
        _ descriptor: Int32, _ address: inout sockaddr_storage, _ backlog: Int
    ) throws(HTTPServerError) {
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size) == 0 else {
            throw .last("setsockopt")
        }
        let isBound = unsafe withUnsafeBytes(of: &address) { bytes in
            let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return unsafe bind(descriptor, address, socklen_t(bytes.count)) == 0
        }
        guard isBound else { throw .last("bind") }
        guard Glibc.listen(descriptor, Int32(clamping: backlog)) == 0 else { throw .last("listen") }
    }

    private static func boundPort(_ descriptor: Int32) throws(HTTPServerError) -> UInt16 {
        var storage = sockaddr_storage()
        let port: UInt16? = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            let address = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            var size = socklen_t(bytes.count)
            guard unsafe getsockname(descriptor, address, &size) == 0 else { return nil }
            // The port is at the same place for both families.
            return unsafe UInt16(
                bigEndian: bytes.load(
                    fromByteOffset: MemoryLayout<sockaddr_in>.offset(of: \.sin_port)!,
                    as: UInt16.self))
        }
        guard let port else { throw .last("getsockname") }
        return port
    }
}
