public import PageAllocator

extension KernelText {
    /// `/sys/kernel/debug/extfrag/unusable_index`: a line for each zone with pages, the unusable
    /// index of each order.
    ///
    /// Source: `unusable_show_print`, mm/vmstat.c.
    ///
    /// - Parameter freeBlocks: for each of the machine's zones, unpopulated ones included, one
    ///   count for each order, order 0 first.
    public static func unusableIndex(of machine: Machine, freeBlocks: [[UInt64]]) -> String {
        indexes(of: machine, freeBlocks: freeBlocks) { fragmentation, order in
            unusableIndex(fragmentation.unusableIndex(for: order))
        }
    }

    /// `/sys/kernel/debug/extfrag/extfrag_index`: the fragmentation index of each order.
    ///
    /// Source: `extfrag_show_print`, mm/vmstat.c.
    public static func extfragIndex(of machine: Machine, freeBlocks: [[UInt64]]) -> String {
        indexes(of: machine, freeBlocks: freeBlocks) { fragmentation, order in
            extfragIndex(fragmentation.fragmentationIndex(for: order))
        }
    }

    private static func indexes(
        of machine: Machine, freeBlocks: [[UInt64]], text: (Fragmentation, Order) -> String
    ) -> String {
        precondition(freeBlocks.count == machine.zones.count, "one list of counts a zone")
        return zip(machine.zones, freeBlocks).filter { $0.0.isPopulated }.map { zone, counts in
            let fragmentation = Fragmentation(blockCounts: counts)
            let values = (0..<Order.count).compactMap(Order.init).map { text(fragmentation, $0) }
            return "Node \(zone.node.rawValue), zone \(padded(zone.type.name, to: 8)) "
                + values.joined() + "\n"
        }.joined()
    }

    /// `%d.%03d `, thousandths.
    static func unusableIndex(_ index: Int) -> String {
        "\(index / 1000).\(fraction(of: index)) "
    }

    /// `%2d.%03d `, thousandths. The kernel divides with C's operators, so that an index between
    /// -1000 and 0 has its sign after the point: ` 0.-500 `.
    static func extfragIndex(_ index: Int) -> String {
        "\(padded(String(index / 1000), to: 2)).\(fraction(of: index)) "
    }

    /// `%03d`: the sign takes one of the three places.
    private static func fraction(of index: Int) -> String {
        let digits = String((index % 1000).magnitude)
        let sign = index % 1000 < 0 ? "-" : ""
        let zeros = max(0, 3 - digits.utf8.count - sign.utf8.count)
        return sign + String(repeating: "0", count: zeros) + digits
    }
}
