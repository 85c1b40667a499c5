// Machines and stored controls.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// Creates a machine with all its pages free. The precondition is about the machine that has
    /// the name already.
    public func createMachine(
        named name: String, _ machine: Machine, if precondition: Precondition = .none,
        for caller: Caller
    ) throws(ServiceFailure) -> SimulatedMachine {
        let time = try decisionTime()
        try precondition.check(state.machine(named: name)?.lastSequence)
        guard state.machine(named: name) == nil else { throw .machineExists }
        guard state.machines.count < ServiceLimits.machines else {
            throw .limitReached(.machines)
        }
        let spanned = state.machines.reduce(machine.spannedPages) {
            $0 + $1.allocator.machine.spannedPages
        }
        guard spanned <= ServiceLimits.spannedPages else { throw .limitReached(.spannedPages) }
        _ = try recordAndCarryOut(
            .machineCreated(name: name, machine: machine), on: nil, at: time, for: caller)
        return try self.machine(named: name)
    }

    /// What deleting a machine did.
    public struct Deletion: Hashable, Sendable {
        public let entry: LedgerEntry
        public let freedAllocations: Int
        public let freedPages: UInt64
    }

    /// Deletes a machine. With `force` each live allocation is freed first, in the ledger.
    public func deleteMachine(
        _ machine: SimulatedMachine, force: Bool, if precondition: Precondition = .none,
        for caller: Caller
    ) throws(ServiceFailure) -> Deletion {
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        guard live.isEmpty || force else {
            throw .machineInUse(liveAllocations: live.count)
        }
        guard live.count <= ServiceLimits.forcedFrees else { throw .limitReached(.forcedFrees) }
        try checkLedger(forEntries: live.count)
        var pages: UInt64 = 0
        for grant in live {
            let target = FreeRecord.Target.allocation(grant.id)
            pages += try free(target, on: machine, at: time, for: caller.withoutKey).freed.pages
        }
        let entry = try recordAndCarryOut(
            .machineDeleted(name: machine.name), on: machine.id, at: time, for: caller)
        return Deletion(entry: entry, freedAllocations: live.count, freedPages: pages)
    }

    /// Keeps a control under a name, at the start of its round of nodes: the control as stored, and
    /// whether the name is new.
    ///
    /// - Throws: `builtInControl` for a name that every machine has a control of.
    public func putControl(
        named name: String, _ control: AllocationControl, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> (stored: StoredControl, isNew: Bool) {
        let time = try decisionTime()
        let existing = machine.control(named: name)
        guard existing?.isBuiltIn != true else { throw .builtInControl }
        try precondition.check(existing?.sequence)
        guard existing != nil || machine.controls.count < ServiceLimits.controlsPerMachine else {
            throw .limitReached(.controlsPerMachine)
        }
        let event = LedgerEvent.controlPut(
            name: name, control: control, dialect: machine.allocator.machine.dialect)
        _ = try recordAndCarryOut(event, on: machine.id, at: time, for: caller)
        return (try self.control(named: name, on: machine), existing == nil)
    }

    /// - Throws: `builtInControl` for a name that every machine has a control of.
    public func deleteControl(
        named name: String, on machine: SimulatedMachine, if precondition: Precondition = .none,
        for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let time = try decisionTime()
        let existing = try control(named: name, on: machine)
        guard !existing.isBuiltIn else { throw .builtInControl }
        try precondition.check(existing.sequence)
        return try recordAndCarryOut(
            .controlDeleted(name: name), on: machine.id, at: time, for: caller)
    }

    public func control(
        named name: String, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> StoredControl {
        guard let control = machine.control(named: name) else { throw .controlNotFound }
        return control
    }
}

extension Machine {
    /// Pages from each zone's first to its last, holes included.
    var spannedPages: UInt64 { zones.reduce(0) { $0 + $1.spannedPages } }
}
