// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, which uses the processor's instructions for it. One
// context is made and used again for each message: making one costs more than hashing a short
// message.

internal import CCrypto

/// Hashes one message after another: `update` with its parts, then `finish`. One thread at a time.
@safe public final class SHA256 {
    /// 32 bytes. A value of four words, since an array would cost more than the hash itself.
    public struct Value: Hashable, Sendable {
        public static let byteCount = 32

        /// The bytes in order, eight to a word, the first of them lowest.
        public let words: (UInt64, UInt64, UInt64, UInt64)

        public var bytes: [UInt8] {
            [words.0, words.1, words.2, words.3].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
            }
        }

        public static func == (lhs: Self, rhs: Self) -> Bool {
            lhs.words == rhs.words
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(words.0)
        }
    }

    private let algorithm: OpaquePointer
    private let context: OpaquePointer

    /// Traps where libcrypto offers no SHA-256, as a wrong configuration of it may have it, and
    /// where there is no memory left.
    public init() {
        guard let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil),
            let context = unsafe EVP_MD_CTX_new()
        else { preconditionFailure("libcrypto has no SHA-256") }
        unsafe self.algorithm = algorithm
        unsafe self.context = context
        begin()
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(algorithm)
    }

    /// The hash of one message.
    public static func hash(_ message: [UInt8]) -> Value {
        let hash = SHA256()
        hash.update(message.span)
        return hash.finish()
    }

    /// Adds bytes to the message.
    public func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { bytes in
            let result = unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
            precondition(result == 1, "libcrypto failed to hash")
        }
    }

    /// The hash of the message. The next `update` begins another one.
    public func finish() -> Value {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        unsafe withUnsafeMutableBytes(of: &words) { bytes in
            let result = unsafe EVP_DigestFinal_ex(
                context, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, nil)
            precondition(result == 1, "libcrypto failed to hash")
        }
        begin()
        return Value(
            words: (
                UInt64(littleEndian: words.0), UInt64(littleEndian: words.1),
                UInt64(littleEndian: words.2), UInt64(littleEndian: words.3)
            ))
    }

    private func begin() {
        let result = unsafe EVP_DigestInit_ex2(context, algorithm, nil)
        precondition(result == 1, "libcrypto failed to begin a hash")
    }
}
