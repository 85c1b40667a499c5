// In which order nodes and zones are tried.
//
// The kernel does not sort nodes by distance and number. It picks, again and again, the nearest
// node not yet used, with a point added for nodes of lower number than the local one, so that
// not everybody falls back to node 0; among equals it takes the node that was least often the first
// of its distance in the lists built so far. The further point for nodes with CPUs is not in force
// when the lists are built at boot, since CPUs come up later (x86: `numa_add_cpu` runs after
// `build_all_zonelists`); these are boot-time lists, so it is not applied.
//
// Source: `find_next_best_node`, `build_zonelists`, `build_zonerefs_node`, mm/page_alloc.c.

extension Machine {
    /// For each node, the nodes with memory in the order tried, as indexes into `nodes`.
    static func fallbackOrders(nodes: [Node], zones: [Zone], distances: [[Int]]) -> [[Int]] {
        let hasMemory = nodes.map { node in
            zones.contains { $0.node == node.id && $0.isPopulated }
        }
        var load = [Int](repeating: 0, count: nodes.count)
        return nodes.indices.map { local in
            var order: [Int] = []
            var unused = hasMemory
            var previous = local
            while let next = nextBestNode(
                from: local, unused: unused, distances: distances[local], load: load)
            {
                // Only the first node of a group of equal distance carries the group's load.
                if distances[local][next] != distances[local][previous] {
                    load[next] += 1
                }
                unused[next] = false
                order.append(next)
                previous = next
            }
            return order
        }
    }

    private static func nextBestNode(
        from local: Int, unused: [Bool], distances: [Int], load: [Int]
    ) -> Int? {
        if unused[local] { return local }
        var best: (node: Int, cost: Int)?
        for node in unused.indices where unused[node] {
            let nearness = distances[node] + (node < local ? 1 : 0)
            let cost = nearness * NodeID.limit + load[node]
            if best.map({ cost < $0.cost }) ?? true {
                best = (node, cost)
            }
        }
        return best?.node
    }

    /// All populated zones of a node, high ones first, before those of the next node.
    static func zonelist(over order: [Int], nodes: [Node], zones: [Zone]) -> [Int] {
        order.flatMap { position in
            zones.indices.reversed().filter {
                zones[$0].node == nodes[position].id && zones[$0].isPopulated
            }
        }
    }
}
