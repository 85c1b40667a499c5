// The live blocks by their first frame: an open-addressing hash table of two words an entry.
//
// It is asked for every free, with as many entries as there are live grants, so that what it costs
// is cache misses: one here for a block of order 0. Entries that a removal would cut off from their
// place are moved back, so that there are no tombstones and a table that lives long stays as it was
// when new. Keys are spread by a fixed multiplication (Fibonacci hashing), which no caller can turn
// into long chains without holding pages to match: frames are the allocator's to choose. Four
// frames in a row have places in a row, a cache line: what is granted in a row is mostly there.

/// A block of live frames that belongs to one grant.
struct LiveBlock: Hashable, Sendable {
    let allocation: AllocationID
    let order: Order
    let isCompound: Bool
}

@safe struct LiveBlockTable: ~Copyable {
    struct Entry {
        /// The first frame.
        let key: UInt64

        /// The allocation above five bits: four of the order, one for compound. 0 for no entry,
        /// since allocations count from 1.
        fileprivate(set) var value: UInt64

        var isEmpty: Bool { value == 0 }

        fileprivate init(key: UInt64, value: UInt64) {
            self.key = key
            self.value = value
        }

        init(_ block: LiveBlock, at first: PageFrameNumber) {
            self.init(key: first.rawValue, value: LiveBlockTable.value(block))
        }
    }

    /// Entries that a table has room for at least, as a power of two.
    private static let minimumBits = 6

    /// The largest `AllocationID` that an entry has room for.
    static let maximumID: UInt64 = 1 << 59 - 1

    /// Blocks in the table.
    private(set) var count = 0

    private var bits: Int
    private var entries: UnsafeMutablePointer<Entry>

    init() {
        self.init(bits: Self.minimumBits)
    }

    private init(bits: Int) {
        self.bits = bits
        unsafe entries = Self.emptyEntries(1 << bits)
    }

    /// log2 of the entries that are filled together: 32 KiB of the table.
    private static let stretchBits = 11

    /// A table of many blocks at once, no two of which begin with the same frame. They are put in
    /// by where they go, stretch by stretch, so that each part of a table larger than the cache is
    /// fetched once.
    init(_ blocks: [Entry]) {
        var bits = Self.minimumBits
        // As many entries as `insert` would have come to.
        while blocks.count > (1 << bits) / 4 * 3 { bits += 1 }
        self.init(bits: bits)
        let shift = min(bits, Self.stretchBits)
        var starts = [Int](repeating: 0, count: 1 << (bits - shift) + 1)
        for block in blocks { starts[home(of: block.key) >> shift + 1] += 1 }
        for stretch in 1..<starts.count { starts[stretch] += starts[stretch - 1] }
        var sorted = [Entry](repeating: Entry(key: 0, value: 0), count: blocks.count)
        for block in blocks {
            let stretch = home(of: block.key) >> shift
            sorted[starts[stretch]] = block
            starts[stretch] += 1
        }
        for block in sorted {
            let index = position(of: PageFrameNumber(block.key))
            precondition(unsafe entries[index].isEmpty, "a frame is in two grants")
            unsafe entries[index] = block
        }
        count = blocks.count
    }

    deinit {
        unsafe entries.deallocate()
    }

    subscript(first: PageFrameNumber) -> LiveBlock? {
        let index = position(of: first)
        guard unsafe !entries[index].isEmpty else { return nil }
        return Self.block(unsafe entries[index].value)
    }

    /// Adds a block; false where one that begins with the same frame is there already.
    mutating func insert(_ block: LiveBlock, at first: PageFrameNumber) -> Bool {
        if count >= capacity / 4 * 3 { grow() }
        let index = position(of: first)
        guard unsafe entries[index].isEmpty else { return false }
        unsafe entries[index] = Entry(block, at: first)
        count += 1
        return true
    }

    /// Takes a block out; nil where none begins with that frame.
    mutating func remove(_ first: PageFrameNumber) -> LiveBlock? {
        let index = position(of: first)
        guard unsafe !entries[index].isEmpty else { return nil }
        let block = Self.block(unsafe entries[index].value)
        closeUp(behind: index)
        count -= 1
        return block
    }

    /// Moves entries back into the gap that they would not be found behind.
    private mutating func closeUp(behind removed: Int) {
        var gap = removed
        var next = (gap + 1) & mask
        while unsafe !entries[next].isEmpty {
            let home = home(of: unsafe entries[next].key)
            // The entry may move where its home is not between the gap and itself.
            if (next &- home) & mask >= (next &- gap) & mask {
                unsafe entries[gap] = entries[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        unsafe entries[gap].value = 0
    }

    /// Where the block is, or where it would go.
    @inline(__always)
    private func position(of first: PageFrameNumber) -> Int {
        let key = first.rawValue
        var index = home(of: key)
        while unsafe entries[index].key != key, unsafe !entries[index].isEmpty {
            index = (index + 1) & mask
        }
        return index
    }

    private mutating func grow() {
        let old = unsafe entries
        let oldCapacity = capacity
        bits += 1
        unsafe entries = Self.emptyEntries(capacity)
        for index in 0..<oldCapacity where unsafe !old[index].isEmpty {
            let entry = unsafe old[index]
            unsafe entries[position(of: PageFrameNumber(entry.key))] = entry
        }
        unsafe old.deallocate()
    }

    private var capacity: Int { 1 << bits }

    private var mask: Int { capacity - 1 }

    /// 2^64 divided by the golden ratio, odd.
    private static let multiplier: UInt64 = 0x9e37_79b9_7f4a_7c15

    @inline(__always)
    private func home(of key: UInt64) -> Int {
        let line = (key &>> Self.lineShift) &* Self.multiplier
        let first = line &>> UInt64(truncatingIfNeeded: 64 &- bits &+ Int(Self.lineShift))
        return Int(truncatingIfNeeded: first &<< Self.lineShift | key & (1 &<< Self.lineShift &- 1))
    }

    /// log2 of the entries in a cache line.
    private static let lineShift: UInt64 = 2

    /// Bytes of a cache line.
    private static let lineSize = 64

    private static func emptyEntries(_ count: Int) -> UnsafeMutablePointer<Entry> {
        let bytes = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Entry>.stride, alignment: lineSize)
        return unsafe bytes.initializeMemory(
            as: Entry.self, repeating: Entry(key: 0, value: 0), count: count)
    }

    fileprivate static func value(_ block: LiveBlock) -> UInt64 {
        precondition(
            block.allocation.rawValue > 0 && block.allocation.rawValue <= maximumID,
            "an id beyond the table's")
        return block.allocation.rawValue << 5 | UInt64(block.order.rawValue) << 1
            | (block.isCompound ? 1 : 0)
    }

    private static func block(_ value: UInt64) -> LiveBlock {
        LiveBlock(
            allocation: AllocationID(value >> 5),
            order: Order(unchecked: Int(value >> 1 & 15)), isCompound: value & 1 == 1)
    }

    /// Pages in all blocks. For invariants.
    var pageCount: UInt64 {
        var sum: UInt64 = 0
        for index in 0..<capacity where unsafe !entries[index].isEmpty {
            sum += Self.block(unsafe entries[index].value).order.pageCount
        }
        return sum
    }
}
