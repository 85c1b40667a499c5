// Random calls on one zone: against the reference, and against a second zone that is given only
// what a ledger would keep.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("BuddyAllocator, at random")
struct BuddyReplayTests {
    /// A zone, and how its rules are set.
    struct World: Sendable, CustomTestStringConvertible {
        let name: String
        let managed: [Range<UInt64>]
        var groupsByMobility = true
        var maximumBoost: UInt64 = 0

        var testDescription: String { name }

        var span: Range<UInt64> { managed[0].lowerBound..<managed[managed.count - 1].upperBound }

        func rules(_ dialect: KernelDialect) -> BuddyRules {
            BuddyRules(
                dialect: dialect, groupsByMobility: groupsByMobility, maximumBoost: maximumBoost)
        }

        func zone(_ dialect: KernelDialect) -> BuddyAllocator {
            BuddyAllocator(
                span: FrameRange(sketched: span),
                managedRanges: managed.map(FrameRange.init(sketched:)), rules: rules(dialect))
        }
    }

    static let small = [
        World(name: "four pageblocks", managed: [0..<2048], maximumBoost: 1200),
        World(name: "begins and ends within pageblocks", managed: [1700..<3900]),
        World(
            name: "holes", managed: [1024..<1500, 1501..<2560, 2600..<3584], maximumBoost: 512),
        World(name: "one type", managed: [0..<2560], groupsByMobility: false),
    ]

    static let stepsAgainstReference = 3_000

    @Test("does what the kernel's steps do", arguments: small, KernelDialect.allCases)
    func agreesWithReference(world: World, dialect: KernelDialect) {
        for seed in UInt64(0)..<4 {
            var run = RandomZoneRun(world: world, dialect: dialect, seed: seed, hasReference: true)
            run.go(steps: Self.stepsAgainstReference)
            #expect(run.fault == nil)
            #expect(run.grants > Self.stepsAgainstReference / 4)
        }
    }

    static let large = [
        World(name: "256 MiB", managed: [0..<65_536], maximumBoost: 4096),
        World(
            name: "384 MiB with a hole", managed: [1..<700, 2000..<99_001], maximumBoost: 20_000),
    ]

    /// Of each world and dialect: four times that many in all.
    static let replayedSteps = 260_000

    @Test(
        "a replay of changes and frames leads to the same zone", arguments: large,
        KernelDialect.allCases)
    func replays(world: World, dialect: KernelDialect) {
        var run = RandomZoneRun(world: world, dialect: dialect, seed: 7, hasReference: false)
        run.go(steps: Self.replayedSteps)
        #expect(run.fault == nil)
        #expect(run.grants > Self.replayedSteps / 4)
        // In 6.12 free blocks change lists only with their pageblock.
        for kind in RandomZoneRun.Kind.allCases where kind != .moved || dialect == .linux61 {
            #expect(run.kinds.contains(kind), "no call led to \(kind)")
        }
    }
}

/// Random calls on a zone, and the same on those it is compared with.
struct RandomZoneRun: ~Copyable {
    /// What should come about in a long run.
    enum Kind: CaseIterable {
        case retyped, moved, boosted, reserved, released, refused, runTaken
    }

    private struct Live {
        let frames: FrameRange
        let type: Migratetype
    }

    private static let compareInterval = 1_000
    private static let referenceInterval = 5

    let world: BuddyReplayTests.World
    var zone: BuddyAllocator
    var replayed: BuddyAllocator
    var reference: ZoneReference?
    var grants = 0
    var kinds: Set<Kind> = []
    private(set) var fault: String?

    private let name: String
    private var random: SeededGenerator
    private var live: [Live] = []
    private var step = 0

    init(
        world: BuddyReplayTests.World, dialect: KernelDialect, seed: UInt64, hasReference: Bool
    ) {
        self.world = world
        zone = world.zone(dialect)
        replayed = world.zone(dialect)
        reference =
            hasReference
            ? ZoneReference(span: world.span, managed: world.managed, rules: world.rules(dialect))
            : nil
        name = "\(world.name), \(dialect.rawValue), seed \(seed)"
        random = SeededGenerator(seed: seed)
    }

