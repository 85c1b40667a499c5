// What the ledger remembers: one entry for each request that was decided.
//
// An entry says what was asked and what became of it, so that the state can be brought back by
// replaying entries (`LedgerState`) and each page's past can be told. Refused requests are entries
// like granted ones. What an entry holds never changes, and entries are never taken away.
//
// `Optional<T>` is spelled out in the values that each request makes. A stored `var` of type `T?`
// is nil before its initializer begins, and where that sets it the compiler (Swift 6.3) copies and
// destroys the value as a whole: 1,100 instructions for one entry instead of 250.

public import PageAllocator

/// An entry's place in the ledger: 1, 2, 3 … without gaps.
public struct Sequence: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Before the first entry.
    public static let zero = Sequence(0)

    public var next: Sequence { Sequence(rawValue + 1) }

    @inlinable
    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.microseconds < rhs.microseconds
    }

    /// So many seconds later; the last time there is where that is beyond it.
    public func adding(seconds: UInt32) -> Timestamp {
        let (sum, isBeyond) = microseconds.addingReportingOverflow(Int64(seconds) * 1_000_000)
        return Timestamp(microseconds: isBeyond ? .max : sum)
    }
}

/// Names a machine for ever: the sequence of the entry that created it. A machine's *name* may be
/// given again once the machine is deleted.
public typealias MachineID = Sequence

/// One entry.
public struct LedgerEntry: Hashable, Sendable {
    public var sequence: Sequence

    /// When it was decided. Never earlier than the entry before.
    public var time: Timestamp
    public var machine: MachineID
    public var requestID: String
    public var event: LedgerEvent

    /// Who was let in to ask; nil where everybody is.
    public var principal: Optional<String>

    /// The key that the request came with.
    public var idempotency: Optional<IdempotencyKey>

    /// Which trace of the caller's the request belongs to: `version-trace_id-parent_id-flags` of
    /// W3C Trace Context, 55 characters.
    public var traceParent: Optional<String>

    /// The chain's value at this entry. nil until the entry is appended, and for entries that were
    /// written before there was a chain. No part of the canonical bytes, which it is made of.
    public var hash: Optional<EntryHash>

    public init(
        sequence: Sequence, time: Timestamp, machine: MachineID, requestID: String,
        event: LedgerEvent, principal: String? = nil, idempotency: IdempotencyKey? = nil,
        traceParent: String? = nil, hash: EntryHash? = nil
    ) {
        self.sequence = sequence
        self.time = time
        self.machine = machine
        self.requestID = requestID
        self.event = event
        self.principal = principal
        self.idempotency = idempotency
        self.traceParent = traceParent
        self.hash = hash
    }

    public var kind: LedgerKind { event.kind }

    public var outcome: LedgerOutcome { event.outcome }
}

/// What an entry is about. Raw values are on disk: they are only ever added to.
public enum LedgerKind: Int, CaseIterable, Sendable {
    case machineCreated = 1
    case machineDeleted = 2
    case controlPut = 3
    case controlDeleted = 4
    case allocate = 5
    case free = 6
    case leaseRenewed = 7
    case leaseExpired = 8

    public var name: String {
        switch self {
        case .machineCreated: "machine_created"
        case .machineDeleted: "machine_deleted"
        case .controlPut: "control_put"
        case .controlDeleted: "control_deleted"
        case .allocate: "allocate"
        case .free: "free"
        case .leaseRenewed: "lease_renewed"
        case .leaseExpired: "lease_expired"
        }
    }
}

/// What became of a request. Raw values are on disk: they are only ever added to.
public enum LedgerOutcome: Int, CaseIterable, Sendable {
    /// Pages were granted.
    case granted = 1
    case refused = 2

    /// Anything else that was asked for was done.
    case done = 3

    public var name: String {
        switch self {
        case .granted: "granted"
        case .refused: "refused"
        case .done: "done"
        }
    }
}

/// What happened.
public enum LedgerEvent: Hashable, Sendable {
    case machineCreated(name: String, machine: Machine)
    case machineDeleted(name: String)
    case controlPut(name: String, control: AllocationControl, dialect: KernelDialect)
    case controlDeleted(name: String)
    case granted(AllocationRecord, GrantRecord)
    case refused(AllocationRecord, reason: AllocationRefusal)
    case freed(FreeRecord, FreedRecord)
    case freeRefused(FreeRecord, reason: FreeRefusal)
    case leaseRenewed(LeaseRecord)
    case leaseRenewalRefused(LeaseRecord, reason: FreeRefusal)

    /// All that a grant still held was freed, since its lease had ended.
    case leaseExpired(FreedRecord)

    public var kind: LedgerKind {
        switch self {
        case .machineCreated: .machineCreated
        case .machineDeleted: .machineDeleted
        case .controlPut: .controlPut
        case .controlDeleted: .controlDeleted
        case .granted, .refused: .allocate
        case .freed, .freeRefused: .free
        case .leaseRenewed, .leaseRenewalRefused: .leaseRenewed
        case .leaseExpired: .leaseExpired
        }
    }

    public var outcome: LedgerOutcome {
        switch self {
        case .granted: .granted
        case .refused, .freeRefused, .leaseRenewalRefused: .refused
        case .machineCreated, .machineDeleted, .controlPut, .controlDeleted, .freed,
            .leaseRenewed, .leaseExpired:
            .done
        }
    }
}

/// Why an allocation was refused, as the ledger keeps it.
public enum AllocationRefusal: Hashable, Sendable {
    case outOfMemory
    case unsatisfiable(Unsatisfiable)

    /// `out_of_memory`, or the rule that can never be met.
    public var name: String {
        switch self {
        case .outOfMemory: "out_of_memory"
        case .unsatisfiable(let rule): rule.rawValue
        }
    }

