// The rate limit: a bucket for each caller, and what is said of it in each answer.
//
// `RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-10: the
// quota `q` of a window of `w` seconds, the requests `r` that are left, and the seconds `t` until
// the quota is whole again.

import HTTPServer

struct RateLimiter {
    /// Whose requests are counted together.
    enum Caller: Hashable {
        case principal(String)

        /// Of one address, or the addresses of one customer (`PeerAddress.network`).
        case network(PeerAddress)
    }

    /// Callers whose requests are counted at one time. Where there are more within a second, all
    /// counts begin anew: a flood of addresses must not take memory.
    static let maximumCallers = 65_536

    /// Requests a second of each caller.
    private let rate: UInt32

    /// Nanoseconds; never goes back.
    private let clock: () -> UInt64
    private var buckets: [Caller: TokenBucket] = [:]

    /// Callers whose requests are counted now.
    var callerCount: Int { buckets.count }

    init(rate: UInt32, clock: @escaping () -> UInt64) {
        self.rate = rate
        self.clock = clock
    }

    /// Counts a request.
    mutating func count(_ caller: Caller) -> RateLimitStatus {
        let now = clock()
        if buckets.count >= Self.maximumCallers && buckets[caller] == nil { makeRoom(now) }
        let outcome = buckets[caller, default: TokenBucket()].take(at: now, rate: rate)
        return RateLimitStatus(quota: rate, outcome: outcome)
    }

    private mutating func makeRoom(_ now: UInt64) {
        buckets = buckets.filter { !$1.isFull(at: now) }
        if buckets.count >= Self.maximumCallers { buckets = [:] }
    }
}

/// Where a caller stands with its limit, after a request.
struct RateLimitStatus {
    let quota: UInt32
    let outcome: TokenBucket.Outcome

    private static let policy = "\"requests\""

    /// - Throws: `too-many-requests` where the caller has sent too many.
    func check() throws(Problem) {
        guard !outcome.isAllowed else { return }
        var problem = Problem(
            .tooManyRequests, "at most \(quota) requests a second are answered")
        problem.fields = [Problem.Field("Retry-After", String(outcome.seconds))]
        throw problem
    }

    func addFields(to response: inout HTTPResponse) {
        response.addField("RateLimit-Policy", "\(Self.policy);q=\(quota);w=1")
        response.addField(
            "RateLimit", "\(Self.policy);r=\(outcome.remaining);t=\(outcome.seconds)")
    }
}
