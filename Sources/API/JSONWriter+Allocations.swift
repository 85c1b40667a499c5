// Allocations, frees, controls and explanations as the contract spells them.

import JSON
import Ledger
import PageAllocator

/// Whether a grant lives, and what of it has been freed.
struct GrantStatus {
    let isLive: Bool

    /// Disjoint, ascending.
    let freedRanges: [FrameRange]

    /// Of a grant that has just been made.
    static let whole = GrantStatus(isLive: true, freedRanges: [])

    /// The status now of a grant on a machine; nil where the machine is gone.
    init(_ id: AllocationID, _ grant: GrantRecord, on machine: SimulatedMachine?) {
        let block = FrameRange(block: grant.pfn, order: grant.order)
        guard let machine, let live = machine.allocator.liveGrant(id) else {
            self.init(isLive: false, freedRanges: [block])
            return
        }
        let held = machine.allocator.liveRanges(of: live)
        self.init(isLive: true, freedRanges: [block].subtracting(held))
    }

    private init(isLive: Bool, freedRanges: [FrameRange]) {
        self.isLive = isLive
        self.freedRanges = freedRanges
    }
}

extension JSONWriter {
    /// The Allocation of a grant's entry.
    mutating func value(
        _ entry: LedgerEntry, _ record: AllocationRecord, _ grant: GrantRecord,
        machine: String, _ status: GrantStatus
    ) {
        beginObject()
        member("id", entry.sequence.rawValue)
        member("machine", machine)
        member("pfn", grant.pfn.rawValue)
        member("address", hex: grant.pfn.address)
        member("order", grant.order.rawValue)
        member("pages", grant.order.pageCount)
        member("size", grant.order.pageCount * PageFrameNumber.pageSize)
        member("node", grant.node.rawValue)
        member("zone", grant.zone.name)
        member("migratetype", grant.migratetype.name)
        member("compound", grant.isCompound)
        member("state", status.isLive ? "live" as StaticString : "freed")
        members(of: record)
        if !status.freedRanges.isEmpty {
            key("freed_ranges")
            value(status.freedRanges)
        }
        member("granted_at", entry.time.text)
        member("sequence", entry.sequence.rawValue)
        endObject()
    }

    /// What an allocation asked for.
    mutating func members(of record: AllocationRecord) {
        key("effective_flags")
        value(record.request.effectiveFlags, record.dialect)
        if let name = record.controlName { member("control", name) }
        key("allocation_control")
        value(record.request.control, record.dialect)
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

    mutating func value(_ control: AllocationControl, _ dialect: KernelDialect) {
        beginObject()
        key("flags")
        value(control.flags, dialect)
        member("order", control.order.rawValue)
        member("node", control.node?.rawValue ?? -1)
        member("low_boundary", hex: control.lowBoundary)
        member("high_boundary", hex: control.highBoundary)
        endObject()
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
        let zone = machine.allocator.machine.zones[freed.zone]
        beginObject()
        member("allocation", freed.allocation.rawValue)
        member("machine", machine.name)
        member("pfn", freed.pfn.rawValue)
        member("order", freed.order.rawValue)
        member("pages", freed.pages)
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        key("freed_ranges")
        value(freed.ranges)
        member("state", freed.endsGrant ? "freed" as StaticString : "live")
        member("freed_at", entry.time.text)
        member("sequence", entry.sequence.rawValue)
        endObject()
    }

    mutating func value(_ stored: StoredControl, on machine: SimulatedMachine) {
        beginObject()
        member("name", stored.name)
        member("machine", machine.name)
        key("allocation_control")
        value(stored.control, machine.allocator.machine.dialect)
        member("updated_at", stored.putAt.text)
        member("sequence", stored.sequence.rawValue)
        endObject()
    }

    mutating func value(_ explanation: Explanation, on machine: Machine) {
        beginObject()
        key("zonelist")
        beginArray()
        for step in explanation.zones {
            let zone = machine.zones[step.zone]
            beginObject()
            member("node", zone.node.rawValue)
            member("zone", zone.type.name)
            member("free_pages", step.freePages)
            key("watermarks")
            value(zone.watermarks)
            member("lowmem_reserve", machine.reserve(of: zone, against: explanation.highestZone))
            key("free_blocks_by_order")
            value(step.freeBlocks)
            member("verdict", step.verdict.rawValue)
            member("reason", step.verdict.sentence)
            endObject()
        }
        endArray()
        key("not_modelled")
        beginArray()
        for rule in Explanation.notModelled { value(rule) }
        endArray()
        endObject()
    }

    mutating func value(_ numbers: [UInt64]) {
        beginArray()
        for number in numbers { value(number) }
        endArray()
    }
}

extension Machine {
    /// The pages of a zone that are kept from requests whose highest zone is that one.
    fileprivate func reserve(of zone: Zone, against highest: ZoneType) -> UInt64 {
        zoneTypes.firstIndex(of: highest).map { zone.lowmemReserve[$0] } ?? 0
    }
}

extension ZoneVerdict {
    fileprivate var sentence: StaticString {
        switch self {
        case .granted: "a conforming block is free"
        case .excludedByPolicy: "__GFP_THISNODE keeps the request on its node"
        case .excludedByZoneModifier: "the zone is above the highest that the flags allow"
        case .outsideBoundaries: "the zone has no page within the boundaries"
        case .noBlockOfOrder: "no free block is large enough"
        case .noBlockInRange: "blocks are large enough, but none within the boundaries"
        }
    }
}
