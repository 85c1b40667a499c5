// A ledger in memory with both of its ends: the writing end sees what was appended, the reading
// end, which is read on another thread, what was committed.

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

    var lastSequence: Sequence { shared.lastSequence }

    func append(_ entry: LedgerEntry) throws(LedgerFailure) {
        precondition(entry.sequence == lastSequence.next, "an entry out of sequence")
        shared.append(entry)
    }

    func commit() throws(LedgerFailure) {
        shared.commit()
    }

    func housekeep() throws(LedgerFailure) {}

    func replay(
        _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        for entry in shared.committed {
            try body(entry)
        }
    }

    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? {
        shared.appendedEntry(at: sequence)
    }
}

/// A page looks at few entries, so that short pages, which a large ledger gives, are met in tests.
final class TestHistory: LedgerHistory {
    private let shared: SharedEntries
    private let entriesScanned: Int

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
}