    public init?(name: String) {
        if name == "out_of_memory" {
            self = .outOfMemory
        } else if let rule = Unsatisfiable(rawValue: name) {
            self = .unsatisfiable(rule)
        } else {
            return nil
        }
    }
}

/// What an allocation asked for.
public struct AllocationRecord: Hashable, Sendable {
    /// The stored control that the call named.
    public var controlName: Optional<String>

    /// The control as it was in force: the stored one with the call's own fields laid over it.
    public var request: AllocationRequest

    /// What the flags' bits mean.
    public var dialect: KernelDialect
    public var owner: Optional<String>
    public var labels: [Label]

    /// Where the stored control stands in its round of nodes after this call; nil where it has no
    /// round. A refused call takes its turn too.
    public var interleaveAfter: Optional<InterleaveState>

    /// Seconds, 1 or more, from the entry's time on, after which the grant ends by itself; nil
    /// where it does not.
    public var ttlSeconds: Optional<UInt32>

    public init(
        controlName: String? = nil, request: AllocationRequest, dialect: KernelDialect,
        owner: String? = nil, labels: [Label] = [], interleaveAfter: InterleaveState? = nil,
        ttlSeconds: UInt32? = nil
    ) {
        self.controlName = controlName
        self.request = request
        self.dialect = dialect
        self.owner = owner
        self.labels = labels
        self.interleaveAfter = interleaveAfter
        self.ttlSeconds = ttlSeconds
    }
}

/// A name and a text that a caller attached to an allocation. A record's labels ascend by name.
public struct Label: Hashable, Sendable {
    public let name: String
    public let value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// The pages that an allocation got, and what else it changed: all that replay needs to know of
/// it. Its identity is the entry's sequence.
public struct GrantRecord: Hashable, Sendable {
    /// The first segment: all of the pages where there is no further one.
    public let frames: FrameRange

    /// The segments after the first, in the order granted; none where a block was granted.
    public let furtherSegments: [FrameRange]

    /// nil for runs of pages, asked for by `pages`.
    public let order: Order?
    public var node: NodeID
    public var zone: ZoneType
    public var migratetype: Migratetype
    public var isCompound: Bool

    /// Of the zone, in the order in which they happened, before the pages were taken.
    public var changes: [ZoneChange]

    /// nil where the grant's own node was both the preferred and the local one, and no interleave
    /// chose it: so it is for nearly every grant.
    public var numa: Optional<NUMACount>

    /// A block.
    public init(
        pfn: PageFrameNumber, order: Order, node: NodeID, zone: ZoneType,
        migratetype: Migratetype, isCompound: Bool, changes: [ZoneChange] = [],
        numa: NUMACount? = nil
    ) {
        frames = FrameRange(block: pfn, order: order)
        furtherSegments = []
        self.order = order
        self.node = node
        self.zone = zone
        self.migratetype = migratetype
        self.isCompound = isCompound
        self.changes = changes
        self.numa = numa
    }

    /// Runs of pages. `segments` is not empty, and its ranges are disjoint.
    public init(
        segments: [FrameRange], node: NodeID, zone: ZoneType, migratetype: Migratetype,
        isCompound: Bool = false, changes: [ZoneChange] = [], numa: NUMACount? = nil
    ) {
        precondition(!segments.isEmpty, "a grant of no pages")
        frames = segments[0]
        furtherSegments = Array(segments.dropFirst())
        order = nil
        self.node = node
        self.zone = zone
        self.migratetype = migratetype
        self.isCompound = isCompound
        self.changes = changes
        self.numa = numa
    }

    /// The first frame of the first segment.
    public var pfn: PageFrameNumber { frames.lowerBound }

    /// In the order granted, disjoint; one where a block was granted.
    public var segments: [FrameRange] { [frames] + furtherSegments }

    /// Pages of all segments.
    public var pages: UInt64 { frames.count + furtherSegments.pageCount }
}

/// What a free named.
public struct FreeRecord: Hashable, Sendable {
    public enum Target: Hashable, Sendable {
        /// All that the grant still holds.
        case allocation(AllocationID)

        /// `free_a_page`: order nil; `free_some_pages`: the 2^order pages from the frame.
        case page(PageFrameNumber, order: Order?)
    }

    public var target: Target

    public init(target: Target) {
        self.target = target
    }
}

/// What a free gave back.
public struct FreedRecord: Hashable, Sendable {
    /// Whose pages they were.
    public var allocation: AllocationID

    /// The first frame of the block of which all that `allocation` still held was freed; of a run
    /// of pages, the first frame that was granted.
    public var pfn: PageFrameNumber

    /// nil where all that was left of a run of pages was freed.
    public var order: Order?
    public var node: NodeID
    public var zone: ZoneType

    /// Pages freed; of a block 1 to 2^order.
    public var pages: UInt64

    /// Where `order` is nil: which pages, ascending and apart. Else none, since the block says it.
    public var ranges: [FrameRange]

    public init(
        allocation: AllocationID, pfn: PageFrameNumber, order: Order?, node: NodeID,
        zone: ZoneType, pages: UInt64, ranges: [FrameRange] = []
    ) {
        self.allocation = allocation
        self.pfn = pfn
        self.order = order
        self.node = node
        self.zone = zone
        self.pages = pages
        self.ranges = ranges
    }
}

/// A new end for a grant: `ttlSeconds` after the entry's time.
public struct LeaseRecord: Hashable, Sendable {
    public var allocation: AllocationID

    /// Seconds, 1 or more.
    public var ttlSeconds: UInt32

    public init(allocation: AllocationID, ttlSeconds: UInt32) {
        self.allocation = allocation
        self.ttlSeconds = ttlSeconds
    }
}
