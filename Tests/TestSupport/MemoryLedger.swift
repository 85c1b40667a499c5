// A ledger that keeps its entries in memory, for tests of what is above it.

import Digest
public import Ledger

/// Durable means here: in `committed`.
public final class MemoryLedger: Ledger {
    /// What would be found after a crash.
    public private(set) var committed: [LedgerEntry]

    /// The open batch: appended, not yet committed.
    public private(set) var pending: [LedgerEntry] = []

    /// The answers of committed entries and those of the open batch.
    public private(set) var answers: [Sequence: KeptAnswer] = [:]

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

    /// A chain as long as the ledger, worked out anew each time; not the one that a disk has.
    public var head: ChainHead {
        let hash = (committed + pending).reduce(into: EntryHash.zero) { hash, entry in
            let link = SHA256.hash(hash.bytes + Array("\(entry.sequence.rawValue)".utf8))
            hash = EntryHash(words: link.words)
        }
        return ChainHead(sequence: lastSequence, hash: hash)
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
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        // Those of a test that are out of order stand where they stand.
        for entry in sequence == .zero ? committed : committed.filter({ $0.sequence > sequence }) {
            try body(entry)
        }
    }

    public func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        (committed + pending).first { $0.sequence == sequence }
    }

    public func keep(
        _ answer: KeptAnswer, for sequence: Sequence
    ) throws(LedgerFailure) {
        precondition(sequence == pending.last?.sequence, "an answer to an earlier request")
        answers[sequence] = answer
    }

    public func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? {
        let entry = (committed + pending).last {
            $0.idempotency?.key == key && answers[$0.sequence] != nil
        }
        guard let entry, let idempotency = entry.idempotency, let answer = answers[entry.sequence]
        else { return nil }
        return KeyedAnswer(
            sequence: entry.sequence, time: entry.time, fingerprint: idempotency.fingerprint,
            answer: answer)
    }
}
