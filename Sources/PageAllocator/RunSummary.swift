// What a stretch of frames says of its free runs: the node of a run index.
//
// The first three figures are those of Go's page allocator (runtime/mpagealloc.go, `pallocSum`):
// with them two neighbours can be put together without a look at their pages. The fourth is what a
// best fit needs and Go's first fit does not: which lengths occur.

struct RunSummary {
    /// Free pages at the beginning of the stretch; all of it where it is wholly free.
    var start: UInt32 = 0

    /// Free pages at its end.
    var end: UInt32 = 0

    /// Pages of its longest free run.
    var longest: UInt32 = 0

    /// The same of those parts of runs that begin at a multiple of 16 pages, 64 KiB: what is asked
    /// for with an alignment fits a part like that or nothing.
    var longestFromGranule: UInt32 = 0

    /// The same of those that begin at a pageblock.
    var longestFromPageblock: UInt32 = 0

    /// Free pages of the stretch.
    var free: UInt32 = 0

    /// The lengths of the runs that begin after its first page and end before its last: those that
    /// no neighbour can make longer.
    var lengths = RunLengths()

    /// A stretch of that many pages, all free.
    static func free(_ pages: Int) -> RunSummary {
        let pages = UInt32(pages)
        return RunSummary(
            start: pages, end: pages, longest: pages, longestFromGranule: pages,
            longestFromPageblock: pages, free: pages)
    }

    /// Whether all but the number of free pages is the same.
    @inline(__always)
    func hasRuns(of other: RunSummary) -> Bool {
        start == other.start && end == other.end && longest == other.longest
            && longestFromGranule == other.longestFromGranule
            && longestFromPageblock == other.longestFromPageblock && lengths == other.lengths
    }

    /// Where the runs looked for must begin; all coarser ones are among the finer ones.
    enum Grain: UInt32 {
        case page = 1
        case granule = 16
        case pageblock = 512
    }

    @inline(__always)
    func longest(from grain: Grain) -> Int {
        switch grain {
        case .page: Int(longest)
        case .granule: Int(longestFromGranule)
        case .pageblock: Int(longestFromPageblock)
        }
    }

    /// The part of `pages` pages up to a multiple of every grain that begins at a multiple of
    /// `grain`.
    @inline(__always)
    private static func part(_ pages: UInt32, from grain: Grain) -> UInt32 {
        pages & ~(grain.rawValue - 1)
    }
}

/// A set of run lengths: each length below 16, then four classes to the octave: 16-19, 20-23, …
struct RunLengths: Equatable {
    /// Bit i of the two words together: class i. Enough for runs of 2^32 pages, more than a zone
    /// has.
    private(set) var low: UInt64 = 0
    private(set) var high: UInt64 = 0

    private static let exactLengths = 16

    /// Whether all runs of a class have the same length: its number.
    static func isExact(_ lengthClass: Int) -> Bool { lengthClass < exactLengths }

    @inline(__always)
    static func lengthClass(of length: Int) -> Int {
        guard length >= exactLengths else { return length }
        let octave = 63 - length.leadingZeroBitCount
        return 4 * octave + (length &>> (octave - 2)) & 3
    }

    /// The shortest length of a class.
    @inline(__always)
    static func shortest(inClass lengthClass: Int) -> Int {
        guard lengthClass >= exactLengths else { return lengthClass }
        return (4 + lengthClass & 3) << (lengthClass >> 2 - 2)
    }

    init() {}

    /// Each class that has a length of `length` or more.
    static func atLeast(_ length: Int) -> RunLengths {
        var lengths = RunLengths()
        let lengthClass = lengthClass(of: length)
        lengths.low = lengthClass < 64 ? .max << UInt64(lengthClass) : 0
        lengths.high = .max << UInt64(max(lengthClass - 64, 0))
        return lengths
    }

    /// Takes out each class whose shortest length is `length` or more.
    mutating func remove(atLeast length: Int) {
        let lengthClass = Self.lengthClass(of: length - 1) + 1
        if lengthClass < 64 {
            low &= ~(.max << UInt64(lengthClass))
            high = 0
        } else {
            high &= ~(.max << UInt64(lengthClass - 64))
        }
    }

    @inline(__always)
    mutating func insert(_ length: Int) {
        insert(class: Self.lengthClass(of: length))
    }

