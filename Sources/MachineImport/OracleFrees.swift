// What a free leaves in its zone, from the state before it.
//
// Blocks of the orders that CPUs keep lists of go to the list of the freeing CPU, unmerged: the
// buddy lists stay as they are, unless the CPU's list overflows and gives a batch back. All other
// blocks return at once and merge with each buddy that is free. The log has no addresses of free
// blocks. So it leaves open how far a block merges, as far as the counts of free blocks leave it
// open; but no block merges with a buddy of which a page is known to be granted.
//
// The state before a free is that after the line before. Where that line is a request that was
// granted, it follows from what the grant took: nothing of the buddy lists, where the CPU's list
// served it; one block that was split, where they did; where the CPU's list was refilled, only the
// number of pages is known.
//
// A free is as expected where the kernel's counts of free blocks are among those that the rules
// leave, the pages on the CPU's lists are as many as they give, and NR_FREE_PAGES is as near to the
// blocks as the CPUs' own shares of that counter allow.
//
// Source: `__free_pages`, `free_unref_page`, `__free_one_page`, `rmqueue_bulk`, mm/page_alloc.c;
// `calculate_normal_threshold`, mm/vmstat.c.

import PageAllocator

struct OracleFrees {
    /// What is known of the state after the last line.
    private struct Known {
        /// nil where the counts of CPU lists are not of one CPU.
        let cpu: Int?
        let state: [OracleZoneState]

        /// The zone that the line took from, if any, and what is known of it.
        var changed: (name: OracleZone.Name, zone: KnownZone)?

        func zone(_ name: OracleZone.Name) -> KnownZone? {
            if let changed, changed.name == name { return changed.zone }
            return state.first { $0.name == name }.map {
                KnownZone(
                    pages: $0.blockPages, perCPUPages: $0.perCPUPages, outcomes: [$0.freeBlocks])
            }
        }
    }

    private struct KnownZone {
        /// In free blocks.
        let pages: UInt64
        let perCPUPages: UInt64

        /// What the counts of free blocks may be; nil where only their pages are known.
        var outcomes: [[UInt64]]?

        /// How far `pages` may be off.
        var slack: UInt64 = 0
    }

    /// The most that one CPU holds back of a counter of a zone.
    private static let maximumStatThreshold: UInt64 = 125

    private let zones: OracleZones
    private var known: Known?
    private var phase = ""

    /// First frames of grants, ascending: those of this phase since the last step of other kinds.
    private var live: [PageFrameNumber] = []
    private var zonesOfGrants: [PageFrameNumber: OracleZone.Name] = [:]

    init(_ zones: OracleZones) {
        self.zones = zones
    }

    /// The pages that may be missing in NR_FREE_PAGES, or be in it too early.
    private var counterSlack: UInt64 {
        UInt64(max(1, zones.cpus.count)) * Self.maximumStatThreshold
    }

    // MARK: Other lines

    /// A step of which only the state after it is known.
    mutating func note(_ state: [OracleZoneState]) {
        known = Known(cpu: nil, state: state)
        live = []
    }

    /// A request and what it got.
    mutating func note(_ request: OracleRequest, _ answer: OracleAnswer) {
        if request.phase != phase {
            phase = request.phase
            live = []
        }
        known = Known(cpu: request.cpu, state: request.state)
        guard let grant = answer.grant,
            let zone = request.state.first(where: { $0.name == grant.zone })
        else { return }
        zonesOfGrants[grant.pfn] = grant.zone
        live.insert(grant.pfn, at: place(of: grant.pfn))
        known = Known(
            cpu: request.cpu, state: request.state,
            changed: (grant.zone, knownZone(zone, after: grant, for: request)))
    }

