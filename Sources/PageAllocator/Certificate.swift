// What a refusal shows for itself: claims about the free pages that a reader can check against the
// zones' free blocks and the live grants.

/// Why nothing fits now, and what would.
public struct Certificate: Hashable, Sendable {
    /// The largest request of this kind that would be granted at this moment, and where; nil where
    /// not even one page would be.
    public let largestFeasible: FrameRange?

    /// The first rule that keeps the request from free pages that would otherwise do.
    public let bindingConstraint: Constraint

    /// Single changes of the request, each of which would be granted at this moment. Nearest first.
    public let nearestRelaxations: [Relaxation]

    /// The conforming place where the fewest live pages stand in the way; nil where there is no
    /// place, as when a watermark refuses.
    public let cheapestWindow: FrameRange?

    /// The live grants in that place, ascending by id.
    public let blockers: [AllocationID]

    /// Pages that would have to move for it.
    public let pagesToMove: UInt64

    /// Whether every place was looked at; else the cheapest of those that were
    /// (`Certificate.maximumPlacesSearched`).
    public let isCheapestProved: Bool

    public init(
        largestFeasible: FrameRange?, bindingConstraint: Constraint,
        nearestRelaxations: [Relaxation], cheapestWindow: FrameRange?, blockers: [AllocationID],
        pagesToMove: UInt64, isCheapestProved: Bool
    ) {
        self.largestFeasible = largestFeasible
        self.bindingConstraint = bindingConstraint
        self.nearestRelaxations = nearestRelaxations
        self.cheapestWindow = cheapestWindow
        self.blockers = blockers
        self.pagesToMove = pagesToMove
        self.isCheapestProved = isCheapestProved
    }
}

/// The rules that can keep a request from pages that are free.
public enum Constraint: String, CaseIterable, Hashable, Sendable {
    /// Fewer pages are free than asked for, wherever they lie.
    case freePages = "free_pages"
    case watermark
    case node
    case policy
    case zoneModifier = "zone_modifier"
    case lowBoundary = "low_boundary"
    case highBoundary = "high_boundary"
    case alignment
    case boundary

    /// Enough is free, but in pieces: no run is long enough.
    case contiguity
    case maxSegments = "max_segments"
}

/// One field of the request, changed so that it would be granted.
public enum Relaxation: Hashable, Sendable {
    case order(Order)
    case pages(UInt64)

    /// Byte addresses, inclusive.
    case lowBoundary(UInt64)
    case highBoundary(UInt64)

    /// Bytes; 0: without.
    case alignment(UInt64)
    case boundary(UInt64)
    case maxSegments(Int)
    case node(NodeID)

    /// Any node may serve.
    case withoutPolicy

    /// Bits to leave out: a zone modifier, `__GFP_THISNODE`.
    case withoutFlags(GFPFlags)

    /// Bits to add: `__GFP_HIGH`, `__GFP_MEMALLOC`.
    case withFlags(GFPFlags)
}
