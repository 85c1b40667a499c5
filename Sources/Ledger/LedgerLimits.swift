/// The limits of a ledger on a disk.
public enum LedgerLimits {
    /// Bytes of the ledger's file system that stay free, so that what was decided always finds
    /// room: a turn's entries, the write-ahead log of 16 MiB copied into the database, and an index
    /// run beside it. With less than this nothing is decided.
    public static let reservedBytes: UInt64 = 64 << 20

    /// Bytes that an entry of usual size takes at the most, in the write-ahead log and in the
    /// database together.
    public static let bytesPerEntry: UInt64 = 512
}
