// One zone of a whole machine: watermarks, migratetypes, policies; and, through the public
// interface, the books of who holds what besides.

import PageAllocator

struct RuledZone: ~Copyable, PageZone {
    var allocator: PageAllocator
    private let keepsBooks: Bool
    private let requests: [AllocationRequest]
    private let orders: [Order]
    private var lastID: UInt64 = 0

    init(pages: Int, keepsBooks: Bool) {
        self.keepsBooks = keepsBooks
        let frames = FrameRange(PageFrameNumber(0), PageFrameNumber(UInt64(pages)))
        guard let node = NodeID(0) else { fatalError("no node has the number 0") }
        // Half a per mill of the zone, as a large machine's marks are, and far below what is free.
        let mark = UInt64(pages) / 2048
        let zone = Zone(
            node: node, type: .normal, startPFN: frames.lowerBound, spannedPages: frames.count,
            presentRanges: [frames], managedRanges: [frames],
            watermarks: Watermarks(min: mark, low: mark * 5 / 4, high: mark * 3 / 2, promo: nil),
            lowmemReserve: [0])
        do {
            allocator = PageAllocator(
                machine: try Machine(
                    dialect: .linux612, nodes: [Node(id: node, cpus: [0])], zoneTypes: [.normal],
                    zones: [zone], distances: [[Machine.localDistance]]))
        } catch {
            fatalError("the bench's machine is none: \(error)")
        }
        orders = (0..<Order.count).compactMap { Order($0) }
        requests = orders.map { order in
            AllocationRequest(
                control: AllocationControl(flags: [.kernel, .movable, .highmem], order: order))
        }
    }

    mutating func allocate(_ order: Int) -> Int {
        lastID += 1
        do {
            let grant =
                keepsBooks
                ? try allocator.allocatePages(requests[order], as: AllocationID(lastID))
                : try allocator.take(requests[order])
            return Int(grant.pfn.rawValue)
        } catch {
            return -1
        }
    }

    mutating func free(_ page: Int, _ order: Int) {
        let pfn = PageFrameNumber(UInt64(page))
        guard keepsBooks else {
            let frames = FrameRange(block: pfn, order: orders[order])
            return allocator.giveBack(frames, .movable, toZone: 0)
        }
        do {
            _ = try allocator.freeSomePages(pfn, order: orders[order])
        } catch {
            fatalError("a grant cannot be freed: \(error)")
        }
    }
}
