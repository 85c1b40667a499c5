// A zone in a snapshot: what does not follow from the pages that are taken.
//
// Free pages stand as the largest aligned blocks, each in the list of its pageblock's type: below a
// pageblock always so, since every free merges, and above it nearly always. So the lists are not
// written but made again, from the pageblocks' types and the live pages, with two exceptions that
// are written down: pairs of pageblocks that stand otherwise (a pair that once held a reserve stays
// in two halves), and in 6.1 free blocks that stand in the list of another type. How many blocks
// each list must hold then is written too, so that a snapshot which does not give the state back is
// seen to be none.
//
//   boost               pages
//   has reserved        0 or 1
//   pageblock types     count of runs, and for each: 4 × its length + type
//   free blocks         for each type, and in it for each order: how many
//   pairs               count, and for each pair of free pageblocks that is one block though their
//                       types differ, or two though they do not: how far behind the one before
//   strays              count, and for each free block in the list of another type than its
//                       pageblock's: its first page, from the one before, and that type

extension BuddyAllocator {
    func writeSnapshot(to writer: inout SnapshotWriter) {
        writer.write(boost)
        writer.write(hasReserved)
        writer.write(typeRuns) { writer, run in
            writer.write(run.length << 2 | run.type.rawValue)
        }
        for list in Migratetype.allCases {
            for order in 0..<Order.count {
                writer.write(freeBlocks(of: Order(unchecked: order), type: list))
            }
        }
        var previous = 0
        writer.write(exceptionalPairs) { writer, pair in
            writer.write(pair - previous)
            previous = pair
        }
        previous = 0
        writer.write(strays) { writer, stray in
            writer.write(stray.page - previous)
            writer.write(stray.list.rawValue)
            previous = stray.page
        }
    }

    /// A run of pageblocks of one type.
    private struct TypeRun {
        let type: Migratetype
        var length: Int
    }

    private var typeRuns: [TypeRun] {
        var runs: [TypeRun] = []
        for number in 0..<pageblocks.count {
            let type = pageblocks[number].type
            if let last = runs.last, last.type == type {
                runs[runs.count - 1].length += 1
            } else {
                runs.append(TypeRun(type: type, length: 1))
            }
        }
        return runs
    }

    /// Pairs of free pageblocks, by the number of the block that they make: one block of the
    /// largest order though their types differ, or two blocks though they do not. Ascending.
    private var exceptionalPairs: [Int] {
        var pairs: [Int] = []
        var block = 0
        while let whole = firstFreeBlock(Order.max.rawValue, atOrAfter: block) {
            if !isOfOneType(pair: whole) { pairs.append(whole) }
            block = whole + 1
        }
        block = 0
        while let half = firstFreeBlock(Pageblock.order, atOrAfter: block) {
            block = half + 1
            if half & 1 == 0, isFreeBlock(Pageblock.order, half + 1), isOfOneType(pair: half / 2) {
                pairs.append(half / 2)
                block += 1
            }
        }
        return pairs.sorted()
    }

    private func isOfOneType(pair: Int) -> Bool {
        pageblocks[2 * pair].type == pageblocks[2 * pair + 1].type
    }

    /// A free block in the list of another type than its first pageblock's.
    private struct Stray {
        /// The block's first, from `base`.
        let page: Int
        let list: Migratetype
    }

    private var strays: [Stray] {
        guard !listsFollowPageblocks else { return [] }
        var strays: [Stray] = []
        for list in Migratetype.allCases {
            for order in 0..<Order.count {
                let end = frameCount >> order
                var next = first(order, list, in: 0..<end)
                while let block = next {
                    let number = Self.pageblock(of: block, order)
                    guard pageblocks[number].type != list else {
                        // The rest of the pageblock's blocks in this list stand where they belong.
                        let following = ((number + 1) << Pageblock.order) >> order
                        next = first(order, list, in: max(following, block + 1)..<end)
                        continue
                    }
                    strays.append(Stray(page: block << order, list: list))
                    next = first(order, list, in: block + 1..<end)
                }
            }
        }
        return strays.sorted { $0.page < $1.page }
    }
}

// MARK: Reading

/// What a snapshot says of a zone, until it is known which pages are taken.
struct ZoneSnapshot {
    fileprivate let boost: UInt64
    fileprivate let hasReserved: Bool
    fileprivate let types: [(length: Int, type: Migratetype)]
    fileprivate let freeBlocks: [UInt64]
    fileprivate let pairs: [Int]
    fileprivate let strays: [(page: Int, list: Migratetype)]

    init(_ reader: inout SnapshotReader) throws(SnapshotFailure) {
        boost = try reader.readNumber()
        hasReserved = try reader.readFlag()
        types = try reader.readList { (reader) throws(SnapshotFailure) in
            let run = try reader.read(0...Int.max)
            guard run > 3, let type = Migratetype(rawValue: run & 3) else {
                throw .invalidValue(offset: reader.offset)
            }
            return (run >> 2, type)
        }
        var freeBlocks: [UInt64] = []
        for _ in 0..<Migratetype.allCases.count * Order.count {
            freeBlocks.append(try reader.readNumber())
        }
        self.freeBlocks = freeBlocks
        pairs = Self.ascending(
            try reader.readList { (reader) throws(SnapshotFailure) in
                try reader.read(0...Int(UInt32.max))
            })
        let strays = try reader.readList { (reader) throws(SnapshotFailure) in
            (
                page: try reader.read(0...Int(UInt32.max)),
                list: try reader.read { number in Migratetype(rawValue: Int(clamping: number)) }
            )
        }
        let pages = Self.ascending(strays.map(\.page))
        self.strays = zip(pages, strays).map { (page: $0, list: $1.list) }
    }

