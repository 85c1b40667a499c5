// A set of numbers 0 ..< n, of which the next above or below any place is wanted at once.
//
// One bit a number, and above the bits summaries: a bit of level n + 1 says whether a word of level
// n has any bit set. With 64 bits a word, six levels span 2^30 numbers, so that the next one is
// found by climbing until a bit is seen and descending to it: about ten words read at most, however
// many there are.

@safe struct HierarchicalBitmap: ~Copyable {
    /// Enough for 2^30 pages, `Machine.maximumSpannedPages`, and those by which a zone that begins
    /// or ends inside a largest block is rounded up.
    static let maximumLevels = 6

    private static let bitsPerWord = 64

    /// Where the words of a level begin among all words, and how many they are.
    private struct Level {
        let offset: Int
        let wordCount: Int
    }

    /// The numbers are less than this.
    let limit: Int

    /// The first word of level 0 that has a bit set, where a search from the start ends; as many
    /// as there are words where none has.
    private var firstWord: Int

    /// Words of level 0, which come first.
    private let wordCount: Int
    private let levelCount: Int
    private let words: UnsafeMutablePointer<UInt64>
    private let levels: UnsafeMutablePointer<Level>

    init(limit: Int) {
        precondition(limit > 0)
        unsafe levels = .allocate(capacity: Self.maximumLevels)
        var bits = limit
        var offset = 0
        var level = 0
        repeat {
            precondition(level < Self.maximumLevels)
            bits = (bits + Self.bitsPerWord - 1) / Self.bitsPerWord
            unsafe (levels + level).initialize(to: Level(offset: offset, wordCount: bits))
            offset += bits
            level += 1
        } while bits > 1
        self.limit = limit
        wordCount = unsafe levels[0].wordCount
        firstWord = wordCount
        levelCount = level
        unsafe words = .allocate(capacity: offset)
        unsafe words.initialize(repeating: 0, count: offset)
    }

    deinit {
        unsafe levels.deallocate()
        unsafe words.deallocate()
    }

    func contains(_ number: Int) -> Bool {
        precondition(number >= 0 && number < limit)
        return unsafe words[number >> 6] & (1 << UInt64(number & 63)) != 0
    }

    // MARK: Changing

    /// Adds a number that is not in the set.
    mutating func insert(_ number: Int) {
        precondition(number >= 0 && number < limit)
        let word = number >> 6
        let bit: UInt64 = 1 << UInt64(number & 63)
        let before = unsafe words[word]
        precondition(before & bit == 0, "a number was added twice")
        unsafe words[word] = before | bit
        if word < firstWord { firstWord = word }
        if before == 0 { setSummaries(above: word) }
    }

    /// Takes out a number; false where it is not in the set.
    mutating func remove(_ number: Int) -> Bool {
        precondition(number >= 0 && number < limit)
        let word = number >> 6
        let bit: UInt64 = 1 << UInt64(number & 63)
        let before = unsafe words[word]
        guard before & bit != 0 else { return false }
        unsafe words[word] = before ^ bit
        if before == bit { empty(word) }
        return true
    }

    @inline(never)
    private mutating func empty(_ word: Int) {
        clearSummaries(above: word)
        if word == firstWord {
            firstWord = unsafe Self.firstWord(after: word, words, levels, levelCount) ?? wordCount
        }
    }

    @inline(never)
    private mutating func setSummaries(above word: Int) {
        var index = word
        for level in 1..<max(levelCount, 1) {
            let place = unsafe levels[level].offset + index >> 6
            let before = unsafe words[place]
            unsafe words[place] = before | (1 << UInt64(index & 63))
            if before != 0 { return }
            index >>= 6
        }
    }

    private mutating func clearSummaries(above word: Int) {
        var index = word
        for level in 1..<max(levelCount, 1) {
            let place = unsafe levels[level].offset + index >> 6
            let after = unsafe words[place] & ~(1 << UInt64(index & 63))
            unsafe words[place] = after
            if after != 0 { return }
            index >>= 6
        }
    }