    private func knownZone(
        _ zone: OracleZoneState, after grant: OracleAnswer.Grant, for request: OracleRequest
    ) -> KnownZone {
        guard request.call != .contiguous, let order = Order(Int(request.size))
        else {
            return KnownZone(
                pages: grant.freePagesAfter, perCPUPages: grant.perCPUPagesAfter, outcomes: nil,
                slack: 2 * counterSlack)
        }
        var outcomes: [[UInt64]]?
        if order.hasPerCPULists, grant.perCPUPagesAfter &+ order.pageCount == zone.perCPUPages {
            outcomes = [zone.freeBlocks]
        } else if grant.perCPUPagesAfter == zone.perCPUPages {
            outcomes = zone.outcomesOfTaking(order, for: request.flags)
        }
        return KnownZone(
            pages: zone.blockPages &+ zone.perCPUPages &- order.pageCount
                &- grant.perCPUPagesAfter,
            perCPUPages: grant.perCPUPagesAfter, outcomes: outcomes)
    }

    // MARK: Frees

    struct Verdict {
        /// Whether the kernel's state after the free is one that the rules leave.
        var isExpected: Bool

        /// Whether they leave only one.
        var isDecided: Bool
    }

    /// nil where nothing is known of the state before.
    mutating func verdict(on free: OracleFree) -> Verdict? {
        let before = known
        known = Known(cpu: free.cpu, state: free.state)
        let index = place(of: free.pfn)
        // The pages behind a head that was freed alone are still granted.
        if index < live.count, live[index] == free.pfn, free.kind != "one-head" {
            live.remove(at: index)
        }
        let name = zonesOfGrants[free.pfn] ?? zone(of: free.pfn)
        guard let before, (before.cpu ?? free.cpu) == free.cpu, let name,
            let zone = before.zone(name), let after = free.state.first(where: { $0.name == name })
        else { return nil }
        var verdict = verdict(onBlocks: after, from: zone, free)
        if !hasExpectedPages(after, from: zone, free) { verdict.isExpected = false }
        return verdict
    }

    private func hasExpectedPages(
        _ after: OracleZoneState, from zone: KnownZone, _ free: OracleFree
    ) -> Bool {
        let merging = free.mergingBlocks.reduce(0) { $0 + $1.order.pageCount }
        let pages = zone.pages &+ zone.perCPUPages &+ free.pagesForLists &+ merging
        return Self.distance(after.blockPages &+ after.perCPUPages, pages) <= zone.slack
            && Self.distance(after.blockPages, after.record.counters.freePages) <= counterSlack
    }

    private func verdict(
        onBlocks after: OracleZoneState, from zone: KnownZone, _ free: OracleFree
    ) -> Verdict {
        // A list that overflowed gave pages back that the log does not name.
        let overflowed = after.perCPUPages < zone.perCPUPages &+ free.pagesForLists
        guard var outcomes = zone.outcomes, !overflowed else {
            return Verdict(isExpected: true, isDecided: false)
        }
        for block in free.mergingBlocks {
            outcomes = outcomes.flatMap { merges(of: block, into: $0) }
        }
        return Verdict(
            isExpected: outcomes.contains(after.freeBlocks), isDecided: outcomes.count == 1)
    }

    /// The counts of free blocks that a block may leave: merged with no buddy, one, two…
    private func merges(
        of block: (pfn: PageFrameNumber, order: Order), into freeBlocks: [UInt64]
    ) -> [[UInt64]] {
        var outcomes: [[UInt64]] = []
        var rest = freeBlocks
        var first = block.pfn.rawValue
        for order in block.order.rawValue..<Order.count {
            var outcome = rest
            outcome[order] += 1
            outcomes.append(outcome)
            let buddy = PageFrameNumber(first ^ 1 << UInt64(order))
            guard rest[order] > 0, !isGranted(FrameRange(buddy, buddy + 1 << UInt64(order))) else {
                break
            }
            rest[order] -= 1
            first = min(first, buddy.rawValue)
        }
        return outcomes
    }

