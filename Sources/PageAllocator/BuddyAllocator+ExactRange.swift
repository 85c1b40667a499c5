// The search for an exact place: window, alignment, phase, boundary, and any number of pages.
//
// It is exact and complete: where a conforming place with free pages exists, one is found, and it
// is the one that the fit names. Migratetypes do not matter to it, as they do not to
// `alloc_contig_range` (mm/page_alloc.c).
//
// A naturally aligned block lies in one free block or is not free, so the free blocks alone answer
// for it, order by order. Any other run may span free blocks, of the largest order too: the run
// index answers for it (`RunIndex`), and is made when first needed.

extension BuddyAllocator {
    /// The free run that the query asks for, in one piece; nil where there is none. Nothing is
    /// taken.
    package mutating func findRun(_ query: RunQuery) -> FrameRange? {
        guard query.pages <= query.largestSegment, let places = places(of: query) else {
            return nil
        }
        let found: PageFrameNumber?
        if let order = query.blockOrder, query.fit != .best {
            found = findBlock(order, query, places)
        } else if prepareRunIndex(
            forRunOf: query.pages,
            within: FrameRange(places.lowerBound, places.upperBound + query.pages))
        {
            found = findInIndex(query, places)
        } else {
            found = nil
        }
        return found.map { FrameRange($0, $0 + query.pages) }
    }

    /// The lowest and the highest conforming first frame in the zone, free or not; nil where there
    /// is none.
    private func places(of query: RunQuery) -> ClosedRange<PageFrameNumber>? {
        let zone = FrameRange(base, base + UInt64(frameCount))
        guard let lowest = query.lowestPlace(in: zone), let highest = query.highestPlace(in: zone)
        else { return nil }
        return lowest...highest
    }

