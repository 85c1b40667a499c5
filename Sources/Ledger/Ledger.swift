// The ledger as the rest of the service sees it: something that entries are appended to, durable
// once committed, and that can be read again from the start. What keeps it on disk knows nothing of
// allocation, and what allocates knows nothing of disks.

/// The writing end. One thread owns it.
///
/// `append` is synchronous, so that nothing comes between a decision and its entry. When it or
/// `commit` throws, memory is ahead of disk: there is no way back but to stop the process and
/// recover.
public protocol Ledger: AnyObject {
    /// The sequence of the last entry appended; zero for an empty ledger.
    var lastSequence: Sequence { get }

    /// The last entry appended and the chain's value at it.
    var head: ChainHead { get }

    /// Adds an entry to the open batch. Its sequence must be the one after `lastSequence`.
    func append(_ entry: LedgerEntry) throws(LedgerFailure)

    /// Makes all that was appended durable: when it returns, the batch survives `kill -9` and loss
    /// of power. Without an open batch it does nothing.
    func commit() throws(LedgerFailure)

    /// Work that may be done while nobody waits: after the answers to a batch have been sent.
    func housekeep() throws(LedgerFailure)

    /// Calls `body` with each entry after a sequence, to the last.
    func replay(
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure)

    /// The entry at a sequence, appended or committed; nil where there is none.
    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry?

    /// Keeps, within the open batch, the answer to the keyed request that an entry of the batch
    /// records.
    func keep(_ answer: KeptAnswer, for sequence: Sequence) throws(LedgerFailure)

    /// The answer kept last for a key, those of the open batch included; nil where none is.
    func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer?
}

extension Ledger {
    /// Calls `body` with each entry, from the first to the last.
    public func replay(
        _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        try replay(after: .zero, body)
    }
}

/// The reading end, for history and long reads. It sees what was committed. One thread owns it.
public protocol LedgerHistory: AnyObject {
    /// The entry at a sequence; nil where there is none.
    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry?

    /// One page of the entries that a query asks for.
    func page(_ query: HistoryQuery) throws(LedgerFailure) -> HistoryPage

    /// The last entry that is not later than a time; zero where all are later.
    func sequence(atOrBefore time: Timestamp) throws(LedgerFailure) -> Sequence

    /// The state after an entry. Its machines are the reader's own: the next call may take them
    /// along to another entry.
    ///
    /// - Throws: `contradiction` where there is no such entry.
    func state(at sequence: Sequence) throws(RecoveryFailure) -> LedgerState

    /// The last committed entry and the chain's value at it.
    func head() throws(LedgerFailure) -> ChainHead

    /// The way along the chain over the entries of a range, nothing of it gone yet; nil: from the
    /// first entry, to the last one committed. What of the range is not there is left out. Entries
    /// that are older than the chain are looked at all together, where the range holds any.
    func chainVerification(
        from: Sequence?, to: Sequence?
    ) throws(LedgerFailure) -> ChainVerification

    /// Looks at so many entries more, at the most. An entry that does not fit is no error here: the
    /// verification tells of it.
    func advance(_ verification: inout ChainVerification, limit: Int) throws(LedgerFailure)

    /// Work that makes later answers faster, for a few milliseconds, while nobody asks.
    ///
    /// - Returns: whether there is more of it.
    func housekeep() throws(LedgerFailure) -> Bool

    /// The last call, after which nothing is asked any more.
    func close()
}

extension LedgerHistory {
    public func close() {}

    /// Nothing, where nothing is kept beside the ledger.
    public func housekeep() throws(LedgerFailure) -> Bool { false }
}

/// What went wrong in keeping the ledger.
public struct LedgerFailure: Error, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The disk is full.
        case full

        /// Reading or writing failed; final for this process.
        case storage

        /// What is on disk is not what this version of the ledger writes.
        case corrupt

        /// Another process holds the ledger.
        case inUse

        /// Written by a newer version.
        case newer
    }

    public let kind: Kind

    /// What was being done, and what the storage said.
    public let detail: String

    public init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }
}

/// Why the state could not be brought back.
public enum RecoveryFailure: Error, Hashable, Sendable {
    case unreadable(LedgerFailure)

    /// The entry does not fit the state that the entries before it led to.
    case contradiction(Sequence, String)
}
