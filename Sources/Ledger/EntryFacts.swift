// What can be asked of an entry, whatever its kind.

public import PageAllocator

/// An entry's values by name; nil where its kind has no such value.
public struct EntryFacts: Hashable, Sendable {
    public var owner: String?
    public var controlName: String?

    /// Where the pages lie that were granted or freed.
    public var node: NodeID?
    public var zone: ZoneType?

    /// Of the block granted or freed; of a refused request, what it asked for. nil for runs.
    public var order: Order?

    /// The first frame of the block, or of the run.
    public var pfn: PageFrameNumber?

    /// Of a run: its segments granted, or its pages freed. Else none.
    public var segments: [FrameRange] = []

    /// The grant that the entry is about: itself, or the one that it frees.
    public var allocation: AllocationID?

    /// Pages granted or freed.
    public var pages: UInt64?
    public var reason: String?

    /// Whether the block or the run granted, freed, or named by a refused free holds the frame.
    public func holds(_ frame: PageFrameNumber) -> Bool {
        guard segments.isEmpty else { return segments.contains { $0.contains(frame) } }
        // A caller may have named a frame so high that its block has no end.
        guard let pfn, frame >= pfn else { return false }
        return frame.rawValue - pfn.rawValue < (order ?? .zero).pageCount
    }

    public init(_ entry: LedgerEntry) {
        switch entry.event {
        case .machineCreated, .machineDeleted:
            break
        case .controlPut(let name, let control, _):
            controlName = name
            order = control.blockOrder
        case .controlDeleted(let name):
            controlName = name
        case .granted(let record, let grant):
            note(record)
            allocation = AllocationID(entry.sequence.rawValue)
            (pfn, node, zone) = (grant.pfn, grant.node, grant.zone)
            segments = grant.order == nil ? grant.segments : []
            pages = grant.pages
        case .refused(let record, let refusal):
            note(record)
            reason = refusal.name
        case .freed(_, let freed), .leaseExpired(let freed):
            (pfn, order) = (freed.pfn, freed.order)
            (allocation, node, zone) = (freed.allocation, freed.node, freed.zone)
            (pages, segments) = (freed.pages, freed.ranges)
        case .freeRefused(let record, let refusal):
            note(record.target)
            reason = refusal.rawValue
        case .leaseRenewed(let lease):
            allocation = lease.allocation
        case .leaseRenewalRefused(let lease, let refusal):
            allocation = lease.allocation
            reason = refusal.rawValue
        }
    }

    private mutating func note(_ record: AllocationRecord) {
        owner = record.owner
        controlName = record.controlName
        order = record.request.control.blockOrder
    }

    private mutating func note(_ target: FreeRecord.Target) {
        switch target {
        case .allocation(let id):
            allocation = id
        case .page(let pfn, let order):
            (self.pfn, self.order) = (pfn, order)
        }
    }
}

extension AllocationControl {
    /// The order of the block asked for; nil where a run of pages is.
    public var blockOrder: Order? { pages == nil ? order : nil }
}
