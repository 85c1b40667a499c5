// What entries are indexed by: a field and a key of 63 bits, so that it is one of SQLite's
// integers.
//
// Numbers are their own keys, texts are hashed, and blocks of pages are numbered so that the few
// blocks that can hold a frame lie close together. Two values may share a key, since whoever looks
// for one reads the entry itself and compares. Fields and keys are on disk in `history.db`:
// changing one means a new version there.

import Ledger
import PageAllocator

/// By which of its values an entry is found.
enum IndexField: UInt8, CaseIterable {
    case machine = 1
    case kind = 2
    case outcome = 3
    case node = 4
    case zone = 5
    case order = 6
    case owner = 7
    case control = 8
    case requestID = 9

    /// The allocation that an entry names. A grant is not found by its own: that is its sequence.
    case allocation = 10

    /// Aligned blocks of up to `Order.max`.
    case block = 11

    /// Larger aligned blocks: runs of pages have them.
    case largeBlock = 12

    /// The bit of a set of fields.
    var bit: UInt32 { 1 << UInt32(rawValue) }
}

struct IndexKey: Hashable {
    let field: IndexField
    let value: UInt64

    static let mask = UInt64(Int64.max)

    init(_ field: IndexField, _ value: UInt64) {
        self.field = field
        self.value = value & Self.mask
    }

    init(_ field: IndexField, _ value: Int) {
        self.init(field, UInt64(value))
    }

    init(_ field: IndexField, _ text: String) {
        self.init(field, utf8: text.utf8.span)
    }

    init(_ field: IndexField, utf8: Span<UInt8>) {
        self.init(field, Self.hash(utf8))
    }

    /// FNV-1a over the UTF-8, folded to 32 bits: more would only make runs longer, as a run has
    /// far fewer than 2^32 entries.
    private static func hash(_ utf8: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in utf8.indices {
            hash = (hash ^ UInt64(utf8[index])) &* 0x100_0000_01b3
        }
        return (hash ^ hash >> 32) & 0xffff_ffff
    }
}

// MARK: Blocks

extension IndexKey {
    /// log2 of the pages of the largest block of field `block`.
    private static let groupOrder = Order.max.rawValue

    /// The aligned block of 2^order pages that holds a frame.
    ///
    /// Blocks of one group of 2^`groupOrder` pages are numbered as in a binary heap, the group as a
    /// whole being 1, and follow each other in the order of keys.
    static func block(holding frame: UInt64, order: Int) -> IndexKey {
        guard order <= groupOrder else {
            return IndexKey(.largeBlock, UInt64(order) << 56 | frame >> UInt64(order))
        }
        let group = frame >> UInt64(groupOrder)
        let inGroup = frame & ((1 << UInt64(groupOrder)) - 1)
        let number = 1 << UInt64(groupOrder - order) | inGroup >> UInt64(order)
        return IndexKey(.block, group << UInt64(groupOrder + 1) | number)
    }

    /// All blocks that can hold a frame.
    static func blocks(holding frame: PageFrameNumber) -> [IndexKey] {
        (0..<UInt64.bitWidth).map { block(holding: frame.rawValue, order: $0) }
    }

    /// The fewest aligned blocks that pages make up.
    ///
    /// - Parameters:
    ///   - pages: those beyond the 64 bits of frame numbers are left out.
    static func forEachBlock(
        from first: UInt64, pages: UInt64, _ body: (IndexKey) -> Void
    ) {
        var first = first
        // One less, so that all 2^64 frames would have a number.
        var further = min(pages - 1, .max - first)
        while true {
            var order = min(first.trailingZeroBitCount, UInt64.bitWidth - 1)
            while ((1 as UInt64) << UInt64(order)) - 1 > further { order -= 1 }
            body(block(holding: first, order: order))
            let size = (1 as UInt64) << UInt64(order)
            guard further >= size else { return }
            first += size
            further -= size
        }
    }
}

// MARK: Queries

extension HistoryQuery {
    /// One condition on the entries that are asked for.
    struct Condition {
        /// An entry that is asked for has one of these keys,
        var keys: [IndexKey]

        /// or this sequence.
        var sequence: UInt64?

        init(_ keys: [IndexKey], orSequence sequence: UInt64? = nil) {
            self.keys = keys
            self.sequence = sequence
        }
    }

    /// What an index can say of the query: each entry asked for fulfils all of these. Those that
    /// few entries fulfil come first. Bounds of sequence and time are left out.
    var conditions: [Condition] {
        var conditions: [Condition] = []
        if let requestID { conditions.append(.init([IndexKey(.requestID, requestID)])) }
        if let allocation {
            let id = allocation.rawValue
            conditions.append(.init([IndexKey(.allocation, id)], orSequence: id))
        }
        if let pfn { conditions.append(.init(IndexKey.blocks(holding: pfn))) }
        if let owner { conditions.append(.init([IndexKey(.owner, owner)])) }
        if let controlName { conditions.append(.init([IndexKey(.control, controlName)])) }
        if let machines {
            conditions.append(.init(machines.map { IndexKey(.machine, $0.rawValue) }))
        }
        if let order { conditions.append(.init([IndexKey(.order, order.rawValue)])) }
        if let node { conditions.append(.init([IndexKey(.node, node.rawValue)])) }
        if let zone { conditions.append(.init([IndexKey(.zone, zone.rawValue)])) }
        if let outcome { conditions.append(.init([IndexKey(.outcome, outcome.rawValue)])) }
        if let kind { conditions.append(.init([IndexKey(.kind, kind.rawValue)])) }
        return conditions
    }
}
