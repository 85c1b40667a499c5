// The state that a ledger's entries lead to: the machines, what is granted on them, the stored
// controls. It is a function of the entries alone. Recovery applies them all; a running service
// applies each one as it is written, so that both arrive at the same state.

public import PageAllocator

/// A machine as it is now.
public final class SimulatedMachine {
    public let id: MachineID
    public let name: String
    public let createdAt: Timestamp

    /// The last entry about this machine.
    public fileprivate(set) var lastSequence: Sequence

    /// Free pages and live grants.
    public var allocator: PageAllocator

    /// Those that the ledger keeps: ascending by name.
    public fileprivate(set) var controls: [StoredControl]

    /// Those that every machine has (`DeviceMask`): the narrowest mask first. A control that the
    /// ledger keeps under the same name, as one older than these may be, hides the built-in one.
    public let builtInControls: [StoredControl]

    /// When live grants end by themselves. Each is of a live grant.
    public internal(set) var leases: Leases

    /// - Parameter leases: of live grants alone.
    init(
        id: MachineID, name: String, createdAt: Timestamp, lastSequence: Sequence,
        controls: [StoredControl] = [], leases: Leases = Leases(),
        allocator: consuming PageAllocator
    ) {
        self.id = id
        self.name = name
        self.createdAt = createdAt
        self.lastSequence = lastSequence
        self.controls = controls
        self.leases = leases
        self.allocator = allocator
        builtInControls = DeviceMask.widths.map { width in
            StoredControl(
                name: DeviceMask.name(width), control: DeviceMask.control(width), sequence: id,
                putAt: createdAt, isBuiltIn: true)
        }
    }

    /// The control that a request means by that name.
    public func control(named name: String) -> StoredControl? {
        position(ofControl: name).map { controls[$0] }
            ?? builtInControls.first { $0.name == name }
    }

    private func position(ofControl name: String) -> Int? {
        controls.firstIndex { $0.name == name }
    }

    fileprivate func put(_ control: StoredControl) {
        remove(controlNamed: control.name)
        let position = controls.firstIndex { $0.name > control.name } ?? controls.count
        controls.insert(control, at: position)
    }

    /// - Returns: whether there was one.
    @discardableResult
    fileprivate func remove(controlNamed name: String) -> Bool {
        guard let position = position(ofControl: name) else { return false }
        controls.remove(at: position)
        return true
    }

    /// Whether the control whose turn a call took is one that the ledger keeps.
    fileprivate func canTakeTurn(_ record: AllocationRecord) -> Bool {
        record.interleaveAfter == nil || record.controlName.flatMap(position(ofControl:)) != nil
    }

    /// Moves the control that a call named on to where its round of nodes stands after the call:
    /// with the entry of each allocation, granted or refused.
    public func takeTurn(_ record: AllocationRecord) {
        guard let after = record.interleaveAfter else { return }
        guard let position = record.controlName.flatMap(position(ofControl:)) else {
            preconditionFailure("a turn of a control that the ledger does not keep")
        }
        controls[position].interleave = after
    }
}

/// An `allocation_control` kept under a name, as a task or a device driver would hold one.
public struct StoredControl: Hashable, Sendable {
    public let name: String
    public let control: AllocationControl

    /// The entry that put it: its version.
    public let sequence: Sequence
    public let putAt: Timestamp

    /// Where it stands in its round of nodes: at the start when it is put, and moved on by each
    /// call that names it.
    public fileprivate(set) var interleave = InterleaveState.start

    /// Whether every machine has it, and nobody can put or delete it. `sequence` and `putAt` are
    /// those of the machine then.
    public let isBuiltIn: Bool
}

/// A machine that is or was.
public struct MachineName: Hashable, Sendable {
    public let id: MachineID
    public let name: String
    public let dialect: KernelDialect
}

/// All machines, living and gone.
public struct LedgerState {
    /// Living machines, oldest first.
    public private(set) var machines: [SimulatedMachine] = []

    /// Every machine that ever was, oldest first. Entries name machines by id.
    public private(set) var names: [MachineName] = []

