// One call at random: mostly sensible, often at an edge, now and then nonsense.

import PageAllocator
import TestSupport

/// A call of the allocator, complete: it can be made again on another allocator.
enum RandomStep: Hashable {
    case allocate(AllocationRequest, AllocationID)
    case free(AllocationID)
    case freeAPage(PageFrameNumber)
    case freeSomePages(PageFrameNumber, Order)
    case beginTrial
    case endTrial(commits: Bool)
}

extension RandomStep: CustomStringConvertible {
    var description: String {
        switch self {
        case .allocate(let request, let id): "allocate #\(id.rawValue): \(Self.short(request))"
        case .free(let id): "free #\(id.rawValue)"
        case .freeAPage(let pfn): "free_a_page \(pfn.rawValue)"
        case .freeSomePages(let pfn, let order):
            "free_some_pages \(pfn.rawValue), order \(order.rawValue)"
        case .beginTrial: "begin a trial"
        case .endTrial(let commits): commits ? "commit" : "roll back"
        }
    }

    /// Only what is not as it would be by default, with frames in place of bytes.
    private static func short(_ request: AllocationRequest) -> String {
        let control = request.control
        let flags = String(request.effectiveFlags.rawValue, radix: 16)
        var text = "0x\(flags) order \(control.order.rawValue)"
        if let pages = control.pages { text += " pages \(pages)/\(control.maxSegments)" }
        if !control.isPlainBlock {
            text +=
                " \(control.fit) alignment \(control.alignment >> 12) phase "
                + "\(control.phase >> 12) boundary \(control.boundary >> 12)"
        }
        if control.lowBoundary > 0 || control.highBoundary < .max {
            text +=
                " window \(control.window.lowerBound.rawValue)..<"
                + "\(control.window.upperBound.rawValue)"
        }
        if let node = control.node { text += " node \(node.rawValue)" }
        if let allowed = control.allowedNodes { text += " allowed \(allowed.map(\.rawValue))" }
        if let cpu = request.cpu { text += " cpu \(cpu)" }
        if let policy = control.memoryPolicy {
            text +=
                " \(policy.mode) of \(policy.nodes.map(\.rawValue)) flags "
                + "\(policy.flags.rawValue) home \(policy.homeNode?.rawValue ?? -1) weights "
                + "\(policy.weights.map { "\($0.node.rawValue):\($0.pages)" }) after "
                + "\(request.interleave.previous.rawValue)/\(request.interleave.weightLeft)"
        }
        return text
    }
}

struct RandomSteps {
    private let machine: Machine
    private let frames: Range<UInt64>

    /// Blocks of this order and below.
    private let largestOrder: Int
    private var random: SeededGenerator
    private var nextID: UInt64 = 1
    private var interleave = InterleaveState.start
    private var step = 0

    /// Calls of an era.
    private let era: Int

    /// Of a hundred calls outside a trial: those that begin one.
    private let trials: Int
    private var isOnTrial = false

    /// Of a hundred calls in a trial: those that end it.
    private static let ends = 8

    /// Large blocks until the machine is full; small ones, while parts of the large ones go; frees.
    private enum Era: Int, CaseIterable {
        case filling
        case crumbling
        case emptying

        /// Of a hundred calls.
        var allocations: Int {
            switch self {
            case .filling: 90
            case .crumbling: 50
            case .emptying: 25
            }
        }
    }

    private var currentEra: Era { Era.allCases[step / era % Era.allCases.count] }

    init(
        on machine: Machine, largestOrder: Int, era: Int, trials: Int = 0, random: SeededGenerator
    ) {
        self.machine = machine
        self.trials = trials
        self.largestOrder = largestOrder
        self.era = era
        self.random = random
        let spans = machine.zones.filter { $0.spannedPages > 0 }.map(\.span)
        let first = spans.map(\.lowerBound.rawValue).min() ?? 0
        frames = first..<(spans.map(\.upperBound.rawValue).max() ?? first)
    }

