// Writes entries as a service would: what it decides, it does and writes down.

import Ledger
import PageAllocator
import TestSupport

struct Scribe {
    private(set) var state = LedgerState()
    private(set) var entries: [LedgerEntry] = []

    private static let machineNames = ["a", "b", "c"]
    private static let machines = TestWorld.tiny.map(\.machine)

    /// One more entry: mostly about pages, at times about machines and controls.
    mutating func writeSomething(_ random: inout SeededGenerator) throws {
        let name = random.pick(Self.machineNames)
        guard let machine = state.machine(named: name) else {
            try create(name, random.pick(Self.machines))
            return
        }
        switch random.below(100) {
        case 0..<2:
            freeAll(on: machine)
            try delete(name, machine.id)
        case 2..<8:
            try putControl(random.pick(["x", "y", "z"]), on: machine, &random)
        case 8..<11:
            try deleteControl(on: machine)
        case 11..<60:
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
        let control = AllocationControl(
            order: Order(sketched: random.below(11)), highBoundary: random.next())
        try state.carryOut(
            write(.controlPut(name: name, control: control, dialect: .linux612), on: machine.id))
    }

    private mutating func deleteControl(on machine: SimulatedMachine) throws {
        guard let name = machine.controls.last?.name else { return }
        try state.carryOut(write(.controlDeleted(name: name), on: machine.id))
    }

    private mutating func allocate(
        on machine: SimulatedMachine, _ random: inout SeededGenerator
    ) {
        var request = AllocationRequest(
            control: AllocationControl(order: Order(sketched: random.below(4))))
        if random.chance(percent: 20) { request.additionalFlags = .compound }
        let record = AllocationRecord(request: request, dialect: .linux612)
        do {
            let grant = try machine.allocator.allocatePages(
                request.control, additionalFlags: request.additionalFlags,
                as: AllocationID(state.lastSequence.next.rawValue))
            let zone = machine.allocator.machine.zones[grant.zone]
            let granted = GrantRecord(
                pfn: grant.pfn, order: grant.order, node: zone.node, zone: zone.type,
                migratetype: grant.migratetype, isCompound: grant.isCompound)
            state.note(write(.granted(record, granted), on: machine.id), on: machine)
        } catch {
            state.note(write(.refused(record, reason: .outOfMemory), on: machine.id), on: machine)
        }
    }

    private mutating func freeAll(on machine: SimulatedMachine) {
        for live in machine.allocator.liveGrants(after: AllocationID(0), limit: .max) {
            free(FreeRecord(target: .allocation(live.id)), on: machine)
        }
    }

    private mutating func free(on machine: SimulatedMachine, _ random: inout SeededGenerator) {
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        let id = live.isEmpty ? AllocationID(0) : random.pick(live).id
        let first = machine.allocator.liveGrant(id)?.grant.pfn ?? PageFrameNumber(3)
        let isWhole = random.chance(percent: 60)
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
            let zone = machine.allocator.machine.zones[freed.zone]
            let done = FreedRecord(
                allocation: freed.allocation, pfn: freed.pfn, order: freed.order, node: zone.node,
                zone: zone.type, pages: freed.pages)
            state.note(write(.freed(record, done), on: machine.id), on: machine)
        } catch {
            let refusal = LedgerEvent.freeRefused(record, reason: error.reason)
            state.note(write(refusal, on: machine.id), on: machine)
        }
    }

    private mutating func write(_ event: LedgerEvent, on machine: MachineID?) -> LedgerEntry {
        let sequence = state.lastSequence.next
        let entry = LedgerEntry(
            sequence: sequence, time: Timestamp(microseconds: Int64(sequence.rawValue) * 7),
            machine: machine ?? sequence, requestID: "r\(sequence.rawValue)", event: event)
        entries.append(entry)
        return entry
    }
}
