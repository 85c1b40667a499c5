public import Ledger

extension SQLiteLedger {
    /// The snapshots beside the ledger, for recovery; nil where there are none to be had. Only one
    /// at a time can have them open: whoever asks lets go of them before a `SQLiteHistory` keeps
    /// house.
    ///
    /// - Parameter report: is told what is not used, and why.
    /// - Throws: `.corrupt` where the ledger once had entries after the last one that it has now.
    public func snapshots(
        directory path: String, report: @escaping (String) -> Void
    ) throws(LedgerFailure) -> (any SnapshotSource)? {
        try snapshots(in: LedgerDirectory(path: path), report: report)
    }

    func snapshots(
        in directory: LedgerDirectory, report: @escaping (String) -> Void
    ) throws(LedgerFailure) -> SnapshotTable? {
        guard let ledger = storage?.connection,
            let history = HistoryDatabase.open(in: directory, of: ledger, report: report)
        else { return nil }
        try expectWholeEnd(history, report)
        do {
            return try SnapshotTable(in: history, of: ledger, report: report)
        } catch {
            report("snapshots are not used: \(error)")
            return nil
        }
    }

    /// Sees that the ledger ends no earlier than it did.
    private func expectWholeEnd(
        _ history: HistoryDatabase, _ report: (String) -> Void
    ) throws(LedgerFailure) {
        let seen: Sequence
        do throws(LedgerFailure) { seen = try history.lastSeen() } catch {
            report("whether the ledger has lost its end is not known: \(error.detail)")
            return
        }
        guard seen <= lastSequence else {
            throw LedgerFailure(
                .corrupt,
                "it ends with entry \(lastSequence.rawValue), and entry \(seen.rawValue) was "
                    + "there: its end is lost (where it was put back from an older copy, take "
                    + "\(HistoryDatabase.fileName) away)")
        }
    }
}