    public private(set) var lastSequence = Sequence.zero

    /// When the last entry was decided.
    public private(set) var lastTime = Timestamp(microseconds: 0)

    /// When the next lease ends; nil where no grant has one.
    public private(set) var nextExpiry: Timestamp?

    private var positions: [String: Int] = [:]

    public init() {}

    /// - Parameter machines: of different names.
    init(
        machines: [SimulatedMachine], names: [MachineName], lastSequence: Sequence,
        lastTime: Timestamp
    ) {
        self.machines = machines
        self.names = names
        self.lastSequence = lastSequence
        self.lastTime = lastTime
        for (position, machine) in machines.enumerated() {
            positions[machine.name] = position
        }
        nextExpiry = firstExpiry
    }

    /// Goes on by one entry, whose effect has not happened here yet.
    ///
    /// - Throws: `contradiction` where it is not the entry after the last one, or does not fit.
    ///   The state is of no use then.
    public mutating func apply(_ entry: LedgerEntry) throws(RecoveryFailure) {
        guard entry.sequence == lastSequence.next else {
            throw .contradiction(entry.sequence, "it follows entry \(lastSequence.rawValue)")
        }
        guard entry.time >= lastTime else {
            throw .contradiction(entry.sequence, "it is earlier than the entry before")
        }
        try replay(entry)
    }

    /// The living machine of that name.
    public func machine(named name: String) -> SimulatedMachine? {
        // Some names are compared in the time that it takes to hash one.
        if machines.count <= Self.fewMachines { return machines.first { $0.name == name } }
        return positions[name].map { machines[$0] }
    }

    /// So many machines that to look at each of them is faster than to look in a table.
    private static let fewMachines = 8

    /// Every machine that ever had that name, oldest first.
    public func machineIDs(named name: String) -> [MachineID] {
        names.filter { $0.name == name }.map(\.id)
    }

    /// Notes an entry whose effect on the allocator has happened already.
    ///
    /// - Parameter hasNoLease: whether the caller knows that no lease comes, goes or changes with
    ///   it, so that the event need not be looked at.
    public mutating func note(
        _ entry: LedgerEntry, on machine: SimulatedMachine, hasNoLease: Bool = false
    ) {
        lastSequence = entry.sequence
        lastTime = entry.time
        machine.lastSequence = entry.sequence
        if !hasNoLease, machine.noteLease(entry) { nextExpiry = firstExpiry }
    }

    /// Of all machines' leases. `nextExpiry` keeps it, since that is asked for with each request.
    private var firstExpiry: Timestamp? {
        machines.lazy.compactMap { $0.leases.first?.expiry }.min()
    }

    /// Carries out an entry that concerns machines and controls, not pages.
    public mutating func carryOut(_ entry: LedgerEntry) throws(RecoveryFailure) {
        switch entry.event {
        case .machineCreated(let name, let machine):
            try create(name, machine, entry)
        case .machineDeleted(let name):
            try delete(name, entry)
        case .controlPut(let name, let control, _):
            let machine = try machine(of: entry)
            machine.put(
                StoredControl(
                    name: name, control: control, sequence: entry.sequence, putAt: entry.time,
                    isBuiltIn: false))
            note(entry, on: machine)
        case .controlDeleted(let name):
            let machine = try machine(of: entry)
            guard machine.remove(controlNamed: name) else {
                throw .contradiction(entry.sequence, "there is no control of that name")
            }
            note(entry, on: machine)
        case .granted, .refused, .freed, .freeRefused, .leaseRenewed, .leaseRenewalRefused,
            .leaseExpired:
            preconditionFailure("an entry about pages")
        }
    }

    private mutating func replay(_ entry: LedgerEntry) throws(RecoveryFailure) {
        switch entry.event {
        case .granted(let record, let grant):
            try replay(record, entry)
            try replay(grant, entry, hasNoLease: record.ttlSeconds == nil)
        case .refused(let record, _):
            try replay(record, entry)
            note(entry, on: try machine(of: entry), hasNoLease: true)
        case .freed(_, let freed):
            try replay(freed, entry)
        case .freeRefused, .leaseRenewalRefused:
            note(entry, on: try machine(of: entry), hasNoLease: true)
        case .leaseRenewed(let lease):
            try replay(lease, entry)
        case .leaseExpired(let freed):
            try replayExpiry(freed, entry)
        case .machineCreated, .machineDeleted, .controlPut, .controlDeleted:
            try carryOut(entry)
        }
    }

