// Where the free runs of a zone are: a tree of summaries over its pageblocks.
//
// The buddy lists say at once where a free block is, but not where 24 free pages stand in a row: a
// run may begin in one block and end in another, and FreeBSD's and the GPU drivers' allocators miss
// those. The tree sees them: a leaf sums up a pageblock, a node the eight nodes below it, and the
// root the zone, so that a search goes only where a run that is long enough must be, and a miss is
// proved at the root.
//
// Nobody pays for it before it is needed. A zone has no index until the first request that the
// buddy lists cannot answer; from then on each allocation and each free notes which pageblocks it
// changed, a byte and a number, and the next search reads those pageblocks again before it begins.
//
// It takes 0.23 bytes a page: 40 for the summary of a pageblock and a seventh more for those above,
// 64 for a copy of its free pages, which stand in one place here and not order by order.
//
// Source: Go's page allocator, runtime/mpagealloc.go, for the tree of (start, max, end).

@safe package struct RunIndex: ~Copyable {
    /// Nodes under a node.
    static let fanOut = 8

    /// log2 of `fanOut`.
    private static let fanOutShift = 3

    /// Pages under a leaf.
    static let leafPages = Pageblock.pageCount

    /// One in so many pageblocks changed: from there on all upper nodes are made anew, in one pass,
    /// instead of each changed leaf's ancestors.
    private static let sweepShare = 16

    let leafCount: Int

    /// Pages of the zone.
    var pageCount: Int { leafCount << Pageblock.order }

    /// The level of the root; leaves are level 0.
    let top: Int

    /// For each level its nodes, padded with nodes that have no free page.
    private let levels: UnsafeMutablePointer<UnsafeMutablePointer<RunSummary>>

    /// For each pageblock its free pages.
    private let freePages: UnsafeMutablePointer<PageblockBits>

    /// Pageblocks that have changed since they were summed up: a queue, and for each pageblock
    /// whether it is in it.
    private let changedLeaves: UnsafeMutablePointer<UInt32>
    private let changedCount: UnsafeMutablePointer<Int>
    private let isChanged: UnsafeMutablePointer<Bool>

    /// For a zone of `frameCount` frames, a multiple of the pageblock size. All pageblocks count as
    /// changed.
    package init(frameCount: Int) {
        precondition(frameCount > 0 && frameCount % Self.leafPages == 0)
        leafCount = frameCount / Self.leafPages
        var counts = [leafCount]
        while let count = counts.last, count > 1 {
            counts.append((count + Self.fanOut - 1) >> Self.fanOutShift)
        }
        top = counts.count - 1
        unsafe levels = .allocate(capacity: counts.count)
        for (level, count) in counts.enumerated() {
            let padded = (count + Self.fanOut - 1) & ~(Self.fanOut - 1)
            let nodes = UnsafeMutablePointer<RunSummary>.allocate(capacity: padded)
            unsafe nodes.initialize(repeating: RunSummary(), count: padded)
            unsafe (levels + level).initialize(to: nodes)
        }
        unsafe freePages = .allocate(capacity: leafCount)
        unsafe freePages.initialize(repeating: PageblockBits(repeating: 0), count: leafCount)
        unsafe changedLeaves = .allocate(capacity: leafCount)
        unsafe changedCount = .allocate(capacity: 1)
        unsafe changedCount.initialize(to: 0)
        unsafe isChanged = .allocate(capacity: leafCount)
        unsafe isChanged.initialize(repeating: false, count: leafCount)
        noteChange(0, frameCount)
    }

    deinit {
        for level in 0...top {
            unsafe levels[level].deallocate()
        }
        unsafe levels.deallocate()
        unsafe freePages.deallocate()
        unsafe changedLeaves.deallocate()
        unsafe changedCount.deallocate()
        unsafe isChanged.deallocate()
    }

    /// Says that `count` pages from page `first` of the zone were taken or given back. Pages count
    /// from the zone's `base`.
    @inline(__always)
    package func noteChange(_ first: Int, _ count: Int) {
        for leaf in first >> Pageblock.order...(first &+ count &- 1) >> Pageblock.order {
            noteChange(ofLeaf: leaf)
        }
    }

    /// Says that pages of a pageblock were taken or given back.
    @inline(__always)
    func noteChange(ofLeaf leaf: Int) {
        if unsafe !isChanged[leaf] { enqueue(leaf) }
    }

    @inline(never)
    private func enqueue(_ leaf: Int) {
        unsafe isChanged[leaf] = true
        unsafe changedLeaves[changedCount.pointee] = UInt32(leaf)
        unsafe changedCount.pointee += 1
    }

    /// Brings each summary up to date with the free blocks of the zone that the index is of.
    func refresh(from zone: borrowing BuddyAllocator) {
        let count = unsafe changedCount.pointee
        guard count > 0 else { return }
        let sweeps = count > leafCount / Self.sweepShare
        for position in 0..<count {
            let leaf = unsafe Int(changedLeaves[position])
            unsafe isChanged[leaf] = false
            let pages = zone.freePages(ofPageblock: leaf)
            unsafe freePages[leaf] = pages
            let before = unsafe levels[0][leaf]
            unsafe levels[0][leaf] = RunSummary(pages)
            if !sweeps { renewAncestors(ofLeaf: leaf, since: before) }
        }
        unsafe changedCount.pointee = 0
        if sweeps { renewUpperLevels() }
    }

    /// Carries what has become of a leaf up to the root. Above a node whose runs stay the same only
    /// the count of free pages changes, and that mostly is all.
    private func renewAncestors(ofLeaf leaf: Int, since before: RunSummary) {
        var node = leaf
        var before = before
        for level in stride(from: 1, through: top, by: 1) {
            let after = unsafe levels[level - 1][node]
            node >>= Self.fanOutShift
            let found = unsafe levels[level][node]
            if after.hasRuns(of: before) {
                unsafe levels[level][node].free = found.free &+ after.free &- before.free
            } else {
                unsafe levels[level][node] = summaryOfParts(node, level)
            }
            before = found
        }
    }

    private func renewUpperLevels() {
        var count = leafCount
        for level in stride(from: 1, through: top, by: 1) {
            count = (count + Self.fanOut - 1) >> Self.fanOutShift
            for node in 0..<count {
                unsafe levels[level][node] = summaryOfParts(node, level)
            }
        }
    }

    private func summaryOfParts(_ node: Int, _ level: Int) -> RunSummary {
        unsafe RunSummary(
            levels[level - 1] + node << Self.fanOutShift, ofSize: Self.pages(ofLevel: level - 1))
    }

    /// Pages under a node of the level.
    @inline(__always)
    static func pages(ofLevel level: Int) -> Int { 1 &<< shift(ofLevel: level) }

    /// log2 of the pages under a node of the level.
    @inline(__always)
    static func shift(ofLevel level: Int) -> Int {
        Pageblock.order &+ fanOutShift &* level
    }

    @inline(__always)
    func freePages(ofLeaf leaf: Int) -> PageblockBits { unsafe freePages[leaf] }

    @inline(__always)
    subscript(level: Int, node: Int) -> RunSummary { unsafe levels[level][node] }

    /// A place between nodes: boundary i of a level lies before node i. One that belongs to several
    /// levels counts to the highest, until it is taken down.
    struct Boundary {
        private(set) var level = 0
        private(set) var index: Int

        @inline(__always)
        init(beforeLeaf leaf: Int, top: Int) {
            index = leaf
            climb(to: top)
        }

        /// The page behind the boundary.
        @inline(__always)
        var page: Int { index &<< RunIndex.shift(ofLevel: level) }

        @inline(__always)
        mutating func advance(top: Int) {
            index += 1
            climb(to: top)
        }

        @inline(__always)
        mutating func retreat(top: Int) {
            index -= 1
            climb(to: top)
        }

        /// The same place, one level down.
        mutating func descend() {
            level -= 1
            index <<= RunIndex.fanOutShift
        }

        @inline(__always)
        private mutating func climb(to top: Int) {
            while level < top, index & (RunIndex.fanOut - 1) == 0 {
                index >>= RunIndex.fanOutShift
                level += 1
            }
        }
    }
}
