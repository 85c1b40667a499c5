// The state as it was.

public import Ledger

extension SQLiteHistory {
    public func sequence(atOrBefore time: Timestamp) throws(LedgerFailure) -> Sequence {
        try past.sequence(atOrBefore: time)
    }

    public func state(at sequence: Sequence) throws(RecoveryFailure) -> LedgerState {
        // With it come the snapshots, which make the way short: after a start too, before any
        // other work has opened it.
        _ = openIndex()
        return try past.state(at: sequence)
    }
}
