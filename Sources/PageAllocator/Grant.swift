// What a request got, and what else its allocation changed.

/// The pages that a request got, all in one zone.
public struct Grant: Hashable, Sendable {
    /// The first frame of the first segment.
    public let pfn: PageFrameNumber

    /// Pages of the first segment.
    let firstCount: UInt64

    /// The segments after the first, in the order granted; mostly none.
    public let furtherSegments: [FrameRange]

    /// nil for a run of pages: asked for by `pages`, not by `order`.
    public let order: Order?

    /// The zone's position in the machine's `zones`.
    public let zone: Int
    public let migratetype: Migratetype

    /// Whether `__GFP_COMP` made the pages one compound page, freed as a whole by its head.
    public let isCompound: Bool

    /// What the allocation changed beside taking the pages; mostly nothing.
    public var changes: [ZoneChange]

    /// How the kernel would count it; nil in tests that do not ask.
    public var numa: Optional<NUMACount>

    /// A block of 2^order pages.
    public init(
        pfn: PageFrameNumber, order: Order, zone: Int, migratetype: Migratetype, isCompound: Bool,
        changes: [ZoneChange] = [], numa: NUMACount? = nil
    ) {
        self.pfn = pfn
        firstCount = order.pageCount
        furtherSegments = []
        self.order = order
        self.zone = zone
        self.migratetype = migratetype
        self.isCompound = isCompound
        self.changes = changes
        self.numa = numa
    }

    /// One or more runs of pages: `segments` is not empty, and its ranges are disjoint.
    public init(
        segments: [FrameRange], zone: Int, migratetype: Migratetype, isCompound: Bool = false
    ) {
        precondition(!segments.isEmpty && segments.allSatisfy { !$0.isEmpty }, "an empty segment")
        pfn = segments[0].lowerBound
        firstCount = segments[0].count
        furtherSegments = Array(segments.dropFirst())
        order = nil
        self.zone = zone
        self.migratetype = migratetype
        self.isCompound = isCompound
        changes = []
        numa = nil
    }

    /// The first segment: all of the grant where there is no further one.
    public var frames: FrameRange { FrameRange(pfn, pfn + firstCount) }

    /// In the order granted, disjoint.
    public var segments: [FrameRange] { [frames] + furtherSegments }

    /// Pages of all segments.
    public var pageCount: UInt64 {
        furtherSegments.reduce(firstCount) { $0 + $1.count }
    }
}

/// A change of a zone that is not the taking or giving of pages, but follows from an allocation's
/// search. Recorded with the grant, so that replay needs no policy.
public enum ZoneChange: Hashable, Sendable {
    /// The pageblocks that begin in the range have this type from now on.
    case retyped(FrameRange, to: Migratetype)

    /// The free blocks within the range stand in the lists of this type from now on.
    case moved(FrameRange, to: Migratetype)

    /// `watermark_boost`, pages.
    case boosted(UInt64)

    /// Where a search by `Fit.next` begins from now on.
    case advanced(to: PageFrameNumber)
}

/// What one allocation adds to the counters of numastat. Nodes are positions in the machine's
/// `nodes`.
///
/// Source: `zone_statistics`, mm/page_alloc.c; `alloc_pages_mpol`, mm/mempolicy.c.
public struct NUMACount: Hashable, Sendable {
    /// The node of the first zone that the walk would have taken.
    public let preferred: Int

    /// The node of the caller's CPU.
    public let local: Int

    /// Whether a plain interleave got the node that it chose.
    public let isInterleaveHit: Bool

    public init(preferred: Int, local: Int, isInterleaveHit: Bool) {
        self.preferred = preferred
        self.local = local
        self.isInterleaveHit = isInterleaveHit
    }
}

/// Names a grant as long as the ledger lives: the ledger sequence of its entry.
public struct AllocationID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    @inlinable
    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }
}
