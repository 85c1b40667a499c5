// How many requests a caller may send, and what it is told of that.

import HTTPServer
import Testing

@testable import API

struct RateLimitTests {
    private static let second: UInt64 = 1_000_000_000

    private func harness(_ rate: UInt32, _ tokens: AccessTokens? = nil) throws -> Harness {
        try Harness(access: AccessPolicy(tokens: tokens, rateLimit: rate))
    }

    @Test func withoutALimitNothingIsSaidOfOne() throws {
        let answer = try Harness().send("GET", "/v1/machines")
        #expect(answer["RateLimit"] == nil)
        #expect(answer["RateLimit-Policy"] == nil)
    }

    @Test func aBurstIsAsLargeAsASecondsRequests() throws {
        let harness = try harness(3)
        for left in [2, 1, 0] {
            let answer = try harness.send("GET", "/v1/machines")
            #expect(answer.status == 200)
            #expect(answer["RateLimit-Policy"] == "\"requests\";q=3;w=1")
            #expect(answer["RateLimit"] == "\"requests\";r=\(left);t=1")
        }
        let answer = try harness.send("GET", "/v1/machines")
        expectProblem(answer, 429, "too-many-requests")
        #expect(answer["Retry-After"] == "1")
        #expect(answer["RateLimit"] == "\"requests\";r=0;t=1")
        #expect(answer["RateLimit-Policy"] == "\"requests\";q=3;w=1")
    }

    @Test func requestsComeBackEvenly() throws {
        let harness = try harness(4)
        for _ in 0..<4 { #expect(try harness.send("GET", "/v1/machines").status == 200) }
        for _ in 0..<10 {
            #expect(try harness.send("GET", "/v1/machines").status == 429)
            harness.monotonicClock.nanoseconds += Self.second / 4
            #expect(try harness.send("GET", "/v1/machines").status == 200)
        }
        harness.monotonicClock.nanoseconds += 100 * Self.second
        for _ in 0..<4 { #expect(try harness.send("GET", "/v1/machines").status == 200) }
        #expect(try harness.send("GET", "/v1/machines").status == 429)
    }

    @Test func aRefusedRequestDoesNothing() throws {
        let harness = try harness(1)
        try harness.createMachine("m")
        let answer = try harness.send("POST", "/v1/machines/m/allocations", "{}")
        expectProblem(answer, 429, "too-many-requests")
        #expect(harness.lastSequence == 1)
    }

    @Test func healthAndDocumentsAreNotCounted() throws {
        let harness = try harness(1)
        for path in ["/livez", "/readyz", "/problems", "/openapi.yaml"] {
            let answer = try harness.send("GET", path)
            #expect(answer.status == 200)
            #expect(answer["RateLimit"] == nil)
        }
        #expect(try harness.send("GET", "/v1/machines").status == 200)
    }

    @Test func answersThatComeLateSayItToo() throws {
        let answer = try harness(5).send("GET", "/v1/ledger")
        #expect(answer.status == 200)
        #expect(answer["RateLimit"] == "\"requests\";r=4;t=1")
    }

    @Test func withoutTokensAddressesAreCounted() throws {
        let harness = try harness(1)
        let addresses: [(UInt64, UInt64)] = [
            (0, 0xffff_7f00_0001), (0, 0xffff_7f00_0002), (0x2001_0db8 << 32, 1),
        ]
        for (high, low) in addresses {
            harness.peer = HTTPPeer(address: PeerAddress(high: high, low: low))
            #expect(try harness.send("GET", "/v1/machines").status == 200)
            #expect(try harness.send("GET", "/v1/machines").status == 429)
        }
        // The same network as the last one.
        harness.peer = HTTPPeer(address: PeerAddress(high: 0x2001_0db8 << 32, low: 2))
        #expect(try harness.send("GET", "/v1/machines").status == 429)
    }

    @Test func withTokensPrincipalsAreCounted() throws {
        let (one, other) = (AccessToken(), AccessToken())
        let second = AccessToken()
        let tokens = try AccessTokens(
            text: """
                \(one.line(principal: "a", .read))
                \(second.line(principal: "a", .admin))
                \(other.line(principal: "b", .read))
                """)
        let harness = try harness(2, tokens)
        let statuses = try [one, second, one, other, other, other].map { token in
            try harness.send("GET", "/v1/machines", headers: token.fields).status
        }
        #expect(statuses == [200, 200, 429, 200, 200, 429])
        // Who guesses has a limit too, and uses up nobody else's.
        let guesses = try (0..<3).map { _ in
            try harness.send("GET", "/v1/machines", headers: AccessToken().fields).status
        }
        #expect(guesses == [401, 401, 429])
    }

    @Test func theFastestRateHasABucket() {
        for rate in [1, 7, 1000, 1_000_000] as [UInt32] {
            var bucket = TokenBucket()
            var allowed: UInt32 = 0
            for _ in 0..<(rate + 3) where bucket.take(at: 9, rate: rate).isAllowed { allowed += 1 }
            #expect(allowed == rate)
            #expect(!bucket.isFull(at: 9 + Self.second / 2))
            #expect(bucket.isFull(at: 9 + Self.second))
        }
    }

    @Test func aRefusalSaysWhenToComeBack() {
        var bucket = TokenBucket()
        #expect(bucket.take(at: 0, rate: 1) == .init(isAllowed: true, remaining: 0, seconds: 1))
        #expect(bucket.take(at: 0, rate: 1) == .init(isAllowed: false, remaining: 0, seconds: 1))
        #expect(!bucket.take(at: Self.second - 1, rate: 1).isAllowed)
        #expect(bucket.take(at: Self.second, rate: 1).isAllowed)
    }

    @Test func aFloodOfAddressesTakesNoMemory() {
        var limiter = RateLimiter(rate: 1) { 7 }
        for number in 0..<UInt64(3 * RateLimiter.maximumCallers) {
            let status = limiter.count(.network(PeerAddress(high: number + 1, low: 0)))
            #expect(status.outcome.isAllowed)
        }
        #expect(limiter.callerCount <= RateLimiter.maximumCallers)
    }
}