    /// The part of `places` at or after the rotor of a next fit.
    private func placesAfterRotor(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> ClosedRange<PageFrameNumber>? {
        guard
            query.rotor <= places.upperBound,
            let lowest = query.lowestPlace(atOrAfter: max(query.rotor, places.lowerBound))
        else { return nil }
        return lowest <= places.upperBound ? lowest...places.upperBound : nil
    }

    // MARK: Blocks, from the buddy lists

    private func findBlock(
        _ order: Int, _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        switch query.fit {
        case .buddy, .best:
            for larger in ordersWithFreeBlocks(from: order) {
                if let found = lowestBlock(in: larger, query, places) { return found }
            }
            return nil
        case .first:
            return lowestBlock(ofAtLeast: order, query, places)
        case .next:
            return placesAfterRotor(query, places)
                .flatMap { lowestBlock(ofAtLeast: order, query, $0) }
                ?? lowestBlock(ofAtLeast: order, query, places)
        case .topdown:
            var highest: PageFrameNumber?
            for larger in ordersWithFreeBlocks(from: order) {
                let rest = (highest ?? places.lowerBound)...places.upperBound
                highest = highestBlock(in: larger, query, rest) ?? highest
            }
            return highest
        }
    }

    /// The orders from `order` up that have a free block.
    private func ordersWithFreeBlocks(from order: Int) -> LazyFilterSequence<Range<Int>> {
        let mask = freeOrderMask
        return (order..<Order.count).lazy.filter { mask >> UInt16($0) & 1 != 0 }
    }

    private func lowestBlock(
        ofAtLeast order: Int, _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        var lowest: PageFrameNumber?
        for larger in ordersWithFreeBlocks(from: order) {
            let rest = places.lowerBound...(lowest ?? places.upperBound)
            lowest = lowestBlock(in: larger, query, rest) ?? lowest
        }
        return lowest
    }

    /// The lowest of `places` that lies in a free block of exactly the order.
    ///
    /// A block that is larger than the alignment has a place; of smaller ones every
    /// `alignment / size`-th may have one, so that of 64 blocks at a time those are kept.
    private func lowestBlock(
        in order: Int, _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        let last = Int(places.upperBound.rawValue - base.rawValue) >> order
        let period = query.alignment >> UInt64(order)
        let first = Int(places.lowerBound.rawValue - base.rawValue) >> order
        let pattern = Self.everyBlock(of: period, from: first)
        var wanted = first
        while wanted <= last {
            let word = wanted >> 6
            let free = freeWord(order, word) & pattern & (.max &<< UInt64(wanted & 63))
            if free != 0 {
                let block = word << 6 + free.trailingZeroBitCount
                guard block <= last else { return nil }
                let start = max(places.lowerBound, base + UInt64(block << order))
                return PageFrameNumber(query.alignedUp(start.rawValue))
            }
            let next = (word + 1) << 6
            guard next <= last else { return nil }
            // The rest of the pageblock is at hand; of others only those with a free block count.
            if next << order & (Pageblock.pageCount - 1) != 0, period <= 64 {
                wanted = next
                continue
            }
            guard let block = firstFreeBlock(order, atOrAfter: next) else { return nil }
            wanted = period > 1 ? block + (first - block) & Int(period - 1) : block
        }
        return nil
    }

    /// The highest of `places` that lies in a free block of exactly the order.
    private func highestBlock(
        in order: Int, _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        let first = Int(places.lowerBound.rawValue - base.rawValue) >> order
        let period = query.alignment >> UInt64(order)
        var wanted = Int(places.upperBound.rawValue - base.rawValue) >> order
        let pattern = Self.everyBlock(of: period, from: wanted)
        while wanted >= first {
            let word = wanted >> 6
            let free = freeWord(order, word) & pattern & (.max &>> UInt64(63 - wanted & 63))
            if free != 0 {
                let block = word << 6 + 63 - free.leadingZeroBitCount
                guard block >= first else { return nil }
                let end = base + UInt64((block + 1) << order)
                return query.highestPlace(
                    atOrBefore: min(
                        places.upperBound, PageFrameNumber(end.rawValue - query.pages)))
            }
            guard
                word << 6 > first, let block = lastFreeBlock(order, atOrBefore: word << 6 - 1)
            else { return nil }
            wanted = period > 1 ? block - (block - wanted) & Int(period - 1) : block
        }
        return nil
    }

    /// One bit in 64 blocks for each that lies a multiple of `period` blocks from `block`; of a
    /// period of more than 64 blocks the one bit.
    private static func everyBlock(of period: UInt64, from block: Int) -> UInt64 {
        let first: UInt64 =
            switch period {
            case 0, 1: .max
            case 2: 0x5555_5555_5555_5555
            case 4: 0x1111_1111_1111_1111
            case 8: 0x0101_0101_0101_0101
            case 16: 0x0001_0001_0001_0001
            case 32: 0x0000_0001_0000_0001
            default: 1
            }
        let rotation = UInt64(block) & (min(max(period, 1), 64) - 1)
        return first &<< rotation
    }

    // MARK: Runs, from the index

    /// Makes the index where there is none yet, and brings it up to date; false, with nothing made,
    /// where the buddy lists show that no run of so many pages within `frames` is free.
    mutating func prepareRunIndex(forRunOf pages: UInt64, within frames: FrameRange) -> Bool {
        if runIndex == nil {
            guard mayHoldRun(of: pages, within: frames) else { return false }
        }
        prepareRunIndex()
        return true
    }

    mutating func prepareRunIndex() {
        if runIndex == nil {
            runIndex = RunIndex(frameCount: frameCount)
            isObserved = true
        }
        runIndex?.refresh(from: self)
    }

    /// Whether a free block is large enough to be in such a run: a run of 2^(k+1) - 1 pages holds
    /// an aligned block of order k wherever it begins.
    private func mayHoldRun(of pages: UInt64, within frames: FrameRange) -> Bool {
        let order = min(62 - (pages + 1).leadingZeroBitCount, Pageblock.order)
        let first = Int(frames.lowerBound.rawValue - base.rawValue)
        let last = Int(frames.upperBound.rawValue - base.rawValue) - 1
        for larger in ordersWithFreeBlocks(from: order) {
            if let block = firstFreeBlock(larger, atOrAfter: first >> larger),
                block <= last >> larger
            {
                return true
            }
        }
        return false
    }

    private func findInIndex(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        switch query.fit {
        case .buddy, .best:
            return bestPlace(query, places)
        case .first:
            return lowestPlace(query, places)
        case .next:
            return placesAfterRotor(query, places).flatMap { lowestPlace(query, $0) }
                ?? lowestPlace(query, places)
        case .topdown:
            return highestPlace(query, places)
        }
    }

    private func lowestPlace(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        var found: PageFrameNumber?
        forEachPlace(query, places) { place, _, _ in
            found = place
            return false
        }
        return found
    }

    /// In the shortest maximal free run that has a place; of several the lowest. Each run found
    /// leaves only shorter ones to look for.
    private func bestPlace(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        var best: (place: PageFrameNumber, length: Int)?
        forEachPlace(query, places) { place, length, wanted in
            if let best, best.length <= length { return true }
            best = (place, length)
            wanted.remove(atLeast: length)
            return length > query.pages
        }
        return best?.place
    }

    /// Calls `body` with the lowest place of each maximal free run that has one and whose length is
    /// wanted, and with that length, low addresses first, until it answers false.
    @inline(__always)
    private func forEachPlace(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>,
        _ body: (PageFrameNumber, Int, inout RunLengths) -> Bool
    ) {
        let pages = Int(query.pages)
        let lowest = Int(places.lowerBound.rawValue - base.rawValue)
        let highest = Int(places.upperBound.rawValue - base.rawValue)
        runIndex?.forEachRun(
            .atLeast(pages), atLeast: pages, from: query.grain, endingAtOrAfter: lowest + pages
        ) { run, wanted in
            guard run.lowerBound <= highest else { return nil }
            let rest = max(run.lowerBound, lowest)..<run.upperBound
            if let place = query.lowestPlace(in: frames(rest)), !body(place, run.count, &wanted) {
                return nil
            }
            // Nothing before the next conforming place is worth a look.
            guard
                let next = query.lowestPlace(atOrAfter: base + UInt64(run.upperBound + 1)),
                next <= places.upperBound
            else { return nil }
            return Int(next.rawValue - base.rawValue) + pages
        }
    }

    private func highestPlace(
        _ query: RunQuery, _ places: ClosedRange<PageFrameNumber>
    ) -> PageFrameNumber? {
        let pages = Int(query.pages)
        let lowest = Int(places.lowerBound.rawValue - base.rawValue)
        let highest = Int(places.upperBound.rawValue - base.rawValue)
        var found: PageFrameNumber?
        runIndex?.forEachRunDownwards(
            atLeast: pages, from: query.grain, startingAtOrBefore: highest
        ) { run in
            guard run.upperBound >= lowest + pages else { return nil }
            found = query.highestPlace(in: frames(run))
            guard
                found == nil, run.lowerBound > pages,
                let next = query.highestPlace(
                    atOrBefore: base + UInt64(run.lowerBound - 1 - pages)),
                next >= places.lowerBound
            else { return nil }
            return Int(next.rawValue - base.rawValue)
        }
        return found
    }

    /// The frames of a range of pages that count from the base.
    private func frames(_ pages: Range<Int>) -> FrameRange {
        FrameRange(base + UInt64(pages.lowerBound), base + UInt64(pages.upperBound))
    }
}
