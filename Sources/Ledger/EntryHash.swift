// Links of the chain that holds the ledger together: each entry's hash covers the entry and the
// hash before it, so that whoever noted one hash can tell later whether anything up to that entry
// was changed. What computes them stands with the storage; here are only the values.

/// 32 bytes: SHA-256 over the hash of the entry before and the entry's canonical bytes. A value of
/// four words, since an array for each entry would cost more than the hash itself.
public struct EntryHash: Hashable, Sendable {
    public static let byteCount = 32

    /// What stands before the first entry: zeros.
    public static let zero = EntryHash(words: (0, 0, 0, 0))

    private let word0: UInt64
    private let word1: UInt64
    private let word2: UInt64
    private let word3: UInt64

    /// The bytes in order, eight to a word, the first of them lowest.
    public init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (word0, word1, word2, word3) = words
    }

    /// nil where there are not 32 of them.
    public init?(bytes: [UInt8]) {
        self.init(bytes: bytes.span)
    }

    /// nil where there are not 32 of them.
    public init?(bytes: Span<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(
            words: (
                Self.word(0, of: bytes), Self.word(1, of: bytes), Self.word(2, of: bytes),
                Self.word(3, of: bytes)
            ))
    }

    private static func word(_ index: Int, of bytes: Span<UInt8>) -> UInt64 {
        var word: UInt64 = 0
        for place in (8 * index..<8 * index + 8).reversed() {
            word = word << 8 | UInt64(bytes[place])
        }
        return word
    }

    public var words: (UInt64, UInt64, UInt64, UInt64) { (word0, word1, word2, word3) }

    public var bytes: [UInt8] {
        [word0, word1, word2, word3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
    }

    /// 64 lower-case hexadecimal digits.
    public var text: String {
        let digits = Array("0123456789abcdef".utf8)
        let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Where the chain ends: the last entry and its hash.
public struct ChainHead: Hashable, Sendable {
    public let sequence: Sequence
    public let hash: EntryHash

    /// Of a ledger without entries.
    public static let empty = ChainHead(sequence: .zero, hash: .zero)

    public init(sequence: Sequence, hash: EntryHash) {
        self.sequence = sequence
        self.hash = hash
    }
}
