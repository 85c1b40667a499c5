public import PageAllocator

extension KernelText {
    /// `/sys/devices/system/node/nodeN/numastat`.
    ///
    /// Source: `node_read_numastat`, drivers/base/node.c.
    public static func numastat(_ counts: NUMACounts) -> String {
        """
        numa_hit \(counts.hit)
        numa_miss \(counts.miss)
        numa_foreign \(counts.foreign)
        interleave_hit \(counts.interleaveHit)
        local_node \(counts.localNode)
        other_node \(counts.otherNode)

        """
    }
}
