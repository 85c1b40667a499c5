// An index run: which of a stretch of entries have which keys, as sorted postings in chunks of
// about a page, with one fence for each chunk to find it by.
//
// An index that is written to in random places makes appending to a ledger slower the larger it
// grows. A run is written once, from its first posting to its last, for entries that lie together,
// and then only read: the ledger's writer has no part in it. Many runs are merged into one when
// there are `IndexShape.mergedRuns` of a size, so that a question looks into a few dozen of them
// however long the ledger is.

import Ledger

/// How large runs are. In tests they are small.
struct IndexShape {
    /// Entries of the smallest run.
    var entries = 1 << 16

    /// How many runs of one size are merged into one.
    var mergedRuns = 16

    /// Sizes of runs: with two merges, the largest are of 2^24 entries.
    var levels = 3

    /// Bytes of a chunk at the most: what fits a page of SQLite's table with its row's head.
    var chunkBytes = 4040

    /// Postings that a merge moves until it looks whether it is time to stop.
    var postingsBetweenLooks = 4096

    /// Entries of a run of a level, from 0.
    func entries(ofLevel level: Int) -> Int {
        (0..<level).reduce(entries) { entries, _ in entries * mergedRuns }
    }
}

struct IndexRun: Hashable {
    typealias ID = Int64

    /// Chunks of one run, at the most.
    static let maximumChunks: Int64 = 1 << 28

    let id: ID

    /// Sequence of the first entry.
    let first: UInt64
    let count: Int

    /// Bits of the fields that it has postings of.
    var fields: UInt32 = 0

    /// Of its last entry.
    let mark: EntryMark

    var sequences: ClosedRange<UInt64> { first...first + UInt64(count) - 1 }

    /// Bytes that an offset takes.
    var offsetWidth: Int { (UInt64(count).bitWidth - UInt64(count).leadingZeroBitCount + 7) / 8 }

    static func chunkIDs(of id: ID) -> Range<IndexChunk.ID> {
        id * maximumChunks..<(id + 1) * maximumChunks
    }

    /// Of the row of a run that is live, or of one that is being built: a turned bit makes neither
    /// the other.
    func checksum(isLive: Bool) -> UInt64 {
        var sum = Checksum()
        let isLive: UInt64 = isLive ? 1 : 0
        for word in [UInt64(id), first, UInt64(count), UInt64(fields), mark.bits, isLive] {
            sum.add(word)
        }
        return sum.value
    }
}

/// What went wrong with the index; the ledger has no part in it.
struct IndexFailure: Error {
    /// `.corrupt`: it is to be made anew.
    let cause: LedgerFailure

    static func damaged(_ what: String) -> IndexFailure {
        IndexFailure(cause: LedgerFailure(.corrupt, what))
    }
}
