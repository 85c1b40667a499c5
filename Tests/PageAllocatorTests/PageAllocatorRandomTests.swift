// Long random lives of small machines: each answer of the allocator, whole, against that of the
// slow reference. A failure names the world and the seed; with both the same life can be had again.

import PageAllocator
import TestSupport
import Testing

@Suite("PageAllocator at random")
struct PageAllocatorRandomTests {
    static let seeds: Range<UInt64> = 1..<6

    /// With six worlds and five seeds: 210,000 calls.
    static let callsPerLife = 7_000
    static let wideCalls = 1_500

    /// Calls between two comparisons of the whole state.
    static let comparisonInterval = 40

    /// Comparisons of the whole state between two replays of everything so far.
    static let replayInterval = 30

    @Test("answers as the reference does", arguments: TestWorld.tiny, seeds)
    func tinyWorlds(world: TestWorld, seed: UInt64) {
        var life = RandomLife(in: world, seed: seed)
        life.live(calls: Self.callsPerLife, interval: Self.comparisonInterval)
        #expect(life.fault == nil)
        #expect(life.outcomes.keys.count >= 8, "a dull life: \(life.outcomes)")
    }

    @Test("answers as the reference does with blocks of every order", arguments: UInt64(1)..<3)
    func wideWorld(seed: UInt64) {
        var life = RandomLife(in: .wide, seed: seed, orders: 0...10)
        life.live(calls: Self.wideCalls, interval: 100)
        #expect(life.fault == nil)
    }
}

/// One machine's life, twice: in the allocator and in the reference.
struct RandomLife: ~Copyable {
    let world: TestWorld
    let seed: UInt64
    let orders: ClosedRange<Int>
    private var random: SeededGenerator
    private var allocator: PageAllocator
    private var reference: ReferenceAllocator
    private var journal: [ReplayRecord] = []
    private var nextID = AllocationID(1)
    private var comparisons = 0

    /// What differed first, with what is needed to have it again.
    private(set) var fault: String?

    /// How many calls ended how.
    private(set) var outcomes: [String: Int] = [:]

    init(in world: TestWorld, seed: UInt64, orders: ClosedRange<Int> = 0...4) {
        self.world = world
        self.seed = seed
        self.orders = orders
        random = SeededGenerator(seed: seed)
        allocator = PageAllocator(machine: world.machine)
        reference = ReferenceAllocator(world)
    }

    mutating func live(calls: Int, interval: Int) {
        for call in 0..<calls where fault == nil {
            // Eras of growth and of decay, so that the machine is now nearly empty, now full.
            let growth = call / 500 % 2 == 0 ? 65 : 35
            if random.chance(percent: growth) {
                allocate(call)
            } else {
                free(call)
            }
            if call.isMultiple(of: interval) { compareStates(call) }
        }
        compareStates(calls)
        replayJournal()
    }

    // MARK: Calls

    private mutating func allocate(_ call: Int) {
        let request = randomRequest()
        let id = nextID
        nextID = AllocationID(id.rawValue + random.next() % 3 + 1)
        let expected = reference.allocate(request, as: id)
        let answer: Result<Grant, AllocationFailure>
        do {
            let grant = try allocator.allocatePages(
                request.control, additionalFlags: request.additionalFlags, cpu: request.cpu, as: id)
            answer = .success(grant)
            journal.append(.granted(id, grant))
            checkBoundaries(of: grant, request, call)
        } catch {
            answer = .failure(error)
        }
        if answer != expected {
            note(call, "\(request): \(answer) instead of \(expected)")
        }
        switch answer {
        case .success: count("granted")
        case .failure(.outOfMemory): count("out of memory")
        case .failure(.unsatisfiable(let rule)): count(rule.rawValue)
        }
    }

    /// By byte addresses, as the request states them.
    private mutating func checkBoundaries(
        of grant: Grant, _ request: AllocationRequest, _ call: Int
    ) {
        let bytes = UInt64(1) << UInt64(12 + grant.order.rawValue)
        let isInside =
            request.control.lowBoundary <= grant.pfn.address
            && grant.pfn.address + (bytes - 1) <= request.control.highBoundary
        if !isInside { note(call, "\(grant) leaves the boundaries of \(request)") }
    }

    private mutating func free(_ call: Int) {
        let live = reference.liveGrants
        let order = Order(sketched: random.below(orders.upperBound + 1))
        let expected: Result<FreedFrames, FreeFailure>
        let answer: Result<FreedFrames, FreeFailure>
        switch random.below(4) {
        case 0:
            let isForeign = live.isEmpty || random.chance(percent: 20)
            let id =
                isForeign
                ? AllocationID(random.next() % (nextID.rawValue + 9)) : random.pick(live)
            expected = reference.free(id)
            answer = freeing { (allocator) throws(FreeFailure) in try allocator.free(id) }
        case 1:
            let pfn = randomFrame(live)
            expected = reference.freeAPage(pfn)
            answer = freeing { (allocator) throws(FreeFailure) in try allocator.freeAPage(pfn) }
        default:
            let pfn = randomFrame(live)
            expected = reference.freeSomePages(pfn, order: order)
            answer = freeing { (allocator) throws(FreeFailure) in
                try allocator.freeSomePages(pfn, order: order)
            }
        }
        if answer != expected {
            note(call, "\(answer) instead of \(expected)")
        }
        switch answer {
        case .success(let freed):
            count(freed.endsGrant ? "freed" : "freed in part")
            journal.append(
                .freed(
                    freed.allocation, pfn: freed.pfn, order: freed.order,
                    pages: UInt64(freed.frames.count)))
        case .failure(let failure): count(failure.reason.rawValue)
        }
    }

