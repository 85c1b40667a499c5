// A caller that got no answer asks again with the same key, and gets the answer of the first time.
// The key is part of the entry that it led to, and the answer is kept in the same transaction: both
// are durable or neither is.

/// A caller's name for one request, and what the request was.
public struct IdempotencyKey: Hashable, Sendable {
    /// 1 to 255 printable ASCII characters.
    public let key: String

    /// SHA-256, 32 bytes, of method, path, query and body: the same key with another one is a
    /// mistake of the caller's.
    public let fingerprint: [UInt8]

    public init(key: String, fingerprint: [UInt8]) {
        self.key = key
        self.fingerprint = fingerprint
    }
}

/// An answer as it is sent again.
public struct KeptAnswer: Hashable, Sendable {
    /// The HTTP status.
    public let status: Int

    /// The header fields that are sent again, in the writing of whoever keeps the answer.
    public let fields: String

    public let body: [UInt8]

    public init(status: Int, fields: String, body: [UInt8]) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// What became of the last request with a key.
public struct KeyedAnswer: Hashable, Sendable {
    /// The entry that the answer was kept for.
    public let sequence: Sequence

    /// When it was decided.
    public let time: Timestamp

    /// As in `IdempotencyKey`.
    public let fingerprint: [UInt8]
    public let answer: KeptAnswer

    public init(sequence: Sequence, time: Timestamp, fingerprint: [UInt8], answer: KeptAnswer) {
        self.sequence = sequence
        self.time = time
        self.fingerprint = fingerprint
        self.answer = answer
    }
}
