// The free pages of one pageblock as 512 bits, and what is read off them, word by word.

/// Bit i of word w: page 64 w + i of the pageblock is free.
struct PageblockBits {
    static let wordCount = Pageblock.pageCount / 64

    private(set) var words: InlineArray<8, UInt64>

    init(repeating word: UInt64) {
        words = InlineArray(repeating: word)
    }

    subscript(word: Int) -> UInt64 {
        @inline(__always) get { words[word] }
        @inline(__always) set { words[word] = newValue }
    }

    /// The first pages of all runs of at least `length` free pages, and of their parts: bit x says
    /// that the pages x ..< x + length are free. 1 ... 512.
    ///
    /// Each step joins what is known of a length with itself further up, so that the length known
    /// doubles.
    func starts(ofRuns length: Int) -> PageblockBits {
        var bits = self
        var known = 1
        while known < length {
            let step = min(known, length - known)
            bits.keepBits(whereSetToo: step)
            known += step
        }
        return bits
    }

    /// Clears each bit whose partner `distance` pages above is clear, or beyond the pageblock.
    @inline(__always)
    mutating func keepBits(whereSetToo distance: Int) {
        guard distance <= 0 || distance >= 64 else { return keepBits(whereSetNear: distance) }
        let skipped = distance >> 6
        let shift = UInt64(distance & 63)
        for word in 0..<Self.wordCount {
            let low = word + skipped < Self.wordCount ? words[word + skipped] &>> shift : 0
            // Shifted in two steps: by 64 in one would be by 0.
            let high =
                word + skipped + 1 < Self.wordCount
                ? (words[word + skipped + 1] &<< 1) &<< (63 - shift) : 0
            words[word] &= low | high
        }
    }

    /// The same for a partner 1 to 63 pages above.
    @inline(__always)
    private mutating func keepBits(whereSetNear distance: Int) {
        let shift = UInt64(truncatingIfNeeded: distance)
        for word in 0..<Self.wordCount - 1 {
            words[word] &= words[word] &>> shift | words[word + 1] &<< (64 &- shift)
        }
        words[Self.wordCount - 1] &= words[Self.wordCount - 1] &>> shift
    }

    /// The free pages that have no free page before them in the pageblock.
    @inline(__always)
    func runStarts() -> PageblockBits {
        var bits = self
        var carried: UInt64 = 0
        for word in 0..<Self.wordCount {
            bits.words[word] &= ~(words[word] &<< 1 | carried)
            carried = words[word] &>> 63
        }
        return bits
    }

    @inline(__always)
    func intersection(_ other: PageblockBits) -> PageblockBits {
        var bits = self
        for word in 0..<Self.wordCount {
            bits.words[word] &= other.words[word]
        }
        return bits
    }

    mutating func formUnion(_ other: PageblockBits) {
        for word in 0..<Self.wordCount {
            words[word] |= other.words[word]
        }
    }

    @inline(__always)
    static func != (one: PageblockBits, other: PageblockBits) -> Bool {
        var differing: UInt64 = 0
        for word in 0..<wordCount {
            differing |= one.words[word] ^ other.words[word]
        }
        return differing != 0
    }

    /// Set bits.
    var count: Int {
        var count = 0
        for word in 0..<Self.wordCount {
            count += words[word].nonzeroBitCount
        }
        return count
    }

    @inline(__always)
    var isEmpty: Bool {
        var bits: UInt64 = 0
        for word in 0..<Self.wordCount {
            bits |= words[word]
        }
        return bits == 0
    }

    /// The first set bit at or after `start`; nil where there is none.
    @inline(__always)
    func firstSet(atOrAfter start: Int) -> Int? {
        guard start < Pageblock.pageCount else { return nil }
        var word = start >> 6
        var bits = words[word] & (.max &<< UInt64(start & 63))
        while bits == 0 {
            word += 1
            guard word < Self.wordCount else { return nil }
            bits = words[word]
        }
        return word << 6 + bits.trailingZeroBitCount
    }