    private mutating func freeing(
        _ body: (inout PageAllocator) throws(FreeFailure) -> Freed
    ) -> Result<FreedFrames, FreeFailure> {
        do {
            return .success(FreedFrames(try body(&allocator)))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Random requests

    private static let usualFlags: [UInt32] = [
        0xcc0, 0xcc0, 0xcc1, 0xcc4, 0x100cca, 0x100cc2, 0xcd0, 0x820, 0xcc8, 0xcc9, 0xccc,
    ]

    private mutating func randomRequest() -> AllocationRequest {
        var control = AllocationControl(
            flags: GFPFlags(rawValue: random.pick(Self.usualFlags)), order: randomOrder())
        if random.chance(percent: 3) {
            control.flags = GFPFlags(rawValue: UInt32(truncatingIfNeeded: random.next()))
        }
        if random.chance(percent: 30) {
            control.node = random.pick(world.machine.nodes).id
        } else if random.chance(percent: 2) {
            control.node = NodeID(sketched: 77)
        }
        if random.chance(percent: 50) {
            control.lowBoundary = randomBoundary()
        }
        if random.chance(percent: 50) {
            control.highBoundary = randomBoundary()
        }
        let additional: [GFPFlags] = [[], [], [.compound], [.thisNode], [.zero, .compound]]
        var request = AllocationRequest(
            control: control, additionalFlags: random.pick(additional))
        if random.chance(percent: 40) {
            request.cpu = random.below(8)
        }
        return request
    }

    /// Small orders more often than large ones.
    private mutating func randomOrder() -> Order {
        Order(
            sketched: min(random.below(orders.upperBound + 1), random.below(orders.upperBound + 1)))
    }

    /// Near a page's first or last byte, in the machine and a little outside.
    private mutating func randomBoundary() -> UInt64 {
        let frames = world.frames
        let page = frames.lowerBound + random.next() % (UInt64(frames.count) + 4)
        let bytes: [UInt64] = [0, 0, 1, 4095, 4095, 4094, 2048]
        let address = (page << 12) + random.pick(bytes)
        return random.chance(percent: 2) ? random.pick([0, .max, 4095, address]) : address
    }

    /// Mostly one that a grant holds, often its first.
    private mutating func randomFrame(_ live: [AllocationID]) -> PageFrameNumber {
        if live.isEmpty || random.chance(percent: 15) {
            let frames = world.frames
            return PageFrameNumber(
                frames.lowerBound &- 2 &+ random.next() % UInt64(frames.count + 4))
        }
        let held = reference.frames(heldBy: random.pick(live))
        return PageFrameNumber(random.chance(percent: 50) ? held[0] : random.pick(held))
    }

    // MARK: The whole state

    private mutating func compareStates(_ call: Int) {
        allocator.checkInvariants()
        for zone in world.machine.zones.indices {
            let pages = allocator.freePages(inZone: zone)
            let blocks = allocator.freeBlocks(inZone: zone)
            if pages != reference.freePages(inZone: zone)
                || blocks != reference.freeBlockCounts(inZone: zone)
            {
                note(call, "zone \(zone) holds \(pages) free pages in \(blocks)")
            }
        }
        let live = allocator.liveGrants(after: AllocationID(0), limit: .max)
        if live.map(\.id) != reference.liveGrants { note(call, "other grants are alive") }
        for grant in live {
            let frames = allocator.liveRanges(of: grant).flatMap {
                $0.lowerBound.rawValue..<$0.upperBound.rawValue
            }
            if frames != reference.frames(heldBy: grant.id) {
                note(call, "\(grant) holds \(frames)")
            }
        }
        comparisons += 1
        if comparisons.isMultiple(of: PageAllocatorRandomTests.replayInterval) { replayJournal() }
    }

    private mutating func replayJournal() {
        do {
            let replayed = try PageAllocator(replaying: journal, on: world.machine)
            replayed.checkInvariants()
            if AllocatorState(replayed) != AllocatorState(allocator) {
                note(journal.count, "a replay led to another state")
            }
        } catch {
            note(journal.count, "a replay was refused: \(error)")
        }
    }

    private mutating func note(_ call: Int, _ what: String) {
        guard fault == nil else { return }
        fault = "world \(world), seed \(seed), call \(call): \(what)"
    }

    private mutating func count(_ outcome: String) {
        outcomes[outcome, default: 0] += 1
    }
}
