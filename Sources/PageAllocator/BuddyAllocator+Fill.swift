// Many blocks at once: the lists of a pageblock made from its free pages.

extension PageblockBits {
    /// Clears each bit that is set in `other`; false where one of them was not set here.
    mutating func subtract(_ other: PageblockBits) -> Bool {
        var missing: UInt64 = 0
        for word in 0..<Self.wordCount {
            missing |= other[word] & ~self[word]
            self[word] &= ~other[word]
        }
        return missing == 0
    }
}

extension BuddyAllocator {
    /// Puts the free pages of a pageblock on the lists of a type, as the largest aligned blocks.
    /// None of its pages may be on a list.
    ///
    /// Order by order, pairs of set bits become one bit of the next order, 64 at a time.
    mutating func fill(_ number: Int, of type: Migratetype, with pages: PageblockBits) {
        guard !pages.isEmpty else { return }
        let map = writableMap(number, type)
        var blocks = pages
        var wordCount = PageblockBits.wordCount
        for order in 0..<Pageblock.order {
            var left = 0
            var isAnyPair = false
            for word in 0..<wordCount {
                let bits = blocks[word]
                let pairs = bits & bits &>> 1 & 0x5555_5555_5555_5555
                let single = bits & ~(pairs | pairs &<< 1)
                map.fill(order, word, with: single)
                left += single.nonzeroBitCount
                // Word by word in place: what is written has been read.
                let half = Self.halved(pairs)
                blocks[word / 2] = word & 1 == 0 ? half : blocks[word / 2] | half &<< 32
                isAnyPair = isAnyPair || pairs != 0
            }
            addBlocks(left, order, of: type, in: number)
            guard isAnyPair else { return }
            wordCount = max(wordCount / 2, 1)
        }
        map.fill(Pageblock.order, 0, with: 1)
        addBlocks(1, Pageblock.order, of: type, in: number)
    }

    /// Every second bit, as the low 32.
    @inline(__always)
    private static func halved(_ bits: UInt64) -> UInt64 {
        var packed = bits & 0x5555_5555_5555_5555
        packed = (packed | packed &>> 1) & 0x3333_3333_3333_3333
        packed = (packed | packed &>> 2) & 0x0f0f_0f0f_0f0f_0f0f
        packed = (packed | packed &>> 4) & 0x00ff_00ff_00ff_00ff
        packed = (packed | packed &>> 8) & 0x0000_ffff_0000_ffff
        return (packed | packed &>> 16) & 0xffff_ffff
    }

    /// Counts blocks that have been put on a list, all in one pageblock that had none of the order.
    @inline(__always)
    private mutating func addBlocks(
        _ blocks: Int, _ order: Int, of type: Migratetype, in number: Int
    ) {
        guard blocks > 0 else { return }
        unsafe areas[Self.area(type, order)].places.insert(number)
        count(blocks, on: type, order)
    }
}
