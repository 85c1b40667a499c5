// Entries of every kind with every value that they can have, drawn from a seed. They need not
// follow from one another: the ledger keeps what it is given.

import Ledger
import PageAllocator
import TestSupport

struct EntryGenerator {
    private var random: SeededGenerator
    private var last = Sequence.zero
    private var time = Timestamp(microseconds: 1_763_000_000_000_000)
    private var hash = EntryHash.zero

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    private static let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    /// `count` entries, from the first on.
    static func entries(_ count: Int, seed: UInt64) -> [LedgerEntry] {
        var generator = EntryGenerator(seed: seed)
        return (0..<count).map { _ in generator.next() }
    }

    mutating func next() -> LedgerEntry {
        last = last.next
        // Several entries share a time.
        time = Timestamp(microseconds: time.microseconds + Int64(random.pick([0, 0, 1, 1000])))
        var entry = LedgerEntry(
            sequence: last, time: time, machine: MachineID(UInt64(random.below(4) + 1)),
            requestID: random.pick(["", "r-\(random.below(20))", "01JD8X4Q9ZK7M3T5V6W8Y0A2B4"]),
            event: event(), principal: random.pick([nil, nil, "", "ünal"]),
            idempotency: random.chance(percent: 20) ? idempotency() : nil,
            traceParent: random.pick([nil, nil, nil, "", Self.trace]))
        hash = entry.hash(after: hash)
        entry.hash = hash
        return entry
    }

    /// The next entry, but at this place.
    mutating func entry(after head: ChainHead) -> LedgerEntry {
        (last, hash) = (head.sequence, head.hash)
        return next()
    }

    /// Those that follow are not earlier.
    mutating func skip(to time: Timestamp) {
        self.time = max(self.time, time)
    }

    private mutating func idempotency() -> IdempotencyKey {
        IdempotencyKey(
            key: random.pick(["k", "~", "job 7, step \(random.below(9))"]),
            fingerprint: random.pick([
                [UInt8](repeating: 0, count: 32), (0..<32).map { _ in UInt8(random.below(256)) },
            ]))
    }

    private mutating func event() -> LedgerEvent {
        switch random.below(19) {
        case 0: .machineCreated(name: name(), machine: random.pick(Self.machines))
        case 1: .machineDeleted(name: name())
        case 2: .controlPut(name: name(), control: control(), dialect: dialect())
        case 3: .controlDeleted(name: name())
        case 4...8: grant()
        case 9, 10: .refused(record(), reason: allocationRefusal())
        case 11...13: freed()
        case 14: .leaseRenewed(lease())
        case 15: .leaseRenewalRefused(lease(), reason: random.pick(FreeRefusal.allCases))
        case 16: .leaseExpired(freedRecord(of: allocation()))
        default:
            .freeRefused(FreeRecord(target: target()), reason: random.pick(FreeRefusal.allCases))
        }
    }

    private mutating func grant() -> LedgerEvent {
        let record = record()
        let control = record.request.control
        guard let order = control.blockOrder else {
            return .granted(
                record,
                GrantRecord(
                    segments: runs(), node: node(), zone: random.pick(ZoneType.allCases),
                    migratetype: random.pick(Self.migratetypes),
                    isCompound: random.chance(percent: 50), changes: changes(), numa: numa()))
        }
        return .granted(
            record,
            GrantRecord(
                pfn: pfn(), order: order, node: node(), zone: random.pick(ZoneType.allCases),
                migratetype: random.pick(Self.migratetypes),
                isCompound: random.chance(percent: 50), changes: changes(), numa: numa()))
    }

    private mutating func lease() -> LeaseRecord {
        LeaseRecord(allocation: allocation(), ttlSeconds: ttl())
    }

    private mutating func ttl() -> UInt32 {
        random.pick([1, 60, 31_536_000, .max])
    }

    private mutating func freed() -> LedgerEvent {
        var target = target()
        let allocation = allocation()
        if case .allocation = target {
            target = .allocation(allocation)
        }
        return .freed(FreeRecord(target: target), freedRecord(of: allocation))
    }

    private mutating func freedRecord(of allocation: AllocationID) -> FreedRecord {
        guard random.chance(percent: 70) else {
            let ranges = runs()
            return FreedRecord(
                allocation: allocation, pfn: pfn(), order: nil, node: node(),
                zone: random.pick(ZoneType.allCases), pages: ranges.pageCount, ranges: ranges)
        }
        let order = order()
        return FreedRecord(
            allocation: allocation, pfn: pfn(), order: order, node: node(),
            zone: random.pick(ZoneType.allCases),
            pages: UInt64(random.below(Int(order.pageCount))) + 1)
    }

    /// One to four runs apart from each other, in any order; the last may end where frames end.
    private mutating func runs() -> [FrameRange] {
        var runs: [FrameRange] = []
        var first = pfn()
        for _ in 0...random.below(4) where first < .limit {
            let left = PageFrameNumber.limit.rawValue - first.rawValue
            let end = first + min(left, UInt64(random.pick([1, 24, random.below(500) + 1])))
            runs.append(FrameRange(first, end))
            first = end + UInt64(random.below(3))
        }
        return random.chance(percent: 50) ? runs : runs.reversed()
    }

