// Measures the allocator against a buddy allocator with linked lists, as the kernel's is: one
// thread, one run, the same calls for both.
//
//     swift run -c release AllocatorBench [--quick]
//
// Both are driven in turn, a batch each, so that a machine that drifts drifts for both, and the
// fastest batch of each is printed: what other work adds is not theirs. Only ratios carry from one
// machine to another.

import CListBuddy
import Glibc
import PageAllocator

@main
struct AllocatorBench {
    /// Zones to measure, in pages: 16 GiB and 1 TiB.
    static let zones: [(name: String, pages: Int)] = [("16 GiB", 1 << 22), ("1 TiB", 1 << 28)]

    static let fillPercents = [50, 90]

    static func main() {
        let isQuick = CommandLine.arguments.contains("--quick")
        let measured = isQuick ? Array(zones.prefix(1)) : zones
        measureMemory(zones.last?.name ?? "", pages: zones.last?.pages ?? 0)
        print("\n| pair of calls | zone | full | lists ns | bitmaps ns | ratio | wanted |")
        print("|---|---|---|---|---|---|---|")
        for zone in measured {
            for percent in fillPercents {
                for mix in OrderMix.allCases {
                    compareWithLists(mix, zone.name, pages: zone.pages, percent: percent)
                }
            }
        }
        print("\n| pair of calls | zone | full | bare ns | all rules ns | ratio | wanted |")
        print("|---|---|---|---|---|---|---|")
        for percent in fillPercents {
            for keepsBooks in [false, true] {
                compareWithRules(
                    zones[0].name, pages: zones[0].pages, percent: percent, keepsBooks: keepsBooks)
            }
        }
        print("\n| search | zone | full | found | p50 ns | p99 ns | wanted |")
        print("|---|---|---|---|---|---|---|")
        for zone in measured {
            for percent in fillPercents {
                measureSearches(zone.name, pages: zone.pages, percent: percent)
            }
        }
        print("\n| explain, refused | zone | full | p50 µs | p99 µs | wanted |")
        print("|---|---|---|---|---|---|")
        for percent in fillPercents {
            for segments in [1, 8, 64] {
                measureExplain(
                    zones[0].name, pages: zones[0].pages, percent: percent, segments: segments)
            }
        }
    }

    /// The same calls for lists and for bitmaps.
    static func compareWithLists(_ mix: OrderMix, _ zone: String, pages: Int, percent: Int) {
        var lists = ListZone(pages: pages)
        var bitmaps = BitmapZone(pages: pages)
        let times = compare(mix, pages: pages, percent: percent, &lists, &bitmaps)
        line(mix.name, zone, percent, times, wanted: mix.wantedRatio)
    }

    /// The same calls for one zone alone and for a machine with all its rules, which may besides
    /// remember who holds what: the kernel's does not, and so no figure is wanted for it.
    static func compareWithRules(
        _ zone: String, pages: Int, percent: Int, keepsBooks: Bool
    ) {
        var bare = BitmapZone(pages: pages)
        var ruled = RuledZone(pages: pages, keepsBooks: keepsBooks)
        let times = compare(.pages, pages: pages, percent: percent, &bare, &ruled)
        line(
            OrderMix.pages.name + (keepsBooks ? ", who holds them too" : ""), zone, percent, times,
            wanted: keepsBooks ? nil : 2)
    }

    /// Nanoseconds of the fastest batch of each.
    private static func compare(
        _ mix: OrderMix, pages: Int, percent: Int, _ first: inout some PageZone & ~Copyable,
        _ second: inout some PageZone & ~Copyable
    ) -> (first: Double, second: Double) {
        var firstChurn = Churn(mix, pages: pages, percent: percent)
        var secondChurn = Churn(mix, pages: pages, percent: percent)
        firstChurn.fill(&first)
        secondChurn.fill(&second)
        var times = (first: Double.infinity, second: Double.infinity)
        for _ in 0..<Churn.batches {
            times.first = min(times.first, firstChurn.batch(&first))
            times.second = min(times.second, secondChurn.batch(&second))
        }
        return times
    }

    private static func line(
        _ what: String, _ zone: String, _ percent: Int, _ times: (first: Double, second: Double),
        wanted: Double?
    ) {
        print(
            "| \(what) | \(zone) | \(percent) % | \(rounded(times.first))"
                + " | \(rounded(times.second)) | \(rounded(times.second / times.first, 2))"
                + " | \(wanted.map { "≤ \($0)" } ?? "") |")
    }

    /// A number for the table, with so many digits after the point.
    static func rounded(_ value: Double, _ digits: Int = 1) -> String {
        let scale = pow(10, Double(digits))
        let scaled = Int((value * scale).rounded())
        guard digits > 0 else { return "\(scaled)" }
        let fraction = String(scaled % Int(scale))
        return "\(scaled / Int(scale))."
            + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