    mutating func go(steps: Int) {
        while step < steps, fault == nil {
            act()
            compare()
            step += 1
        }
        compareImages()
    }

    private mutating func act() {
        // Fills up and empties in turn, so that the lists run dry and come back.
        let filling = step / 400 % 3 != 2
        switch random.below(1000) {
        case ..<(filling ? 600 : 350): allocate()
        case ..<985: free()
        case ..<993: takeRun()
        default: release()
        }
    }

    // MARK: Calls

    private mutating func allocate() {
        let order = random.chance(percent: 60) ? random.below(3) : random.below(11)
        let type = random.pick([Migratetype.unmovable, .movable, .movable, .reclaimable])
        let flags = randomFlags()
        let window = randomWindow()
        var changes: [ZoneChange] = []
        let can = zone.canAllocate(
            Order(sketched: order), for: type, with: flags, within: FrameRange(sketched: window))
        let foreseen = zone.block(
            Order(sketched: order), for: type, with: flags, within: FrameRange(sketched: window))
        let pfn = zone.allocate(
            Order(sketched: order), for: type, with: flags, within: FrameRange(sketched: window),
            changes: &changes)
        let call = "order \(order), \(type), flags \(flags.rawValue), window \(window)"
        if can != (pfn != nil) { note("canAllocate said \(can): \(call)") }
        if pfn != foreseen { note("foreseen was \(foreseen as Any): \(call)") }
        if reference != nil {
            let expected = reference?.allocate(order, type, flags, window)
            if pfn?.rawValue != expected { note("\(pfn as Any), not \(expected as Any): \(call)") }
        }
        guard let pfn else {
            kinds.insert(.refused)
            if !changes.isEmpty { note("a refusal changed the zone: \(call)") }
            return
        }
        let frames = FrameRange(block: pfn, order: Order(sketched: order))
        if !FrameRange(sketched: window).contains(frames) { note("left its window: \(call)") }
        replay(changes)
        if !replayed.take(frames, for: type) { note("a grant cannot be replayed: \(call)") }
        live.append(Live(frames: frames, type: type))
        grants += 1
    }

    private mutating func randomFlags() -> AllocFlags {
        switch random.below(100) {
        case ..<70: []
        case ..<80: .noFragment
        case ..<90: [.highatomic, .nonBlock, .minReserve]
        case ..<95: .oom
        default: .nonBlock
        }
    }

    private mutating func randomWindow() -> Range<UInt64> {
        guard random.chance(percent: 30) else { return 0..<PageFrameNumber.limit.rawValue }
        let ends = [0, 1].map { _ in
            world.span.lowerBound &- 3 &+ random.next() % UInt64(world.span.count + 6)
        }
        let low = min(ends[0], ends[1])
        let high = max(ends[0], ends[1])
        return random.chance(percent: 50) ? low & ~255..<high | 255 : low..<high
    }

    private mutating func free() {
        guard !live.isEmpty else { return }
        let block = live.remove(at: random.below(live.count))
        let parts = randomParts(of: block.frames)
        for part in parts {
            zone.free(part, for: block.type)
            replayed.free(part, for: block.type)
            for piece in FrameRange.blocks(of: part) {
                reference?.give(piece.first, piece.order)
            }
        }
    }

    /// Mostly the whole; now and then halves, or a run of any length first.
    private mutating func randomParts(of frames: FrameRange) -> [FrameRange] {
        guard frames.count > 1, random.chance(percent: 10) else { return [frames] }
        let cut = frames.lowerBound + 1 + random.next() % (frames.count - 1)
        return [FrameRange(cut, frames.upperBound), FrameRange(frames.lowerBound, cut)]
    }

