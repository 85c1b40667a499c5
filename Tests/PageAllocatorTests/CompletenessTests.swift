// Of the requests that the free pages could meet: how many are met. The search must find a place
// for each of them; beside it stand the search steps of other allocators, which do not.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("Completeness")
struct CompletenessTests {
    // MARK: Beside other allocators

    /// 256 MiB.
    static let pages = 65_536
    static let requestsPerCell = 9_000
    static let seed: UInt64 = 20_261_123

    /// Pages taken, of a hundred.
    static let fills = [10, 20, 30, 40, 50, 60]

    @Test("finds a place whenever there is one, and other search steps do not")
    func besideOtherAllocators() {
        var table = ["seed \(Self.seed), share of the requests that could be met, in per cent"]
        for constrained in [false, true] {
            table.append(constrained ? "window, alignment, boundary" : "window")
            var total = Shares()
            for fill in Self.fills {
                let seed = Self.seed + UInt64(2 * fill + (constrained ? 1 : 0))
                let shares = shares(fill: fill, constrained: constrained, seed: seed)
                table.append("  \(fill) % taken: \(shares)")
                total.add(shares)
            }
            table.append("  all: \(total)")
            #expect(total.requests == Self.fills.count * Self.requestsPerCell)
            #expect(total.satisfiable > total.requests / 4)
            #expect(total.found == total.satisfiable)
            // Wide bands: the shares depend on how memory is filled and how wide the windows are.
            #expect((0.60...0.90).contains(total.share(VMPhysSearch.name)))
            #expect((0.65...0.95).contains(total.share(GPUBuddySearch.name)))
            #expect((0.90...0.995).contains(total.share(VmemSearch.name)))
            #expect((0.99...0.9999).contains(total.share(PglistSearch.name)))
        }
        print(table.joined(separator: "\n"))
    }

    /// One cell of the table: the same free pages and requests for every search.
    private func shares(fill: Int, constrained: Bool, seed: UInt64) -> Shares {
        var random = SeededGenerator(seed: seed)
        let free = Self.freePages(fill: fill, using: &random)
        var ours = Self.buddies(free.isFree, from: 0)
        var shares = Shares()
        var peers: [any SearchStep] = [
            VMPhysSearch(), GPUBuddySearch(), VmemSearch(), PglistSearch(),
        ]
        for number in 0..<Self.requestsPerCell {
            let request = Self.request(constrained: constrained, using: &random)
            shares.requests += 1
            let fit = Fit.allCases[number % Fit.allCases.count]
            let place = ours.findRun(request.query(fit: fit, from: 0))
            let isSatisfiable = ExhaustiveSearch().place(request, in: free) != nil
            if let place {
                let first = Int(place.lowerBound.rawValue)
                #expect(request.conforms(first) && isSatisfiable)
                #expect(free.isFree[first..<first + request.pages].allSatisfy { $0 })
                shares.found += 1
            }
            guard isSatisfiable else { continue }
            shares.satisfiable += 1
            for peer in peers.indices where peers[peer].place(request, in: free) != nil {
                shares.peers[type(of: peers[peer]).name, default: 0] += 1
            }
        }
        return shares
    }

    /// Memory taken in runs of 1 to 511 pages, small ones more often, that begin anywhere.
    private static func freePages(fill: Int, using random: inout SeededGenerator) -> FreePages {
        var isFree = [Bool](repeating: true, count: pages)
        var taken = 0
        while taken < pages * fill / 100 {
            let length = 1 + min(random.below(511), random.below(511))
            let first = random.below(pages - length + 1)
            for page in first..<first + length where isFree[page] {
                isFree[page] = false
                taken += 1
            }
        }
        return FreePages(isFree, largestOrder: VMPhysSearch.largestOrder)
    }

    /// 1 to 511 pages; a window that holds them, anywhere.
    private static func request(
        constrained: Bool, using random: inout SeededGenerator
    ) -> PlaceRequest {
        let size = 1 + random.below(511)
        let width = size + random.below(random.pick([1024, 4096, 16_384]))
        let low = random.below(pages - width + 1)
        guard constrained else {
            return PlaceRequest(
                pages: size, window: low..<low + width, alignment: 1, boundary: 0)
        }
        let alignment = 1 << random.below(6)
        var boundary = max(alignment, 1 << random.below(10))
        while boundary < size { boundary *= 2 }
        return PlaceRequest(
            pages: size, window: low..<low + width, alignment: alignment, boundary: boundary)
    }

