// The life of `history.db` beside the reader: opened with the first background work, kept up with
// the ledger, thrown away where it is damaged, done without where the disk will not have it. Nobody
// who asks a question meets an error of it.

import Glibc
public import Ledger
import SQLite

extension SQLiteHistory {
    /// One step of keeping the index, and then the snapshots, up with the ledger: some
    /// milliseconds. Where the ledger grows so fast that the index is never done, they take turns.
    public func housekeep() throws(LedgerFailure) -> Bool {
        if let failure = past.snapshots?.failure { lose(IndexFailure(cause: failure)) }
        guard let index = openIndex() else { return false }
        isTurnOfSnapshots.toggle()
        if isTurnOfSnapshots, let snapshots, snapshots.isBehind(index.end) {
            if keepSnapshots(index) { return true }
            guard self.index != nil else { return false }
        }
        let hasMore = follow(index)
        guard index.isMaintenanceDue else {
            if hasMore || keepSnapshots(index) { return true }
            if ContinuousClock.now >= nextNoteOfEnd { noteEnd() }
            return false
        }
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

    /// Goes on in the ledger. What cannot be read there ends the index: questions go through the
    /// entries from there on, and meet it where they come to it.
    ///
    /// - Returns: whether there may be more.
    func follow(_ index: HistoryIndex) -> Bool {
        do throws(LedgerFailure) {
            let hasMore = try index.follow(limit: Self.entriesFollowed)
            isIndexHeldUp = false
            return hasMore
        } catch {
            if !isIndexHeldUp {
                report("the index ends before entry \(index.end): \(error.detail)")
            }
            isIndexHeldUp = true
            return false
        }
    }

    private func keepSnapshots(_ index: HistoryIndex) -> Bool {
        guard let snapshots, hasRoom() else { return false }
        do throws(SnapshotKeeper.Failure) {
            let hasMore = try snapshots.step()
            do throws(SQLiteError) {
                _ = try index.store.database.checkpointIfLong()
            } catch {
                throw .history(IndexFailure(error))
            }
            return hasMore
        } catch {
            switch error {
            case .history(let failure):
                lose(failure)
                return self.index == nil && rebuildsLeft > 0
            case .ledger(let failure):
                self.snapshots = nil
                report("no further snapshots are made: \(failure.detail)")
                return false
            }
        }
    }

    /// Notes with which entry the ledger ends; see `HistoryDatabase.lastSeen`.
    public func close() {
        noteEnd()
        closeDatabase()
    }

    private func noteEnd() {
        guard let index, hasRoom() else { return }
        nextNoteOfEnd = .now + Self.timeBetweenNotes
        do throws(LedgerFailure) {
            let last = try past.lastSequence()
            do throws(IndexFailure) { try index.store.database.note(seen: last) } catch {
                lose(error)
            }
        } catch {
            report("the ledger's last entry cannot be read: \(error.detail)")
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
            snapshots = SnapshotKeeper(past, table, interval: snapshotInterval)
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
            closeDatabase()
            rebuildsLeft -= 1
            report("\(HistoryDatabase.fileName) is made anew: \(failure.cause.detail)")
            do throws(LedgerFailure) {
                try directory.remove(HistoryDatabase.fileName)
            } catch {
                rebuildsLeft = 0
                report("history does without \(HistoryDatabase.fileName): \(error.detail)")
            }
        case .storage, .inUse:
            closeDatabase()
            rebuildsLeft = 0
            report("history does without \(HistoryDatabase.fileName): \(failure.cause.detail)")
        }
    }

    private func closeDatabase() {
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
