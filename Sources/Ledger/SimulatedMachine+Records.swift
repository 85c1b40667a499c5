// From what the allocator did to its record, and back. A record names a zone by node and kind, as a
// reader of the ledger knows it; the allocator names it by its position in the machine.
//
// These stand here, and read the machine's fields one by one, since copying a `Machine` out of its
// allocator for each request costs more than all that they do.

public import PageAllocator

extension SimulatedMachine {
    public func record(of grant: Grant) -> GrantRecord {
        let (node, zone) = name(ofZone: grant.zone)
        let numa = grant.numa.flatMap { isUsual($0, on: node) ? nil : $0 }
        if let order = grant.order {
            return GrantRecord(
                pfn: grant.pfn, order: order, node: node, zone: zone,
                migratetype: grant.migratetype, isCompound: grant.isCompound,
                changes: grant.changes, numa: numa)
        }
        return GrantRecord(
            segments: grant.segments, node: node, zone: zone, migratetype: grant.migratetype,
            isCompound: grant.isCompound, changes: grant.changes, numa: numa)
    }

    public func record(of freed: Freed) -> FreedRecord {
        let (node, zone) = name(ofZone: freed.zone)
        return FreedRecord(
            allocation: freed.allocation, pfn: freed.pfn, order: freed.order, node: node,
            zone: zone, pages: freed.pages, ranges: freed.order == nil ? freed.ranges : [])
    }

    private func name(ofZone position: Int) -> (node: NodeID, zone: ZoneType) {
        (allocator.machine.zones[position].node, allocator.machine.zones[position].type)
    }

    /// Whether a grant on that node counts as its record says where it says nothing.
    private func isUsual(_ count: NUMACount, on node: NodeID) -> Bool {
        count.preferred == count.local && !count.isInterleaveHit
            && allocator.machine.nodes[count.local].id == node
    }

    /// The grant that a record is of; nil where this machine has no such zone, or not the nodes
    /// that it was counted for.
    func grant(of record: GrantRecord) -> Grant? {
        guard
            let zone = allocator.machine.zones.firstIndex(where: {
                $0.node == record.node && $0.type == record.zone
            }),
            let count = record.numa ?? usualCount(on: record.node),
            allocator.machine.nodes.indices.contains(count.preferred),
            allocator.machine.nodes.indices.contains(count.local)
        else { return nil }
        var grant: Grant
        if let order = record.order {
            grant = Grant(
                pfn: record.pfn, order: order, zone: zone, migratetype: record.migratetype,
                isCompound: record.isCompound)
        } else {
            grant = Grant(
                segments: record.segments, zone: zone, migratetype: record.migratetype,
                isCompound: record.isCompound)
        }
        grant.changes = record.changes
        grant.numa = count
        return grant
    }

    private func usualCount(on node: NodeID) -> NUMACount? {
        allocator.machine.nodes.firstIndex { $0.id == node }.map { position in
            NUMACount(preferred: position, local: position, isInterleaveHit: false)
        }
    }
}
