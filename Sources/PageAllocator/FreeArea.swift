// The free blocks of one order in one zone: `struct free_area` without lists.
//
// One bit a block, and above the bits summaries: a bit of level n + 1 says whether a word of level
// n has any bit set. With 64 bits a word, five levels span 2^30 blocks, so that the next free block
// at or after any place is found by climbing until a bit is seen and descending to it: about ten
// words read at most, however full the zone is. A list would give the head in one step but nothing
// near a given address; here both cost the same, which is what lets a request with boundaries be
// exact without making a request without them pay.

@safe struct FreeArea: ~Copyable {
    /// Enough for 2^30 blocks, `Machine.maximumSpannedPages`, and those by which a zone that begins
    /// or ends inside a largest block is rounded up.
    static let maximumLevels = 6

    private static let bitsPerWord = 64

    /// Places for blocks, free or not.
    let blockCount: Int

    /// Free blocks.
    private(set) var freeCount = 0

    private let levelCount: Int
    private let levels: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>>
    private let wordCounts: UnsafeMutablePointer<Int>

    init(blockCount: Int) {
        precondition(blockCount > 0)
        var counts: [Int] = []
        var bits = blockCount
        repeat {
            bits = (bits + Self.bitsPerWord - 1) / Self.bitsPerWord
            counts.append(bits)
        } while bits > 1
        precondition(counts.count <= Self.maximumLevels)
        self.blockCount = blockCount
        levelCount = counts.count
        unsafe levels = .allocate(capacity: counts.count)
        unsafe wordCounts = .allocate(capacity: counts.count)
        for (level, count) in counts.enumerated() {
            let words = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
            unsafe words.initialize(repeating: 0, count: count)
            unsafe (levels + level).initialize(to: words)
            unsafe (wordCounts + level).initialize(to: count)
        }
    }

    deinit {
        for level in 0..<levelCount {
            unsafe levels[level].deallocate()
        }
        unsafe levels.deallocate()
        unsafe wordCounts.deallocate()
    }

    func contains(_ block: Int) -> Bool {
        precondition(block >= 0 && block < blockCount)
        return unsafe levels[0][block >> 6] & (1 << UInt64(block & 63)) != 0
    }

    /// Marks a block free. It must not be free already.
    mutating func insert(_ block: Int) {
        precondition(!contains(block), "a block was freed twice")
        freeCount += 1
        var index = block
        for level in 0..<levelCount {
            let word = index >> 6
            let before = unsafe levels[level][word]
            unsafe levels[level][word] = before | (1 << UInt64(index & 63))
            if before != 0 { return }
            index = word
        }
    }

    /// Marks a block taken. It must be free.
    mutating func remove(_ block: Int) {
        precondition(contains(block), "a block was taken that is not free")
        freeCount -= 1
        var index = block
        for level in 0..<levelCount {
            let word = index >> 6
            let after = unsafe levels[level][word] & ~(1 << UInt64(index & 63))
            unsafe levels[level][word] = after
            if after != 0 { return }
            index = word
        }
    }

    /// The first free block at or after `start`; nil where there is none.
    func first(atOrAfter start: Int) -> Int? {
        precondition(start >= 0)
        var index = start
        var level = 0
        while true {
            let word = index >> 6
            guard unsafe word < wordCounts[level] else { return nil }
            let bits = unsafe levels[level][word] >> UInt64(index & 63)
            if bits != 0 {
                index += bits.trailingZeroBitCount
                break
            }
            level += 1
            guard level < levelCount else { return nil }
            index = word + 1
        }
        while level > 0 {
            level -= 1
            index = unsafe index << 6 + levels[level][index].trailingZeroBitCount
        }
        return index
    }

    /// Whether each summary bit says what the words below it hold, and the count is right.
    func checkInvariants() {
        var counted = 0
        for word in 0..<(unsafe wordCounts[0]) {
            counted += unsafe levels[0][word].nonzeroBitCount
        }
        precondition(counted == freeCount, "the count of free blocks is wrong")
        for level in 1..<max(levelCount, 1) {
            for word in 0..<(unsafe wordCounts[level - 1]) {
                let summary = unsafe levels[level][word >> 6] >> UInt64(word & 63) & 1
                let below: UInt64 = unsafe levels[level - 1][word] == 0 ? 0 : 1
                precondition(summary == below, "a summary bit is wrong")
            }
        }
    }
}
