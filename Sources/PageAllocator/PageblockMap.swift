// The free blocks of one pageblock, order 0 to 9, as 1,023 bits: 512 for single pages, then 256 for
// pairs, and so on to one for the pageblock as a whole.
//
// All orders of a pageblock lie together in two cache lines. Freeing a page asks for its buddy at
// one order after the other; if each order had a bitmap of its own, each of these questions would
// be a miss of the cache and of the TLB in a zone of a tebibyte.

/// Sixteen words of a zone's memory, seen as a pageblock.
@safe struct PageblockMap {
    static let wordCount = 16

    /// The lowest order whose blocks have their bits in one word.
    private static let oneWordOrder = 3

    private let words: UnsafeMutablePointer<UInt64>

    @inline(__always)
    init(_ words: UnsafeMutablePointer<UInt64>) {
        unsafe self.words = words
    }

    /// What became of a block that was to be taken off.
    enum Removal {
        case notFree
        case removed

        /// And no other block of the order is free.
        case removedLast
    }

    /// The first of an order's bits.
    @inline(__always)
    private static func start(_ order: Int) -> Int {
        1024 &- 1024 &>> order
    }

    /// The bits of an order from `oneWordOrder` on, within their word.
    @inline(__always)
    private static func mask(_ order: Int) -> UInt64 {
        (.max &>> UInt64(truncatingIfNeeded: 64 &- 512 &>> order))
            &<< UInt64(truncatingIfNeeded: start(order) & 63)
    }

    /// Blocks count from the pageblock's first.
    @inline(__always)
    func contains(_ order: Int, _ block: Int) -> Bool {
        let position = Self.start(order) &+ block
        return unsafe words[position &>> 6] & (1 &<< UInt64(truncatingIfNeeded: position & 63)) != 0
    }

    /// Marks a block free, which was not; true where no other of its order is.
    @inline(__always)
    func insert(_ order: Int, _ block: Int) -> Bool {
        let position = Self.start(order) &+ block
        let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: position & 63)
        let before = unsafe words[position &>> 6]
        precondition(before & bit == 0, "a block was freed twice")
        let isFirst = isEmpty(order, before)
        unsafe words[position &>> 6] = before | bit
        return isFirst
    }

    /// Marks 64 blocks of an order, which were not free: bit i is that of block 64 * `index` + i.
    @inline(__always)
    func fill(_ order: Int, _ index: Int, with bits: UInt64) {
        let start = Self.start(order)
        let word = start &>> 6 &+ index
        unsafe words[word] |= bits &<< UInt64(truncatingIfNeeded: start & 63)
    }

    /// Marks a block as not free.
    @inline(__always)
    func remove(_ order: Int, _ block: Int) -> Removal {
        let position = Self.start(order) &+ block
        let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: position & 63)
        let before = unsafe words[position &>> 6]
        guard before & bit != 0 else { return .notFree }
        unsafe words[position &>> 6] = before ^ bit
        return isEmpty(order, before ^ bit) ? .removedLast : .removed
    }

    /// Whether no block of an order is free, given one of its words.
    @inline(__always)
    private func isEmpty(_ order: Int, _ word: UInt64) -> Bool {
        if order >= Self.oneWordOrder { return word & Self.mask(order) == 0 }
        return word == 0 && areWordsEmpty(order)
    }

    @inline(never)
    private func areWordsEmpty(_ order: Int) -> Bool {
        let first = Self.start(order) >> 6
        var bits: UInt64 = 0
        for word in first..<first + 8 &>> order {
            bits |= unsafe words[word]
        }
        return bits == 0
    }

    /// Bit i: block i of an order is free; for orders from 3 on.
    @inline(__always)
    func bits(_ order: Int) -> UInt64 {
        let start = Self.start(order)
        return unsafe (words[start >> 6] & Self.mask(order)) &>> UInt64(start & 63)
    }

    /// Bit i: block 64 * `index` + i of an order is free; for orders up to 3.
    @inline(__always)
    func word(_ order: Int, _ index: Int) -> UInt64 {
        unsafe words[Self.start(order) >> 6 + index]
    }

    /// Takes off the first block of an order that has any, and says whether it was the only one.
    @inline(__always)
    func removeFirst(_ order: Int) -> (block: Int, isLast: Bool) {
        let start = Self.start(order)
        var word = start &>> 6
        var bits = unsafe words[word]
        if order >= Self.oneWordOrder {
            let mask = Self.mask(order)
            let block = (bits & mask).trailingZeroBitCount &- start & 63
            bits ^= 1 &<< UInt64(truncatingIfNeeded: (start &+ block) & 63)
            unsafe words[word] = bits
            return (block, bits & mask == 0)
        }
        let last = word &+ 8 &>> order &- 1
        while bits == 0, word < last {
            word &+= 1
            bits = unsafe words[word]
        }
        precondition(bits != 0, "a block was taken that is not free")
        let block = word &<< 6 &- start | bits.trailingZeroBitCount
        bits &= bits &- 1
        unsafe words[word] = bits
        while bits == 0, word < last {
            word &+= 1
            bits = unsafe words[word]
        }
        return (block, bits == 0)
    }

    /// The first free block of an order at or after `start`.
    func first(_ order: Int, atOrAfter start: Int) -> Int? {
        if order >= Self.oneWordOrder {
            let bits = bits(order) & .max &<< UInt64(start)
            return bits == 0 ? nil : bits.trailingZeroBitCount
        }
        var mask: UInt64 = .max &<< UInt64(start & 63)
        for index in start >> 6..<8 &>> order {
            let bits = word(order, index) & mask
            if bits != 0 { return index << 6 + bits.trailingZeroBitCount }
            mask = .max
        }
        return nil
    }

    /// The last free block of an order at or before `start`.
    func last(_ order: Int, atOrBefore start: Int) -> Int? {
        if order >= Self.oneWordOrder {
            let bits = bits(order) & .max &>> UInt64(63 - start)
            return bits == 0 ? nil : 63 - bits.leadingZeroBitCount
        }
        var mask: UInt64 = .max &>> UInt64(63 - start & 63)
        for index in (0...start >> 6).reversed() {
            let bits = word(order, index) & mask
            if bits != 0 { return index << 6 + 63 - bits.leadingZeroBitCount }
            mask = .max
        }
        return nil
    }

    /// Free blocks of an order in a range of its blocks.
    func count(_ order: Int, in range: Range<Int>) -> Int {
        guard !range.isEmpty else { return 0 }
        let last = range.upperBound - 1
        var count = 0
        for index in range.lowerBound >> 6...last >> 6 {
            var bits = order >= Self.oneWordOrder ? bits(order) : word(order, index)
            if index == range.lowerBound >> 6 { bits &= .max &<< UInt64(range.lowerBound & 63) }
            if index == last >> 6 { bits &= .max &>> UInt64(63 - last & 63) }
            count += bits.nonzeroBitCount
        }
        return count
    }

    /// Blocks of an order in a pageblock.
    @inline(__always)
    static func blockCount(_ order: Int) -> Int {
        512 &>> order
    }
}
