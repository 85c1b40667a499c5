// Several runs that follow each other become one. Their postings are read in order of key, chunk by
// chunk, and written again with larger offsets; what lies in one run stays in order, so that only
// the heads of the runs are compared, once for each key of each run.

import Ledger

struct IndexRunMerge {
    let sources: [IndexRun]
    private var readers: [IndexRunReader]
    private var writer: IndexRunWriter
    private let postingsBetweenLooks: Int

    /// The field whose postings are being merged; nil before the first.
    private var field: IndexField?

    /// - Parameter sources: they follow each other.
    init(
        _ sources: [IndexRun], in store: IndexRunStore, _ shape: IndexShape
    ) throws(IndexFailure) {
        precondition(!sources.isEmpty, "a merge of no runs")
        self.sources = sources
        let first = sources[0].first
        let run = try store.begin(
            first: first, count: sources.reduce(0) { $0 + $1.count },
            mark: sources[sources.count - 1].mark)
        readers = []
        for source in sources {
            readers.append(
                try IndexRunReader(source, store, base: UInt32(source.first - first)))
        }
        writer = IndexRunWriter(run, store, chunkBytes: shape.chunkBytes)
        postingsBetweenLooks = shape.postingsBetweenLooks
    }

    var run: IndexRun { writer.run }

    /// Merges until `isTime` says that it is; it is asked every few thousand postings, also in the
    /// midst of a key, which may have millions of them. Within a transaction.
    ///
    /// - Returns: whether it is done; the run is live then.
    mutating func advance(until isTime: () -> Bool) throws(IndexFailure) -> Bool {
        var postings = 0
        while let (field, key) = leastHead {
            if field != self.field {
                try writer.endField()
                self.field = field
            }
            // The first of those that have the key goes on with it.
            moving: for index in readers.indices {
                // A chunk may end within a group.
                while let head = readers[index].head, head.field == field, head.key == key {
                    postings += try move(index, field, key)
                    if postings >= postingsBetweenLooks { break moving }
                }
            }
            if postings >= postingsBetweenLooks {
                postings = 0
                if isTime() { return false }
            }
        }
        try writer.endField()
        try writer.finish(replacing: sources)
        return true
    }

    private var leastHead: (IndexField, UInt64)? {
        var least: (field: IndexField, key: UInt64)?
        for reader in readers {
            guard let head = reader.head else { continue }
            guard let present = least else {
                least = head
                continue
            }
            if (head.field.rawValue, head.key) < (present.field.rawValue, present.key) {
                least = head
            }
        }
        return least
    }

    /// Moves a reader's group; returns its size.
    private mutating func move(
        _ index: Int, _ field: IndexField, _ key: UInt64
    ) throws(IndexFailure) -> Int {
        let base = readers[index].base
        let offsets = readers[index].offsets
        for offset in offsets {
            try writer.append(Posting(key: key, offset: base + offset), field)
        }
        try readers[index].advance()
        return offsets.count
    }
}

/// Goes through the groups of a run in order.
private struct IndexRunReader {
    /// What is added to offsets.
    let base: UInt32
    private let store: IndexRunStore
    private var nextChunk: IndexChunk.ID
    private let fields: UInt32
    private var chunk: IndexChunk?
    private var index = 0

    /// The fields that were met.
    private var met: UInt32 = 0

    init(_ run: IndexRun, _ store: IndexRunStore, base: UInt32) throws(IndexFailure) {
        self.base = base
        self.store = store
        fields = run.fields
        nextChunk = IndexRun.chunkIDs(of: run.id).lowerBound
        try readChunk(after: .end)
    }

    /// nil after the last group.
    var head: (field: IndexField, key: UInt64)? {
        chunk.map { ($0.field, $0.keys[index]) }
    }

    /// Of the present group.
    var offsets: ArraySlice<UInt32> { chunk?.offsets(ofKeyAt: index) ?? [] }

    mutating func advance() throws(IndexFailure) {
        guard let chunk else { return }
        index += 1
        if index == chunk.keyCount { try readChunk(after: chunk.high) }
    }

    /// - Parameter high: where the chunk before ended.
    private mutating func readChunk(after high: Posting) throws(IndexFailure) {
        let last = chunk
        chunk = try store.chunk(nextChunk)
        guard let chunk else {
            guard high == .end, met == fields else { throw missing }
            return
        }
        let isFollowing =
            high == .end
            ? chunk.low == .first && chunk.field.rawValue > last?.field.rawValue ?? 0
            : chunk.low == high && chunk.field == last?.field
        guard isFollowing, chunk.keyCount > 0 else { throw missing }
        met |= chunk.field.bit
        nextChunk += 1
        index = 0
    }

    private var missing: IndexFailure { .damaged("chunk \(nextChunk) of the index is missing") }
}