    /// The last set bit at or before `start`; nil where there is none.
    func lastSet(atOrBefore start: Int) -> Int? {
        guard start >= 0 else { return nil }
        var word = start >> 6
        var bits = words[word] & (.max &>> UInt64(63 - start & 63))
        while bits == 0 {
            guard word > 0 else { return nil }
            word -= 1
            bits = words[word]
        }
        return word << 6 + 63 - bits.leadingZeroBitCount
    }

    /// The first clear bit at or after `start`; `pageCount` where there is none.
    @inline(__always)
    func firstClear(atOrAfter start: Int) -> Int {
        var word = start >> 6
        guard word < Self.wordCount else { return Pageblock.pageCount }
        var bits = ~words[word] & (.max &<< UInt64(start & 63))
        while bits == 0 {
            word += 1
            guard word < Self.wordCount else { return Pageblock.pageCount }
            bits = ~words[word]
        }
        return word << 6 + bits.trailingZeroBitCount
    }

    /// Set bits at the end of the pageblock.
    var lengthOfLastRun: Int {
        var length = 0
        var word = Self.wordCount - 1
        while word >= 0 {
            let ones = (~words[word]).leadingZeroBitCount
            length += ones
            guard ones == 64 else { break }
            word -= 1
        }
        return length
    }

    /// Clears the bits of a range that may reach beyond the pageblock.
    mutating func clear(_ pages: Range<Int>) {
        let pages = pages.clamped(to: 0..<Pageblock.pageCount)
        guard !pages.isEmpty else { return }
        let (first, last) = (pages.lowerBound >> 6, (pages.upperBound - 1) >> 6)
        for word in first...last {
            var cleared = UInt64.max
            if word == first { cleared &= .max &<< UInt64(pages.lowerBound & 63) }
            if word == last { cleared &= .max &>> UInt64(63 - (pages.upperBound - 1) & 63) }
            words[word] &= ~cleared
        }
    }
}

extension BuddyAllocator {
    /// Which pages of a pageblock are free.
    func freePages(ofPageblock pageblock: Int) -> PageblockBits {
        if isFreeBlock(Pageblock.order, pageblock)
            || isFreeBlock(Order.max.rawValue, pageblock >> 1)
        {
            return PageblockBits(repeating: .max)
        }
        if listsFollowPageblocks { return map(pageblock, .unmovable).freePages }
        var bits = PageblockBits(repeating: 0)
        for list in Migratetype.allCases where freeOrders[list] != 0 {
            bits.formUnion(map(pageblock, list).freePages)
        }
        return bits
    }
}

extension PageblockMap {
    /// The pages of all blocks below the pageblock's order: the blocks of order 8 first, then each
    /// order's below, while every bit becomes two.
    fileprivate var freePages: PageblockBits {
        var octets: UInt64 = 0
        for order in stride(from: Pageblock.order - 1, through: 3, by: -1) {
            octets = Self.doubled(octets) | bits(order)
        }
        var pages = PageblockBits(repeating: 0)
        for half in 0..<2 {
            let quads = Self.doubled(octets &>> UInt64(32 * half)) | word(2, half)
            for quarter in 2 * half..<2 * half + 2 {
                let pairs =
                    Self.doubled(quads &>> UInt64(32 * (quarter & 1))) | word(1, quarter)
                pages[2 * quarter] = Self.doubled(pairs) | word(0, 2 * quarter)
                pages[2 * quarter + 1] = Self.doubled(pairs &>> 32) | word(0, 2 * quarter + 1)
            }
        }
        return pages
    }

    /// Each of the low 32 bits twice, in its order.
    @inline(__always)
    private static func doubled(_ bits: UInt64) -> UInt64 {
        var spread = bits & 0xffff_ffff
        spread = (spread | spread &<< 16) & 0x0000_ffff_0000_ffff
        spread = (spread | spread &<< 8) & 0x00ff_00ff_00ff_00ff
        spread = (spread | spread &<< 4) & 0x0f0f_0f0f_0f0f_0f0f
        spread = (spread | spread &<< 2) & 0x3333_3333_3333_3333
        spread = (spread | spread &<< 1) & 0x5555_5555_5555_5555
        return spread | spread &<< 1
    }
}
