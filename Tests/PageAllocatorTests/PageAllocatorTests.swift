// The allocator's rules one by one: where pages come from, why there are none, what may be freed.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("PageAllocator")
struct PageAllocatorTests {
    // MARK: Where pages come from

    @Test("goes from zone to zone, then from node to node, as the fallback order says")
    func fallsBackOverNodes() throws {
        var allocator = PageAllocator(machine: TestWorld.fourNodes.machine)
        var zones: [String] = []
        var control = AllocationControl(node: NodeID(sketched: 1))
        control.flags = [.kernel, .highmem, .movable]
        var id: UInt64 = 0
        while true {
            id += 1
            guard let grant = try? allocator.allocatePages(control, as: AllocationID(id)) else {
                break
            }
            let zone = allocator.machine.zones[grant.zone]
            let name = "\(zone.node.rawValue) \(zone.type.name)"
            if zones.last != name { zones.append(name) }
            #expect(grant.migratetype == .movable)
        }
        #expect(
            zones == [
                "1 Normal", "1 DMA32", "2 Movable", "2 Normal", "3 Normal", "0 DMA32", "0 DMA",
            ])
        #expect(allocator.freePages == 0)
        #expect(UInt64(allocator.liveGrantCount) == allocator.machine.managedPages)
    }

    @Test("GFP_THISNODE ends the walk with the node")
    func thisNode() throws {
        var allocator = PageAllocator(machine: TestWorld.fourNodes.machine)
        let control = AllocationControl(
            flags: [.kernel, .thisNode], order: Order(sketched: 3), node: NodeID(sketched: 3))
        for id in UInt64(1)...2 {
            let grant = try allocator.allocatePages(control, as: AllocationID(id))
            #expect(allocator.machine.zones[grant.zone].node == control.node)
        }
        let failure = Self.failure(of: AllocationRequest(control: control), on: &allocator)
        // The Movable zone of another node is excluded by the policy first, then by the flags.
        let others = [ZoneVerdict](repeating: .excludedByPolicy, count: 6)
        #expect(failure?.verdicts == [.belowWatermark] + others)
        #expect(failure?.explanation?.zones.map(\.zone) == [6, 1, 0, 3, 2, 5, 4])
    }

    @Test("a request starts at its node, or at that of its CPU, or at that of the lowest CPU")
    func startingNode() throws {
        let machine = TestWorld.interleaved.machine
        let starts: [(AllocationRequest, Int)] = [
            (AllocationRequest(), 0),
            (AllocationRequest(cpu: 1), 8),
            (AllocationRequest(control: AllocationControl(node: NodeID(sketched: 255))), 255),
            (AllocationRequest(control: AllocationControl(node: NodeID(sketched: 0)), cpu: 1), 0),
        ]
        for (request, node) in starts {
            let decision = try PlacementDecision(request, on: machine)
            #expect(machine.nodes[decision.node].id.rawValue == node)
        }
        #expect(throws: Unsatisfiable.noSuchCPU) {
            try PlacementDecision(AllocationRequest(cpu: 2), on: machine)
        }
        #expect(throws: Unsatisfiable.noSuchNode) {
            let control = AllocationControl(node: NodeID(sketched: 1))
            _ = try PlacementDecision(AllocationRequest(control: control), on: machine)
        }
    }

    @Test("a node without memory lends its requests to the nearest that has some")
    func memorylessNode() throws {
        var allocator = PageAllocator(machine: TestWorld.memoryless.machine)
        let grant = try allocator.allocatePages(
            AllocationControl(node: NodeID(sketched: 0)), as: AllocationID(1))
        #expect(allocator.machine.zones[grant.zone].node == NodeID(1))
        let own = AllocationControl(flags: [.kernel, .thisNode], node: NodeID(sketched: 0))
        let failure = Self.failure(of: AllocationRequest(control: own), on: &allocator)
        #expect(failure == .unsatisfiable(.noBlockInBoundaries))
    }

    @Test("a zone that the kernel was built without reads as Normal")
    func absentZones() throws {
        var allocator = PageAllocator(machine: TestWorld.memoryless.machine)
        for (id, flags) in [GFPFlags.dma, [.highmem, .movable]].enumerated() {
            let grant = try allocator.allocatePages(
                AllocationControl(flags: flags), as: AllocationID(UInt64(id) + 1))
            #expect(allocator.machine.zones[grant.zone].type == .normal)
        }
    }

    @Test("the window lowers the highest zone, and never raises it")
    func highestZone() throws {
        let machine = Machine.caseMachine
        let cases: [(GFPFlags, UInt64, UInt64, ZoneType)] = [
            (.kernel, 0, .max, .normal),
            (.kernel, 0, 0x1_0000_0fff, .normal),
            (.kernel, 0, 0x1_0000_0ffe, .dma32),
            (.kernel, 0, 0xffff_ffff, .dma32),
            (.kernel, 0, 0x100_0fff, .dma32),
            (.kernel, 0, 0x100_0ffe, .dma),
            (.kernel, 0, 0xff_ffff, .dma),
            (.dma, 0, .max, .dma),
            (.dma32, 0, .max, .dma32),
            (.dma32, 0x1_0000_0000, .max, .dma32),
            // Nothing of the machine is in the window: the flags stand.
            (.kernel, 0x1_8000_0000, .max, .normal),
        ]
        for (flags, low, high, zone) in cases {
            let control = AllocationControl(flags: flags, lowBoundary: low, highBoundary: high)
            let decision = try PlacementDecision(AllocationRequest(control: control), on: machine)
            #expect(decision.highestZone == zone, "\(low)...\(high)")
        }
    }

    @Test("takes the lowest block of the smallest sufficient order")
    func placement() throws {
        var allocator = PageAllocator(machine: .normalOnly(pages: 64))
        let orders = [0, 2, 1, 0, 3]
        let grants = try orders.enumerated().map { id, order in
            try allocator.allocatePages(
                AllocationControl(order: Order(sketched: order)), as: AllocationID(UInt64(id) + 1))
        }
        #expect(grants.map(\.pfn.rawValue) == [0, 4, 2, 1, 8])
        #expect(grants.map(\.isCompound) == [false, false, false, false, false])
    }

    // MARK: Not now, or never

    @Test("refused for now exactly where the empty machine would grant", arguments: TestWorld.tiny)
    func refusalClasses(world: TestWorld) {
        var full = PageAllocator(machine: world.machine)
        let everything = AllocationControl(flags: [.kernel, .highmem, .movable])
        var id: UInt64 = 0
        for node in world.machine.nodes {
            var control = everything
            control.node = node.id
            while (try? full.allocatePages(control, as: AllocationID(id + 1))) != nil { id += 1 }
        }
        #expect(full.freePages == 0)
        var never = 0
        var requests = 0
        for flags: GFPFlags in [
            .kernel, .dma, .dma32, [.highmem, .movable], [.kernel, .thisNode],
        ] {
            for order in 0...5 {
                for window in Self.windows(around: world.frames) {
                    requests += 1
                    let control = AllocationControl(
                        flags: flags, order: Order(sketched: order),
                        lowBoundary: window.lowerBound << 12,
                        highBoundary: (window.upperBound << 12) - 1)
                    let request = AllocationRequest(control: control)
                    var empty = PageAllocator(machine: world.machine)
                    let first = Self.failure(of: request, on: &empty)
                    let now = Self.failure(of: request, on: &full)
                    if let first {
                        never += 1
                        #expect(now == first, "\(request)")
                        #expect(first.explanation == nil, "\(request)")
                    } else {
                        #expect(now?.explanation != nil, "\(request)")
                    }
                }
            }
        }
        #expect(never > 0 && never < requests)
    }

    private static func windows(around frames: Range<UInt64>) -> [Range<UInt64>] {
        let ends = [0, 1, 2, 3, 4, 7, 8, 12, 16, 23, 40].map { frames.lowerBound + $0 }
        return ends.flatMap { low in ends.filter { $0 > low }.map { low..<$0 } }
    }

    @Test("contradictory flags are refused, whatever the machine holds")
    func contradictoryFlags() {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        for bits: UInt32 in [3, 5, 6, 7, 0xb, 0xd, 0xe, 0xf] {
            let control = AllocationControl(flags: GFPFlags(rawValue: 0xcc0 | bits))
            let failure = Self.failure(of: AllocationRequest(control: control), on: &allocator)
            #expect(failure == .unsatisfiable(.contradictoryZoneFlags))
        }
        // The control's flags and the call's may be fine alone.
        let mixed = AllocationRequest(
            control: AllocationControl(flags: .movable), additionalFlags: .reclaimable)
        #expect(Self.failure(of: mixed, on: &allocator) == .unsatisfiable(.contradictoryMobility))
        let zones = AllocationRequest(
            control: AllocationControl(flags: .dma), additionalFlags: .dma32)
        #expect(Self.failure(of: zones, on: &allocator) == .unsatisfiable(.contradictoryZoneFlags))
    }

    // MARK: Freeing

    @Test("each rule of freeing has its refusal, and a refusal changes nothing")
    func freeFailures() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        let single = try allocator.allocatePages(
            AllocationControl(order: Order(sketched: 2)), as: AllocationID(3))
        let compound = try allocator.allocatePages(
            AllocationControl(flags: [.kernel, .compound], order: Order(sketched: 2)),
            as: AllocationID(5))
        let head = compound.pfn
        let (one, two, three) = (Order(sketched: 1), Order(sketched: 2), Order(sketched: 3))
        _ = try allocator.freeAPage(single.pfn + 3)

        let before = AllocatorState(allocator)
        var refusals: [(call: FreeCall, failure: FreeFailure)] = [
            (.all(4), .unknownAllocation),
            (.all(.max), .unknownAllocation),
            (.page(single.pfn + 3), .notAllocated),
            (.page(PageFrameNumber(20)), .notAllocated),
            (.page(PageFrameNumber(0)), .noSuchPage),
            (.page(PageFrameNumber(64)), .noSuchPage),
            (.page(PageFrameNumber(.max)), .noSuchPage),
            (.pages(single.pfn, three), .wrongOrder(asked: three, head: single.pfn, granted: two)),
            (.pages(single.pfn + 1, one), .misaligned),
            (.pages(single.pfn + 2, one), .alreadyFreed),
            (.pages(single.pfn, two), .alreadyFreed),
        ]
        for tail in UInt64(1)...3 {
            refusals.append((.page(head + tail), .notHead(head)))
            refusals.append((.pages(head + tail, .zero), .notHead(head)))
        }
        for order in [Order.zero, one, three] {
            refusals.append(
                (.pages(head, order), .wrongOrder(asked: order, head: head, granted: two)))
        }
        for (call, failure) in refusals {
            #expect(allocator.refusal(of: call) == failure, "\(call)")
        }
        #expect(AllocatorState(allocator) == before)
        allocator.checkInvariants()
    }

    @Test("pages of a grant that is not compound can be freed one by one and in aligned parts")
    func partialFrees() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        let empty = AllocatorState(allocator)
        let grant = try allocator.allocatePages(
            AllocationControl(order: Order(sketched: 3)), as: AllocationID(1))
        let first = grant.pfn
        let parts: [(UInt64, Int, left: [Range<UInt64>])] = [
            (5, 0, [0..<4, 4..<5, 6..<8]),
            (2, 1, [0..<2, 4..<5, 6..<8]),
            (6, 1, [0..<2, 4..<5]),
            (0, 0, [1..<2, 4..<5]),
        ]
        for (offset, order, left) in parts {
            let freed = try allocator.freeSomePages(first + offset, order: Order(sketched: order))
            #expect(freed.allocation == AllocationID(1))
            #expect(freed.pages == 1 << UInt64(order))
            #expect(!freed.endsGrant)
            let found = allocator.liveGrant(AllocationID(1))
            let live = try #require(found)
            #expect(live.livePages == left.reduce(0) { $0 + UInt64($1.count) })
            let ranges = allocator.liveRanges(of: live)
            #expect(
                ranges
                    == left.map { FrameRange(first + $0.lowerBound, first + $0.upperBound) })
            allocator.checkInvariants()
        }
        let rest = try allocator.free(AllocationID(1))
        #expect(rest.pages == 2)
        #expect(rest.order == grant.order)
        #expect(rest.ranges.count == 2)
        #expect(rest.endsGrant)
        #expect(AllocatorState(allocator) == empty)
    }

    @Test("the last page freed ends the grant")
    func lastPageEndsTheGrant() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        let grant = try allocator.allocatePages(
            AllocationControl(order: Order(sketched: 1)), as: AllocationID(1))
        #expect(try allocator.freeAPage(grant.pfn).endsGrant == false)
        #expect(try allocator.freeAPage(grant.pfn + 1).endsGrant)
        #expect(allocator.liveGrantCount == 0)
        #expect(allocator.refusal(of: .all(1)) == .unknownAllocation)
    }

    @Test("a freed page belongs to whoever got it next")
    func foreignFrees() throws {
        var allocator = PageAllocator(machine: .normalOnly(pages: 1))
        let first = try allocator.allocatePages(AllocationControl(), as: AllocationID(1))
        _ = try allocator.free(AllocationID(1))
        let second = try allocator.allocatePages(AllocationControl(), as: AllocationID(2))
        #expect(first.pfn == second.pfn)
        #expect(allocator.refusal(of: .all(1)) == .unknownAllocation)
        #expect(try allocator.freeAPage(second.pfn).allocation == AllocationID(2))
    }

    @Test("a single page is never compound")
    func singlePagesAreNotCompound() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        let grant = try allocator.allocatePages(
            AllocationControl(flags: [.kernel, .compound]), as: AllocationID(1))
        #expect(!grant.isCompound)
    }

    // MARK: Reading the state

    @Test("live grants are listed by id, in pages of any length")
    func liveGrants() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        for id in UInt64(1)...30 {
            _ = try allocator.allocatePages(AllocationControl(), as: AllocationID(id * 2))
        }
        for id in UInt64(1)...30 where id % 3 != 0 {
            _ = try allocator.free(AllocationID(id * 2))
        }
        let all = allocator.liveGrants(after: AllocationID(0), limit: .max).map(\.id.rawValue)
        #expect(all == [6, 12, 18, 24, 30, 36, 42, 48, 54, 60])
        let some = allocator.liveGrants(after: AllocationID(12), limit: 2).map(\.id.rawValue)
        #expect(some == [18, 24])
        let between = allocator.liveGrants(after: AllocationID(13), limit: 1).map(\.id.rawValue)
        #expect(between == [18])
        #expect(allocator.liveGrants(after: AllocationID(60), limit: 9).isEmpty)
        #expect(allocator.liveGrants(after: AllocationID(.max), limit: 9).isEmpty)
        #expect(allocator.liveGrants(after: AllocationID(0), limit: 0).isEmpty)
        #expect(allocator.liveGrantCount == 10)
    }

    @Test("ids must ascend")
    func idsAscend() async {
        await #expect(processExitsWith: .failure) {
            var allocator = PageAllocator(machine: .normalOnly(pages: 4))
            _ = try allocator.allocatePages(AllocationControl(), as: AllocationID(2))
            _ = try allocator.allocatePages(AllocationControl(), as: AllocationID(2))
        }
    }

    // MARK: Replay

    @Test("a record that does not fit is refused by what it names")
    func replayFaults() throws {
        var allocator = PageAllocator(machine: TestWorld.oneNode.machine)
        let held = Self.grant(32, 2)
        try allocator.replay(held, as: AllocationID(1))
        let before = AllocatorState(allocator)
        // Held, partly held, out of the zone, of no zone, misaligned, of no memory, beyond all.
        let unfit = [
            held, Self.grant(32, 3), Self.grant(16, 0), Self.grant(40, 0, zone: 4),
            Self.grant(41, 1), Self.grant(0, 0, zone: 0), Self.grant(.max, 0),
            Self.grant(.max - 1, 10), Self.grant(40, 0, zone: -1),
        ]
        for grant in unfit {
            #expect(throws: ReplayFault.grantNotFree(AllocationID(2))) {
                try allocator.replay(grant, as: AllocationID(2))
            }
        }
        let frees: [(id: UInt64, pfn: UInt64, order: Int, pages: UInt64)] = [
            (2, 32, 2, 4), (1, 32, 2, 3), (1, 32, 3, 8), (1, 31, 0, 1), (1, 36, 0, 1),
            (1, 33, 1, 2),
            (1, 32, 1, 1), (1, .max, 0, 1), (1, .max - 1, 10, 1024), (1, 28, 3, 8),
        ]
        for free in frees {
            #expect(throws: ReplayFault.freeNotHeld(AllocationID(free.id)), "\(free)") {
                try allocator.replayFree(
                    of: AllocationID(free.id), pfn: PageFrameNumber(free.pfn),
                    order: Order(sketched: free.order), pages: free.pages)
            }
        }
        #expect(AllocatorState(allocator) == before)
        allocator.checkInvariants()
    }

    private static func grant(_ pfn: UInt64, _ order: Int, zone: Int = 2) -> Grant {
        Grant(
            pfn: PageFrameNumber(pfn), order: Order(sketched: order), zone: zone,
            migratetype: .unmovable, isCompound: false)
    }

    /// The refusal of a request; what was granted instead is given back.
    private static func failure(
        of request: AllocationRequest, on allocator: inout PageAllocator
    ) -> AllocationFailure? {
        let last = allocator.liveGrants(after: AllocationID(0), limit: .max).last?.id.rawValue ?? 0
        let id = AllocationID(last + 1)
        do {
            _ = try allocator.allocatePages(
                request.control, additionalFlags: request.additionalFlags, cpu: request.cpu, as: id)
        } catch {
            return error
        }
        do {
            _ = try allocator.free(id)
        } catch {
            Issue.record("what was granted could not be freed: \(error)")
        }
        return nil
    }
}

extension AllocationFailure {
    fileprivate var explanation: Explanation? {
        guard case .outOfMemory(let explanation) = self else { return nil }
        return explanation
    }
}

/// A free, as a table of frees writes it.
private enum FreeCall {
    case all(UInt64)
    case page(PageFrameNumber)
    case pages(PageFrameNumber, Order)
}

extension PageAllocator {
    /// The refusal of a free; nil where it succeeds.
    fileprivate mutating func refusal(of call: FreeCall) -> FreeFailure? {
        do {
            switch call {
            case .all(let id): _ = try free(AllocationID(id))
            case .page(let pfn): _ = try freeAPage(pfn)
            case .pages(let pfn, let order): _ = try freeSomePages(pfn, order: order)
            }
            return nil
        } catch {
            return error
        }
    }
}
