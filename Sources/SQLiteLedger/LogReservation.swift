// The write-ahead log at its working size from the start.
//
// A commit that makes the log's file grow syncs the file's metadata too, and takes about 1.6 times
// as long as one that overwrites. So the log is grown once, before the first entry: a transaction
// larger than SQLite's page cache spills its pages into the log, and is then rolled back. The pages
// are gone, and neither the database nor its free list has seen them; the file stays as long as it
// was made. SQLite overwrites it from the front, and reads no spilled frame as a committed one,
// since no commit mark follows it and the next commit breaks its chain of checksums.

import Glibc
import Ledger
import SQLite

enum LogReservation {
    /// Bytes of a page and its frame header in the log.
    private static let frameSize = 4096 + 24

    /// Pages that stay in the cache and are not spilled, at the most: `cache_size` is 2,000 KiB.
    private static let cachedPages = 512

    /// What is reserved, as a multiple of what the log holds up to a checkpoint: a batch of ten
    /// thousand entries oversteps it, and a read may keep the log from beginning again.
    private static let reservedCheckpoints = 8

    /// Grows the log of the ledger in `directory` where it is shorter than what is reserved.
    static func reserve(
        _ connection: Connection, _ directory: LedgerDirectory, checkpointThreshold: Int
    ) throws(LedgerFailure) {
        let frames = checkpointThreshold * reservedCheckpoints
        guard try directory.logSize() < frames * frameSize else { return }
        try LedgerFailure.converting { () throws(SQLiteError) in
            defer { connection.rollBack() }
            let bytes = (frames + cachedPages) * 4096
            try connection.execute(
                """
                BEGIN IMMEDIATE;
                CREATE TABLE reservation (pages BLOB) STRICT;
                INSERT INTO reservation VALUES (zeroblob(\(bytes)));
                """)
        }
    }
}
