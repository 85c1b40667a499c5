// Searches for a place within boundaries, one by one: how long half of them take at most, and
// ninety-nine in a hundred. Between two searches a page is taken and another given back, so that
// what a search needs to bring up to date is in its time.

import PageAllocator

/// What is searched for.
enum SearchKind: CaseIterable {
    /// A block of order 0 to 2 in a window of 1 MiB to 1 GiB, with an alignment and a boundary.
    case block

    /// The same of order 9, of which hardly any is free.
    case largeBlock

    /// 3 to 12 pages in a window of 16 MiB to 1 GiB.
    case run

    /// More pages in a row than are free almost anywhere.
    case longRun

    var name: String {
        switch self {
        case .block: "order 0 to 2, window + alignment + boundary"
        case .largeBlock: "order 9, window + alignment + boundary"
        case .run: "3 to 12 pages, window"
        case .longRun: "1,500 to 3,500 pages, window"
        }
    }

    /// Nanoseconds: half of the searches, and ninety-nine in a hundred.
    var wanted: String {
        switch self {
        case .block, .largeBlock: "≤ 60 / ≤ 1000"
        case .run, .longRun: "≤ 1000 / ≤ 10000"
        }
    }

    func control(_ random: inout Churn, pages: Int) -> AllocationControl {
        var control = AllocationControl()
        let shift = random.below(11)
        var window = 1 << (8 + shift)
        switch self {
        case .block:
            control.order = Order(random.below(3)) ?? .zero
            control.alignment = 4096 << UInt64(random.below(5))
            control.boundary = 1 << 20
        case .largeBlock:
            control.order = Order(Pageblock.order) ?? .max
            control.alignment = 2 << 20
            control.boundary = 1 << 30
            window = max(window, 1 << 12)
        case .run:
            control.pages = UInt64(3 + random.below(10))
            window = max(window, 1 << 12)
        case .longRun:
            control.pages = UInt64(1500 + random.below(2000))
            window = max(window, 1 << 14)
        }
        let first = random.below(max(pages - window, 1))
        control.lowBoundary = UInt64(first) << 12
        control.highBoundary = UInt64(first + window) << 12 - 1
        return control
    }
}

extension AllocatorBench {
    static let searches = 20_000

    static func measureSearches(_ zoneName: String, pages: Int, percent: Int) {
        var zone = BitmapZone(pages: pages)
        var churn = Churn(.pages, pages: pages, percent: percent)
        churn.fill(&zone)
        let clock = clockTime()
        for kind in SearchKind.allCases {
            var times: [Double] = []
            var found = 0
            for _ in 0..<searches {
                churn.replaceOne(&zone)
                let query = query(kind.control(&churn, pages: pages))
                let start = Churn.now()
                let run = zone.buddies.findRun(query)
                times.append(max(0, Double(Churn.now() - start) - clock))
                if run != nil { found += 1 }
            }
            times.sort()
            print(
                "| \(kind.name) | \(zoneName) | \(percent) % | \(100 * found / times.count) %"
                    + " | \(rounded(times[times.count / 2], 0))"
                    + " | \(rounded(times[times.count * 99 / 100], 0)) | \(kind.wanted) |")
        }
    }

    private static func query(_ control: AllocationControl) -> RunQuery {
        do {
            return try RunQuery(control)
        } catch {
            fatalError("a search that no machine could meet: \(error)")
        }
    }

    /// What asking the clock twice takes, in nanoseconds: half of the times at most.
    private static func clockTime() -> Double {
        let times = (0..<10_001).map { _ in
            let start = Churn.now()
            return Double(Churn.now() - start)
        }
        return times.sorted()[times.count / 2]
    }
}
