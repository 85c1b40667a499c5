// Allocating and freeing.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// `allocate_pages(ac, additional_flags)`: the entry of the grant.
    ///
    /// - Throws: `refused` with the entry that records it.
    public func allocate(
        _ record: AllocationRecord, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        try checkLedger()
        try precondition.check(machine.lastSequence)
        let id = AllocationID(state.lastSequence.next.rawValue)
        let grant: Grant
        do {
            grant = try machine.allocator.allocatePages(
                record.request.control, additionalFlags: record.request.additionalFlags,
                cpu: record.request.cpu, as: id)
        } catch {
            let entry = try recordDone(
                .refused(record, reason: AllocationRefusal(error)), on: machine, for: caller)
            throw .refused(error, entry.sequence)
        }
        let zone = machine.allocator.machine.zones[grant.zone]
        let granted = GrantRecord(
            pfn: grant.pfn, order: grant.order, node: zone.node, zone: zone.type,
            migratetype: grant.migratetype, isCompound: grant.isCompound)
        return try recordDone(.granted(record, granted), on: machine, for: caller)
    }

    /// `free_a_page`, `free_some_pages`, or all that a grant still holds: what was freed, and the
    /// entry.
    ///
    /// - Throws: `freeRefused` with the entry that records it.
    public func free(
        _ target: FreeRecord.Target, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> (freed: Freed, entry: LedgerEntry) {
        try checkLedger()
        try precondition.check(machine.lastSequence)
        let record = FreeRecord(target: target)
        let freed: Freed
        do {
            freed = try Self.free(target, from: &machine.allocator)
        } catch {
            let failure = try explain(error, of: target, on: machine)
            let entry = try recordDone(
                .freeRefused(record, reason: failure.reason), on: machine, for: caller)
            throw .freeRefused(failure, entry.sequence)
        }
        let entry = try recordDone(
            .freed(record, FreedRecord(freed, on: machine.allocator.machine)), on: machine,
            for: caller)
        return (freed, entry)
    }

    private static func free(
        _ target: FreeRecord.Target, from allocator: inout PageAllocator
    ) throws(FreeFailure) -> Freed {
        switch target {
        case .allocation(let id): try allocator.free(id)
        case .page(let pfn, order: nil): try allocator.freeAPage(pfn)
        case .page(let pfn, order: let order?): try allocator.freeSomePages(pfn, order: order)
        }
    }

    /// The allocator knows live grants only; that one has ended, the ledger knows.
    private func explain(
        _ failure: FreeFailure, of target: FreeRecord.Target, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> FreeFailure {
        guard case .allocation(let id) = target, failure == .unknownAllocation else {
            return failure
        }
        return try wasGranted(id, on: machine) ? .alreadyFreed : .unknownAllocation
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

extension FreedRecord {
    init(_ freed: Freed, on machine: Machine) {
        let zone = machine.zones[freed.zone]
        self.init(
            allocation: freed.allocation, pfn: freed.pfn, order: freed.order, node: zone.node,
            zone: zone.type, pages: freed.pages)
    }
}
