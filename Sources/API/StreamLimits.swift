// The limits of event streams. What a stream costs is what is on its way to its reader: the ledger
// keeps the rest.

struct StreamLimits: Sendable {
    /// Streams open at one time; further ones are refused (503).
    static let maximumStreams = 64

    /// Seconds after which a client whose stream was refused is told to ask again.
    static let secondsToRetry: UInt64 = 5

    /// Bytes on the way to a reader from which on nothing is added until it has taken them all.
    static let bytesUnderWay = 64 << 10

    /// Entries read at once for a stream that follows the past, and for those that have caught up.
    static let entriesPerRead = 128

    /// Entries kept for streams that have caught up; one further behind reads for itself again.
    static let entriesKept = 1024

    /// Between comment lines, which show a client, and whatever stands between, that the stream
    /// lives.
    var commentInterval = Duration.seconds(15)

    /// Between bookmarks, which say how far the ledger was looked through where it had nothing to
    /// tell.
    var bookmarkInterval = Duration.seconds(60)

    /// How long a reader may take over what is on its way; then the stream is cut.
    var patience = Duration.seconds(30)
}
