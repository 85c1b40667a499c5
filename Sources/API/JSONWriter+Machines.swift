// Machines and zones as the contract spells them.

import JSON
import Ledger
import PageAllocator

extension JSONWriter {
    /// A machine; in lists without its topology.
    mutating func value(_ simulated: SimulatedMachine, withTopology: Bool) {
        let machine = simulated.allocator.machine
        let free = simulated.allocator.freePages
        beginObject()
        member("name", simulated.name)
        member("generation", simulated.id.rawValue)
        member("dialect", machine.dialect.rawValue)
        member("created_at", simulated.createdAt)
        member("sequence", simulated.lastSequence.rawValue)
        key("totals")
        beginObject()
        member("present_pages", machine.presentPages)
        member("managed_pages", machine.managedPages)
        member("free_pages", free)
        member("granted_pages", machine.managedPages - free)
        member("live_allocations", simulated.allocator.liveGrantCount)
        endObject()
        if withTopology {
            key("topology")
            value(machine)
            key("assumed")
            beginArray()
            for assumption in machine.assumptions { value(assumption) }
            endArray()
        }
        endObject()
    }

    private mutating func value(_ machine: Machine) {
        beginObject()
        member("dialect", machine.dialect.rawValue)
        member("page_size", PageFrameNumber.pageSize)
        key("nodes")
        beginArray()
        for (position, node) in machine.nodes.enumerated() {
            beginObject()
            member("id", node.id.rawValue)
            key("cpus")
            value(node.cpus.map(UInt64.init))
            key("memory")
            values(memory: machine.memory(of: node))
            key("fallback_order")
            value(machine.fallbackOrders[position].map { UInt64(machine.nodes[$0].id.rawValue) })
            endObject()
        }
        endArray()
        key("distances")
        beginArray()
        for row in machine.distances { value(row.map(UInt64.init)) }
        endArray()
        key("zones")
        beginArray()
        for type in machine.zoneTypes { value(type.name) }
        endArray()
        endObject()
    }

    /// Ranges of bytes, their last byte included, as `/proc/iomem` has them.
    private mutating func values(memory: [FrameRange]) {
        beginArray()
        for range in memory {
            beginObject()
            member("start", hex: range.lowerBound.address)
            let last = PageFrameNumber(range.upperBound.rawValue - 1)
            member("end", hex: last.address + (PageFrameNumber.pageSize - 1))
            endObject()
        }
        endArray()
    }

    /// All zones of a machine, with what is free in them.
    mutating func zones(of allocator: borrowing PageAllocator) {
        beginObject()
        key("items")
        beginArray()
        for position in allocator.machine.zones.indices {
            value(
                allocator.machine.zones[position], of: allocator.machine,
                free: allocator.freePages(inZone: position),
                blocks: allocator.freeBlocks(inZone: position))
        }
        endArray()
        endObject()
    }

    private mutating func value(
        _ zone: Zone, of machine: Machine, free: UInt64, blocks: [UInt64]
    ) {
        beginObject()
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        member("start_pfn", zone.startPFN.rawValue)
        member("spanned", zone.spannedPages)
        member("present", zone.presentPages)
        member("managed", zone.managedPages)
        member("free", free)
        key("watermarks")
        value(zone.watermarks)
        key("lowmem_reserve")
        beginObject()
        for (type, pages) in zip(machine.zoneTypes, zone.lowmemReserve) {
            key(type.name)
            value(pages)
        }
        endObject()
        key("free_blocks")
        value(blocks)
        endObject()
    }

    mutating func value(_ watermarks: Watermarks) {
        beginObject()
        member("min", watermarks.min)
        member("low", watermarks.low)
        member("high", watermarks.high)
        if let promo = watermarks.promo { member("promo", promo) }
        endObject()
    }

    /// Free blocks by order of the zones with memory: buddyinfo.
    mutating func freeBlocks(of allocator: borrowing PageAllocator) {
        beginObject()
        key("items")
        beginArray()
        for (position, zone) in allocator.machine.zones.enumerated() where zone.isPopulated {
            beginObject()
            member("node", zone.node.rawValue)
            member("zone", zone.type.name)
            key("free_blocks")
            value(allocator.freeBlocks(inZone: position))
            endObject()
        }
        endArray()
        endObject()
    }
}

extension Machine {
    /// Where a node's memory is, whatever zone it is in: ascending and apart.
    fileprivate func memory(of node: Node) -> [FrameRange] {
        zones.filter { $0.node == node.id }.flatMap(\.presentRanges).joined()
    }
}
