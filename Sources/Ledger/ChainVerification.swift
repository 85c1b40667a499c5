// How far somebody has come who goes along the chain and looks at each entry. A value, so that it
// can be done a stretch at a time, between other work.

public struct ChainVerification: Hashable, Sendable {
    /// The first entry that is not what was written.
    public struct Misfit: Hashable, Sendable {
        public let sequence: Sequence
        public let reason: String
    }

    /// The last entry to be looked at.
    public let last: Sequence

    /// Entries that fit, so far.
    public private(set) var entries: UInt64 = 0

    /// The last entry that fit, and the chain's value there; to begin with, the entry before the
    /// first one to be looked at.
    public private(set) var head: ChainHead

    /// nil as long as all that was looked at fits.
    public private(set) var misfit: Misfit?

    /// - Parameter head: the entry before the first one to be looked at.
    public init(after head: ChainHead, through last: Sequence) {
        self.head = head
        self.last = last
    }

    /// Whether the last entry was looked at, or one was found that does not fit.
    public var isDone: Bool { misfit != nil || head.sequence >= last }

    /// Notes that the next entry fits.
    public mutating func pass(_ hash: EntryHash) {
        precondition(!isDone, "there is no next entry")
        head = ChainHead(sequence: head.sequence.next, hash: hash)
        entries += 1
    }

    /// Notes that the next entry does not fit.
    public mutating func fail(_ reason: String) {
        precondition(!isDone, "there is no next entry")
        misfit = Misfit(sequence: head.sequence.next, reason: reason)
    }
}
