public import PageAllocator

/// What a zone's part of `/proc/pagetypeinfo` counts, by `Migratetype.rawValue`.
public struct PagetypeCounts: Hashable, Sendable {
    /// For each type the free blocks of each order, 0 first.
    public let freeBlocks: [[UInt64]]

    /// For each type the pageblocks that have it.
    public let pageblocks: [UInt64]

    public init(freeBlocks: [[UInt64]], pageblocks: [UInt64]) {
        let types = Migratetype.allCases.count
        precondition(freeBlocks.count == types && pageblocks.count == types, "one count a type")
        precondition(
            freeBlocks.allSatisfy { $0.count == Order.count },
            "one count of free blocks an order")
        self.freeBlocks = freeBlocks
        self.pageblocks = pageblocks
    }
}

extension KernelText {
    /// log2 of the pages in a pageblock: a huge page of 2 MiB, on x86-64.
    private static let pageblockOrder = 9

    /// The kernel counts a list of free blocks no further.
    private static let countLimit: UInt64 = 100_000

    /// `/proc/pagetypeinfo`: for each node with memory the free blocks by type and order, then the
    /// pageblocks by type. Both dialects print the same; isolated pageblocks have a row and a
    /// column, and there are none.
    ///
    /// Source: `pagetypeinfo_show`, mm/vmstat.c, of a kernel without CMA.
    ///
    /// - Parameter counts: one element for each of the machine's zones, unpopulated ones included.
    public static func pagetypeinfo(of machine: Machine, counts: [PagetypeCounts]) -> String {
        precondition(counts.count == machine.zones.count, "one element a zone")
        return machine.nodes.map { node in
            let zones = zip(machine.zones, counts).filter {
                $0.0.node == node.id && $0.0.isPopulated
            }
            return zones.isEmpty ? "" : pagetypeinfo(ofNode: zones)
        }.joined()
    }

    private static func pagetypeinfo(ofNode zones: [(Zone, PagetypeCounts)]) -> String {
        let orders = (0..<Order.count).map { padded(String($0), to: 6) + " " }.joined()
        let freeBlocks = zones.map { freeBlockRows(of: $0, $1) }.joined()
        let types = typeNames.map { padded($0, to: 12) + " " }.joined()
        let pageblocks = zones.map { pageblockRow(of: $0, $1) }.joined()
        return """
            Page block order: \(pageblockOrder)
            Pages per block:  \(1 << pageblockOrder)

            Free pages count per migrate type at order  \(orders)
            \(freeBlocks)
            Number of blocks type  \(types)
            \(pageblocks)
            """
    }

    /// `Isolate` follows the types that are modelled.
    private static var typeNames: [String] { Migratetype.allCases.map(\.name) + ["Isolate"] }

    private static func freeBlockRows(of zone: Zone, _ counts: PagetypeCounts) -> String {
        let isolated = [UInt64](repeating: 0, count: Order.count)
        let place = "Node \(padded(String(zone.node.rawValue), to: 4))"
        return zip(typeNames, counts.freeBlocks + [isolated]).map { name, counts in
            "\(place), zone \(padded(zone.type.name, to: 8)), type \(padded(name, to: 12)) "
                + counts.map { counted($0) + " " }.joined() + "\n"
        }.joined()
    }

    /// `%6lu`, and a mark before a number at which counting stopped.
    private static func counted(_ blocks: UInt64) -> String {
        blocks < countLimit ? padded(String(blocks), to: 6) : ">\(countLimit)"
    }

    private static func pageblockRow(of zone: Zone, _ counts: PagetypeCounts) -> String {
        "Node \(zone.node.rawValue), zone \(padded(zone.type.name, to: 8)) "
            + (counts.pageblocks + [0]).map { padded(String($0), to: 12) + " " }.joined() + "\n"
    }
}
