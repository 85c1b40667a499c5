// The life of `history.db` beside the reader: opened with the first background work, kept up with
// the ledger, thrown away where it is damaged, done without where the disk will not have it. Nobody
// who asks a question meets an error of it.

import Glibc
public import Ledger
import SQLite

extension SQLiteHistory {
    /// One step of keeping the index, and then the snapshots, up with the ledger: some
    /// milliseconds.
    public func housekeep() throws(LedgerFailure) -> Bool {
        guard let index = openIndex() else { return false }
        let hasMore = try index.follow(limit: Self.entriesFollowed)
        guard index.isMaintenanceDue else { return hasMore || keepSnapshots(index) }
        guard hasRoom() else { return hasMore }
        let clock = ContinuousClock()
        let end = clock.now + Self.stepDuration
        do throws(IndexFailure) {
            try index.maintain { clock.now >= end }
        } catch {
            lose(error)
            return self.index == nil && rebuildsLeft > 0
        }
        return true
    }

    private func keepSnapshots(_ index: HistoryIndex) -> Bool {
        guard let snapshots, hasRoom() else { return false }
        do throws(LedgerFailure) {
            let hasMore = try snapshots.step()
            try LedgerFailure.converting { () throws(SQLiteError) in
                _ = try index.store.database.checkpointIfLong()
            }
            return hasMore
        } catch {
            if error.kind == .full {
                noteLackOfRoom(error.detail)
            } else {
                self.snapshots = nil
                report("no further snapshots are made: \(error.detail)")
            }
            return false
        }
    }

    func openIndex() -> HistoryIndex? {
        if let index { return index }
        while rebuildsLeft > 0 {
            var isRefused = false
            let database = HistoryDatabase.open(in: directory, of: connection) { line in
                isRefused = true
                report(line)
            }
            guard let database else {
                // An empty ledger, or a file in use, may be otherwise next time.
                if isRefused { rebuildsLeft = 0 }
                return nil
            }
            do throws(IndexFailure) {
                index = try HistoryIndex(database, of: connection, shape)
                try keepSnapshots(in: database)
                return index
            } catch {
                lose(error)
            }
        }
        return nil
    }

    private func keepSnapshots(in database: HistoryDatabase) throws(IndexFailure) {
        do throws(SQLiteError) {
            let table = try SnapshotTable(in: database, of: connection, report: report)
            past.snapshots = table
            snapshots = SnapshotKeeper(past, table)
        } catch {
            throw IndexFailure(error)
        }
    }

    /// Whether `history.db` may grow: what room there is belongs to the ledger first.
    private func hasRoom() -> Bool {
        let free: UInt64
        do throws(LedgerFailure) { free = try directory.freeBytes() } catch {
            noteLackOfRoom(error.detail)
            return false
        }
        guard free >= LedgerLimits.reservedBytes else {
            noteLackOfRoom("\(free) bytes are free")
            return false
        }
        isShortOfRoom = false
        return true
    }

    /// Says so when it begins, not with each step.
    private func noteLackOfRoom(_ detail: String) {
        guard !isShortOfRoom else { return }
        isShortOfRoom = true
        report("\(HistoryDatabase.fileName) does not grow for want of room: \(detail)")
    }

    /// Goes on after a failure of the index.
    func lose(_ failure: IndexFailure) {
        switch failure.cause.kind {
        case .full:
            // What is there can be read; writing is tried again.
            noteLackOfRoom(failure.cause.detail)
        case .corrupt, .newer:
            close()
            rebuildsLeft -= 1
            report("\(HistoryDatabase.fileName) is made anew: \(failure.cause.detail)")
            do throws(LedgerFailure) {
                try directory.remove(HistoryDatabase.fileName)
            } catch {
                rebuildsLeft = 0
                report("history does without \(HistoryDatabase.fileName): \(error.detail)")
            }
        case .storage, .inUse:
            close()
            rebuildsLeft = 0
            report("history does without \(HistoryDatabase.fileName): \(failure.cause.detail)")
        }
    }

    private func close() {
        index = nil
        snapshots = nil
        past.snapshots = nil
    }
}

func writeToStandardError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
}
