/// A set of nodes: bit i stands for the i-th of the machine's `nodes`. `nodemask_t`.
struct NodeMask: OptionSet, Hashable, Sendable {
    let rawValue: UInt64

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The node at one position.
    @inline(__always)
    init(node: Int) {
        rawValue = 1 << UInt64(node)
    }

    /// No node is left out: what the kernel writes as no mask.
    static let all = NodeMask(rawValue: .max)

    var count: Int { rawValue.nonzeroBitCount }

    /// The position of the lowest; nil where there is none.
    var first: Int? { isEmpty ? nil : rawValue.trailingZeroBitCount }

    /// The positions, ascending.
    var positions: [Int] {
        (0..<Machine.maximumNodes).filter { contains($0) }
    }

    @inline(__always)
    func contains(_ node: Int) -> Bool {
        rawValue >> UInt64(node) & 1 == 1
    }

    /// The lowest position above `node`, else the lowest of all: `next_node_in`.
    func next(after node: Int) -> Int? {
        let above = node >= Machine.maximumNodes - 1 ? 0 : rawValue & (.max << UInt64(node + 1))
        return above == 0 ? first : above.trailingZeroBitCount
    }

    /// The position of the one with `index` others below it; nil where there are not so many.
    func member(at index: Int) -> Int? {
        var rest = rawValue
        for _ in 0..<index {
            rest &= rest &- 1
        }
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }
}
