// Allocations and frees as the contract spells them.

import JSON
import Ledger
import PageAllocator

/// Whether a grant lives, and what of it has been freed.
struct GrantStatus {
    let isLive: Bool

    /// Disjoint, ascending.
    let freedRanges: [FrameRange]
    let lease: Lease

    /// When a grant ends by itself.
    enum Lease {
        /// As the request for it said.
        case asGranted

        /// nil: it does not.
        case current(Timestamp?)
    }

    /// Of a grant that has just been made.
    static let whole = GrantStatus(isLive: true, freedRanges: [], lease: .asGranted)

    /// The status now of a grant on a machine; nil where the machine is gone.
    init(_ id: AllocationID, _ grant: GrantRecord, on machine: SimulatedMachine?) {
        let granted = grant.segments.joined()
        guard let machine, let live = machine.allocator.liveGrant(id) else {
            self.init(isLive: false, freedRanges: granted, lease: .asGranted)
            return
        }
        let held = machine.allocator.liveRanges(of: live)
        self.init(
            isLive: true, freedRanges: granted.subtracting(held),
            lease: .current(machine.leases.expiry(of: id)))
    }

    private init(isLive: Bool, freedRanges: [FrameRange], lease: Lease) {
        self.isLive = isLive
        self.freedRanges = freedRanges
        self.lease = lease
    }

    /// When the grant ends, or was to end, by itself.
    fileprivate func expiry(_ entry: LedgerEntry, _ record: AllocationRecord) -> Timestamp? {
        switch lease {
        case .asGranted: record.ttlSeconds.map { entry.time.adding(seconds: $0) }
        case .current(let expiry): expiry
        }
    }
}

extension JSONWriter {
    /// The Allocation of a grant's entry.
    ///
    /// - Parameter rendered: where controls are looked for before they are written.
    mutating func value(
        _ entry: LedgerEntry, _ record: AllocationRecord, _ grant: GrantRecord,
        machine: String, _ status: GrantStatus, _ rendered: RenderedControls? = nil
    ) {
        beginObject()
        members(of: entry, record, grant, machine: machine, status, rendered)
        endObject()
    }

    mutating func members(
        of entry: LedgerEntry, _ record: AllocationRecord, _ grant: GrantRecord,
        machine: String, _ status: GrantStatus, _ rendered: RenderedControls? = nil
    ) {
        let pages = grant.pages
        member("id", entry.sequence.rawValue)
        member("machine", machine)
        member("pfn", grant.pfn.rawValue)
        member("address", hex: grant.pfn.address)
        member(order: grant.order)
        member("pages", pages)
        member("size", pages * PageFrameNumber.pageSize)
        if !grant.furtherSegments.isEmpty { member(segments: grant.segments) }
        member("node", grant.node.rawValue)
        member("zone", grant.zone.name)
        member("migratetype", grant.migratetype.name)
        member("compound", grant.isCompound)
        member("state", status.isLive ? "live" as StaticString : "freed")
        members(of: record, rendered)
        if !status.freedRanges.isEmpty {
            key("freed_ranges")
            value(status.freedRanges)
        }
        member("granted_at", entry.time)
        if let expiry = status.expiry(entry, record) { member("expires_at", expiry) }
        member("sequence", entry.sequence.rawValue)
    }

    /// A time, in RFC 3339.
    mutating func member(_ name: StaticString, _ time: Timestamp) {
        key(name)
        value(ascii: time.ascii.span)
    }

    /// The order of a block; null for runs of pages.
    mutating func member(order: Order?) {
        if let order { member("order", order.rawValue) } else { nullMember("order") }
    }

    /// The runs of what has several.
    mutating func member(segments: [FrameRange]) {
        key("segments")
        value(segments)
    }

    /// What an allocation asked for.
    mutating func members(of record: AllocationRecord, _ rendered: RenderedControls? = nil) {
        key("effective_flags")
        if let rendered {
            raw(rendered.json(of: record.request.effectiveFlags, record.dialect))
        } else {
            value(record.request.effectiveFlags, record.dialect)
        }
        if let name = record.controlName { member("control", name) }
        key("allocation_control")
        if let json = rendered?.json(of: record.request.control, record.dialect) {
            raw(json)
        } else {
            value(record.request.control, record.dialect)
        }
        if !record.request.additionalFlags.isEmpty {
            key("additional_flags")
            value(record.request.additionalFlags, record.dialect)
        }
        if let cpu = record.request.cpu { member("cpu", cpu) }
        if let owner = record.owner { member("owner", owner) }
        if !record.labels.isEmpty {
            key("labels")
            beginObject()
            for label in record.labels {
                key(label.name)
                value(label.value)
            }
            endObject()
        }
    }

    mutating func value(_ flags: GFPFlags, _ dialect: KernelDialect) {
        beginObject()
        member("value", hex: UInt64(flags.rawValue))
        key("names")
        beginArray()
        flags.forEachName(dialect) { value($0) }
        endArray()
        endObject()
    }

    mutating func value(_ ranges: [FrameRange]) {
        beginArray()
        for range in ranges {
            beginObject()
            member("pfn", range.lowerBound.rawValue)
            member("pages", range.count)
            endObject()
        }
        endArray()
    }

    /// What a free gave back.
    mutating func value(_ freed: Freed, _ entry: LedgerEntry, on machine: SimulatedMachine) {
        beginObject()
        members(of: freed, entry, on: machine)
        endObject()
    }

    mutating func members(
        of freed: Freed, _ entry: LedgerEntry, on machine: SimulatedMachine
    ) {
        let zone = machine.allocator.machine.zones[freed.zone]
        member("allocation", freed.allocation.rawValue)
        member("machine", machine.name)
        member("pfn", freed.pfn.rawValue)
        member(order: freed.order)
        member("pages", freed.pages)
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        key("freed_ranges")
        value(freed.ranges)
        member("state", freed.endsGrant ? "freed" as StaticString : "live")
        member("freed_at", entry.time)
        member("sequence", entry.sequence.rawValue)
    }

    mutating func value(_ numbers: [UInt64]) {
        beginArray()
        for number in numbers { value(number) }
        endArray()
    }
}
