public import PageAllocator

extension KernelText {
    /// `/proc/buddyinfo`: a line for each zone with pages, the free blocks of each order.
    ///
    /// Source: `frag_show_print`, mm/vmstat.c.
    ///
    /// - Parameter freeBlocks: for each of the machine's zones, unpopulated ones included, one
    ///   count for each order, order 0 first.
    public static func buddyinfo(of machine: Machine, freeBlocks: [[UInt64]]) -> String {
        precondition(freeBlocks.count == machine.zones.count, "one list of counts a zone")
        return zip(machine.zones, freeBlocks).filter { $0.0.isPopulated }
            .map { buddyinfo(of: $0, freeBlocks: $1) }.joined()
    }

    private static func buddyinfo(of zone: Zone, freeBlocks: [UInt64]) -> String {
        precondition(freeBlocks.count == Order.count, "one count of free blocks an order")
        let counts = freeBlocks.map { padded(String($0), to: 6) + " " }.joined()
        return "Node \(zone.node.rawValue), zone \(padded(zone.type.name, to: 8)) \(counts)\n"
    }
}
