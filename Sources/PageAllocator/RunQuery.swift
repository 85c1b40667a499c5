// A request for an exact place: so many pages in a row, within a window, at an alignment, across no
// boundary. Bytes become page frames here, once; what no machine can ever meet is found out here.
//
// A place is called conforming where it meets all of that, whether its pages are free or not. The
// lowest conforming place at or after a frame needs one correction at most: the lowest aligned
// frame either crosses no boundary, or the lowest aligned frame at or after that boundary does not.
// If it did too, then `phase mod boundary + pages` would be more than the boundary, and no place on
// any machine would conform. The same holds downwards.
//
// Sources: `vm_phys_alloc_contig`, sys/vm/vm_phys.c (FreeBSD), for window, alignment and boundary;
// `vmem_xalloc`, uts/common/os/vmem.c (illumos), for phase. illumos panics where alignment exceeds
// boundary; the rule above does without that restriction.

package struct RunQuery: Hashable, Sendable {
    /// Pages in all, at least 1.
    package let pages: UInt64

    /// No page of the run may lie outside.
    package var window: FrameRange

    /// Frames, a power of two: a run's first frame is `phase` more than a multiple of it. Natural
    /// alignment is reckoned in where a block was asked for by its order.
    package var alignment: UInt64

    /// Frames, less than `alignment`.
    package var phase: UInt64

    /// Frames, a power of two: no run crosses a multiple of it; 0: nothing asked.
    package var boundary: UInt64

    /// `buddy` for a block of up to a pageblock only: a run has no order, and of the largest order
    /// any free block is the smallest sufficient one.
    package let fit: Fit

    /// Into how many runs the pages may be divided, at least 1.
    package let maxSegments: Int

    /// Where `Fit.next` begins to look: the end of the zone's last grant by this fit.
    package var rotor = PageFrameNumber(0)

    /// - Throws: why no page frames, free or not, on any machine could meet the control:
    ///   `crossesBoundary`, `noBlockInBoundaries` where alignment and phase contradict the size of
    ///   a page or the natural alignment of a block, `windowTooSmall`.
    package init(_ control: AllocationControl) throws(Unsatisfiable) {
        precondition(control.pageCount > 0, "a request for no pages")
        precondition(control.maxSegments > 0, "a request for no segments")
        pages = control.pageCount
        window = control.window
        let isByOrder = control.pages == nil
        fit = Self.fit(control)
        maxSegments = isByOrder ? 1 : control.maxSegments
        (alignment, phase) = try Self.frames(
            alignment: control.alignment, phase: control.phase,
            naturalAlignment: isByOrder ? control.order.pageCount : 1)
        boundary = try Self.frames(boundary: control.boundary)
        // Divided, not multiplied: the product may not fit 64 bits.
        guard (pages - 1) / largestSegment < UInt64(maxSegments) else { throw .crossesBoundary }
        guard window.count >= pages else { throw .windowTooSmall }
    }

    /// What the request's flags ask for besides: a compound page is a power of two, aligned to its
    /// size, in one piece, as `alloc_contig_range_noprof`, mm/page_alloc.c, has it.
    ///
    /// - Throws: besides those of a control `compoundNotPowerOfTwo`.
    init(_ request: borrowing AllocationRequest) throws(Unsatisfiable) {
        var control = request.control
        if request.effectiveFlags.contains(.compound), let pages = control.pages {
            guard pages.nonzeroBitCount == 1, control.maxSegments == 1 else {
                throw .compoundNotPowerOfTwo
            }
            let size = pages << PageFrameNumber.pageShift
            guard control.phase % size == 0 else { throw .noBlockInBoundaries }
            control.alignment = max(control.alignment, size)
        }
        try self.init(control)
    }

    private static func fit(_ control: AllocationControl) -> Fit {
        guard control.fit == .buddy else { return control.fit }
        guard control.pages == nil else { return .best }
        return control.order.rawValue <= Pageblock.order ? .buddy : .first
    }

    /// Pages begin at multiples of the page size: less alignment than that is always met, and a
    /// phase within a page never is.
    private static func frames(
        alignment: UInt64, phase: UInt64, naturalAlignment: UInt64
    ) throws(Unsatisfiable) -> (alignment: UInt64, phase: UInt64) {
        precondition(alignment & (alignment &- 1) == 0, "an alignment that is no power of two")
        guard phase < max(alignment, 1), phase % PageFrameNumber.pageSize == 0 else {
            throw .noBlockInBoundaries
        }
        let asked = max(alignment >> PageFrameNumber.pageShift, 1)
        let phase = phase >> PageFrameNumber.pageShift
        guard phase % naturalAlignment == 0 else { throw .noBlockInBoundaries }
        return (max(asked, naturalAlignment), phase)
    }

    private static func frames(boundary: UInt64) throws(Unsatisfiable) -> UInt64 {
        precondition(boundary & (boundary &- 1) == 0, "a boundary that is no power of two")
        guard boundary == 0 || boundary >= PageFrameNumber.pageSize else { throw .crossesBoundary }
        return boundary >> PageFrameNumber.pageShift
    }

    /// The most pages that one run can have between two boundaries.
    var largestSegment: UInt64 { boundary == 0 ? .max : boundary - phase & (boundary - 1) }

    /// The order of the naturally aligned block that every conforming place is; nil where some is
    /// none. Such a block lies in one free block or is not free. Above the order of a pageblock two
    /// free buddies can stand apart, since their types must not mix.
    var blockOrder: Int? {
        let isBlock =
            pages & (pages - 1) == 0 && pages <= UInt64(Pageblock.pageCount)
            && alignment >= pages && phase & (pages - 1) == 0
        return isBlock ? pages.trailingZeroBitCount : nil
    }

    /// The coarsest grain of the run index to whose multiples every conforming place belongs.
    var grain: RunSummary.Grain {
        for grain in [RunSummary.Grain.pageblock, .granule] {
            let size = UInt64(grain.rawValue)
            if alignment >= size, phase & (size - 1) == 0 { return grain }
        }
        return .page
    }

    // MARK: Conforming places

    /// The lowest conforming first frame in `run`, which need not lie in the window.
    @inline(__always)
    package func lowestPlace(in run: FrameRange) -> PageFrameNumber? {
        guard
            let place = lowestPlace(atOrAfter: max(run.lowerBound, window.lowerBound)),
            place.rawValue + pages <= min(run.upperBound, window.upperBound).rawValue
        else { return nil }
        return place
    }

    /// Whether the run lies in the window, begins at an aligned frame and crosses no boundary,
    /// however many pages it has.
    package func admits(_ run: FrameRange) -> Bool {
        let first = run.lowerBound.rawValue
        let last = run.upperBound.rawValue &- 1
        return !run.isEmpty && window.contains(run) && alignedUp(first) == first
            && (boundary == 0 || (first ^ last) & ~(boundary - 1) == 0)
    }

    /// The highest conforming first frame in `run`, which need not lie in the window.
    package func highestPlace(in run: FrameRange) -> PageFrameNumber? {
        let end = min(run.upperBound, window.upperBound).rawValue
        guard
            end >= pages,
            let place = highestPlace(atOrBefore: PageFrameNumber(end - pages)),
            place >= max(run.lowerBound, window.lowerBound)
        else { return nil }
        return place
    }

    /// The lowest frame at or after `start` that meets alignment and boundary; nil beyond the
    /// 64-bit address space.
    @inline(__always)
    func lowestPlace(atOrAfter start: PageFrameNumber) -> PageFrameNumber? {
        var place = alignedUp(start.rawValue)
        if crossesBoundary(place) {
            place = alignedUp((place | (boundary - 1)) + 1)
        }
        return place < PageFrameNumber.limit.rawValue ? PageFrameNumber(place) : nil
    }

    /// The highest frame at or before `start` that meets alignment and boundary; nil where there is
    /// none.
    func highestPlace(atOrBefore start: PageFrameNumber) -> PageFrameNumber? {
        guard var place = alignedDown(start.rawValue) else { return nil }
        if crossesBoundary(place) {
            let crossed = (place + pages - 1) & ~(boundary - 1)
            guard crossed >= pages, let corrected = alignedDown(crossed - pages) else { return nil }
            place = corrected
        }
        return PageFrameNumber(place)
    }

    @inline(__always)
    func alignedUp(_ frame: UInt64) -> UInt64 {
        frame + (phase &- frame) & (alignment - 1)
    }

    private func alignedDown(_ frame: UInt64) -> UInt64? {
        let above = (frame &- phase) & (alignment - 1)
        return above <= frame ? frame - above : nil
    }

    @inline(__always)
    private func crossesBoundary(_ place: UInt64) -> Bool {
        boundary != 0 && (place ^ (place + pages - 1)) & ~(boundary - 1) != 0
    }
}
