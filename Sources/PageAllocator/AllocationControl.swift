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

    // `Optional` in full, here and below: a `var` of type `T?` that an initializer sets is nil
    // before, and the compiler (Swift 6.3) copies the whole value to change it.

    /// nil: the local node of the caller's CPU (the RFC's -1).
    public var node: Optional<NodeID>

    /// The first byte address that a page of the grant may cover.
    public var lowBoundary: UInt64

    /// The last byte address that a page of the grant may cover.
    public var highBoundary: UInt64

    /// nil: the default policy, the caller's node first.
    public var memoryPolicy: MemoryPolicy?

    /// The nodes of the control's cpuset (`mems_allowed`): ascending, each once; nil: all.
    public var allowedNodes: [NodeID]?

    /// Bytes, a power of two: the grant's address is `phase` more than a multiple of it. For a
    /// block of 2^order pages in addition to its natural alignment; 0: nothing asked.
    public var alignment: UInt64 = 0

    /// Bytes, less than `alignment`.
    public var phase: UInt64 = 0

    /// Bytes, a power of two: no segment of the grant crosses a multiple of it; 0: nothing asked.
    public var boundary: UInt64 = 0

    /// A run of that many pages, instead of 2^order; nil: a block of `order`.
    public var pages: UInt64?

    /// Into how many runs the pages may be divided, all in one zone. More than 1 with `pages` only.
    public var maxSegments = 1

    public var fit = Fit.buddy

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

    /// Pages that one grant has.
    public var pageCount: UInt64 { pages ?? order.pageCount }

    /// Whether the buddy lists alone can answer: a block of 2^order pages with no more asked of its
    /// place than the boundaries.
    public var isPlainBlock: Bool {
        pages == nil && alignment == 0 && boundary == 0 && fit == .buddy
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
    public var cpu: Optional<Int>

    /// Where the control stands in its round of nodes, before this call.
    public var interleave: InterleaveState

    public init(
        control: AllocationControl = AllocationControl(), additionalFlags: GFPFlags = [],
        cpu: Int? = nil, interleave: InterleaveState = .start
    ) {
        self.control = control
        self.additionalFlags = additionalFlags
        self.cpu = cpu
        self.interleave = interleave
    }

    /// The control's flags and the call's, OR-ed together.
    public var effectiveFlags: GFPFlags { control.flags.union(additionalFlags) }
}