    @inline(__always)
    mutating func insert(class lengthClass: Int) {
        let bit: UInt64 = 1 &<< UInt64(lengthClass & 63)
        if lengthClass < 64 { low |= bit } else { high |= bit }
    }

    @inline(__always)
    mutating func formUnion(_ other: RunLengths) {
        low |= other.low
        high |= other.high
    }

    @inline(__always)
    func containsClass(of length: Int) -> Bool {
        let lengthClass = Self.lengthClass(of: length)
        let bits = lengthClass < 64 ? low : high
        return bits &>> UInt64(lengthClass & 63) & 1 != 0
    }

    @inline(__always)
    func overlaps(_ other: RunLengths) -> Bool { low & other.low | high & other.high != 0 }

    @inline(__always)
    var isEmpty: Bool { low | high == 0 }
}

// MARK: Making a summary

extension RunSummary {
    /// Of one pageblock.
    ///
    /// The runs are not gone through one by one: those that are at least so long are found for all
    /// of the pageblock at once, and the length grows from class to class.
    init(_ pages: PageblockBits) {
        let first = pages.firstClear(atOrAfter: 0)
        guard first < Pageblock.pageCount else {
            self = .free(Pageblock.pageCount)
            return
        }
        let last = pages.lengthOfLastRun
        start = UInt32(first)
        end = UInt32(last)
        free = UInt32(pages.count)
        longest = max(start, end)
        longestFromPageblock = start
        longestFromGranule = max(start, Self.part(end, from: .granule))

        var inner = pages
        inner.clear(0..<first)
        inner.clear(Pageblock.pageCount - last..<Pageblock.pageCount)
        guard !inner.isEmpty else { return }
        var runs = inner.runStarts()
        var fromGranule = inner.intersection(.granules)
        var starts = inner
        var lengthClass = RunLengths.lengthClass(of: 1)
        var granuleClass = lengthClass
        while true {
            let next = lengthClass + 1
            let growth =
                RunLengths.shortest(inClass: next) - RunLengths.shortest(inClass: lengthClass)
            starts.keepBits(whereSetToo: growth)
            let longer = runs.intersection(starts)
            if longer != runs { lengths.insert(class: lengthClass) }
            let longerFromGranule = fromGranule.intersection(starts)
            if !longerFromGranule.isEmpty {
                fromGranule = longerFromGranule
                granuleClass = next
            }
            if longer.isEmpty { break }
            runs = longer
            lengthClass = next
        }
        longest = max(longest, UInt32(inner.longestRun(startingAt: runs, inClass: lengthClass)))
        longestFromGranule = max(
            longestFromGranule,
            UInt32(inner.longestRun(startingAt: fromGranule, inClass: granuleClass)))
    }

    /// Of eight neighbours of `size` pages each, low addresses first.
    @unsafe init(_ parts: UnsafePointer<RunSummary>, ofSize size: Int) {
        let size = UInt32(size)
        var run: UInt32 = 0
        var beginsHere = true
        for position in 0..<RunIndex.fanOut {
            let part = unsafe parts[position]
            free += part.free
            longestFromGranule = max(
                longestFromGranule, part.longestFromGranule,
                Self.part(run, from: .granule) + part.start)
            longestFromPageblock = max(
                longestFromPageblock, part.longestFromPageblock,
                Self.part(run, from: .pageblock) + part.start)
            run += part.start
            if part.start == size { continue }
            if beginsHere {
                start = run
            } else if run > 0 {
                lengths.insert(Int(run))
            }
            longest = max(longest, run, part.longest)
            lengths.formUnion(part.lengths)
            run = part.end
            beginsHere = false
        }
        if beginsHere { start = run }
        end = run
        longest = max(longest, run)
    }
}

extension PageblockBits {
    /// The first page of each granule.
    fileprivate static let granules = PageblockBits(repeating: 0x0001_0001_0001_0001)

    /// The length of the longest of the runs that begin at the bits set in `starts`, if any, all of
    /// which have a length of the class.
    fileprivate func longestRun(startingAt starts: PageblockBits, inClass lengthClass: Int) -> Int {
        if RunLengths.isExact(lengthClass) { return starts.isEmpty ? 0 : lengthClass }
        var longest = 0
        var next = starts.firstSet(atOrAfter: 0)
        while let start = next {
            let end = firstClear(atOrAfter: start)
            longest = max(longest, end - start)
            next = starts.firstSet(atOrAfter: end)
        }
        return longest
    }
}
