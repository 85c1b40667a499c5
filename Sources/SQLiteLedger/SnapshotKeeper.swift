// Makes the snapshots: one for each so many entries, from committed rows, on the thread that
// answers questions about the past, while nobody asks. No request ever waits for it.
//
// It works in steps of a few milliseconds. What it has begun it begins again where a question has
// taken the kept state elsewhere in between.

import Ledger

final class SnapshotKeeper {
    private let past: PastState
    private let table: SnapshotTable
    private let interval: UInt64

    /// The entry that the next snapshot is to be of; nil until the table has been looked at.
    private var due: Sequence?

    /// - Parameter interval: entries from one snapshot to the next.
    init(_ past: PastState, _ table: SnapshotTable, interval: UInt64 = SnapshotRule.interval) {
        self.past = past
        self.table = table
        self.interval = interval
    }

    /// What it met. There is no use in calling again.
    enum Failure: Error {
        case ledger(LedgerFailure)
        case history(IndexFailure)
    }

    /// Snapshots that may be due before they are made beside the index rather than after it.
    private static let snapshotsDue: UInt64 = 2

    /// Whether several snapshots are due of a ledger with so many entries. A start replays what has
    /// none.
    func isBehind(_ entries: UInt64) -> Bool {
        (due?.rawValue ?? interval) + Self.snapshotsDue * interval <= entries
    }

    /// Takes one step; false where nothing is left to do for now.
    func step() throws(Failure) -> Bool {
        let last = try asking { () throws(LedgerFailure) in try past.lastSequence() }
        let due = due ?? next(after: table.snapshot(atOrBefore: last)?.sequence ?? .zero)
        self.due = due
        guard due <= last else { return false }
        if try !goes(to: due), let snapshot = past.writeSnapshot() {
            try insert(snapshot)
            self.due = next(after: due)
        }
        return true
    }

    private func next(after sequence: Sequence) -> Sequence {
        Sequence((sequence.rawValue / interval + 1) * interval)
    }

    /// Goes some way towards the state after an entry; false once it is there.
    private func goes(to sequence: Sequence) throws(Failure) -> Bool {
        do throws(RecoveryFailure) { return try past.step(to: sequence) } catch {
            switch error {
            case .unreadable(let failure): throw .ledger(failure)
            case .contradiction(let entry, let reason):
                throw .ledger(
                    LedgerFailure(.corrupt, "entry \(entry.rawValue) does not fit: \(reason)"))
            }
        }
    }

    private func insert(_ snapshot: LedgerSnapshot) throws(Failure) {
        let mark = try asking { () throws(LedgerFailure) in try past.mark(of: snapshot.sequence) }
        do throws(IndexFailure) { try table.insert(snapshot, mark) } catch {
            throw .history(error)
        }
    }

    /// What the ledger answers.
    private func asking<Answer>(
        _ question: () throws(LedgerFailure) -> Answer
    ) throws(Failure) -> Answer {
        do throws(LedgerFailure) { return try question() } catch { throw .ledger(error) }
    }
}
