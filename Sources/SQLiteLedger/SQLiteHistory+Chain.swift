// The chain, as readers of the history ask for it.

public import Ledger

extension SQLiteHistory {
    public func head() throws(LedgerFailure) -> ChainHead {
        try ChainReader(connection: connection).head()
    }

    public func chainVerification(
        from: Sequence?, to: Sequence?
    ) throws(LedgerFailure) -> ChainVerification {
        try ChainReader(connection: connection).verification(from: from, to: to)
    }

    public func advance(
        _ verification: inout ChainVerification, limit: Int
    ) throws(LedgerFailure) {
        try ChainReader(connection: connection).advance(&verification, limit: limit) {
            (_) throws(RecoveryFailure) in
        }
    }
}
