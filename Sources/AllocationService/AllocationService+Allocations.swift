// Allocating and freeing.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// `allocate_pages(ac, additional_flags)`: the entry of the grant.
    ///
    /// - Throws: `refused` with the entry that records it.
    public func allocate(
        _ record: consuming AllocationRecord, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        setTurn(of: &record, on: machine)
        let id = AllocationID(state.lastSequence.next.rawValue)
        let grant: Grant
        do {
            grant = try machine.allocator.allocatePages(record.request, as: id)
        } catch {
            machine.takeTurn(record)
            let entry = try recordDone(
                .refused(record, reason: AllocationRefusal(error)), on: machine, at: time,
                for: caller)
            throw .refused(error, entry.sequence)
        }
        machine.takeTurn(record)
        let hasNoLease = record.ttlSeconds == nil
        return try recordDone(
            .granted(record, machine.record(of: grant)), on: machine, at: time, for: caller,
            hasNoLease: hasNoLease)
    }

    /// What `allocate` would do with the same record, zone by zone. Changes and records nothing.
    ///
    /// - Throws: `unsatisfiable` where the request can never be met.
    public func explain(
        _ record: AllocationRecord, on machine: SimulatedMachine,
        if precondition: Precondition = .none
    ) throws(ServiceFailure) -> Explanation {
        try precondition.check(machine.lastSequence)
        do {
            var record = record
            setTurn(of: &record, on: machine)
            return try machine.allocator.explain(record.request)
        } catch {
            switch error {
            case .outOfMemory(let explanation): return explanation
            case .unsatisfiable(let rule): throw .unsatisfiable(rule)
            }
        }
    }

    /// Gives the record the turn that the call takes in the round of the stored control that it
    /// names, and none where that has no round.
    ///
    /// - Parameter rounds: where rounds stand that have gone on since the machine's were noted.
    func setTurn(
        of record: inout AllocationRecord, on machine: SimulatedMachine,
        _ rounds: [String: InterleaveState] = [:]
    ) {
        guard let name = record.controlName, let stored = machine.control(named: name),
            !stored.isBuiltIn
        else { return }
        record.request.interleave = rounds[name] ?? stored.interleave
        record.interleaveAfter = record.request.interleaveAfter(on: machine.allocator.machine)
        if record.interleaveAfter == nil {
            record.request.interleave = .start
        }
    }

    /// `free_a_page`, `free_some_pages`, or all that a grant still holds: what was freed, and the
    /// entry.
    ///
    /// - Throws: `freeRefused` with the entry that records it.
    public func free(
        _ target: FreeRecord.Target, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> (freed: Freed, entry: LedgerEntry) {
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        return try free(target, on: machine, at: time, for: caller)
    }

    func free(
        _ target: FreeRecord.Target, on machine: SimulatedMachine, at time: Timestamp,
        for caller: Caller
    ) throws(ServiceFailure) -> (freed: Freed, entry: LedgerEntry) {
        guard try !isHeldByAnother(target, on: machine, for: caller) else {
            throw try refuse(target, .notOwner, on: machine, at: time, for: caller)
        }
        let freed: Freed
        do {
            freed = try Self.free(target, from: &machine.allocator)
        } catch {
            let failure = try explain(error, of: target, on: machine)
            throw try refuse(target, failure, on: machine, at: time, for: caller)
        }
        let entry = try recordDone(
            .freed(FreeRecord(target: target), machine.record(of: freed)), on: machine, at: time,
            for: caller)
        return (freed, entry)
    }

    /// Records that a free was refused: the failure to throw.
    func refuse(
        _ target: FreeRecord.Target, _ failure: FreeFailure, on machine: SimulatedMachine,
        at time: Timestamp, for caller: Caller
    ) throws(ServiceFailure) -> ServiceFailure {
        let event = LedgerEvent.freeRefused(FreeRecord(target: target), reason: failure.reason)
        let entry = try recordDone(event, on: machine, at: time, for: caller)
        return .freeRefused(failure, entry.sequence)
    }

    static func free(
        _ target: FreeRecord.Target, from allocator: inout PageAllocator
    ) throws(FreeFailure) -> Freed {
        switch target {
        case .allocation(let id): try allocator.free(id)
        case .page(let pfn, order: nil): try allocator.freeAPage(pfn)
        case .page(let pfn, order: let order?): try allocator.freeSomePages(pfn, order: order)
        }
    }

    /// The allocator knows live grants only; that one has ended, the ledger knows.
    func explain(
        _ failure: FreeFailure, of target: FreeRecord.Target, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> FreeFailure {
        guard case .allocation(let id) = target, failure == .unknownAllocation else {
            return failure
        }
        return try grantEntry(of: id, on: machine) == nil ? .unknownAllocation : .alreadyFreed
    }
}

extension AllocationRefusal {
    init(_ failure: AllocationFailure) {
        switch failure {
        case .outOfMemory: self = .outOfMemory
        case .unsatisfiable(let rule): self = .unsatisfiable(rule)
        }
    }
}
