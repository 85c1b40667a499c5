// Grants that end by themselves: when each ends, and which ends next.
//
// A heap keeps the order of (expiry, id). A lease that is renewed or given up leaves its old place
// in the heap behind, which is passed over once it comes to the top; when half of the heap is such
// places, it is built anew. So each change takes O(log n), and the next lease to end is always at
// the top.

public import PageAllocator

public struct Leases: Sendable {
    public struct Lease: Hashable, Comparable, Sendable {
        public let expiry: Timestamp
        public let id: AllocationID

        public init(expiry: Timestamp, id: AllocationID) {
            self.expiry = expiry
            self.id = id
        }

        /// By expiry, and at the same time by id.
        public static func < (lhs: Self, rhs: Self) -> Bool {
            (lhs.expiry, lhs.id) < (rhs.expiry, rhs.id)
        }
    }

    private var expiries: [AllocationID: Timestamp] = [:]

    /// A binary heap. Its top, if any, is a lease that holds.
    private var heap: [Lease] = []

    /// The heap is not built anew below this size.
    private static let smallHeap = 64

    public init() {}

    public var isEmpty: Bool { expiries.isEmpty }

    public var count: Int { expiries.count }

    /// The lease that ends next; nil where there is none.
    public var first: Lease? { heap.first }

    /// When a grant ends; nil where it has no lease.
    public func expiry(of id: AllocationID) -> Timestamp? {
        expiries.isEmpty ? nil : expiries[id]
    }

    /// All leases, ascending by id.
    public var all: [Lease] {
        expiries.map { Lease(expiry: $1, id: $0) }.sorted { $0.id < $1.id }
    }

    /// Gives a grant a lease, or another end to the one that it has.
    public mutating func set(_ expiry: Timestamp, of id: AllocationID) {
        guard expiries.updateValue(expiry, forKey: id) != expiry else { return }
        heap.append(Lease(expiry: expiry, id: id))
        siftUp(from: heap.count - 1)
        clean()
    }

    /// Ends the lease of a grant, if it has one.
    public mutating func remove(_ id: AllocationID) {
        guard !expiries.isEmpty, expiries.removeValue(forKey: id) != nil else { return }
        clean()
    }

    private mutating func clean() {
        if heap.count > Self.smallHeap && heap.count > 2 * expiries.count {
            // Ascending order is a heap.
            heap = expiries.map { Lease(expiry: $1, id: $0) }.sorted()
        }
        while let top = heap.first, expiries[top.id] != top.expiry {
            removeTop()
        }
    }

    private mutating func removeTop() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        siftDown()
    }

    private mutating func siftUp(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while 2 * parent + 1 < heap.count {
            var child = 2 * parent + 1
            if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}

extension Leases: Hashable {
    /// The places left behind in the heap do not count.
    public static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.expiries == rhs.expiries
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(expiries)
    }
}