    private mutating func takeRun() {
        let first = world.span.lowerBound + random.next() % UInt64(world.span.count)
        let count = UInt64(1 + random.below(random.chance(percent: 50) ? 8 : 1500))
        let frames = FrameRange(sketched: first..<first + count)
        let type = random.pick([Migratetype.unmovable, .movable])
        let isFree = (first..<first + count).allSatisfy { zone.isFree(PageFrameNumber($0)) }
        let before = isFree ? nil : ZoneImage(zone)
        let isTaken = zone.take(frames, for: type)
        if isTaken != isFree { note("took \(frames), of which not all is free, or did not") }
        if let before, ZoneImage(zone) != before { note("a refused run changed the zone") }
        guard isTaken else { return }
        kinds.insert(.runTaken)
        if !replayed.take(frames, for: type) { note("a run cannot be replayed: \(frames)") }
        reference?.take(first..<first + count)
        if type == .movable { reference?.movable.formUnion(first..<first + count) }
        live.append(Live(frames: frames, type: type))
    }

    private mutating func release() {
        let type = random.pick([Migratetype.unmovable, .movable, .reclaimable])
        var changes: [ZoneChange] = []
        var undo: [ZoneChange] = []
        let before = ZoneImage(zone)
        _ = zone.releaseHighatomic(to: type, changes: &changes, undo: &undo)
        for change in undo.reversed() { zone.apply(change) }
        if ZoneImage(zone) != before { note("a release was not undone") }
        changes = []
        let isReleased = zone.releaseHighatomic(to: type, changes: &changes, undo: &undo)
        if let expected = reference?.release(to: world.groupsByMobility ? type : .unmovable),
            expected != isReleased
        {
            note("released \(isReleased)")
        }
        if isReleased { kinds.insert(.released) }
        replay(changes)
    }

    private mutating func replay(_ changes: [ZoneChange]) {
        for change in changes {
            switch change {
            case .retyped(_, .highAtomic): kinds.insert(.reserved)
            case .retyped: kinds.insert(.retyped)
            case .moved: kinds.insert(.moved)
            case .boosted: kinds.insert(.boosted)
            case .advanced: note("a block's search advanced")
            }
            if !replayed.canApply(change) { note("cannot be applied: \(change)") }
            replayed.apply(change)
        }
    }

    // MARK: Comparing

    private mutating func compare() {
        if step.isMultiple(of: Self.referenceInterval) { compareWithReference() }
        if step.isMultiple(of: Self.compareInterval) { compareImages() }
    }

    private mutating func compareImages() {
        let managed = world.managed.map(FrameRange.init(sketched:))
        zone.checkInvariants(managedRanges: managed)
        if ZoneImage(zone) != ZoneImage(replayed) { note("a replay led to another zone") }
    }

    private mutating func compareWithReference() {
        guard let reference else { return }
        let image = ZoneImage(zone)
        if image.blocks != reference.blocks {
            let more = Set(image.blocks).symmetricDifference(reference.blocks)
            note("free blocks differ: \(more)")
        }
        for (number, pageblock) in image.pageblocks.enumerated() {
            let first = zone.base.rawValue + UInt64(number) * 512
            let movable = (first..<first + 512).count { reference.movable.contains($0) }
            if pageblock.type != reference.type(of: first) || pageblock.movablePages != movable {
                note(
                    "pageblock \(number) is \(pageblock.type), \(pageblock.movablePages) movable, "
                        + "not \(reference.type(of: first)), \(movable)")
            }
        }
        if image.counters.boost != reference.boost { note("boost \(image.counters.boost)") }
        let freeHighatomic = image.blocks.filter { $0.list == .highAtomic }.reduce(0) {
            $0 + 1 << UInt64($1.order)
        }
        if image.counters.reservedHighatomic != reference.reserved
            || image.counters.freeHighatomic != freeHighatomic
        {
            note("the reserve was miscounted")
        }
    }

    private mutating func note(_ what: String) {
        guard fault == nil else { return }
        fault = "\(name), step \(step): \(what)"
    }
}

extension FrameRange {
    /// A range as its largest aligned blocks, found by trying.
    fileprivate static func blocks(of range: FrameRange) -> [(first: UInt64, order: Int)] {
        var found: [(first: UInt64, order: Int)] = []
        var first = range.lowerBound.rawValue
        while first < range.upperBound.rawValue {
            var order = 10
            while first % (1 << UInt64(order)) != 0
                || first + 1 << UInt64(order) > range.upperBound.rawValue
            {
                order -= 1
            }
            found.append((first, order))
            first += 1 << UInt64(order)
        }
        return found
    }
}
