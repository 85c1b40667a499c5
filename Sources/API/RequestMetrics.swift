// How many requests were answered, how, and in what time.
//
// All requests of a turn are read at its beginning and answered at its end, when their entries are
// durable: they have taken the same time. So a request only adds one to a count, and the clock is
// read for the turn. What is answered later takes its beginning along.

import HTTPServer
import Telemetry

struct RequestMetrics {
    /// What is counted apart: route, method and status.
    struct Series: Hashable {
        /// nil where no route was found.
        let endpoint: Endpoint?
        let method: Method
        let status: Int
    }

    /// A method as a label: those that the service has no use for are one.
    enum Method: String {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
        case other = "_OTHER"
        /// The request could not be read.
        case unread = ""
    }

    /// In the order in which they first came. There are so few in a server's life that to look for
    /// one from the front is faster than any table.
    private(set) var series: [(key: Series, durations: DurationHistogram)] = []

    /// Requests of this turn by the place of their series.
    private var turnCounts: [UInt64] = []

    /// Whether this turn has answered any.
    private(set) var hasCounts = false

    /// Counts a request that is answered with this turn.
    mutating func count(_ key: Series) {
        turnCounts[place(of: key)] += 1
        hasCounts = true
    }

    /// The turn's answers are on their way, so long after it began.
    mutating func endTurn(nanoseconds: UInt64) {
        guard hasCounts else { return }
        hasCounts = false
        for place in turnCounts.indices where turnCounts[place] > 0 {
            series[place].durations.record(nanoseconds: nanoseconds, count: turnCounts[place])
            turnCounts[place] = 0
        }
    }

    /// Counts a request whose answer came later than its turn.
    mutating func record(_ key: Series, nanoseconds: UInt64) {
        series[place(of: key)].durations.record(nanoseconds: nanoseconds)
    }

    private mutating func place(of key: Series) -> Int {
        for place in series.indices where series[place].key == key { return place }
        series.append((key, DurationHistogram()))
        turnCounts.append(0)
        return series.count - 1
    }
}

extension RequestMetrics.Method {
    init(_ method: HTTPMethod) {
        switch method {
        case .get: self = .get
        case .head: self = .head
        case .post: self = .post
        case .put: self = .put
        case .delete: self = .delete
        case .options, .patch, .other: self = .other
        }
    }
}
