// The newest entries, indexed in memory: those that no run has yet. When there are enough for a run
// they are written as one, field by field.
//
// Its postings are in the order in which they came; whoever looks for a key goes through all of its
// field, which takes some microseconds.

import Ledger
import PageAllocator
import SQLite

struct IndexTail {
    /// The postings of one field, ascending by offset.
    struct Column {
        var keys: [UInt64] = []
        var offsets: [UInt32] = []

        mutating func append(_ key: UInt64, _ offset: UInt32) {
            keys.append(key)
            offsets.append(offset)
        }
    }

    /// Sequence of its first entry.
    private(set) var first: UInt64
    private(set) var count = 0
    private var columns = [Column](
        repeating: Column(), count: Int(IndexField.largeBlock.rawValue) + 1)

    init(first: UInt64) {
        self.first = first
    }

    /// One after its last entry.
    var end: UInt64 { first + UInt64(count) }

    func column(_ field: IndexField) -> Column { columns[Int(field.rawValue)] }

    /// The offsets of the entries that have one of the keys, ascending.
    func offsets(ofAny keys: [IndexKey]) -> [UInt32] {
        var found: [UInt32] = []
        for (field, keys) in Dictionary(grouping: keys, by: \.field) {
            let values = keys.map(\.value).sorted()
            let column = column(field)
            guard let least = values.first, let greatest = values.last else { continue }
            // Keys that are looked for together lie together: nearly all others end here.
            for (index, key) in column.keys.enumerated() where key >= least && key <= greatest {
                let place = values.firstIndex(atLeast: key)
                if values[place] == key { found.append(column.offsets[index]) }
            }
        }
        return found.sorted()
    }

    /// Begins again after its last entry.
    mutating func removeAll() {
        first = end
        count = 0
        for index in columns.indices {
            columns[index].keys.removeAll(keepingCapacity: true)
            columns[index].offsets.removeAll(keepingCapacity: true)
        }
    }

    private mutating func add(_ key: IndexKey) {
        columns[Int(key.field.rawValue)].append(key.value, UInt32(count))
    }
}

// MARK: Reading entries

extension IndexTail {
    /// The columns that say what entries are found by, in this order.
    private enum RowColumn: Int32 {
        case sequence, machine, kind, outcome, requestID, control, owner, allocation, pfn
        case blockOrder, targetPFN, targetOrder, node, zone, details
    }

    /// Rows after a sequence, as many as asked for.
    static let selection = """
        SELECT sequence, machine, kind, outcome, request_id, control, owner, allocation, pfn, \
        block_order, target_pfn, target_order, node, zone, details \
        FROM ledger WHERE sequence >= ? ORDER BY sequence LIMIT ?
        """

    /// The entry of the present row of a `selection`.
    static func sequence(of row: Statement) -> UInt64 {
        UInt64(bitPattern: row.integer(at: RowColumn.sequence.rawValue))
    }

    /// Adds the present row of a `selection`. Entries before it that are missing are passed over,
    /// and of a damaged one what can be read is added: to name it is for whoever reads it.
    mutating func add(_ row: Statement) {
        skip(to: Self.sequence(of: row))
        let outcome = row.integer(at: RowColumn.outcome.rawValue)
        add(.machine, row, .machine)
        add(.kind, row, .kind)
        add(IndexKey(.outcome, UInt64(bitPattern: outcome)))
        add(.node, row, .node)
        add(.zone, row, .zone)
        add(.allocation, row, .allocation)
        add(text: .requestID, row, .requestID)
        add(text: .control, row, .control)
        add(text: .owner, row, .owner)
        if let order = integer(row, .blockOrder) {
            add(IndexKey(.order, order))
        } else if outcome == LedgerOutcome.refused.rawValue,
            let order = integer(row, .targetOrder)
        {
            add(IndexKey(.order, order))
        }
        addBlocks(row)
        count += 1
    }

    /// Goes on with an entry from `end` on; those before it are missing.
    mutating func skip(to sequence: UInt64) {
        precondition(sequence >= end, "an entry that is indexed already")
        count = Int(sequence - first)
    }

    private mutating func addBlocks(_ row: Statement) {
        if let pfn = integer(row, .pfn) {
            if let order = integer(row, .blockOrder) {
                addBlocks(from: pfn, order: order)
            } else {
                addRuns(row, from: pfn)
            }
        } else if let pfn = integer(row, .targetPFN) {
            // A caller may have named a frame so high that its block has no end.
            addBlocks(from: pfn, order: integer(row, .targetOrder) ?? 0)
        }
    }

    /// - Parameter first: the frame by which it is found where it does not say which it has.
    private mutating func addRuns(_ row: Statement, from first: UInt64) {
        let details = row.text(at: RowColumn.details.rawValue).flatMap(EntryDetails.init(text:))
        guard let segments = details?.segments, !segments.isEmpty else {
            return addBlocks(from: first, pages: 1)
        }
        for segment in segments {
            addBlocks(from: segment.lowerBound.rawValue, pages: segment.count)
        }
    }

    private mutating func addBlocks(from first: UInt64, order: UInt64) {
        addBlocks(from: first, pages: 1 << min(order, UInt64(Order.max.rawValue)))
    }

    private mutating func addBlocks(from first: UInt64, pages: UInt64) {
        IndexKey.forEachBlock(from: first, pages: pages) { add($0) }
    }

    private mutating func add(_ field: IndexField, _ row: Statement, _ column: RowColumn) {
        if let value = integer(row, column) { add(IndexKey(field, value)) }
    }

    private mutating func add(text field: IndexField, _ row: Statement, _ column: RowColumn) {
        row.withBytes(at: column.rawValue) { text in add(IndexKey(field, utf8: text)) }
    }

    private func integer(_ row: Statement, _ column: RowColumn) -> UInt64? {
        guard row.storageClass(at: column.rawValue) == .integer else { return nil }
        return UInt64(bitPattern: row.integer(at: column.rawValue))
    }
}

// MARK: Sorting

extension IndexTail.Column {
    /// Sorts by key, and by offset among equal keys: bytewise from the lowest byte on, each pass
    /// keeping the order of the one before. Bytes that all keys share need no pass.
    mutating func sort() {
        let differing = keys.reduce(0) { $0 | ($1 ^ keys[0]) }
        var sorted = self
        for shift in stride(from: 0 as UInt64, to: 64, by: 8) where differing >> shift & 0xff != 0 {
            var places = [Int](repeating: 0, count: 257)
            for key in keys { places[Int(key >> shift & 0xff) + 1] += 1 }
            for byte in 0..<256 { places[byte + 1] += places[byte] }
            for (index, key) in keys.enumerated() {
                let byte = Int(key >> shift & 0xff)
                sorted.keys[places[byte]] = key
                sorted.offsets[places[byte]] = offsets[index]
                places[byte] += 1
            }
            swap(&self, &sorted)
        }
    }
}
