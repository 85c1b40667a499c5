// The values of those words of `details` that are about what became of a request: the turn that it
// took, the run that it got, what it changed, how it counts.

import PageAllocator

enum GrantWords {
    typealias Turn = (before: InterleaveState, after: InterleaveState)

    // MARK: Turns

    static func text(_ turn: Turn) -> String {
        "\(text(turn.before)),\(text(turn.after))"
    }

    private static func text(_ state: InterleaveState) -> String {
        "\(state.previous.rawValue)+\(state.weightLeft)"
    }

    static func turn(_ text: Substring) -> Turn? {
        guard let states = text.elements(separatedBy: ",", { state($0) }), states.count == 2
        else { return nil }
        return (states[0], states[1])
    }

    private static func state(_ text: Substring) -> InterleaveState? {
        let parts = text.split(separator: "+")
        guard parts.count == 2, let node = Int(parts[0]).flatMap({ NodeID($0) }),
            let left = UInt8(parts[1])
        else { return nil }
        return InterleaveState(previous: node, weightLeft: left)
    }

    // MARK: Segments

    static func text(_ segments: [FrameRange]) -> String {
        segments.map(text).joined(separator: ",")
    }

    private static func text(_ frames: FrameRange) -> String {
        "\(frames.lowerBound.rawValue)+\(frames.count)"
    }

    /// nil also where a frame is in two of them.
    static func segments(_ text: Substring) -> [FrameRange]? {
        guard let segments = text.elements(separatedBy: ",", { frames($0) }) else { return nil }
        let ascending = segments.sorted { $0.lowerBound < $1.lowerBound }
        let areApart = zip(ascending, ascending.dropFirst()).allSatisfy {
            $0.upperBound <= $1.lowerBound
        }
        return areApart ? segments : nil
    }

    /// nil also where there are no pages, or pages that do not exist.
    private static func frames(_ text: Substring) -> FrameRange? {
        let parts = text.split(separator: "+")
        let limit = PageFrameNumber.limit.rawValue
        guard parts.count == 2, let first = UInt64(parts[0]), let pages = UInt64(parts[1]),
            pages > 0, pages <= limit, first <= limit - pages
        else { return nil }
        return FrameRange(PageFrameNumber(first), PageFrameNumber(first + pages))
    }

    // MARK: Changes

    static func text(_ changes: [ZoneChange]) -> String {
        changes.map(text).joined(separator: ",")
    }

    private static func text(_ change: ZoneChange) -> String {
        switch change {
        case .retyped(let frames, let type): "retyped:\(text(frames)):\(type.name)"
        case .moved(let frames, let type): "moved:\(text(frames)):\(type.name)"
        case .boosted(let pages): "boosted:\(pages)"
        case .advanced(let frame): "advanced:\(frame.rawValue)"
        }
    }

    static func changes(_ text: Substring) -> [ZoneChange]? {
        text.elements(separatedBy: ",") { change($0.split(separator: ":")) }
    }

    private static func change(_ parts: [Substring]) -> ZoneChange? {
        switch (parts.first, parts.count) {
        case ("retyped", 3): target(parts).map { .retyped($0.frames, to: $0.type) }
        case ("moved", 3): target(parts).map { .moved($0.frames, to: $0.type) }
        case ("boosted", 2): UInt64(parts[1]).map { .boosted($0) }
        case ("advanced", 2): frame(parts[1]).map { .advanced(to: $0) }
        default: nil
        }
    }

    private static func target(_ parts: [Substring]) -> (frames: FrameRange, type: Migratetype)? {
        guard let frames = frames(parts[1]),
            let type = Migratetype.allCases.first(where: { $0.name == parts[2] })
        else { return nil }
        return (frames, type)
    }

    /// It may be one past all frames: where a zone ends.
    private static func frame(_ text: Substring) -> PageFrameNumber? {
        UInt64(text).map { PageFrameNumber($0) }.flatMap { $0 <= .limit ? $0 : nil }
    }

    // MARK: NUMA

    static func text(_ count: NUMACount) -> String {
        "\(count.preferred),\(count.local)\(count.isInterleaveHit ? ",hit" : "")"
    }

    static func numa(_ text: Substring) -> NUMACount? {
        let parts = text.split(separator: ",")
        guard (2...3).contains(parts.count), let preferred = Int(parts[0]),
            let local = Int(parts[1]), preferred >= 0, local >= 0,
            parts.count == 2 || parts[2] == "hit"
        else { return nil }
        return NUMACount(preferred: preferred, local: local, isInterleaveHit: parts.count == 3)
    }
}
