// Runs of pages: where `alloc_contig_pages` looks, and what a recorded state says about it.
//
// In each zone of the list it tries the places one run apart, from the zone's first page rounded up
// by ALIGN. That clears bits of the run's length less one: the result is a multiple of the length
// only where that is a power of two. A place does where nothing in it is fixed; pages in use that
// can move are moved away. So a state of free blocks tells only of some zones that they have a
// place, those with a free block twice as long as the run: it has a whole place inside. An answer
// agrees where it is on those places, in a zone of the list, and no zone before it was sure to have
// one.
//
// Source: `alloc_contig_pages`, mm/page_alloc.c.

import PageAllocator

extension OracleSet {
    func agrees(_ request: OracleRequest, with answer: OracleAnswer) -> Bool {
        for zone in zonelist(of: request) {
            if let grant = answer.grant, grant.zone == zone {
                return isPlace(grant.pfn, ofRunsOf: request.size, in: zone)
            }
            let state = request.state.first { $0.name == zone }
            if let state, Self.surelyHasPlace(forRunsOf: request.size, state) { return false }
        }
        return answer.grant == nil
    }

    private func isPlace(
        _ pfn: PageFrameNumber, ofRunsOf pages: UInt64, in name: OracleZone.Name
    ) -> Bool {
        guard pages > 0, let zone = zones.zones.first(where: { $0.name == name }) else {
            return false
        }
        let first = (zone.startPFN.rawValue + pages - 1) & ~(pages - 1)
        return pfn.rawValue >= first && (pfn.rawValue - first) % pages == 0
    }

    private static func surelyHasPlace(
        forRunsOf pages: UInt64, _ state: OracleZoneState
    ) -> Bool {
        state.freeBlocks.indices.contains { order in
            state.freeBlocks[order] > 0 && UInt64(1) << UInt64(order) >= 2 * pages
        }
    }

    /// The zones that the request may use, in the order tried.
    private func zonelist(of request: OracleRequest) -> [OracleZone.Name] {
        guard let node = node(of: request).flatMap({ machine.index(of: $0) }) else { return [] }
        let highest = request.flags.highestZone ?? .dma
        let mask = request.nodeMask == 0 ? nil : nodes(in: request.nodeMask)
        return machine.zonelists[node].map {
            OracleZone.Name(node: machine.zones[$0].node, type: machine.zones[$0].type)
        }.filter { zone in
            zone.type <= highest && mask?.contains(zone.node) ?? true
                && (!request.flags.contains(.thisNode) || zone.node == machine.nodes[node].id)
        }
    }
}
