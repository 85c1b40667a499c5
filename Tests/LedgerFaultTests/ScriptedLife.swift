// What a service might decide on two small machines, as entries in batches: the script that each
// session writes to a ledger. The decisions rest on each other, so that a ledger that lost one in
// the middle would contradict itself; and each entry has the hash that the ledger must give it.

import Ledger
import PageAllocator
import TestSupport

struct ScriptedLife {
    /// They are called owner-0 and so on.
    static let owners = 3

    /// The entries of each commit, in order.
    static let batches: [[LedgerEntry]] = {
        var life = ScriptedLife()
        return (1...12).map { life.batch($0) }
    }()

    static let entries = batches.flatMap { $0 }

    /// The states after each number of entries that is a number of whole batches.
    static let states: [Int: LedgerStateImage] = {
        var state = LedgerState()
        var states = [0: LedgerStateImage(state)]
        for batch in batches {
            for entry in batch {
                do {
                    try state.apply(entry)
                } catch {
                    preconditionFailure("the script contradicts itself: \(error)")
                }
            }
            states[Int(state.lastSequence.rawValue)] = LedgerStateImage(state)
        }
        return states
    }()

    private(set) var state = LedgerState()
    private var hash = EntryHash.zero
    private var random = SeededGenerator(seed: 41)

    /// The n-th batch, after those before it.
    mutating func batch(_ number: Int) -> [LedgerEntry] {
        var entries: [LedgerEntry] = []
        if number == 1 || number == 6 {
            entries.append(create("m\(number)", number == 1 ? .oneNode : .holes))
        }
        for _ in 0...number % 3 + 1 {
            guard let machine = state.machines.last else {
                preconditionFailure("the script begins without a machine")
            }
            entries.append(decide(on: machine))
        }
        return entries
    }

    private mutating func create(_ name: String, _ world: TestWorld) -> LedgerEntry {
        let entry = entry(.machineCreated(name: name, machine: world.machine), on: nil)
        do {
            try state.carryOut(entry)
        } catch {
            preconditionFailure("the script creates no machine: \(error)")
        }
        return entry
    }

    private mutating func decide(on machine: SimulatedMachine) -> LedgerEntry {
        let entry = entry(event(on: machine), on: machine.id)
        state.note(entry, on: machine)
        return entry
    }

    private mutating func event(on machine: SimulatedMachine) -> LedgerEvent {
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        if !live.isEmpty, random.chance(percent: 30) {
            let id = random.pick(live).id
            do {
                let freed = try machine.allocator.free(id)
                return .freed(FreeRecord(target: .allocation(id)), machine.record(of: freed))
            } catch {
                preconditionFailure("a live grant cannot be freed: \(error)")
            }
        }
        let request = AllocationRequest(
            control: AllocationControl(order: Order(sketched: random.below(5))))
        let record = AllocationRecord(
            request: request, dialect: machine.allocator.machine.dialect,
            owner: "owner-\(random.below(Self.owners))",
            labels: [Label(name: "text", value: String(repeating: "x", count: random.below(900)))])
        do {
            let id = AllocationID(state.lastSequence.next.rawValue)
            let grant = try machine.allocator.allocatePages(request, as: id)
            return .granted(record, machine.record(of: grant))
        } catch {
            return .refused(record, reason: .outOfMemory)
        }
    }

    private mutating func entry(_ event: LedgerEvent, on machine: MachineID?) -> LedgerEntry {
        let sequence = state.lastSequence.next
        var entry = LedgerEntry(
            sequence: sequence,
            time: Timestamp(microseconds: 1_790_000_000_000_000 + Int64(sequence.rawValue)),
            machine: machine ?? sequence, requestID: "request-\(sequence.rawValue)", event: event)
        hash = entry.hash(after: hash)
        entry.hash = hash
        return entry
    }
}
