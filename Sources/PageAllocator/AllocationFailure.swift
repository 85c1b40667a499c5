// The closed sets of reasons for which the allocator says no. They know no HTTP.

/// Why no pages were granted.
public enum AllocationFailure: Error, Hashable, Sendable {
    /// Nothing fits now; the same request fits the empty machine.
    case outOfMemory(Explanation)

    /// Nothing fits, not even on the empty machine.
    case unsatisfiable(Unsatisfiable)
}

/// Why a request can never be met on this machine.
public enum Unsatisfiable: String, Error, CaseIterable, Sendable {
    /// The zone bits contradict each other (`GFP_ZONE_BAD`, include/linux/gfp.h).
    case contradictoryZoneFlags = "contradictory_zone_flags"

    /// `__GFP_MOVABLE` together with `__GFP_RECLAIMABLE`.
    case contradictoryMobility = "contradictory_mobility"

    case noSuchNode = "no_such_node"
    case noSuchCPU = "no_such_cpu"

    /// The policy breaks a rule of `mpol_new` or `mpol_set_nodemask`: a mode without the nodes that
    /// it needs or with nodes that it must not have, flags that exclude each other, no allowed node
    /// with memory left.
    case invalidPolicy = "invalid_policy"

    /// `home_node` with a policy other than bind and preferred_many.
    case homeNodeNotSupported = "home_node_not_supported"

    /// `__GFP_COMP` with a number of pages that is no power of two, or with several runs.
    case compoundNotPowerOfTwo = "compound_not_power_of_two"

    /// No place can meet it on any machine: `(phase mod boundary) + size > boundary`.
    case crossesBoundary = "crosses_boundary"

    /// `low_boundary` and `high_boundary` leave less room than the block takes.
    case windowTooSmall = "window_too_small"

    /// No zone that the request may use has an aligned block of its size within the boundaries.
    case noBlockInBoundaries = "no_block_in_boundaries"
}

/// Why pages were not freed. Nothing has changed then.
public enum FreeFailure: Error, Hashable, Sendable {
    /// The machine has no such allocation, and had none.
    case unknownAllocation

    /// All that the grant held, or part of the block named, has been freed already. A single page
    /// that is free is `notAllocated`.
    case alreadyFreed

    /// No grant holds the page, or not all of the block.
    case notAllocated

    /// The page is a tail of the compound page with this head.
    case notHead(PageFrameNumber)

    /// The block asked for is not the one granted: what was asked, and the first frame and the
    /// order of what was granted; nil for a run of pages.
    case wrongOrder(asked: Order, head: PageFrameNumber, granted: Order?)

    /// The first frame of a block of that order must be a multiple of its size.
    case misaligned

    /// The machine has no such page frame to hand out.
    case noSuchPage

    /// The pages were granted to another caller. The allocator knows none: who asks it does.
    case notOwner

    /// The name of the rule, as the ledger keeps it.
    public var reason: FreeRefusal {
        switch self {
        case .unknownAllocation: .unknownAllocation
        case .alreadyFreed: .alreadyFreed
        case .notAllocated: .notAllocated
        case .notHead: .notHead
        case .wrongOrder: .wrongOrder
        case .misaligned: .misaligned
        case .noSuchPage: .noSuchPage
        case .notOwner: .notOwner
        }
    }
}

/// The rule that a refused free broke.
public enum FreeRefusal: String, CaseIterable, Sendable {
    case unknownAllocation = "unknown_allocation"
    case alreadyFreed = "already_freed"
    case notAllocated = "not_allocated"
    case notHead = "not_head"
    case wrongOrder = "wrong_order"
    case misaligned = "misaligned"
    case noSuchPage = "no_such_page"
    case notOwner = "not_owner"
}
