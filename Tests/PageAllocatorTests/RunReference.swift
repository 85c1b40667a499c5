// What the exact search must answer, worked out page by page from the definition of each fit.

@testable import PageAllocator

struct RunReference {
    /// The frame of the first element of `isFree`.
    let origin: UInt64
    var isFree: [Bool]

    /// Maximal runs of free frames, ascending.
    var runs: [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        for (page, isFree) in isFree.enumerated() where isFree {
            let frame = origin + UInt64(page)
            if let last = runs.last, last.upperBound == frame {
                runs[runs.count - 1] = last.lowerBound..<frame + 1
            } else {
                runs.append(frame..<frame + 1)
            }
        }
        return runs
    }

    /// Every first frame, ascending, at which the query's pages conform and are free.
    func places(_ query: RunQuery, in runs: [Range<UInt64>]) -> [UInt64] {
        let window = query.window.lowerBound.rawValue..<query.window.upperBound.rawValue
        return runs.flatMap { run -> [UInt64] in
            let run = run.clamped(to: window)
            guard run.count >= query.pages else { return [] }
            return (run.lowerBound...run.upperBound - query.pages).filter { place in
                place % query.alignment == query.phase
                    && (query.boundary == 0
                        || place / query.boundary == (place + query.pages - 1) / query.boundary)
            }
        }
    }

    func answer(_ query: RunQuery) -> UInt64? {
        let runs = runs
        let places = places(query, in: runs)
        switch query.fit {
        case .first: return places.first
        case .topdown: return places.last
        case .next: return places.first { $0 >= query.rotor.rawValue } ?? places.first
        case .best:
            // `min` answers with the first of equals.
            return places.min { length(ofRunAt: $0, runs) < length(ofRunAt: $1, runs) }
        case .buddy:
            return places.min { orderOfBlock(at: $0) < orderOfBlock(at: $1) }
        }
    }

    private func length(ofRunAt frame: UInt64, _ runs: [Range<UInt64>]) -> Int {
        runs.first { $0.contains(frame) }?.count ?? 0
    }

    /// The order of the largest aligned block of free frames around a frame, up to 10.
    private func orderOfBlock(at frame: UInt64) -> Int {
        var order = 0
        while order < 10 {
            let size = UInt64(2) << UInt64(order)
            let first = frame & ~(size - 1)
            let isWhole = (first..<first + size).allSatisfy { frame in
                frame >= origin && frame < origin + UInt64(isFree.count)
                    && isFree[Int(frame - origin)]
            }
            guard isWhole else { break }
            order += 1
        }
        return order
    }

    /// The fewest segments that hold the query's pages, by trying to do with 1, 2, 3, …: every
    /// segment lies in one piece between boundaries, so the largest pieces are enough.
    func fewestSegments(_ query: RunQuery) -> Int? {
        let window = query.window.lowerBound.rawValue..<query.window.upperBound.rawValue
        var pieces: [UInt64: UInt64] = [:]
        for run in runs {
            let run = run.clamped(to: window)
            for frame in run where frame % query.alignment == query.phase {
                var end = frame + 1
                while end < run.upperBound, query.boundary == 0 || end % query.boundary != 0 {
                    end += 1
                }
                // Pieces with the same end overlap; the longest counts.
                pieces[end] = max(pieces[end] ?? 0, end - frame)
            }
        }
        var missing = Int(query.pages)
        var count = 0
        for length in pieces.values.sorted(by: >) {
            guard missing > 0 else { break }
            missing -= Int(length)
            count += 1
        }
        return missing > 0 ? nil : count
    }

    var frames: FrameRange {
        FrameRange(PageFrameNumber(origin), PageFrameNumber(origin + UInt64(isFree.count)))
    }

    /// Whether the segments are free, apart, ascending, conforming, and together as many pages as
    /// are asked for.
    func holds(_ segments: [FrameRange], _ query: RunQuery) -> Bool {
        var end: UInt64 = 0
        var pages: UInt64 = 0
        for segment in segments {
            let first = segment.lowerBound.rawValue
            let last = segment.upperBound.rawValue - 1
            guard
                first >= end, query.window.contains(segment), frames.contains(segment),
                first % query.alignment == query.phase,
                query.boundary == 0 || first / query.boundary == last / query.boundary,
                isFree[Int(first - origin)...Int(last - origin)].allSatisfy({ $0 })
            else { return false }
            end = last + 1
            pages += segment.count
        }
        return pages == query.pages
    }
}
