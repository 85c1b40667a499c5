// Writes entries as a service would: what it decides, it does and writes down.

import Ledger
import PageAllocator
import TestSupport

struct Scribe {
    private(set) var state = LedgerState()
    private(set) var entries: [LedgerEntry] = []

    /// Of all machines.
    private let dialect: KernelDialect

    init(dialect: KernelDialect = .linux612) {
        self.dialect = dialect
    }

    private static let machineNames = ["a", "b", "c"]
    private static let machines = TestWorld.tiny.map(\.machine)

    /// Large enough for its pages to be grouped by mobility: that of machine "a".
    private static let largeMachine = TestWorld.wide.machine

    /// What moves pageblocks from type to type: pages of each mobility, and atomic requests.
    private static let flags: [GFPFlags] = [
        .kernel, .kernel, [.kernel, .movable], [.kernel, .reclaimable], [.high, .kswapdReclaim],
    ]

    /// One more entry: mostly about pages, at times about machines and controls.
    mutating func writeSomething(_ random: inout SeededGenerator) throws {
        let name = random.pick(Self.machineNames)
        guard let machine = state.machine(named: name) else {
            let machine = name == "a" ? Self.largeMachine : random.pick(Self.machines)
            try create(name, machine.under(dialect))
            return
        }
        guard !expireOne(on: machine) else { return }
        switch random.below(100) {
        case 0..<2:
            freeAll(on: machine)
            try delete(name, machine.id)
        case 2..<8:
            try putControl(random.pick(["x", "y", "z"]), on: machine, &random)
        case 8..<11:
            try deleteControl(on: machine)
        case 11..<15:
            renew(on: machine, &random)
        case 15..<60:
            allocate(on: machine, &random)
        default:
            free(on: machine, &random)
        }
    }

    @discardableResult
    mutating func create(_ name: String, _ machine: Machine) throws -> MachineID {
        let entry = write(.machineCreated(name: name, machine: machine), on: nil)
        try state.carryOut(entry)
        return entry.sequence
    }

    mutating func delete(_ name: String, _ id: MachineID) throws {
        try state.carryOut(write(.machineDeleted(name: name), on: id))
    }

    private mutating func putControl(
        _ name: String, on machine: SimulatedMachine, _ random: inout SeededGenerator
    ) throws {
        var control = AllocationControl(
            order: Order(sketched: random.below(4)), highBoundary: random.next())
        if random.chance(percent: 70) {
            let nodes = machine.allocator.machine.nodes.map(\.id)
            // Linux 6.1 knows no weights.
            let modes: [MemoryPolicy.Mode] =
                [.interleave, .bind] + (dialect == .linux61 ? [] : [.weightedInterleave])
            control.highBoundary = .max
            control.memoryPolicy = MemoryPolicy(
                mode: random.pick(modes), nodes: nodes,
                weights: nodes.map { MemoryPolicy.Weight(node: $0, pages: 3) })
        }
        try state.carryOut(
            write(.controlPut(name: name, control: control, dialect: dialect), on: machine.id))
    }

    private mutating func deleteControl(on machine: SimulatedMachine) throws {
        guard let name = machine.controls.last?.name else { return }
        try state.carryOut(write(.controlDeleted(name: name), on: machine.id))
    }

    private mutating func allocate(
        on machine: SimulatedMachine, _ random: inout SeededGenerator
    ) {
        let record = record(on: machine, &random)
        do {
            let grant = try machine.allocator.allocatePages(
                record.request, as: AllocationID(state.lastSequence.next.rawValue))
            let granted = LedgerEvent.granted(record, machine.record(of: grant))
            state.note(write(granted, on: machine.id), on: machine)
        } catch {
            state.note(write(.refused(record, reason: .outOfMemory), on: machine.id), on: machine)
        }
        machine.takeTurn(record)
    }

