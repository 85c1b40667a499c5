// A ledger in memory with both of its ends: the writing end sees what was appended, the reading
// end, which is read on another thread, what was committed.

import Glibc
import Ledger
import Synchronization

/// The entries that the two ends share.
final class SharedEntries: Sendable {
    private struct Entries {
        var committed: [LedgerEntry] = []
        var pending: [LedgerEntry] = []
    }

    private let entries = Mutex(Entries())

    var committed: [LedgerEntry] { entries.withLock { $0.committed } }

    var lastSequence: Sequence {
        entries.withLock { Sequence(UInt64($0.committed.count + $0.pending.count)) }
    }

    func append(_ entry: LedgerEntry) {
        entries.withLock { $0.pending.append(entry) }
    }

    func commit() {
        entries.withLock { entries in
            entries.committed += entries.pending
            entries.pending = []
        }
    }

    /// Changes what was committed, as somebody would who can write to the file.
    func tamper(with sequence: Int, _ change: (inout LedgerEntry) -> Void) {
        entries.withLock { change(&$0.committed[sequence - 1]) }
    }

    func appendedEntry(at sequence: Sequence) -> LedgerEntry? {
        entries.withLock { entries in
            guard sequence > .zero, sequence.rawValue <= UInt64(Int.max) else { return nil }
            let position = Int(sequence.rawValue) - 1
            if position < entries.committed.count { return entries.committed[position] }
            let offset = position - entries.committed.count
            return offset < entries.pending.count ? entries.pending[offset] : nil
        }
    }
}

final class TestLedger: Ledger {
    let shared = SharedEntries()
    private var answers: [Sequence: KeptAnswer] = [:]

    var lastSequence: Sequence { shared.lastSequence }

    /// A stand-in for a chain: it differs from entry to entry.
    var head: ChainHead {
        ChainHead(sequence: lastSequence, hash: Self.hash(at: lastSequence))
    }

    static func hash(at sequence: Sequence) -> EntryHash {
        EntryHash(words: (sequence.rawValue, 0, 0, 0))
    }

    func append(_ entry: LedgerEntry) throws(LedgerFailure) {
        precondition(entry.sequence == lastSequence.next, "an entry out of sequence")
        var entry = entry
        entry.hash = Self.hash(at: entry.sequence)
        shared.append(entry)
    }

    func commit() throws(LedgerFailure) {
        shared.commit()
    }

    func housekeep() throws(LedgerFailure) {}

    func replay(
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        for entry in shared.committed where entry.sequence > sequence {
            try body(entry)
        }
    }

    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        shared.appendedEntry(at: sequence)
    }

    func keep(_ answer: KeptAnswer, for sequence: Sequence) throws(LedgerFailure) {
        answers[sequence] = answer
    }

    func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? {
        for sequence in answers.keys.sorted(by: >) {
            guard let entry = shared.appendedEntry(at: sequence), let answer = answers[sequence],
                let idempotency = entry.idempotency, idempotency.key == key
            else { continue }
            return KeyedAnswer(
                sequence: sequence, time: entry.time, fingerprint: idempotency.fingerprint,
                answer: answer)
        }
        return nil
    }
}

/// A page looks at few entries, so that short pages, which a large ledger gives, are met in tests.
final class TestHistory: LedgerHistory {
    private let shared: SharedEntries
    private let entriesScanned: Int

    /// The last state asked for, which is taken along to the next.
    private var past = LedgerState()

    init(_ shared: SharedEntries, entriesScanned: Int) {
        self.shared = shared
        self.entriesScanned = entriesScanned
    }

    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        let committed = shared.committed
        guard sequence > .zero, sequence.rawValue <= UInt64(committed.count) else { return nil }
        return committed[Int(sequence.rawValue) - 1]
    }

    func page(_ query: HistoryQuery) throws(LedgerFailure) -> HistoryPage {
        let committed = shared.committed
        let first = min(query.after?.rawValue ?? 0, UInt64(committed.count))
        let end = min(max((query.before?.rawValue ?? .max), 1) - 1, UInt64(committed.count))
        var page = HistoryPage(entries: [], resume: nil)
        guard first < end else { return page }
        let candidates = committed[Int(first)..<Int(end)]
        var looked = 0
        for entry in query.isDescending ? Array(candidates.reversed()) : Array(candidates) {
            looked += 1
            if query.matches(entry) { page.entries.append(entry) }
            if page.entries.count == query.pageSize || looked == entriesScanned {
                page.resume = looked == candidates.count ? nil : entry.sequence
                break
            }
        }
        return page
    }

    func head() throws(LedgerFailure) -> ChainHead {
        let last = shared.committed.last?.sequence ?? .zero
        return ChainHead(sequence: last, hash: TestLedger.hash(at: last))
    }

    func chainVerification(
        from: Sequence?, to: Sequence?
    ) throws(LedgerFailure) -> ChainVerification {
        let head = try head()
        let before = Sequence((from?.rawValue ?? 1) - 1)
        return ChainVerification(
            after: ChainHead(sequence: before, hash: TestLedger.hash(at: before)),
            through: min(to ?? head.sequence, head.sequence))
    }

    /// An entry fits that is in its place. A stretch takes as long as one of a large ledger.
    func advance(_ verification: inout ChainVerification, limit: Int) throws(LedgerFailure) {
        usleep(1000)
        for _ in 0..<min(limit, entriesScanned) where !verification.isDone {
            let next = verification.head.sequence.next
            if try entry(at: next)?.sequence == next {
                verification.pass(TestLedger.hash(at: next))
            } else {
                verification.fail("entry \(next.rawValue): it is missing")
            }
        }
    }

    func sequence(atOrBefore time: Timestamp) throws(LedgerFailure) -> Sequence {
        shared.committed.last { $0.time <= time }?.sequence ?? .zero
    }

    func state(at sequence: Sequence) throws(RecoveryFailure) -> LedgerState {
        if past.lastSequence > sequence { past = LedgerState() }
        let committed = shared.committed
        while past.lastSequence < sequence {
            guard past.lastSequence.rawValue < UInt64(committed.count) else {
                throw .contradiction(sequence, "there is no such entry")
            }
            try past.apply(committed[Int(past.lastSequence.rawValue)])
        }
        return past
    }
}
