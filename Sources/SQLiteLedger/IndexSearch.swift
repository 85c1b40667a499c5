// The entries of one run, or of the tail, that have a key of each of several conditions.
//
// Each condition can say which is its next entry from some place on. The search asks one after the
// other, from the furthest place that any of them has named; where all of them name the same, that
// is one. So it makes large steps where one condition is rare, and reads only the chunks in which
// it lands.

import Ledger

struct IndexSearch {
    private var conditions: [Condition]
    private let isDescending: Bool

    /// What it came upon.
    enum Finding {
        /// The entry at an offset may be one.
        case candidate(Int)

        /// No further one.
        case none

        /// It has looked as often as it may: from here on nothing has been seen.
        case brokenOff(Int)
    }

    /// Of a run in `history.db`.
    init(
        _ conditions: [HistoryQuery.Condition], in run: IndexRun, _ store: IndexRunStore,
        isDescending: Bool
    ) {
        let chunks = IndexRunChunks(run, store)
        self.conditions = conditions.map { condition in
            let lists = condition.keys.filter { run.fields & $0.field.bit != 0 }
            return Condition(
                lists.map { PostingList($0, in: chunks) }, condition.sequence, run.sequences)
        }
        self.isDescending = isDescending
    }

    /// Of the tail, which is not empty.
    init(_ conditions: [HistoryQuery.Condition], in tail: IndexTail, isDescending: Bool) {
        self.conditions = conditions.map { condition in
            Condition(
                [PostingList(tail.offsets(ofAny: condition.keys))], condition.sequence,
                tail.first...tail.end - 1)
        }
        self.isDescending = isDescending
    }

    /// The next candidate from an offset on, in the direction of the search.
    ///
    /// - Parameter looks: how often conditions may still be asked; counted down.
    mutating func next(
        from offset: Int, looks: inout Int
    ) throws(IndexFailure) -> Finding {
        var place = offset
        while true {
            let start = place
            for index in conditions.indices {
                let next =
                    isDescending
                    ? try conditions[index].last(atMost: place)
                    : try conditions[index].first(atLeast: place)
                guard let next else { return .none }
                place = next
            }
            // All have agreed on it, one after the other.
            if place == start || conditions.count == 1 { return .candidate(place) }
            looks -= conditions.count
            if looks <= 0 { return .brokenOff(place) }
        }
    }

    /// One condition: one of several keys, or one entry by its place.
    private struct Condition {
        private var lists: [PostingList]
        private let single: Int?

        init(
            _ lists: [PostingList], _ sequence: UInt64?, _ sequences: ClosedRange<UInt64>
        ) {
            self.lists = lists
            single = sequence.flatMap { sequence in
                sequences.contains(sequence) ? Int(sequence - sequences.lowerBound) : nil
            }
        }

        mutating func first(atLeast offset: Int) throws(IndexFailure) -> Int? {
            var first = single.flatMap { $0 >= offset ? $0 : nil }
            for index in lists.indices {
                guard let next = try lists[index].first(atLeast: offset) else { continue }
                first = min(first ?? next, next)
            }
            return first
        }

        mutating func last(atMost offset: Int) throws(IndexFailure) -> Int? {
            var last = single.flatMap { $0 <= offset ? $0 : nil }
            for index in lists.indices {
                guard let next = try lists[index].last(atMost: offset) else { continue }
                last = max(last ?? next, next)
            }
            return last
        }
    }
}

/// The offsets of one key, of which a chunk's worth is known at a time.
private struct PostingList {
    private let key: IndexKey
    private let chunks: IndexRunChunks?

    /// The offsets in `range`, ascending.
    private var known: ArraySlice<UInt32>
    private var range: Range<Int>

    /// All postings.
    init(_ offsets: [UInt32]) {
        key = IndexKey(.machine, 0)
        chunks = nil
        known = offsets[...]
        range = 0..<Int.max
    }

    init(_ key: IndexKey, in chunks: IndexRunChunks) {
        self.key = key
        self.chunks = chunks
        known = []
        range = 0..<0
    }

    mutating func first(atLeast offset: Int) throws(IndexFailure) -> Int? {
        var offset = offset
        while true {
            try know(offset)
            let index = known.firstIndex(atLeast: UInt32(offset))
            if index < known.endIndex { return Int(known[index]) }
            guard range.upperBound != .max else { return nil }
            offset = range.upperBound
        }
    }

    mutating func last(atMost offset: Int) throws(IndexFailure) -> Int? {
        var offset = offset
        while true {
            try know(offset)
            let index = known.firstIndex(atLeast: UInt32(offset) + 1)
            if index > known.startIndex { return Int(known[index - 1]) }
            guard range.lowerBound != 0 else { return nil }
            offset = range.lowerBound - 1
        }
    }

    /// Makes the range hold an offset.
    private mutating func know(_ offset: Int) throws(IndexFailure) {
        guard !range.contains(offset), let chunks else { return }
        let chunk = try chunks.chunk(
            covering: Posting(key: key.value, offset: UInt32(offset)), key.field)
        known = chunk.offsets(of: key.value)
        let start = chunk.low.key == key.value ? Int(chunk.low.offset) : 0
        let end = chunk.high.key == key.value ? Int(chunk.high.offset) : Int.max
        range = start..<end
    }
}

/// The chunks of one run. The last one read of each field is kept: keys that are looked for
/// together often lie together.
private final class IndexRunChunks {
    private let run: IndexRun
    private let store: IndexRunStore
    private var last: [IndexField: IndexChunk] = [:]

    init(_ run: IndexRun, _ store: IndexRunStore) {
        self.run = run
        self.store = store
    }

    func chunk(
        covering posting: Posting, _ field: IndexField
    ) throws(IndexFailure) -> IndexChunk {
        if let chunk = last[field], chunk.covers(posting) { return chunk }
        let chunk = try store.chunk(covering: posting, field, of: run)
        last[field] = chunk
        return chunk
    }
}