    private mutating func create(
        _ name: String, _ machine: Machine, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        guard entry.machine == entry.sequence else {
            throw .contradiction(entry.sequence, "it creates a machine of another id")
        }
        guard positions[name] == nil else {
            throw .contradiction(entry.sequence, "a machine of that name exists")
        }
        let created = SimulatedMachine(
            id: entry.sequence, name: name, createdAt: entry.time, lastSequence: entry.sequence,
            allocator: PageAllocator(machine: machine))
        positions[name] = machines.count
        machines.append(created)
        names.append(MachineName(id: created.id, name: name, dialect: machine.dialect))
        note(entry, on: created)
    }

    private mutating func delete(
        _ name: String, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        guard machine.name == name else {
            throw .contradiction(entry.sequence, "the machine has another name")
        }
        guard machine.allocator.liveGrantCount == 0 else {
            throw .contradiction(entry.sequence, "the machine has live allocations")
        }
        note(entry, on: machine)
        machines.removeAll { $0.id == machine.id }
        positions = [:]
        for (position, machine) in machines.enumerated() {
            positions[machine.name] = position
        }
    }

    private func replay(
        _ record: AllocationRecord, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        guard machine.canTakeTurn(record) else {
            throw .contradiction(entry.sequence, "it takes a turn of a control that is not there")
        }
        machine.takeTurn(record)
    }

    private mutating func replay(
        _ grant: GrantRecord, _ entry: LedgerEntry, hasNoLease: Bool
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        guard grant.order.map(grant.pfn.isAligned(to:)) ?? true else {
            throw .contradiction(entry.sequence, "the block that it grants is not aligned")
        }
        guard let pages = machine.grant(of: grant) else {
            throw .contradiction(entry.sequence, "the machine has no such zone or node")
        }
        do {
            try machine.allocator.replay(pages, as: AllocationID(entry.sequence.rawValue))
        } catch .changeOutsideZone {
            throw .contradiction(entry.sequence, "it changes what is not in the zone")
        } catch {
            throw .contradiction(entry.sequence, "the pages that it grants are not free")
        }
        note(entry, on: machine, hasNoLease: hasNoLease)
    }

    private mutating func replay(
        _ freed: FreedRecord, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        do {
            try machine.allocator.replayFree(
                of: freed.allocation, pfn: freed.pfn, order: freed.order, pages: freed.pages)
        } catch {
            throw .contradiction(entry.sequence, "the pages that it frees are not granted")
        }
        note(entry, on: machine, hasNoLease: machine.leases.isEmpty)
    }

    private mutating func replay(
        _ lease: LeaseRecord, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        guard machine.allocator.liveGrant(lease.allocation) != nil else {
            throw .contradiction(entry.sequence, "the allocation whose lease it renews is not live")
        }
        note(entry, on: machine)
    }

    private mutating func replayExpiry(
        _ freed: FreedRecord, _ entry: LedgerEntry
    ) throws(RecoveryFailure) {
        let machine = try machine(of: entry)
        guard let expiry = machine.leases.expiry(of: freed.allocation), expiry <= entry.time else {
            throw .contradiction(entry.sequence, "no lease of the allocation has ended")
        }
        try replay(freed, entry)
        guard machine.allocator.liveGrant(freed.allocation) == nil else {
            throw .contradiction(entry.sequence, "it leaves pages whose lease has ended")
        }
    }

    private func machine(of entry: LedgerEntry) throws(RecoveryFailure) -> SimulatedMachine {
        guard let machine = machines.first(where: { $0.id == entry.machine }) else {
            throw .contradiction(entry.sequence, "there is no such machine")
        }
        return machine
    }
}