    private mutating func changes() -> [ZoneChange] {
        guard random.chance(percent: 30) else { return [] }
        return (0...random.below(3)).map { _ in
            switch random.below(4) {
            case 0: .retyped(runs()[0], to: random.pick(Migratetype.allCases))
            case 1: .moved(runs()[0], to: random.pick(Migratetype.allCases))
            case 2: .boosted(random.pick([0, 512, .max, random.next()]))
            default: .advanced(to: random.pick([pfn(), .limit]))
            }
        }
    }

    private mutating func numa() -> NUMACount? {
        guard random.chance(percent: 30) else { return nil }
        return NUMACount(
            preferred: random.pick([0, 1, 63, 1023]), local: random.pick([0, 1, 63, 1023]),
            isInterleaveHit: random.chance(percent: 50))
    }

    private mutating func record() -> AllocationRecord {
        var record = AllocationRecord(
            controlName: random.chance(percent: 50) ? name() : nil,
            request: AllocationRequest(
                control: control(), additionalFlags: random.pick([[], .zero, flags()]),
                cpu: random.pick([nil, 0, 8191, random.below(64)])),
            dialect: dialect(), owner: random.pick([nil, "", "net", "Ünïcödé", name()]),
            labels: random.pick(Self.labels))
        if random.chance(percent: 30) {
            record.request.interleave = interleave()
            record.interleaveAfter = interleave()
        }
        if random.chance(percent: 20) {
            record.ttlSeconds = ttl()
        }
        return record
    }

    private mutating func interleave() -> InterleaveState {
        random.chance(percent: 20)
            ? .start
            : InterleaveState(
                previous: node(), weightLeft: random.pick([0, 1, 255, UInt8(random.below(256))]))
    }

    private mutating func control() -> AllocationControl {
        var control = AllocationControl(
            flags: flags(), order: order(), node: random.pick([nil, node()]),
            lowBoundary: random.pick([0, 1, 1 << 63, .max, random.next()]),
            highBoundary: random.pick([.max, 0, 0xffff_ffff, .max - 1, random.next()]))
        guard random.chance(percent: 50) else { return control }
        control.memoryPolicy = random.pick([nil, policy()])
        control.allowedNodes = random.pick([nil, [], nodes()])
        control.alignment = random.pick([0, 1 << 16, 1 << 63])
        control.phase = random.pick([0, 0, random.next()])
        control.boundary = random.pick([0, 1 << 20, 1 << 63])
        control.pages = random.pick([nil, 0, 24, .max, random.next()])
        control.maxSegments = random.pick([1, 1, 2, 4, .max])
        control.fit = random.pick(Fit.allCases)
        return control
    }

    private mutating func policy() -> MemoryPolicy {
        MemoryPolicy(
            mode: random.pick(MemoryPolicy.Mode.allCases),
            flags: random.pick([
                [], .staticNodes, [.relativeNodes, .numaBalancing],
                MemoryPolicy.Flags(rawValue: UInt32(truncatingIfNeeded: random.next())),
            ]),
            nodes: nodes(), homeNode: random.pick([nil, node()]),
            weights: nodes().map { node in
                MemoryPolicy.Weight(node: node, pages: random.pick([0, 1, 3, 255]))
            })
    }

    private mutating func nodes() -> [NodeID] {
        random.pick([[], [node()], [0, 1, 8].map { NodeID(sketched: $0) }])
    }

    private mutating func allocationRefusal() -> AllocationRefusal {
        random.pick([.outOfMemory] + Unsatisfiable.allCases.map { .unsatisfiable($0) })
    }

    private mutating func target() -> FreeRecord.Target {
        switch random.below(3) {
        case 0: .allocation(allocation())
        case 1: .page(pfn(), order: nil)
        default: .page(pfn(), order: order())
        }
    }

    /// Entries about an allocation begin with its own.
    private mutating func allocation() -> AllocationID {
        AllocationID(random.next() % (last.rawValue + 1))
    }

    /// Often the same few frames, so that queries by frame find something.
    private mutating func pfn() -> PageFrameNumber {
        PageFrameNumber(
            random.pick([
                0, UInt64(random.below(4096)), UInt64(random.below(4096)),
                PageFrameNumber.limit.rawValue - 1024,
            ]))
    }

    private mutating func flags() -> GFPFlags {
        random.pick([
            .kernel, [], [.dma], [.kernel, .compound], GFPFlags(rawValue: .max),
            GFPFlags(rawValue: UInt32(truncatingIfNeeded: random.next())),
        ])
    }

    private mutating func order() -> Order { Order(sketched: random.below(Order.count)) }

    private mutating func node() -> NodeID { NodeID(sketched: random.pick([0, 1, 2, 1023])) }

    private mutating func dialect() -> KernelDialect { random.pick(KernelDialect.allCases) }

    private mutating func name() -> String { random.pick(["a", "dma32-driver", "web 2", "ß"]) }

    /// Those that a grant can have.
    static let migratetypes: [Migratetype] = [.unmovable, .movable, .reclaimable]

    private static let machines = [Machine.caseMachine, .normalOnly(pages: 8, from: 512)]

    private static let labels: [[Label]] = [
        [], [], [Label(name: "", value: "")], [Label(name: "a", value: "b=c=")],
        [
            Label(name: "app", value: "übung"), Label(name: "pid", value: ""),
            Label(name: "z", value: "="),
        ],
    ]
}
