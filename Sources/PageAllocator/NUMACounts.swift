// The counters of `/sys/devices/system/node/node*/numastat`: where requests wanted their pages, and
// where they got them. One count an allocation, whatever its size.
//
// Source: `zone_statistics`, mm/page_alloc.c; Documentation/admin-guide/numastat.rst.

/// The counters of one node.
public struct NUMACounts: Hashable, Sendable {
    /// Granted here, as preferred.
    public var hit: UInt64

    /// Granted here, though another node was preferred.
    public var miss: UInt64

    /// Preferred here, and granted by another node.
    public var foreign: UInt64

    /// Granted here, as an interleave chose.
    public var interleaveHit: UInt64

    /// Granted here to a caller on this node.
    public var localNode: UInt64

    /// Granted here to a caller on another node.
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

extension PageAllocator {
    /// The counters of the node at that position of the machine's `nodes`.
    public func numaCounts(ofNode position: Int) -> NUMACounts {
        numaCounts[position]
    }

    mutating func count(_ numa: NUMACount, onNode node: Int) {
        if node == numa.preferred {
            numaCounts[node].hit += 1
        } else {
            numaCounts[node].miss += 1
            numaCounts[numa.preferred].foreign += 1
        }
        if node == numa.local {
            numaCounts[node].localNode += 1
        } else {
            numaCounts[node].otherNode += 1
        }
        if numa.isInterleaveHit { numaCounts[node].interleaveHit += 1 }
    }
}
