// The buddy system of one zone: `struct zone` with its free lists.
//
// Free memory is kept as naturally aligned blocks, order 0 to 10, each in the list of one
// migratetype. A freed block merges with its buddy as long as that is free. Among the blocks of a
// list the lowest address is taken first. The kernel takes the head of a list instead; which node
// and zone serve a request does not depend on it, and so the state is a function of which calls
// were made, and of no list's history.
//
// The parts: here what a zone is, and a request that its own lists can meet; `+Lists` the lists;
// `+Fallback` a request that other types' lists must meet; `+Highatomic` the reserve for atomic
// requests; `+Free` merging; `+Take` frames that the caller names; `+Changes` what an allocation
// changes beside taking pages; `+Blocks` what can be asked.
//
// Source: `rmqueue_buddy`, `__rmqueue_smallest`, `expand`, mm/page_alloc.c.

@safe package struct BuddyAllocator: ~Copyable {
    /// Lists of each order: one for each migratetype.
    static let listCount = Migratetype.allCases.count

    /// The zone's first frame, rounded down to a block of the largest order: block numbers count
    /// from here, and so a block's natural alignment is that of its number.
    package let base: PageFrameNumber

    /// Frames from `base` that have places: whole blocks of the largest order.
    package let frameCount: Int

    /// From the zone's first frame to its last, holes included.
    let span: FrameRange

    /// What was managed when the zone was made.
    package let managedPages: UInt64

    package let rules: BuddyRules

    /// Whether a free block always stands in the list of its pageblock's type. From 6.10 on it
    /// does; before, a list could hold blocks of pageblocks of other types.
    let listsFollowPageblocks: Bool

    /// `NR_FREE_PAGES`.
    package internal(set) var freePages: UInt64 = 0

    /// `watermark_boost`, pages.
    package internal(set) var boost: UInt64 = 0

    /// Which lists are not empty.
    var freeOrders = FreeOrders()

    var pageblocks: Pageblocks

    /// Where runs of free pages are; nil until a search needs it.
    package internal(set) var runIndex: RunIndex?

    /// Whether a pageblock has ever been reserved for atomic requests. Its free blocks were kept
    /// apart from their buddies, and stay apart when it is released.
    var hasReserved = false

    /// Whether a trial is under way.
    var isOnTrial: Bool { undo != nil }

    /// A request whose window holds these frames may have any block: the zone's span. In a trial
    /// more frames than any window has, so that each allocation goes the way that writes down what
    /// it changes, and outside a trial none asks for it.
    var unrestricted: FrameRange

    /// Whether a free has more to note than the lists: in a trial, and where there is a run index.
    var isObserved = false

    /// What the trial under way has changed; nil outside a trial.
    var undo: ZoneUndo?

    /// The lists: of each migratetype one `FreeArea` for each order.
    let areas: UnsafeMutablePointer<FreeArea>

    /// The free blocks of each pageblock. Where lists follow pageblocks all types share its map;
    /// else each type has maps of its own, one type after the other.
    var maps: PageblockMaps

    /// All managed pages are free, and Movable. `span` must hold each of the ranges, which are
    /// disjoint.
    ///
    /// Source: `memmap_init_range`, mm/mm_init.c.
    package init(span: FrameRange, managedRanges: [FrameRange], rules: BuddyRules) {
        let largest = Order.max.pageCount
        base = PageFrameNumber(span.lowerBound.rawValue & ~(largest - 1))
        let pages = span.upperBound.rawValue - base.rawValue
        let largestBlocks = max(Int((pages + largest - 1) / largest), 1)
        frameCount = largestBlocks << Order.max.rawValue
        self.span = span
        unrestricted = span
        self.rules = rules
        listsFollowPageblocks =
            switch rules.dialect {
            case .linux61: false
            case .linux612: true
            }
        let pageblockCount = frameCount >> Pageblock.order
        let mapCount = listsFollowPageblocks ? pageblockCount : pageblockCount * Self.listCount
        maps = PageblockMaps(count: mapCount)
        unsafe areas = .allocate(capacity: Self.listCount * Order.count)
        for area in 0..<Self.listCount * Order.count {
            let isLargest = area % Order.count == Order.max.rawValue
            let places = isLargest ? largestBlocks : pageblockCount
            unsafe (areas + area).initialize(to: FreeArea(placeCount: places))
        }
        managedPages = managedRanges.pageCount
        let first = base.rawValue
        let runs = managedRanges.map {
            Int($0.lowerBound.rawValue - first)..<Int($0.upperBound.rawValue - first)
        }
        pageblocks = Pageblocks(
            count: pageblockCount,
            type: rules.groupsByMobility ? .movable : .unmovable,
            managed: runs.filter { !$0.isEmpty }.map {
                $0.lowerBound >> Pageblock.order..<($0.upperBound - 1) >> Pageblock.order + 1
            })
        // What touches is joined first: the largest aligned blocks of a run need no merging.
        for range in managedRanges.joined() {
            insert(self.pages(of: range), in: rules.groupsByMobility ? .movable : .unmovable)
        }
        freePages = managedPages
    }

    deinit {
        unsafe areas.deinitialize(count: Self.listCount * Order.count)
        unsafe areas.deallocate()
    }

    // MARK: Allocating

    /// Takes an aligned block of `order` within `window`; nil where there is none that the request
    /// may have, and then nothing has changed.
    ///
    /// Of the request's own lists the smallest sufficient order is taken, and of that order the
    /// lowest address; where they hold nothing, those of other types by the rules of the dialect
    /// (`+Fallback`). A block that reaches beyond the window is split, and what lies within is
    /// granted. Exact and complete: what is free in a list that the request may use is found.
    ///
    /// - Parameters:
    ///   - type: Unmovable, Movable or Reclaimable.
    ///   - flags: `highatomic` opens the reserve first, and reserves the pageblock of what else is
    ///     taken; `oom` and `nonBlock` open it last; `noFragment` keeps other types' pageblocks
    ///     whole. Others mean nothing here.
    ///   - changes: what the allocation changed beside taking the pages is appended. To replay it,
    ///     `apply` each in turn, then `take` the frames for `type`.
    package mutating func allocate(
        _ order: Order, for type: Migratetype, with flags: AllocFlags, within window: FrameRange,
        changes: inout [ZoneChange]
    ) -> PageFrameNumber? {
        precondition(type != .highAtomic, "no request is of the type HighAtomic")
        let own = rules.groupsByMobility ? type : .unmovable
        if window.contains(unrestricted), !flags.contains(.highatomic),
            let block = takeLowest(order.rawValue, from: own)
        {
            return hand(out: block, order, for: type)
        }
        return allocateOtherwise(order, for: type, own, with: flags, within: window, &changes)
    }

    /// All but a request for any block of its own lists: windows, the reserve, other types' lists,
    /// and any request in a trial.
    @inline(never)
    private mutating func allocateOtherwise(
        _ order: Order, for type: Migratetype, _ own: Migratetype, with flags: AllocFlags,
        within window: FrameRange, _ changes: inout [ZoneChange]
    ) -> PageFrameNumber? {
        guard let places = places(of: order, within: window) else { return nil }
        var choice: Choice?
        if flags.contains(.highatomic) { choice = choose(order, from: .highAtomic, in: places) }
        choice = choice ?? choose(order, from: own, in: places)
        if choice == nil, let fallback = fallback(order, for: own, with: flags, in: places) {
            choice = carryOut(fallback, order, for: own, in: places, &changes)
        }
        if choice == nil, !flags.isDisjoint(with: [.oom, .nonBlock]) {
            choice = choose(order, from: .highAtomic, in: places)
        }
        guard let choice else { return nil }
        let first = choice.block << order.rawValue
        let run = first..<first + 1 << order.rawValue
        noteBeforeChange(of: run)
        runIndex?.noteChange(first, run.count)
        if flags.contains(.highatomic) {
            reserve(choice.block, order, &changes)
            // The reservation may have moved or split the block that was chosen.
            takeFree(run)
        } else {
            expand(choice, order)
        }
        return hand(out: choice.block, order, for: type)
    }

    /// The block that `allocate` would take; nil where it would take none.
    package func block(
        _ order: Order, for type: Migratetype, with flags: AllocFlags, within window: FrameRange
    ) -> PageFrameNumber? {
        guard let places = places(of: order, within: window) else { return nil }
        let own = rules.groupsByMobility ? type : .unmovable
        let reserved = choose(order, from: .highAtomic, in: places)?.block
        let found =
            (flags.contains(.highatomic) ? reserved : nil)
            ?? choose(order, from: own, in: places)?.block
            ?? fallback(order, for: own, with: flags, in: places).map {
                blockTaken(by: $0, order, in: places)
            }
            ?? (flags.isDisjoint(with: [.oom, .nonBlock]) ? nil : reserved)
        return found.map { frames(of: $0, order.rawValue).lowerBound }
    }

    /// A block that will be granted, and the free block that it is part of.
    struct Choice {
        /// Its number among the blocks of the order asked for.
        let block: Int

        /// The free block's number among those of its own order.
        let container: Int
        let containerOrder: Int
        let list: Migratetype
    }

    /// The lowest block of the smallest sufficient order that has a place in a window
    /// (`__rmqueue_smallest`).
    func choose(_ order: Order, from list: Migratetype, in places: Range<Int>) -> Choice? {
        var orders = Int(freeOrders[list]) & -1 &<< order.rawValue
        while orders != 0 {
            let larger = orders.trailingZeroBitCount
            if let choice = choose(order, from: list, of: larger, in: places) { return choice }
            orders &= orders - 1
        }
        return nil
    }

    /// The lowest block of exactly the order `larger` that has a block of `order` in `places`.
    func choose(
        _ order: Order, from list: Migratetype, of larger: Int, in places: Range<Int>
    ) -> Choice? {
        let containers = Self.containers(of: places, larger - order.rawValue)
        guard let found = first(larger, list, in: containers) else { return nil }
        return Choice(
            block: max(places.lowerBound, found &<< (larger - order.rawValue)), container: found,
            containerOrder: larger, list: list)
    }

    /// Marks the chosen block, of `order`, as taken and the halves beside it as free (`expand`).
    private mutating func expand(_ choice: Choice, _ order: Order) {
        remove(choice.container, choice.containerOrder, choice.list)
        var half = choice.containerOrder
        while half > order.rawValue {
            half &-= 1
            insert((choice.block &>> (half &- order.rawValue)) ^ 1, half, choice.list)
        }
    }

    /// Books a block that has been taken from the lists.
    @inline(__always)
    private mutating func hand(
        out block: Int, _ order: Order, for type: Migratetype
    ) -> PageFrameNumber {
        let first = block &<< order.rawValue
        let pages = 1 &<< order.rawValue
        freePages -= UInt64(truncatingIfNeeded: pages)
        if type == .movable { pageblocks.countMovable(first..<first + pages, sign: 1) }
        return base + UInt64(first)
    }

    // MARK: Places

    /// The numbers of the aligned blocks of `order` that lie wholly within `window`.
    @inline(__always)
    func places(of order: Order, within window: FrameRange) -> Range<Int>? {
        let lower = max(window.lowerBound.rawValue, base.rawValue) - base.rawValue
        let upper = min(window.upperBound.rawValue, base.rawValue + UInt64(frameCount))
        guard upper > base.rawValue else { return nil }
        let first = Int(lower + (1 &<< UInt64(order.rawValue)) - 1) &>> order.rawValue
        let end = Int(upper - base.rawValue) &>> order.rawValue
        return first < end ? first..<end : nil
    }

    /// The number of the pageblock that a block of `order` begins in.
    @inline(__always)
    static func pageblock(of block: Int, _ order: Int) -> Int {
        (block &<< order) >> Pageblock.order
    }

    /// The numbers of the blocks `shift` orders larger that hold any of `places`.
    @inline(__always)
    static func containers(of places: Range<Int>, _ shift: Int) -> Range<Int> {
        places.lowerBound &>> shift..<(places.upperBound - 1) &>> shift + 1
    }
}
