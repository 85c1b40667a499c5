// Whether the disk has room for what a turn decides. A commit that finds none is the end of the
// process, so that the question comes before the decision. It is asked once a turn, by the first
// who needs the answer: all requests of a turn are treated alike.

import Ledger

struct StorageRoom {
    private let freeBytes: () throws(LedgerFailure) -> UInt64

    /// What this turn has seen.
    private var seen: UInt64?

    init(freeBytes: @escaping () throws(LedgerFailure) -> UInt64) {
        self.freeBytes = freeBytes
    }

    /// The next question is put to the file system again.
    mutating func endTurn() {
        seen = nil
    }

    /// How many bytes are free where that is too few for so many more entries; nil where there is
    /// room.
    mutating func shortage(forEntries entries: Int) throws(LedgerFailure) -> UInt64? {
        let free = try free()
        let needed = LedgerLimits.reservedBytes + UInt64(entries) * LedgerLimits.bytesPerEntry
        return free < needed ? free : nil
    }

    /// Bytes that are free.
    mutating func free() throws(LedgerFailure) -> UInt64 {
        if let seen { return seen }
        let free = try freeBytes()
        seen = free
        return free
    }
}
