// `struct allocation_control` of the RFC: a request, specified completely, that a task or a device
// driver keeps and uses again and again.

/// What a caller wants, and where its device can reach.
///
/// Source: the RFC's `struct allocation_control`. Both boundaries are inclusive, as a DMA mask is
/// (0xffffffff is a 32-bit device); the RFC left this open. No boundary means no limit; the
/// prototype took a `high_boundary` left 0 for a limit.
public struct AllocationControl: Hashable, Sendable {
    public var flags: GFPFlags
    public var order: Order

    /// nil: the local node of the caller's CPU (the RFC's -1).
    public var node: NodeID?

    /// The first byte address that a page of the grant may cover.
    public var lowBoundary: UInt64

    /// The last byte address that a page of the grant may cover.
    public var highBoundary: UInt64

    public init(
        flags: GFPFlags = .kernel, order: Order = .zero, node: NodeID? = nil,
        lowBoundary: UInt64 = 0, highBoundary: UInt64 = .max
    ) {
        self.flags = flags
        self.order = order
        self.node = node
        self.lowBoundary = lowBoundary
        self.highBoundary = highBoundary
    }

    /// The page frames that lie wholly within the boundaries; empty where there are none.
    public var window: FrameRange {
        let shift = PageFrameNumber.pageShift
        let mask = PageFrameNumber.pageSize - 1
        // The first frame rounds up, the last rounds down: a page half outside is outside.
        let first = (lowBoundary >> shift) + (lowBoundary & mask == 0 ? 0 : 1)
        let last = (highBoundary >> shift) + (highBoundary & mask == mask ? 1 : 0)
        return FrameRange(PageFrameNumber(first), PageFrameNumber(max(first, last)))
    }
}

/// One call: a control, the flags that this call adds to it, and the CPU it comes from.
///
/// Source: the RFC's `allocate_pages(ac, additional_flags)`.
public struct AllocationRequest: Hashable, Sendable {
    public var control: AllocationControl
    public var additionalFlags: GFPFlags

    /// nil: the machine's first CPU.
    public var cpu: Int?

    public init(
        control: AllocationControl = AllocationControl(), additionalFlags: GFPFlags = [],
        cpu: Int? = nil
    ) {
        self.control = control
        self.additionalFlags = additionalFlags
        self.cpu = cpu
    }

    /// The control's flags and the call's, OR-ed together.
    public var effectiveFlags: GFPFlags { control.flags.union(additionalFlags) }
}

/// The pages that a request got.
public struct Grant: Hashable, Sendable {
    /// The first of 2^order frames.
    public let pfn: PageFrameNumber
    public let order: Order

    /// The zone's position in the machine's `zones`.
    public let zone: Int
    public let migratetype: Migratetype

    /// Whether `__GFP_COMP` made the pages one compound page, freed as a whole by its head.
    public let isCompound: Bool

    public init(
        pfn: PageFrameNumber, order: Order, zone: Int, migratetype: Migratetype, isCompound: Bool
    ) {
        self.pfn = pfn
        self.order = order
        self.zone = zone
        self.migratetype = migratetype
        self.isCompound = isCompound
    }

    public var frames: FrameRange { FrameRange(block: pfn, order: order) }
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
