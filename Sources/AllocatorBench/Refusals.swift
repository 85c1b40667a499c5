// How long `explain` takes for what is refused: it says of each zone why, and searches for what
// would be granted instead and for what stands in the way.

import PageAllocator

extension AllocatorBench {
    static let refusals = 1000

    /// Microseconds that a certificate may take.
    private static let wantedExplanation = 50

    /// 2,000 to 5,000 pages below the middle of the zone, in so many segments at most, where single
    /// pages are taken all over.
    static func measureExplain(_ zoneName: String, pages: Int, percent: Int, segments: Int) {
        var zone = RuledZone(pages: pages, keepsBooks: true)
        var churn = Churn(.pages, pages: pages, percent: percent)
        churn.fill(&zone)
        var times: [Double] = []
        while times.count < refusals {
            churn.replaceOne(&zone)
            var control = AllocationControl(flags: [.kernel, .movable, .highmem])
            control.pages = UInt64(2000 + churn.below(3000))
            control.maxSegments = segments
            control.highBoundary = UInt64(pages / 2) << PageFrameNumber.pageShift - 1
            let start = Churn.now()
            let isRefused = isRefused(AllocationRequest(control: control), by: &zone)
            let time = Double(Churn.now() - start) / 1000
            precondition(isRefused, "the bench's request was to be refused")
            times.append(time)
        }
        times.sort()
        print(
            "| 2,000 to 5,000 pages, \(segments) segment\(segments == 1 ? "" : "s")"
                + " | \(zoneName) | \(percent) % | \(rounded(times[times.count / 2]))"
                + " | \(rounded(times[times.count * 99 / 100])) | ≤ \(wantedExplanation) |")
    }

    private static func isRefused(_ request: AllocationRequest, by zone: inout RuledZone) -> Bool {
        do {
            return try zone.allocator.explain(request).wouldGrant == nil
        } catch {
            fatalError("a request that no machine could meet: \(error)")
        }
    }
}
