public import Ledger

extension SQLiteLedger {
    /// The snapshots beside the ledger, for recovery; nil where there are none to be had. Only one
    /// at a time can have them open: whoever asks lets go of them before a `SQLiteHistory` keeps
    /// house.
    ///
    /// - Parameter report: is told what is not used, and why.
    public func snapshots(
        directory path: String, report: @escaping (String) -> Void
    ) -> (any SnapshotSource)? {
        snapshots(in: LedgerDirectory(path: path), report: report)
    }

    func snapshots(
        in directory: LedgerDirectory, report: @escaping (String) -> Void
    ) -> SnapshotTable? {
        guard let ledger = storage?.connection,
            let history = HistoryDatabase.open(in: directory, of: ledger, report: report)
        else { return nil }
        do {
            return try SnapshotTable(in: history, of: ledger, report: report)
        } catch {
            report("snapshots are not used: \(error)")
            return nil
        }
    }
}
