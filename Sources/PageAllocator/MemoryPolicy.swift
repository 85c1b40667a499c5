// `struct mempolicy` as a value: which nodes a task's or a driver's pages come from.
//
// A policy names nodes; which of them count follows from the machine and from the nodes that the
// control is allowed (`AllocationControl.allowedNodes`), and is worked out for each request
// (`MemoryPolicy+Nodes.swift`). What a policy remembers from call to call, the place in its round
// of nodes, is not part of it: `InterleaveState`.
//
// Source: include/uapi/linux/mempolicy.h, mm/mempolicy.c.

public struct MemoryPolicy: Hashable, Sendable {
    /// `MPOL_*`, with the kernel's numbers.
    public enum Mode: Int, CaseIterable, Sendable {
        case `default` = 0
        case preferred = 1
        case bind = 2
        case interleave = 3
        case local = 4
        case preferredMany = 5

        /// Linux 6.9 and later.
        case weightedInterleave = 6

        /// The name in <linux/mempolicy.h>, without `MPOL_` and in lower case.
        public var name: String {
            switch self {
            case .default: "default"
            case .preferred: "preferred"
            case .bind: "bind"
            case .interleave: "interleave"
            case .local: "local"
            case .preferredMany: "preferred_many"
            case .weightedInterleave: "weighted_interleave"
            }
        }

        /// The mode of that name; nil where there is none.
        public init?(name: String) {
            guard let mode = Self.allCases.first(where: { $0.name == name }) else { return nil }
            self = mode
        }
    }

    /// `MPOL_F_*`.
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        public static let staticNodes = Self(rawValue: 1 << 15)
        public static let relativeNodes = Self(rawValue: 1 << 14)
        public static let numaBalancing = Self(rawValue: 1 << 13)
    }

    /// A node's share of a weighted interleave: 1 to 255 pages in a row.
    public struct Weight: Hashable, Sendable {
        public let node: NodeID
        public let pages: UInt8

        public init(node: NodeID, pages: UInt8) {
            self.node = node
            self.pages = pages
        }
    }

    public var mode: Mode
    public var flags: Flags

    /// As the caller named them: ascending, each once.
    public var nodes: [NodeID]

    /// Where the walk starts, for bind and preferred_many; nil: the caller's node.
    public var homeNode: NodeID?

    /// Ascending by node. A node that has none has weight 1.
    public var weights: [Weight]

    public init(
        mode: Mode, flags: Flags = [], nodes: [NodeID] = [], homeNode: NodeID? = nil,
        weights: [Weight] = []
    ) {
        self.mode = mode
        self.flags = flags
        self.nodes = nodes
        self.homeNode = homeNode
        self.weights = weights
    }
}

/// The place of a task, or of a stored control, in its round of nodes: `il_prev` and `il_weight`.
public struct InterleaveState: Hashable, Sendable {
    /// The node that served last.
    public let previous: NodeID

    /// Pages that node still gets before the next one's turn; 0 outside a weighted interleave.
    public let weightLeft: UInt8

    public init(previous: NodeID, weightLeft: UInt8) {
        self.previous = previous
        self.weightLeft = weightLeft
    }

    /// Before the first turn: `il_prev = MAX_NUMNODES - 1`, so that the lowest node is first.
    public static let start = InterleaveState(
        previous: NodeID(unchecked: NodeID.limit - 1), weightLeft: 0)
}
