import Telemetry
import Testing

@Suite struct OpenMetricsTextTests {
    @Test func familiesOfEachKind() {
        var histogram = DurationHistogram()
        histogram.record(nanoseconds: 30_000, count: 2)
        histogram.record(nanoseconds: 11_000_000_000)
        var text = OpenMetricsText(.openMetrics)
        text.family("reads", .counter, "Reads.")
        text.sample(3, [("name", "a \"quoted\" back\\slash\nline")])
        text.family("free_pages", .gauge, unit: "pages", "Free.")
        text.sample(0)
        text.family("wait_seconds", .histogram, unit: "seconds", "Waits.")
        text.samples(histogram, [("route", "/a")])
        let lines = String(decoding: text.finished(), as: UTF8.self).split(separator: "\n")
        #expect(
            lines[..<7] == [
                "# TYPE reads counter", "# HELP reads Reads.",
                #"reads_total{name="a \"quoted\" back\\slash\nline"} 3"#,
                "# TYPE free_pages gauge", "# UNIT free_pages pages", "# HELP free_pages Free.",
                "free_pages 0",
            ])
        #expect(lines[10] == #"wait_seconds_bucket{route="/a",le="0.000025"} 0"#)
        #expect(lines[11] == #"wait_seconds_bucket{route="/a",le="0.00005"} 2"#)
        #expect(lines.contains(#"wait_seconds_bucket{route="/a",le="1.0"} 2"#))
        #expect(
            lines.suffix(4) == [
                #"wait_seconds_bucket{route="/a",le="+Inf"} 3"#,
                #"wait_seconds_sum{route="/a"} 11.00006"#, #"wait_seconds_count{route="/a"} 3"#,
                "# EOF",
            ])
    }

    @Test func theOlderFormat() {
        var text = OpenMetricsText(.prometheus)
        text.family("cpu_seconds", .counter, unit: "seconds", "Time.")
        text.sample(nanoseconds: 1_500_000_000)
        #expect(
            String(decoding: text.finished(), as: UTF8.self) == """
                # TYPE cpu_seconds_total counter
                # HELP cpu_seconds_total Time.
                cpu_seconds_total 1.5
                # EOF

                """)
    }
}

@Suite struct DurationHistogramTests {
    @Test func bucketsHaveInclusiveBounds() {
        var histogram = DurationHistogram()
        for bound in DurationHistogram.bounds { histogram.record(nanoseconds: bound) }
        histogram.record(nanoseconds: DurationHistogram.bounds.last! + 1)
        #expect(histogram.counts == Array(repeating: 1, count: histogram.counts.count))
        #expect(histogram.count == UInt64(DurationHistogram.bounds.count) + 1)
        let total = DurationHistogram.bounds.reduce(0, +) + DurationHistogram.bounds.last! + 1
        #expect(histogram.totalNanoseconds == total)
        #expect(DurationHistogram.bounds == DurationHistogram.bounds.sorted())
    }
}

@Suite struct ProcessStatisticsTests {
    @Test func thisProcess() throws {
        let process = ProcessStatistics()
        #expect(try #require(process.residentBytes) > 1 << 20)
        #expect(try #require(process.virtualBytes) > process.residentBytes!)
        #expect(try #require(process.threads) > 0)
        #expect(try #require(process.openDescriptors) > 2)
        #expect(try #require(process.maximumDescriptors) >= process.openDescriptors!)
        #expect(process.processorNanoseconds > 0)
        // 2026-01-01: a clock that is nearly right.
        #expect(try #require(process.startNanoseconds) > 1_767_225_600 * 1_000_000_000)
    }
}