    // MARK: Searching

    /// The lowest number of a set that is not empty.
    @inline(__always)
    var lowest: Int {
        precondition(firstWord < wordCount, "an empty set has no lowest number")
        return unsafe firstWord &<< 6 | words[firstWord].trailingZeroBitCount
    }

    /// The first number at or after `start`; nil where there is none.
    func first(atOrAfter start: Int) -> Int? {
        precondition(start >= 0)
        let start = max(start, firstWord << 6)
        let word = start >> 6
        guard word < wordCount else { return nil }
        let bits = unsafe words[word] >> UInt64(start & 63)
        if bits != 0 { return start + bits.trailingZeroBitCount }
        guard let next = unsafe Self.firstWord(after: word, words, levels, levelCount) else {
            return nil
        }
        return unsafe next << 6 + words[next].trailingZeroBitCount
    }

    /// The first number in `range`; nil where there is none.
    @inline(__always)
    func first(in range: Range<Int>) -> Int? {
        guard let found = first(atOrAfter: range.lowerBound), found < range.upperBound else {
            return nil
        }
        return found
    }

    /// The last number at or before `start`; nil where there is none.
    func last(atOrBefore start: Int) -> Int? {
        guard start >= 0 else { return nil }
        let start = min(start, limit - 1)
        let word = start >> 6
        let bits = unsafe words[word] << UInt64(63 - start & 63)
        if bits != 0 { return start - bits.leadingZeroBitCount }
        guard let previous = lastWord(before: word) else { return nil }
        return unsafe previous << 6 + 63 - words[previous].leadingZeroBitCount
    }

    /// Bit i: whether 64 * `index` + i is in the set; 0 beyond the last number.
    func word(_ index: Int) -> UInt64 {
        index >= 0 && index < wordCount ? unsafe words[index] : 0
    }

    /// The first word of level 0 after `word` that has a bit set. It has what it needs as
    /// arguments, since a method would have the whole struct copied for it at each call.
    @inline(never)
    private static func firstWord(
        after word: Int, _ words: UnsafeMutablePointer<UInt64>,
        _ levels: UnsafeMutablePointer<Level>, _ levelCount: Int
    ) -> Int? {
        var index = word + 1
        var level = 1
        while true {
            guard level < levelCount else { return nil }
            guard unsafe index >> 6 < levels[level].wordCount else { return nil }
            let bits = unsafe words[levels[level].offset + index >> 6] >> UInt64(index & 63)
            if bits != 0 {
                index += bits.trailingZeroBitCount
                break
            }
            index = index >> 6 + 1
            level += 1
        }
        while level > 1 {
            level -= 1
            index =
                unsafe index << 6 + words[levels[level].offset + index].trailingZeroBitCount
        }
        return index
    }

    /// The last word of level 0 before `word` that has a bit set.
    private func lastWord(before word: Int) -> Int? {
        var index = word - 1
        var level = 1
        while true {
            guard index >= 0, level < levelCount else { return nil }
            let bits = unsafe words[levels[level].offset + index >> 6] << UInt64(63 - index & 63)
            if bits != 0 {
                index -= bits.leadingZeroBitCount
                break
            }
            index = index >> 6 - 1
            level += 1
        }
        while level > 1 {
            level -= 1
            index =
                unsafe index << 6 + 63 - words[levels[level].offset + index].leadingZeroBitCount
        }
        return index
    }

    /// Traps where a summary bit does not say what the words below it hold.
    func checkInvariants() {
        let first = (0..<wordCount).first { unsafe words[$0] != 0 }
        precondition(first ?? wordCount == firstWord, "the first word is wrong")
        for level in 1..<max(levelCount, 1) {
            for word in 0..<(unsafe levels[level - 1].wordCount) {
                let summary =
                    unsafe words[levels[level].offset + word >> 6] >> UInt64(word & 63) & 1
                let below: UInt64 = unsafe words[levels[level - 1].offset + word] == 0 ? 0 : 1
                precondition(summary == below, "a summary bit is wrong")
            }
        }
    }
}