    /// Whether a grant is known to begin in the range.
    private func isGranted(_ range: FrameRange) -> Bool {
        let index = place(of: range.lowerBound)
        return index < live.count && live[index] < range.upperBound
    }

    /// The index of the first live grant at or above a frame.
    private func place(of pfn: PageFrameNumber) -> Int {
        var (low, high) = (0, live.count)
        while low < high {
            let middle = (low + high) / 2
            if live[middle] < pfn { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The last zone that begins at or below a frame.
    private func zone(of pfn: PageFrameNumber) -> OracleZone.Name? {
        zones.zones.filter { $0.startPFN <= pfn }.max { $0.startPFN < $1.startPFN }?.name
    }

    private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 {
        a > b ? a - b : b - a
    }
}

extension OracleFree {
    /// Pages that go to the CPU's lists, whatever block they are of.
    fileprivate var pagesForLists: UInt64 {
        switch kind {
        case "contig": size
        case "one-rest": blocks.reduce(0) { $0 + $1.order.pageCount - 1 }
        default:
            blocks.filter(\.order.hasPerCPULists).reduce(0) { $0 + $1.order.pageCount }
        }
    }

    /// Blocks that go to the buddy lists at once.
    fileprivate var mergingBlocks: [(pfn: PageFrameNumber, order: Order)] {
        kind == "contig" || kind == "one-rest" ? [] : blocks.filter { !$0.order.hasPerCPULists }
    }

    /// What is freed in pieces is freed as these blocks: behind a head that is still held, the rest
    /// of a block of 2^n pages is blocks of order n-1, n-2, … 0, the largest one last in memory.
    private var blocks: [(pfn: PageFrameNumber, order: Order)] {
        guard let order = Order(Int(size)) else { return [] }
        guard kind == "ref-tail" else { return [(pfn, order)] }
        return (0..<order.rawValue).reversed().compactMap { Order($0) }.map {
            (pfn + $0.pageCount, $0)
        }
    }
}

extension OracleZoneState {
    /// Pages in free blocks.
    fileprivate var blockPages: UInt64 {
        freeBlocks.indices.reduce(0) { $0 &+ freeBlocks[$1] << UInt64($1) }
    }

    /// The counts of free blocks that taking one block may leave: the smallest sufficient one of
    /// the request's own type is split; without one, one of any size of another type; and a
    /// request that may not wait can come to the smallest one kept for atomic requests.
    fileprivate func outcomesOfTaking(_ order: Order, for flags: GFPFlags) -> [[UInt64]] {
        guard let type = flags.migratetype else { return [] }
        let free = record.counters.freeOrders
        let others = Migratetype.allCases.filter { $0 != .highAtomic && $0 != type }
        var taken = free[type].orders(from: order).prefix(1)
        if taken.isEmpty {
            taken = others.reduce(0) { $0 | free[$1] }.orders(from: order)[...]
        }
        if !flags.contains(.directReclaim) {
            taken += free[.highAtomic].orders(from: order).prefix(1)
        }
        return taken.compactMap { splitting($0, downTo: order) }
    }

    private func splitting(_ taken: Int, downTo order: Order) -> [UInt64]? {
        var counts = freeBlocks
        guard counts.indices.contains(taken), counts[taken] > 0 else { return nil }
        counts[taken] -= 1
        for half in order.rawValue..<taken {
            counts[half] += 1
        }
        return counts
    }
}

extension UInt16 {
    /// The bits that are set at or above an order.
    fileprivate func orders(from order: Order) -> [Int] {
        (order.rawValue..<Order.count).filter { self >> UInt16($0) & 1 == 1 }
    }
}

extension Order {
    /// Whether CPUs keep lists of such blocks: up to `PAGE_ALLOC_COSTLY_ORDER`, and huge pages.
    /// Source: `pcp_allowed_order`, mm/page_alloc.c.
    fileprivate var hasPerCPULists: Bool { rawValue <= 3 || rawValue == 9 }
}
