// The state at any entry: the nearest snapshot at or before it, and the entries in between. One
// state is kept, since the next question is often about an entry not far behind, and since the next
// snapshot is made from it.
//
// Entries are read in stretches, each a short read of its own: a long one would keep the
// write-ahead log from beginning again.

import Ledger
import PageAllocator
import SQLite

final class PastState {
    /// Entries read at a time: a few milliseconds' work.
    static let entriesPerRead: UInt64 = 2048

    /// The one state that is kept.
    private var state = LedgerState()

    /// A snapshot of the kept state, on its way; nil as soon as the state moves.
    private var writing: SnapshotWriting?

    /// nil where there is no `history.db`: everything is replayed from the first entry then.
    var snapshots: SnapshotTable?

    /// Sees that the entries are those that were written; nil before the kept state has gone on.
    private var chain: ChainCheck?

    private let connection: Connection
    private let stretch: Statement
    private let lastOfAll: Statement
    private let timeOf: Statement

    init(_ connection: Connection) throws(SQLiteError) {
        self.connection = connection
        stretch = try connection.prepare(EntryRow.selectionOfStretch)
        lastOfAll = try connection.prepare("SELECT max(sequence) FROM ledger")
        timeOf = try connection.prepare("SELECT time FROM ledger WHERE sequence = ?")
    }

    /// The state after an entry, which the next call may take along.
    func state(at sequence: Sequence) throws(RecoveryFailure) -> LedgerState {
        while try step(to: sequence) {}
        return state
    }

    /// Goes a few milliseconds' way towards the state after an entry; false once it is there.
    func step(to sequence: Sequence) throws(RecoveryFailure) -> Bool {
        do throws(RecoveryFailure) {
            if begin(near: sequence) { return true }
            guard state.lastSequence < sequence else { return false }
            try advance(to: sequence)
            return state.lastSequence < sequence
        } catch {
            forget()
            throw error
        }
    }

    private func forget() {
        writing = nil
        chain = nil
        state = LedgerState()
    }

    /// Goes to where the way is short: a snapshot, or the first entry; false where the kept state
    /// is nearest.
    private func begin(near sequence: Sequence) -> Bool {
        let isBefore = state.lastSequence <= sequence
        guard let snapshots else {
            if !isBefore { forget() }
            return !isBefore
        }
        let nearest = snapshots.nearest(atOrBefore: sequence)
        guard !isBefore || state.lastSequence < nearest else { return false }
        // Given up before another is made: there are never two.
        forget()
        if let kept = snapshots.snapshot(atOrBefore: sequence) {
            do throws(SnapshotFailure) {
                state = try LedgerState(kept)
            } catch {
                snapshots.discard(kept.sequence, because: error.description)
            }
        }
        return true
    }

    /// Applies the entries of one read.
    private func advance(to target: Sequence) throws(RecoveryFailure) {
        writing = nil
        let start = state.lastSequence
        let count = min(target.rawValue - start.rawValue, Self.entriesPerRead)
        let chain = try chain(after: start)
        try reading { () throws(SQLiteError) in
            try stretch.bind(bitPattern: start.rawValue, at: 1)
            try stretch.bind(bitPattern: count, at: 2)
        }
        defer { stretch.reset() }
        let row = EntryRow(stretch)
        while try reading({ () throws(SQLiteError) in try stretch.step() }) {
            let entry = try unreadable { () throws(LedgerFailure) in
                let entry = try row.entry()
                try chain.advance(by: entry)
                return entry
            }
            try state.apply(entry)
        }
        guard state.lastSequence.rawValue == start.rawValue + count else {
            throw .contradiction(state.lastSequence.next, "there is no such entry")
        }
    }

    private func chain(after sequence: Sequence) throws(RecoveryFailure) -> ChainCheck {
        if let chain { return chain }
        let begun = try unreadable { () throws(LedgerFailure) in
            try ChainCheck(after: sequence, on: connection)
        }
        chain = begun
        return begun
    }

    private func unreadable<Value>(
        _ body: () throws(LedgerFailure) -> Value
    ) throws(RecoveryFailure) -> Value {
        do throws(LedgerFailure) { return try body() } catch { throw .unreadable(error) }
    }

    /// Writes some of a snapshot of the state that the last `step` came to: a few milliseconds'
    /// work. nil until all of it is written.
    func writeSnapshot() -> LedgerSnapshot? {
        var current = writing ?? SnapshotWriting(state)
        writing = nil
        guard current.step() else {
            return LedgerSnapshot(sequence: state.lastSequence, bytes: current.bytes)
        }
        writing = current
        return nil
    }

    /// The last entry that is not later than a time; zero where all are later. Found by halving:
    /// times never go back.
    func sequence(atOrBefore time: Timestamp) throws(LedgerFailure) -> Sequence {
        var low: UInt64 = 0
        var high = try lastSequence().rawValue
        while low < high {
            let middle = high - (high - low) / 2
            if try self.time(of: middle) <= time { low = middle } else { high = middle - 1 }
        }
        return Sequence(low)
    }

    /// The last entry that was committed; zero for an empty ledger.
    func lastSequence() throws(LedgerFailure) -> Sequence {
        try LedgerFailure.converting { () throws(SQLiteError) in
            defer { lastOfAll.reset() }
            guard try lastOfAll.step() else { return .zero }
            return Sequence(UInt64(clamping: lastOfAll.integer(at: 0)))
        }
    }

    /// The mark of an entry that is there.
    func mark(of sequence: Sequence) throws(LedgerFailure) -> EntryMark {
        guard let mark = try EntryMark.mark(at: sequence, in: connection) else {
            throw EntryRow.missing(sequence)
        }
        return mark
    }

    private func time(of sequence: UInt64) throws(LedgerFailure) -> Timestamp {
        let time = try LedgerFailure.converting { () throws(SQLiteError) -> Int64? in
            defer { timeOf.reset() }
            try timeOf.bind(bitPattern: sequence, at: 1)
            return try timeOf.step() ? timeOf.integer(at: 0) : nil
        }
        guard let time else { throw LedgerFailure(.corrupt, "entry \(sequence) is missing") }
        return Timestamp(microseconds: time)
    }

    private func reading<Value>(
        _ body: () throws(SQLiteError) -> Value
    ) throws(RecoveryFailure) -> Value {
        do throws(SQLiteError) { return try body() } catch {
            throw .unreadable(LedgerFailure(error))
        }
    }
}