    private static func ascending(_ differences: [Int]) -> [Int] {
        var sum = 0
        return differences.map { difference in
            sum &+= difference
            return sum
        }
    }
}

extension BuddyAllocator {
    /// Brings a zone whose managed pages are all free to the state of a snapshot.
    ///
    /// - Parameters:
    ///   - taken: the pages that are not free, among them those of other zones.
    ///   - start: the number in the set of this zone's first page.
    mutating func restore(
        _ snapshot: ZoneSnapshot, taken: borrowing PageSet, from start: Int
    ) throws(SnapshotFailure) {
        guard snapshot.boost <= rules.maximumBoost else {
            throw .contradiction("a boost beyond the zone's limit")
        }
        try restoreTypes(snapshot.types)
        let first = start >> Pageblock.order
        for number in taken.pageblocks(first, first + pageblocks.count) {
            try carve(number - first, taken.pages(ofPageblock: number))
        }
        for pair in snapshot.pairs { try turn(pair) }
        for stray in snapshot.strays { try relist(stray.page, to: stray.list) }
        boost = snapshot.boost
        hasReserved = snapshot.hasReserved
        let counts = Migratetype.allCases.flatMap { list in
            (0..<Order.count).map { freeBlocks(of: Order(unchecked: $0), type: list) }
        }
        guard counts == snapshot.freeBlocks else {
            throw .contradiction("free blocks that do not follow from what is taken")
        }
    }

    /// Gives each pageblock its type and takes its free blocks along, in 6.1 too.
    private mutating func restoreTypes(
        _ runs: [(length: Int, type: Migratetype)]
    ) throws(SnapshotFailure) {
        var first = 0
        for run in runs {
            guard run.length <= pageblocks.count - first else {
                throw .contradiction("more pageblocks than the zone has")
            }
            let size = UInt64(Pageblock.pageCount)
            let frames = FrameRange(
                base + UInt64(first) * size, base + UInt64(first + run.length) * size)
            if run.type != (rules.groupsByMobility ? .movable : .unmovable) {
                apply(.retyped(frames, to: run.type))
                if !listsFollowPageblocks { apply(.moved(frames, to: run.type)) }
            }
            first += run.length
        }
        guard first == pageblocks.count else {
            throw .contradiction("fewer pageblocks than the zone has")
        }
    }

    /// Takes pages out of a pageblock all of whose managed pages are free.
    private mutating func carve(
        _ number: Int, _ taken: PageblockBits
    ) throws(SnapshotFailure) {
        let type = pageblocks[number].type
        if isFreeBlock(Order.max.rawValue, number / 2) {
            remove(number / 2, Order.max.rawValue, type)
            insert(number & ~1, Pageblock.order, type)
            insert(number | 1, Pageblock.order, type)
        }
        var free = freePages(ofPageblock: number)
        empty(number, of: type)
        guard free.subtract(taken) else {
            throw .contradiction("a page that is not managed is taken")
        }
        freePages -= UInt64(taken.count)
        fill(number, of: type, with: free)
    }

    private mutating func empty(_ number: Int, of type: Migratetype) {
        for order in 0...Pageblock.order {
            let blocks = number << Self.shift(order)..<(number + 1) << Self.shift(order)
            while let block = first(order, type, in: blocks) { remove(block, order, type) }
        }
    }

    /// Makes one block of a pair of free pageblocks, or two of one.
    private mutating func turn(_ pair: Int) throws(SnapshotFailure) {
        guard pair < pageblocks.count / 2 else { throw .contradiction("a pair beyond the zone") }
        let halves = (2 * pair, 2 * pair + 1)
        let types = (pageblocks[halves.0].type, pageblocks[halves.1].type)
        if removeIfFree(pair, Order.max.rawValue, types.0) {
            insert(halves.0, Pageblock.order, types.0)
            insert(halves.1, Pageblock.order, types.1)
        } else if contains(halves.0, Pageblock.order, types.0),
            contains(halves.1, Pageblock.order, types.1)
        {
            remove(halves.0, Pageblock.order, types.0)
            remove(halves.1, Pageblock.order, types.1)
            insert(pair, Order.max.rawValue, types.0)
        } else {
            throw .contradiction("a pair of pageblocks that is not free")
        }
    }

    /// Puts the free block that begins with a page on the list of another type.
    private mutating func relist(
        _ page: Int, to list: Migratetype
    ) throws(SnapshotFailure) {
        guard !listsFollowPageblocks, page < frameCount,
            let found = freeBlock(holding: page), found.block << found.order == page
        else { throw .contradiction("a stray block that is not free") }
        remove(found.block, found.order, found.list)
        insert(found.block, found.order, list)
    }
}
