/// When a write-ahead log is to be copied into its database. Lengths are in frames (pages).
struct CheckpointSchedule {
    /// From which length on a log is copied.
    let threshold: Int

    /// By how much it grows until the next attempt where it has not begun again, since somebody
    /// reads it: not with every commit, and not so late that it outgrows what is reserved for it.
    private static let retry = 256

    /// Its length at the last attempt; 0 once it has begun again.
    private var attempted = 0

    init(threshold: Int) {
        self.threshold = threshold
    }

    /// Whether a log of that length is to be copied now. It then counts as attempted.
    mutating func attempt(_ length: Int) -> Bool {
        if length < attempted { attempted = 0 }
        let growth = attempted == 0 ? threshold : min(threshold, Self.retry)
        guard length - attempted >= growth else { return false }
        attempted = length
        return true
    }
}
