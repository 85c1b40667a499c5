// A ledger that keeps its entries in memory, for tests of what is above it.

public import Ledger

/// Durable means here: in `committed`.
public final class MemoryLedger: Ledger {
    /// What would be found after a crash.
    public private(set) var committed: [LedgerEntry]

    /// The open batch: appended, not yet committed.
    public private(set) var pending: [LedgerEntry] = []

    public private(set) var commits = 0
    public private(set) var housekeepings = 0

    /// - Parameter committed: what an earlier process left; taken as it is, so that a test can
    ///   hand over entries that contradict each other.
    public init(_ committed: [LedgerEntry] = []) {
        self.committed = committed
    }

    public var lastSequence: Sequence {
        (pending.last ?? committed.last)?.sequence ?? .zero
    }

    public func append(_ entry: LedgerEntry) throws(LedgerFailure) {
        precondition(entry.sequence == lastSequence.next, "an entry out of sequence")
        pending.append(entry)
    }

    public func commit() throws(LedgerFailure) {
        committed += pending
        pending = []
        commits += 1
    }

    public func housekeep() throws(LedgerFailure) {
        housekeepings += 1
    }

    public func replay(
        _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        for entry in committed {
            try body(entry)
        }
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        (committed + pending).first { $0.sequence == sequence }
    }
}