    private static func buddies(_ isFree: [Bool], from origin: UInt64) -> BuddyAllocator {
        let span = FrameRange(sketched: origin..<origin + UInt64(isFree.count))
        var buddies = BuddyAllocator(
            span: span, managedRanges: [span],
            rules: BuddyRules(dialect: .linux612, groupsByMobility: true, maximumBoost: 0))
        for (page, isFree) in isFree.enumerated() where !isFree {
            let frame = PageFrameNumber(origin + UInt64(page))
            let isTaken = buddies.take(FrameRange(block: frame, order: .zero))
            precondition(isTaken, "a free page was not to be had")
        }
        return buddies
    }

    // MARK: Every request on small machines

    static let smallPages = 16
    static let patterns = 3

    @Test(
        "answers every request on sixteen pages, wherever they lie",
        arguments: [0, 5, 504, 1016] as [UInt64])
    func everyRequest(origin: UInt64) throws {
        var random = SeededGenerator(seed: origin)
        var requests = 0
        for _ in 0..<Self.patterns {
            let isFree = (0..<Self.smallPages).map { _ in random.chance(percent: 70) }
            var buddies = Self.buddies(isFree, from: origin)
            let fault = try faultOnEveryRequest(&buddies, isFree, origin, &requests)
            if let fault {
                Issue.record("seed \(origin), free \(isFree): \(fault)")
                return
            }
        }
        #expect(requests > 50_000)
    }

    /// Each window, size, alignment, phase and boundary; the fits in turn.
    private func faultOnEveryRequest(
        _ buddies: inout BuddyAllocator, _ isFree: [Bool], _ origin: UInt64, _ requests: inout Int
    ) throws -> String? {
        let end = origin + UInt64(isFree.count)
        for (alignment, phase, boundary) in Self.rules {
            for low in origin..<end {
                for high in low + 1...end {
                    for pages in 1...high - low {
                        if boundary > 0, phase % boundary + pages > boundary { break }
                        var control = AllocationControl()
                        control.pages = pages
                        control.alignment = alignment << 12
                        control.phase = phase << 12
                        control.boundary = boundary << 12
                        control.lowBoundary = low << 12
                        control.highBoundary = high << 12 - 1
                        control.fit = Fit.allCases[requests % Fit.allCases.count]
                        requests += 1
                        let expected = (low...high - pages).first { place in
                            place % alignment == phase
                                && (boundary == 0
                                    || place / boundary == (place + pages - 1) / boundary)
                                && isFree[Int(place - origin)..<Int(place - origin + pages)]
                                    .allSatisfy { $0 }
                        }
                        let answer = buddies.findRun(try RunQuery(control))
                        let isRight =
                            control.fit == .first
                            ? answer?.lowerBound.rawValue == expected
                            : (answer == nil) == (expected == nil)
                        if !isRight { return "\(control) got \(String(describing: answer))" }
                    }
                }
            }
        }
        return nil
    }

    private static var rules: [(alignment: UInt64, phase: UInt64, boundary: UInt64)] {
        [1, 2, 4, 8].flatMap { alignment in
            (0..<alignment).flatMap { phase in
                [0, 2, 4, 8, 16].map { (alignment, phase, $0) }
            }
        }
    }
}

/// How many requests came to what.
private struct Shares: CustomStringConvertible {
    var requests = 0
    var satisfiable = 0

    /// By the search under test.
    var found = 0

    /// By each other search step.
    var peers: [String: Int] = [:]

    mutating func add(_ other: Shares) {
        requests += other.requests
        satisfiable += other.satisfiable
        found += other.found
        peers.merge(other.peers, uniquingKeysWith: +)
    }

    func share(_ name: String) -> Double { Double(peers[name] ?? 0) / Double(satisfiable) }

    var description: String {
        let names = [VMPhysSearch.name, GPUBuddySearch.name, VmemSearch.name, PglistSearch.name]
        let others = names.map { "\($0) \(percent(share($0)))" }
        let own = percent(Double(found) / Double(satisfiable))
        return (others + ["gfpd \(own)"]).joined(separator: ", ")
            + " (\(satisfiable) of \(requests) could be met)"
    }

    private func percent(_ share: Double) -> String {
        let hundredths = Int(share * 10_000)
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }
}

extension PlaceRequest {
    fileprivate func query(fit: Fit, from origin: UInt64) -> RunQuery {
        var control = AllocationControl()
        control.pages = UInt64(pages)
        control.alignment = UInt64(alignment) << 12
        control.boundary = UInt64(boundary) << 12
        control.lowBoundary = (origin + UInt64(window.lowerBound)) << 12
        control.highBoundary = (origin + UInt64(window.upperBound)) << 12 - 1
        control.fit = fit
        do {
            return try RunQuery(control)
        } catch {
            preconditionFailure("a request that can never be met: \(error)")
        }
    }
}
