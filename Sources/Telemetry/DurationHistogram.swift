// How durations are spread. The buckets are fixed, and the same for all: from 25 microseconds,
// below which a request to a service on one machine does not come, to ten seconds, beyond which
// nobody waits. About three to a factor of ten tell a median from a tail.

/// Durations, counted by buckets.
public struct DurationHistogram: Sendable {
    /// The upper bounds of the buckets in nanoseconds, inclusive, ascending; beyond the last there
    /// is one bucket more.
    public static let bounds: [UInt64] = [
        25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
        25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000,
        2_500_000_000, 5_000_000_000, 10_000_000_000,
    ]

    /// How many fell into each bucket, and not into one below it.
    public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)

    /// Of all durations together.
    public private(set) var totalNanoseconds: UInt64 = 0

    public var count: UInt64 { counts.reduce(0, +) }

    public init() {}

    /// Counts so many durations of one length.
    public mutating func record(nanoseconds: UInt64, count: UInt64 = 1) {
        var bucket = 0
        while bucket < Self.bounds.count, nanoseconds > Self.bounds[bucket] { bucket += 1 }
        counts[bucket] += count
        totalNanoseconds += nanoseconds * count
    }
}
