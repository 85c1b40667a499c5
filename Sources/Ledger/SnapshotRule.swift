/// When a snapshot of the state is made.
public enum SnapshotRule {
    /// Entries from one to the next: 131,072. A past state is found by reading one snapshot and
    /// replaying at most so many entries, each of which costs some two microseconds. On disk a
    /// snapshot takes about five bytes for each live grant: with a million of them 40 bytes for
    /// each entry, with a hundred thousand 4.
    public static let interval: UInt64 = 1 << 17
}
