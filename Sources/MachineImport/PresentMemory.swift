// Where the present pages of each zone are.
//
// zoneinfo gives a span and a count; memory is what iomem lists as System RAM, or, without iomem,
// everything. Each zone gets the first frames of memory in its span until it has its count. Spans
// of nodes may interleave; then a frame in several spans goes to the zone whose span ends first,
// since the others can still find theirs further up: that rule serves every zone from memory
// whenever any rule can (earliest deadline first). A zone that finds too little memory gets the
// last frames of its span that no zone has.

import PageAllocator

/// The present pages of an imported machine.
struct PresentMemory {
    /// For each zone: ascending and apart, as many pages as zoneinfo states.
    private(set) var ranges: [[FrameRange]]

    /// - Throws: `ImportFailure.text` where the counts do not fit into the spans.
    init(
        of zones: [Zoneinfo.Zone], iomem: Iomem?, _ notes: inout AssumptionNotes
    ) throws(ImportFailure) {
        let everything = FrameRange(PageFrameNumber(0), .limit)
        let memory = iomem?.systemRAM ?? [everything]
        ranges = Self.firstFrames(of: memory, for: zones)
        let missing = zip(zones, ranges).map { $0.presentPages - $1.pageCount }
        try fill(missing, zones: zones)

        if iomem == nil {
            notes.add(
                "holes at the end of",
                zones.map { $0.presentPages > 0 && $0.presentPages < $0.spannedPages })
        } else {
            notes.add("memory that iomem does not list, at the end of the zone", missing)
            notes.add(
                "holes where iomem lists memory, at the end of the zone",
                surplus(of: memory, zones: zones))
        }
        notes.add(
            "where spans interleave, a frame belongs to the zone whose span ends first, until that"
                + " has its pages:",
            Self.interleaving(zones))
    }

    /// Hands out memory between each two neighbouring ends of spans: there all frames lie in the
    /// same spans.
    private static func firstFrames(
        of memory: [FrameRange], for zones: [Zoneinfo.Zone]
    ) -> [[FrameRange]] {
        var ranges = [[FrameRange]](repeating: [], count: zones.count)
        var missing = zones.map(\.presentPages)
        let populated = zones.indices.filter { missing[$0] > 0 }
            .sorted { zones[$0].span.upperBound < zones[$1].span.upperBound }
        let ends = populated.flatMap { [zones[$0].span.lowerBound, zones[$0].span.upperBound] }
            .sorted()
        var remaining = memory[...]
        for (lower, upper) in zip(ends, ends.dropFirst()) where lower < upper {
            let segment = FrameRange(lower, upper)
            remaining = remaining.drop { $0.upperBound <= lower }
            var frames = Array(remaining.prefix { $0.lowerBound < upper }).clipped(to: segment)
            for zone in populated where missing[zone] > 0 && zones[zone].span.contains(segment) {
                let (head, tail) = frames.split(after: missing[zone])
                ranges[zone] += head
                missing[zone] -= head.pageCount
                frames = tail
            }
        }
        return ranges.map { $0.joined() }
    }

    /// Gives each zone its missing pages at the end of its span.
    private mutating func fill(
        _ missing: [UInt64], zones: [Zoneinfo.Zone]
    ) throws(ImportFailure) {
        var taken = ranges.flatMap(\.self).joined()
        for (position, zone) in zones.enumerated() where missing[position] > 0 {
            let free = [zone.span].subtracting(taken)
            guard missing[position] <= free.pageCount else {
                throw .text(
                    .zoneinfo, line: zone.line,
                    rule: "\"present\" pages must fit into the span, beside those of other zones")
            }
            let end = free.split(after: free.pageCount - missing[position]).tail
            ranges[position] = (ranges[position] + end).joined()
            taken = (taken + end).joined()
        }
    }

    /// How much memory in each zone's span no zone has.
    private func surplus(of memory: [FrameRange], zones: [Zoneinfo.Zone]) -> [UInt64] {
        let unused = memory.subtracting(ranges.flatMap(\.self).joined())
        return zones.map { zone in
            zone.presentPages > 0 ? unused.clipped(to: zone.span).pageCount : 0
        }
    }

    private static func interleaving(_ zones: [Zoneinfo.Zone]) -> [Bool] {
        zones.indices.map { this in
            zones.indices.contains { other in
                this != other && zones[this].presentPages > 0 && zones[other].presentPages > 0
                    && zones[this].span.intersection(zones[other].span) != nil
            }
        }
    }
}
