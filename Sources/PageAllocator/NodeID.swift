/// The number of a NUMA node. Numbers may have gaps: a machine with nodes 0, 8 and 255 exists.
public struct NodeID: Hashable, Comparable, Sendable {
    /// `MAX_NUMNODES` with x86-64's largest NODES_SHIFT: node numbers are 0…1023.
    public static let limit = 1024

    public let rawValue: Int

    /// nil outside 0…1023.
    public init?(_ rawValue: Int) {
        guard (0..<Self.limit).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    init(unchecked rawValue: Int) {
        self.rawValue = rawValue
    }

    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }
}