    /// A block, a run, or what a stored control asks for, with the turn that the call takes.
    private func record(
        on machine: SimulatedMachine, _ random: inout SeededGenerator
    ) -> AllocationRecord {
        let isLarge = machine.allocator.machine.zones.contains { $0.managedPages > 1000 }
        var request = AllocationRequest(
            control: AllocationControl(
                flags: random.pick(Self.flags),
                order: Order(sketched: random.below(isLarge ? 8 : 4))))
        if random.chance(percent: 20) { request.additionalFlags = .compound }
        var record = AllocationRecord(request: request, dialect: dialect)
        if random.chance(percent: 30) {
            record.request.control.order = .zero
            record.request.control.pages = UInt64(random.below(20) + 1)
            record.request.control.fit = random.pick(Fit.allCases)
            record.request.control.maxSegments = random.below(3) + 1
        } else if random.chance(percent: 40), !machine.controls.isEmpty {
            let stored = random.pick(machine.controls)
            record.controlName = stored.name
            record.request.control = stored.control
            record.request.interleave = stored.interleave
            record.interleaveAfter = record.request.interleaveAfter(on: machine.allocator.machine)
        }
        if random.chance(percent: 20) { record.ttlSeconds = UInt32(random.below(6) + 1) }
        return record
    }

    /// Frees what the lease that ended first still holds; whether there was one.
    private mutating func expireOne(on machine: SimulatedMachine) -> Bool {
        guard let lease = machine.leases.first, lease.expiry <= Self.time(of: nextSequence) else {
            return false
        }
        do {
            let freed = machine.record(of: try machine.allocator.free(lease.id))
            state.note(write(.leaseExpired(freed), on: machine.id), on: machine)
        } catch {
            preconditionFailure("a lease of a grant that is gone")
        }
        return true
    }

    private mutating func renew(on machine: SimulatedMachine, _ random: inout SeededGenerator) {
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        guard !live.isEmpty else { return }
        let lease = LeaseRecord(
            allocation: random.pick(live).id, ttlSeconds: UInt32(random.below(6) + 1))
        state.note(write(.leaseRenewed(lease), on: machine.id), on: machine)
        let unknown = LeaseRecord(allocation: AllocationID(0), ttlSeconds: 1)
        state.note(
            write(.leaseRenewalRefused(unknown, reason: .unknownAllocation), on: machine.id),
            on: machine)
    }

    private mutating func freeAll(on machine: SimulatedMachine) {
        for live in machine.allocator.liveGrants(after: AllocationID(0), limit: .max) {
            free(FreeRecord(target: .allocation(live.id)), on: machine)
        }
    }

    private mutating func free(on machine: SimulatedMachine, _ random: inout SeededGenerator) {
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        // Often one of the last, so that the same grant is freed from more than once.
        let choice = random.chance(percent: 50) ? live.suffix(3) : live[...]
        let id = live.isEmpty ? AllocationID(0) : random.pick(Array(choice)).id
        let first = machine.allocator.liveGrant(id)?.grant.pfn ?? PageFrameNumber(3)
        let isWhole = random.chance(percent: 45)
        free(
            FreeRecord(
                target: isWhole
                    ? .allocation(id) : .page(first + UInt64(random.below(4)), order: nil)),
            on: machine)
    }

    private mutating func free(_ record: FreeRecord, on machine: SimulatedMachine) {
        do {
            let freed =
                switch record.target {
                case .allocation(let id): try machine.allocator.free(id)
                case .page(let pfn, _): try machine.allocator.freeAPage(pfn)
                }
            let done = LedgerEvent.freed(record, machine.record(of: freed))
            state.note(write(done, on: machine.id), on: machine)
        } catch {
            let refusal = LedgerEvent.freeRefused(record, reason: error.reason)
            state.note(write(refusal, on: machine.id), on: machine)
        }
    }

    private mutating func write(_ event: LedgerEvent, on machine: MachineID?) -> LedgerEntry {
        let sequence = nextSequence
        let entry = LedgerEntry(
            sequence: sequence, time: Self.time(of: sequence),
            machine: machine ?? sequence, requestID: "r\(sequence.rawValue)", event: event)
        entries.append(entry)
        return entry
    }

    private var nextSequence: Sequence { state.lastSequence.next }

    /// Ten entries a second.
    private static func time(of sequence: Sequence) -> Timestamp {
        Timestamp(microseconds: Int64(sequence.rawValue) * 100_000)
    }
}
