// How many requests a caller may still send. A bucket holds as many tokens as a second's requests;
// each request takes one, and they come back evenly. So a caller may send a burst of a second's
// requests at once, and no more than its rate over any longer time.

/// One caller's bucket. Times are nanoseconds of a clock that never goes back.
struct TokenBucket {
    /// When the bucket will be full again if nothing is taken: all of its state.
    private var fullAt: UInt64 = 0

    /// What became of a request.
    struct Outcome: Hashable {
        let isAllowed: Bool

        /// Requests that may be sent at once after this one.
        let remaining: UInt32

        /// Seconds, rounded up, until all of the quota is there again; or, for a request that was
        /// refused, until one may be sent.
        let seconds: UInt64
    }

    private static let second: UInt64 = 1_000_000_000

    /// Whether it is as good as new.
    func isFull(at now: UInt64) -> Bool { fullAt <= now }

    /// Takes a token, where there is one.
    ///
    /// - Parameter rate: tokens that come back in a second, and that the bucket holds; at least 1.
    mutating func take(at now: UInt64, rate: UInt32) -> Outcome {
        let interval = Self.second / UInt64(rate)
        let missing = fullAt > now ? fullAt - now : 0
        guard missing + interval <= Self.second else {
            let wait = missing + interval - Self.second
            return Outcome(isAllowed: false, remaining: 0, seconds: Self.seconds(wait))
        }
        fullAt = now + missing + interval
        let remaining = (Self.second - missing - interval) / interval
        return Outcome(
            isAllowed: true, remaining: UInt32(clamping: remaining),
            seconds: Self.seconds(missing + interval))
    }

    private static func seconds(_ nanoseconds: UInt64) -> UInt64 {
        max(1, (nanoseconds + second - 1) / second)
    }
}