    mutating func next(after reference: ReferenceAllocator) -> RandomStep {
        if trials > 0, random.chance(percent: isOnTrial ? Self.ends : trials) {
            isOnTrial.toggle()
            return isOnTrial ? .beginTrial : .endTrial(commits: random.chance(percent: 30))
        }
        step += 1
        guard
            random.chance(percent: currentEra.allocations) || reference.liveGrants.isEmpty
        else { return free(reference) }
        let request = request()
        if let after = reference.interleaveAfter(request) { interleave = after }
        nextID += random.next() % 3 + 1
        return .allocate(request, AllocationID(nextID))
    }

    // MARK: Frees

    private mutating func free(_ reference: ReferenceAllocator) -> RandomStep {
        switch random.below(4) {
        case 0:
            let isForeign = random.chance(percent: 5)
            return .free(
                isForeign
                    ? AllocationID(random.next() % (nextID + 9)) : random.pick(reference.liveGrants)
            )
        case 1: return .freeAPage(frame(reference))
        default:
            let id = random.pick(reference.liveGrants)
            let held = reference.frames(heldBy: id)
            if random.chance(percent: 70) {
                let (pfn, order) = part(of: held)
                return .freeSomePages(pfn, order)
            }
            return .freeSomePages(
                frame(reference), Order(sketched: random.below(largestOrder + 1)))
        }
    }

    /// An aligned part of what a grant holds; in crumbling eras a small one.
    private mutating func part(of held: [UInt64]) -> (PageFrameNumber, Order) {
        let first = currentEra == .crumbling ? random.pick(held) : held[0]
        let largest = currentEra == .crumbling ? random.below(largestOrder + 1) : Order.max.rawValue
        var order = 0
        while order < largest, first % (2 << UInt64(order)) == 0,
            held.contains(first + (2 << UInt64(order)) - 1)
        {
            order += 1
        }
        return (PageFrameNumber(first), Order(sketched: order))
    }

    /// Mostly one that a grant holds, often its first.
    private mutating func frame(_ reference: ReferenceAllocator) -> PageFrameNumber {
        guard random.chance(percent: 85) else {
            return PageFrameNumber(
                frames.lowerBound &- 2 &+ random.next() % UInt64(frames.count + 4))
        }
        let held = reference.frames(heldBy: random.pick(reference.liveGrants))
        return PageFrameNumber(random.chance(percent: 50) ? held[0] : random.pick(held))
    }

    // MARK: Requests

    /// Of a hundred requests: those with more asked of their place than the boundaries.
    private static let placed = 25

    private static let usualFlags: [GFPFlags] = [
        .kernel, .kernel, [.kernel, .dma], [.kernel, .dma32], [.kernel, .reclaimable],
        [.kernel, .movable], [.kernel, .movable, .highmem, .hardwall], [.kernel, .hardwall],
        [.kswapdReclaim], [.kswapdReclaim, .high], [.kernel, .high],
        [.kswapdReclaim, .high, .noMemAlloc], [.kernel, .noRetry], [.kernel, .retryMayFail],
        [.kernel, .noFail], [.kernel, .memAlloc], [.memAlloc, .noMemAlloc],
        [.kernel, .movable, .dma32], [.kswapdReclaim, .high, .reclaimable], [],
    ]

    private mutating func request() -> AllocationRequest {
        if currentEra == .filling, random.chance(percent: 60) { return large() }
        if currentEra == .crumbling, random.chance(percent: 10) { return atomic() }
        var control = AllocationControl(flags: flags(), order: order())
        if random.chance(percent: 25) {
            control.node = random.pick(machine.nodes).id
        } else if random.chance(percent: 1) {
            control.node = NodeID(sketched: 77)
        }
        if random.chance(percent: 30) { control.lowBoundary = byteAddress() }
        if random.chance(percent: 30) { control.highBoundary = byteAddress() }
        if random.chance(percent: 25) { control.memoryPolicy = policy() }
        if random.chance(percent: 15) { control.allowedNodes = nodes(percent: 50, known: true) }
        if random.chance(percent: Self.placed) { place(&control) }

        let additional: [GFPFlags] = [[], [], [], .compound, .thisNode, [.zero, .compound]]
        var request = AllocationRequest(
            control: control, additionalFlags: random.pick(additional), interleave: interleave)
        if random.chance(percent: 30) {
            let cpus = machine.nodes.flatMap(\.cpus)
            request.cpu = random.chance(percent: 97) ? random.pick(cpus) : 99
        }
        return request
    }

