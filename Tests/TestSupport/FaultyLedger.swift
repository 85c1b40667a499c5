// A ledger that fails once, at a place that the test chooses.

public import Ledger

/// Fails at one call and works again afterwards, so that a caller that goes on in spite of the
/// failure is seen to do so.
public final class FaultyLedger: Ledger {
    /// The call that fails. Calls are counted from 1, each kind for itself.
    public enum Fault: Hashable, Sendable {
        case append(Int)

        /// `isKept`: whether the batch is on disk nevertheless, as it may be when an fsync fails.
        case commit(Int, isKept: Bool)
        case housekeep(Int)

        /// `entry(at:)`.
        case lookUp(Int)
        case keep(Int)

        /// `keyed(_:)`.
        case lookUpKey(Int)
    }

    public static let failure = LedgerFailure(.storage, "the fault that the test asked for")

    public let fault: Fault

    /// Whether the chosen call has come.
    public private(set) var hasFailed = false

    /// Calls of any kind made after the one that failed.
    public private(set) var callsAfterFailure = 0

    private let storage: MemoryLedger
    private var appends = 0
    private var commits = 0
    private var housekeepings = 0
    private var lookUps = 0
    private var keeps = 0
    private var keyLookUps = 0

    public init(_ fault: Fault, over committed: [LedgerEntry] = []) {
        self.fault = fault
        storage = MemoryLedger(committed)
    }

    /// What would be found after a crash.
    public var committed: [LedgerEntry] { storage.committed }

    /// The open batch.
    public var pending: [LedgerEntry] { storage.pending }

    /// The answers kept, those of the open batch included.
    public var answers: [Sequence: KeptAnswer] { storage.answers }

    public var lastSequence: Sequence { storage.lastSequence }

    public var head: ChainHead { storage.head }

    public func append(_ entry: LedgerEntry) throws(LedgerFailure) {
        appends += 1
        try failOnce(if: fault == .append(appends))
        try storage.append(entry)
    }

    public func commit() throws(LedgerFailure) {
        commits += 1
        if fault == .commit(commits, isKept: true) {
            try storage.commit()
        }
        try failOnce(
            if: fault == .commit(commits, isKept: true) || fault == .commit(commits, isKept: false))
        try storage.commit()
    }

    public func housekeep() throws(LedgerFailure) {
        housekeepings += 1
        try failOnce(if: fault == .housekeep(housekeepings))
        try storage.housekeep()
    }

    public func replay(
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        try storage.replay(after: sequence, body)
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        lookUps += 1
        try failOnce(if: fault == .lookUp(lookUps))
        return try storage.entry(at: sequence)
    }

    public func keep(
        _ answer: KeptAnswer, for sequence: Sequence
    ) throws(LedgerFailure) {
        keeps += 1
        try failOnce(if: fault == .keep(keeps))
        try storage.keep(answer, for: sequence)
    }

    public func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? {
        keyLookUps += 1
        try failOnce(if: fault == .lookUpKey(keyLookUps))
        return try storage.keyed(key)
    }

    private func failOnce(if isChosen: Bool) throws(LedgerFailure) {
        if hasFailed { callsAfterFailure += 1 }
        guard isChosen else { return }
        hasFailed = true
        throw Self.failure
    }
}
