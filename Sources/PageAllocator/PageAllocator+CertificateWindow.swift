// Where a refused request could go if some pages made room: the conforming place with the fewest
// live pages in it, and the grants that hold them.

/// A place that is not wholly free.
struct CrowdedPlace {
    let zone: Int
    let frames: FrameRange
    let pagesToMove: UInt64

    /// Ascending by id.
    var blockers: [AllocationID] = []

    /// Whether no other place has fewer.
    let isProved: Bool
}

extension PageAllocator {
    /// Looks at the conforming places, in one run, of the zones that are above a mark; only there
    /// would moving pages be enough. nil where there is none, or where one is wholly free and it is
    /// not its pages that are missing.
    func cheapestPlace(for request: AllocationRequest) -> CrowdedPlace? {
        var single = request
        single.control.maxSegments = 1
        guard let query = try? RunQuery(single) else { return nil }
        let stretches = zonesAboveMark(request).flatMap { zone in
            if query.pages > Order.max.pageCount { unsafe zones[zone].buddies.prepareRunIndex() }
            return machine.zones[zone].managedRanges.joined().compactMap { frames in
                Stretch(zone: zone, frames: frames, of: query)
            }
        }
        let mayBeFree =
            request.control.isPlainBlock
            && stretches.contains {
                unsafe zones[$0.zone].buddies.reservedHighatomic > 0
            }
        guard
            var cheapest = cheapestPlace(of: query, in: stretches, atLeast: mayBeFree ? 0 : 1),
            cheapest.pagesToMove > 0
        else { return nil }
        cheapest.blockers = blockers(in: cheapest.frames, ofZone: cheapest.zone)
        return cheapest
    }

    /// Places in frames that a zone hands out.
    private struct Stretch {
        let zone: Int
        let places: ClosedRange<PageFrameNumber>

        /// As if no boundary left any out.
        let count: UInt64

        init?(zone: Int, frames: FrameRange, of query: RunQuery) {
            guard let lowest = query.lowestPlace(in: frames),
                let highest = query.highestPlace(in: frames)
            else { return nil }
            self.zone = zone
            places = lowest...highest
            count = (highest.rawValue - lowest.rawValue) / query.alignment + 1
        }
    }

    /// - Parameter fewest: pages that have to move at least. A place without any would have been
    ///   granted, unless its pages are kept for atomic requests.
    private func cheapestPlace(
        of query: RunQuery, in stretches: [Stretch], atLeast fewest: UInt64
    ) -> CrowdedPlace? {
        let limit = UInt64(Certificate.maximumPlacesSearched)
        let count = stretches.reduce(0) { $0 + $1.count }
        let step = max((count + limit - 1) / limit, 1)
        var cheapest: CrowdedPlace?
        for stretch in stretches {
            var next: PageFrameNumber? = stretch.places.lowerBound
            while let place = next, place <= stretch.places.upperBound {
                let frames = FrameRange(place, place + query.pages)
                let free = unsafe zones[stretch.zone].buddies.countFree(in: frames)
                let pagesToMove = query.pages - free
                if cheapest.map({ pagesToMove < $0.pagesToMove }) ?? true {
                    cheapest = CrowdedPlace(
                        zone: stretch.zone, frames: frames, pagesToMove: pagesToMove,
                        isProved: step == 1 || pagesToMove <= fewest)
                }
                if pagesToMove <= fewest { return cheapest }
                next = query.lowestPlace(atOrAfter: place + step * query.alignment)
            }
        }
        return cheapest
    }
}

extension PageAllocator {
    /// The grants that hold pages of a place, ascending by id; of more than
    /// `Certificate.maximumBlockersNamed` blocks of theirs those with the lowest pages.
    private func blockers(in place: FrameRange, ofZone zone: Int) -> [AllocationID] {
        var found: [AllocationID] = []
        unsafe zones[zone].buddies.forEachTakenRun(in: place) { run in
            var next = run.lowerBound
            while next < run.upperBound, found.count < Certificate.maximumBlockersNamed {
                guard let (first, block) = grants.block(holding: next) else {
                    preconditionFailure("a page is neither free nor in a grant")
                }
                if found.last != block.allocation { found.append(block.allocation) }
                next = first + block.order.pageCount
            }
            return found.count < Certificate.maximumBlockersNamed
        }
        return found.sorted().reduce(into: []) { named, id in
            if named.last != id { named.append(id) }
        }
    }
}
