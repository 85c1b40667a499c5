// pagetypeinfo, numastat and the fragmentation indexes as the contract spells them.

import JSON
import MachineImport
import PageAllocator

extension JSONWriter {
    /// Free blocks and pageblocks by type of the zones with memory.
    ///
    /// - Parameter counts: one element for each of the machine's zones.
    mutating func pagetypes(of machine: Machine, _ counts: [PagetypeCounts]) {
        beginObject()
        key("items")
        beginArray()
        for (zone, counts) in zip(machine.zones, counts) where zone.isPopulated {
            beginObject()
            member("node", zone.node.rawValue)
            member("zone", zone.type.name)
            key("free_blocks")
            byType { $0.value(counts.freeBlocks[$1.rawValue]) }
            key("pageblocks")
            byType { $0.value(counts.pageblocks[$1.rawValue]) }
            endObject()
        }
        endArray()
        endObject()
    }

    /// An object with a value for each migratetype.
    private mutating func byType(_ write: (inout JSONWriter, Migratetype) -> Void) {
        beginObject()
        for type in Migratetype.allCases {
            key(type.name)
            write(&self, type)
        }
        endObject()
    }

    mutating func numastat(of nodes: [Node], _ counts: [NUMACounts]) {
        beginObject()
        key("items")
        beginArray()
        for (node, counts) in zip(nodes, counts) {
            beginObject()
            member("node", node.id.rawValue)
            member("numa_hit", counts.hit)
            member("numa_miss", counts.miss)
            member("numa_foreign", counts.foreign)
            member("interleave_hit", counts.interleaveHit)
            member("local_node", counts.localNode)
            member("other_node", counts.otherNode)
            endObject()
        }
        endArray()
        endObject()
    }

    /// The kernel's indexes of the zones with memory, and the scores of the nodes.
    mutating func fragmentation(of allocator: borrowing PageAllocator) {
        beginObject()
        member("extfrag_scale", "1 = fragmentation, 0 = lack of memory, -1 = would succeed")
        key("items")
        beginArray()
        for (position, zone) in allocator.machine.zones.enumerated() where zone.isPopulated {
            value(Fragmentation(blockCounts: allocator.freeBlocks(inZone: position)), of: zone)
        }
        endArray()
        key("nodes")
        beginArray()
        for node in allocator.machine.nodes {
            beginObject()
            member("node", node.id.rawValue)
            member("proactive_score", allocator.proactiveScore(of: node))
            endObject()
        }
        endArray()
        endObject()
    }

    private mutating func value(_ fragmentation: Fragmentation, of zone: Zone) {
        beginObject()
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        member("free_pages", fragmentation.freePages)
        key("unusable_index")
        values { $0.thousandths(fragmentation.unusableIndex(for: $1)) }
        key("extfrag_index")
        values { $0.thousandths(fragmentation.fragmentationIndex(for: $1)) }
        key("extfrag_for_order")
        values { $0.value(fragmentation.externalFragmentation(for: $1)) }
        endObject()
    }

    /// A value for each order, 0 first.
    private mutating func values(_ write: (inout JSONWriter, Order) -> Void) {
        beginArray()
        for order in (0..<Order.count).compactMap(Order.init) { write(&self, order) }
        endArray()
    }

    /// Thousandths as a number with three digits after the point.
    private mutating func thousandths(_ index: Int) {
        let (whole, fraction) = index.magnitude.quotientAndRemainder(dividingBy: 1000)
        let digits = String(1000 + fraction).dropFirst()
        raw(Array("\(index < 0 ? "-" : "")\(whole).\(digits)".utf8))
    }
}

extension PageAllocator {
    /// How fragmented a node is for huge pages, 0 to 100.
    fileprivate func proactiveScore(of node: Node) -> Int {
        let zones = machine.zones.indices.filter { machine.zones[$0].node == node.id }
        return ProactiveCompaction.score(
            ofNode: zones.map { zone in
                ProactiveCompaction.Zone(
                    presentPages: machine.zones[zone].presentPages,
                    fragmentation: Fragmentation(blockCounts: freeBlocks(inZone: zone)))
            })
    }
}
