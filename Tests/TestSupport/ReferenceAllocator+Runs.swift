// Exact places: runs of any number of pages, alignment, phase, boundary, several segments. Every
// frame of every maximal free run is tried as a start.

import PageAllocator

extension ReferenceAllocator {
    mutating func takeRuns(
        _ request: ReferenceRequest, _ zone: Int, _ offered: Grant?
    ) -> [Range<UInt64>]? {
        guard let segments = runs(request, zone, offered) else { return nil }
        for segment in segments {
            precondition(zones[zone].take(segment), "a run that is not free")
        }
        if request.control.fit == .next, let last = segments.last {
            zones[zone].rotor = last.upperBound
        }
        return segments
    }

    /// One segment by the fit; else as few as will do, at most as many as asked for.
    private func runs(
        _ request: ReferenceRequest, _ zone: Int, _ offered: Grant?
    ) -> [Range<UInt64>]? {
        let free = zones[zone].freeRuns
        if let start = start(request, zone, free) { return [start..<start + request.pages] }
        guard request.control.maxSegments > 1 else { return nil }
        let segments = Self.fewestSegments(request, free)
        guard let segments, segments.count <= request.control.maxSegments else { return nil }
        if let offered, offered.zone == zone,
            isAsGood(offered.segments, as: segments.count, request, free)
        {
            return offered.segments.map { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        }
        return segments
    }

    /// Whether other segments are as few, as many pages, free and conforming.
    private func isAsGood(
        _ offered: [FrameRange], as count: Int, _ request: ReferenceRequest,
        _ free: [Range<UInt64>]
    ) -> Bool {
        let frames = offered.map { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        let isApart = frames.indices.allSatisfy { first in
            frames.indices.allSatisfy { $0 == first || !frames[$0].overlaps(frames[first]) }
        }
        return isApart && frames.count == count
            && frames.reduce(0) { $0 + UInt64($1.count) } == request.pages
            && frames.allSatisfy { segment in
                request.conforms(segment.lowerBound, UInt64(segment.count))
                    && free.contains {
                        $0.lowerBound <= segment.lowerBound && segment.upperBound <= $0.upperBound
                    }
            }
    }

    /// Where one segment of all the pages goes by the request's fit.
    private func start(
        _ request: ReferenceRequest, _ zone: Int, _ free: [Range<UInt64>]
    ) -> UInt64? {
        switch request.control.fit {
        case .buddy where request.order != nil: return buddyStart(request, zone)
        case .buddy, .best: return bestStart(request, free)
        case .first: return starts(request, in: free).first
        case .topdown: return starts(request, in: free).last
        case .next:
            let all = starts(request, in: free)
            return all.first { $0 >= zones[zone].rotor } ?? all.first
        }
    }

    /// Every conforming start, ascending.
    private func starts(_ request: ReferenceRequest, in free: [Range<UInt64>]) -> [UInt64] {
        free.flatMap { run in
            run.filter {
                $0 + request.pages <= run.upperBound && request.conforms($0, request.pages)
            }
        }
    }

    /// In the smallest sufficient free block that has a conforming place.
    private func buddyStart(_ request: ReferenceRequest, _ zone: Int) -> UInt64? {
        for order in (request.order ?? 0)...ReferenceZone.maximumOrder {
            for block in zones[zone].blocks where block.order == order {
                if let start = starts(request, in: [block.first..<block.end]).first { return start }
            }
        }
        return nil
    }

    /// In the shortest maximal run that holds it, the lowest among equals.
    private func bestStart(_ request: ReferenceRequest, _ free: [Range<UInt64>]) -> UInt64? {
        let holding = free.filter { !starts(request, in: [$0]).isEmpty }
        guard let shortest = holding.map(\.count).min(),
            let run = holding.first(where: { $0.count == shortest })
        else { return nil }
        return starts(request, in: [run]).first
    }

    /// The longest pieces first, the last cut short: no choice of fewer holds as many pages, since
    /// pieces do not overlap and each is as long as its start allows. nil where all are too few.
    static func fewestSegments(
        _ request: ReferenceRequest, _ free: [Range<UInt64>]
    ) -> [Range<UInt64>]? {
        var left = request.pages
        var segments: [Range<UInt64>] = []
        let pieces = free.flatMap { Self.pieces(request, in: $0) }
        for piece in pieces.sorted(by: { ($1.count, $0.lowerBound) < ($0.count, $1.lowerBound) })
        where left > 0 {
            let pages = min(left, UInt64(piece.count))
            segments.append(piece.lowerBound..<piece.lowerBound + pages)
            left -= pages
        }
        return left == 0 ? segments : nil
    }

    /// What of a run segments can cover: from each conforming start to where its segment must end,
    /// the longest first start of those that end at the same place.
    private static func pieces(
        _ request: ReferenceRequest, in run: Range<UInt64>
    ) -> [Range<UInt64>] {
        var pieces: [Range<UInt64>] = []
        for first in run where request.conforms(first, 1) {
            if let last = pieces.last, first < last.upperBound { continue }
            var end = first + 1
            while end < run.upperBound, request.conforms(first, end + 1 - first) { end += 1 }
            pieces.append(first..<end)
        }
        return pieces
    }

    // MARK: Why not

    /// Why a zone that passes its mark has no place for the request.
    func missing(_ request: ReferenceRequest, _ zone: Int) -> ZoneVerdict {
        guard !request.control.isPlainBlock else {
            let order = request.order ?? 0
            return zones[zone].freeBlockCounts[order...].contains { $0 > 0 }
                ? .noBlockInRange : .noBlockOfOrder
        }
        let runs = zones[zone].freeRuns
        guard Self.holds(runs, request) else { return .noBlockOfOrder }
        let inWindow = runs.map { $0.clamped(to: request.window) }
        return Self.holds(inWindow, request) ? .wrongAlignment : .noBlockInRange
    }

    /// Whether the longest of the runs, as many as there may be segments, hold all the pages.
    private static func holds(_ runs: [Range<UInt64>], _ request: ReferenceRequest) -> Bool {
        let longest = runs.map(\.count).sorted(by: >).prefix(request.control.maxSegments)
        return longest.reduce(0) { $0 + UInt64($1) } >= request.pages
    }
}