    /// A block as large as they come, without conditions.
    private mutating func large() -> AllocationRequest {
        let flags: [GFPFlags] = [
            [.kernel, .movable], [.kernel, .movable, .highmem], .kernel, [.kernel, .reclaimable],
        ]
        let order = max(0, largestOrder - random.below(2))
        return AllocationRequest(
            control: AllocationControl(flags: random.pick(flags), order: Order(sketched: order)))
    }

    /// GFP_ATOMIC of higher order: what pageblocks are reserved for.
    private mutating func atomic() -> AllocationRequest {
        let ofDialect: UInt32 = machine.dialect == .linux61 ? 0x200 : 0
        let flags: GFPFlags = [.kswapdReclaim, .high, GFPFlags(rawValue: ofDialect)]
        let order = Order(sketched: 1 + random.below(largestOrder))
        return AllocationRequest(control: AllocationControl(flags: flags, order: order))
    }

    private mutating func flags() -> GFPFlags {
        if random.chance(percent: 3) {
            return GFPFlags(rawValue: UInt32(truncatingIfNeeded: random.next()) & 0xff_ffff)
        }
        var flags = random.pick(Self.usualFlags)
        if machine.dialect == .linux61, flags.isSuperset(of: [.kswapdReclaim, .high]) {
            // `__GFP_ATOMIC`: part of GFP_ATOMIC in 6.1.
            flags.formUnion(GFPFlags(rawValue: random.chance(percent: 80) ? 0x200 : 0))
        }
        return flags
    }

    /// Small orders more often than large ones.
    private mutating func order() -> Order {
        let order = min(random.below(largestOrder + 1), random.below(largestOrder + 1))
        return Order(sketched: order)
    }

    /// Near a page's first or last byte, in the machine and a little outside.
    private mutating func byteAddress() -> UInt64 {
        let page = frames.lowerBound + random.next() % (UInt64(frames.count) + 4)
        let bytes: [UInt64] = [0, 0, 0, 1, 4095, 4095, 4095, 4094, 2048]
        let address = page << 12 + random.pick(bytes)
        return random.chance(percent: 2) ? random.pick([0, .max, 4095]) : address
    }

    // MARK: Exact places

    private mutating func place(_ control: inout AllocationControl) {
        control.fit = random.pick(Fit.allCases)
        if random.chance(percent: 60) {
            let most = 1 << largestOrder
            control.pages = UInt64(1 + min(random.below(most), random.below(most)))
            if random.chance(percent: 40) { control.maxSegments = 1 + random.below(6) }
        }
        if random.chance(percent: 40) {
            let pages = UInt64(1) << UInt64(random.below(largestOrder + 1))
            control.alignment = pages << 12
            if random.chance(percent: 50) { control.phase = (random.next() % pages) << 12 }
        }
        if random.chance(percent: 30) {
            control.boundary = 4096 << UInt64(random.below(largestOrder + 3))
        }
    }

    // MARK: Policies

    private mutating func policy() -> MemoryPolicy {
        let mode = random.pick(MemoryPolicy.Mode.allCases)
        let isLocal = mode == .default || mode == .local
        var policy = MemoryPolicy(
            mode: mode, nodes: isLocal && random.chance(percent: 95) ? [] : nodes(percent: 60))
        if random.chance(percent: 15) {
            policy.flags = MemoryPolicy.Flags(rawValue: UInt32(random.below(8)) << 13)
        }
        if random.chance(percent: 20) {
            policy.homeNode = random.pick(machine.nodes).id
        }
        if mode == .weightedInterleave {
            policy.weights = machine.nodes.filter { _ in random.chance(percent: 70) }.map {
                MemoryPolicy.Weight(node: $0.id, pages: UInt8(random.below(4)))
            }
        }
        return policy
    }

    /// Ascending, each once.
    private mutating func nodes(percent: Int, known: Bool = false) -> [NodeID] {
        var nodes = machine.nodes.map(\.id).filter { _ in random.chance(percent: percent) }
        if known, nodes.isEmpty { nodes = [random.pick(machine.nodes).id] }
        if !known, random.chance(percent: 10) { nodes.append(NodeID(sketched: 1000)) }
        return nodes
    }
}
