/// What became of the allocations of one node, each counted once whatever its order.
public struct Numastat: Hashable, Sendable {
    /// Granted here, and this was the node preferred.
    public var hit: UInt64

    /// Granted here, though another node was preferred.
    public var miss: UInt64

    /// Granted elsewhere, though this node was preferred.
    public var foreign: UInt64

    /// Granted here as a plain interleave had chosen.
    public var interleaveHit: UInt64

    /// Granted here to a CPU of this node.
    public var localNode: UInt64

    /// Granted here to a CPU of another node.
    public var otherNode: UInt64

    public init(
        hit: UInt64 = 0, miss: UInt64 = 0, foreign: UInt64 = 0, interleaveHit: UInt64 = 0,
        localNode: UInt64 = 0, otherNode: UInt64 = 0
    ) {
        self.hit = hit
        self.miss = miss
        self.foreign = foreign
        self.interleaveHit = interleaveHit
        self.localNode = localNode
        self.otherNode = otherNode
    }
}

extension KernelText {
    /// `/sys/devices/system/node/nodeN/numastat`.
    ///
    /// Source: `node_read_numastat`, drivers/base/node.c.
    public static func numastat(_ counts: Numastat) -> String {
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
