// Packs the sorted postings of a run into chunks.

import Ledger

/// Postings come in the order of their fields, then of keys, then of offsets; `endField` follows
/// the last one of each field, `finish` the last one of all. What is put down between two
/// transactions stays in memory until a chunk is full, so that a run can be written in slices.
struct IndexRunWriter {
    private let store: IndexRunStore
    private(set) var run: IndexRun
    private let capacity: Int
    private let offsetWidth: Int
    private var nextChunk: IndexChunk.ID

    private var field: IndexField?

    /// Where the present chunk begins.
    private var low = Posting.first

    /// The chunk's groups, and the key of the last of them.
    private var groups: [UInt8] = []
    private var lastKey: UInt64 = 0

    /// The group that is not among them yet.
    private var key: UInt64 = 0
    private var offsets: [UInt32] = []

    /// Bytes that it takes without its head.
    private var size = 0

    /// Bytes of the largest head of a group: two variable-length integers.
    private static let headSize = 10 + 5

    init(_ run: IndexRun, _ store: IndexRunStore, chunkBytes: Int) {
        self.run = run
        self.store = store
        capacity = chunkBytes - IndexChunk.headerSize - Self.headSize
        offsetWidth = run.offsetWidth
        nextChunk = IndexRun.chunkIDs(of: run.id).lowerBound
    }

    /// Within a transaction.
    mutating func append(
        _ posting: Posting, _ field: IndexField
    ) throws(IndexFailure) {
        if self.field == nil {
            self.field = field
            run.fields |= field.bit
            low = .first
            lastKey = low.key
        }
        var isOfSameKey = false
        if let last = offsets.last, posting.key == key {
            let step = UInt64(posting.offset - last).variableLength
            if groups.count + size + step <= capacity {
                offsets.append(posting.offset)
                size += step
                return
            }
            isOfSameKey = true
        }
        closeGroup()
        if isOfSameKey || groups.count + offsetWidth > capacity {
            try flush(upTo: posting)
        }
        key = posting.key
        offsets.append(posting.offset)
        size = offsetWidth
    }

    /// Within a transaction.
    mutating func endField() throws(IndexFailure) {
        guard field != nil else { return }
        closeGroup()
        try flush(upTo: .end)
        field = nil
    }

    /// Makes the run live. Within a transaction.
    mutating func finish(replacing merged: [IndexRun]) throws(IndexFailure) {
        precondition(field == nil, "a run ended within a field")
        try store.finish(run, replacing: merged)
    }

    private mutating func closeGroup() {
        guard let first = offsets.first else { return }
        let hasMore = offsets.count > 1
        groups.append(variableLength: (key - lastKey) << 1 | (hasMore ? 1 : 0))
        if hasMore { groups.append(variableLength: UInt64(offsets.count)) }
        groups.append(littleEndian: UInt64(first), width: offsetWidth)
        var last = first
        for offset in offsets.dropFirst() {
            groups.append(variableLength: UInt64(offset - last))
            last = offset
        }
        lastKey = key
        offsets.removeAll(keepingCapacity: true)
        size = 0
    }

    private mutating func flush(upTo high: Posting) throws(IndexFailure) {
        guard let field else { preconditionFailure("a chunk of no field") }
        let bytes = IndexChunk.bytes(
            id: nextChunk, field: field, offsetWidth: offsetWidth, low: low, high: high,
            groups: groups)
        try store.insert(bytes, nextChunk, of: run, field, from: low)
        nextChunk += 1
        groups.removeAll(keepingCapacity: true)
        low = high
        lastKey = high.key
    }
}
