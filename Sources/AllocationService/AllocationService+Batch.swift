// Several operations as one: all of them are carried out, or none.
//
// All are decided on the allocator before the first is recorded. Where one is refused, the
// allocator is put back to where it was, and the refusal is the only entry. What the stored
// controls' rounds of nodes have come to is kept aside until all is decided, and so needs no way
// back.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// One operation of several.
    public enum Operation: Hashable, Sendable {
        case allocate(AllocationRecord)
        case free(FreeRecord.Target)
    }

    /// What an operation did, and its entry.
    public enum OperationResult: Hashable, Sendable {
        case granted(LedgerEntry)
        case freed(Freed, LedgerEntry)
    }

    /// Why none of the operations was carried out.
    public struct BatchFailure: Error, Hashable, Sendable {
        /// The place, from 0, of the operation that was refused; nil where none was looked at.
        public let operation: Int?
        public let reason: ServiceFailure
    }

    /// An operation that has been carried out on the allocator, and not yet recorded.
    private enum Decision {
        case granted(AllocationRecord, Grant)
        case freed(FreeRecord.Target, Freed)
    }

    private enum Refusal: Error {
        case allocation(AllocationRecord, AllocationFailure)
        case free(FreeRecord.Target, FreeFailure)

        /// The ledger could not be asked.
        case undecided(ServiceFailure)
    }

    /// Carries out all of the operations, in their order, with an entry for each.
    ///
    /// - Throws: `BatchFailure`; the pages, the leases and the stored controls are what they were.
    ///   What was refused is in the ledger, as of a single operation.
    public func carryOutAll(
        _ operations: [Operation], on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(BatchFailure) -> [OperationResult] {
        let time = try beginBatch(of: operations.count, on: machine, if: precondition)
        var decisions: [Decision] = []
        decisions.reserveCapacity(operations.count)
        var rounds: [String: InterleaveState] = [:]
        machine.allocator.beginTrial()
        for (position, operation) in operations.enumerated() {
            let id = AllocationID(state.lastSequence.rawValue + UInt64(position) + 1)
            do throws(Refusal) {
                decisions.append(
                    try decide(operation, as: id, on: machine, &rounds, for: caller))
            } catch {
                machine.allocator.rollBackTrial()
                let reason = record(error, on: machine, at: time, for: caller)
                throw BatchFailure(operation: position, reason: reason)
            }
        }
        machine.allocator.commitTrial()
        do {
            return try record(decisions, on: machine, at: time, for: caller)
        } catch {
            throw BatchFailure(operation: nil, reason: error)
        }
    }

    /// Checks once what holds for so many operations that are then carried out one by one.
    public func check(
        _ precondition: Precondition, forOperations count: Int, on machine: SimulatedMachine
    ) throws(ServiceFailure) {
        _ = try decisionTime(forEntries: count)
        try precondition.check(machine.lastSequence)
    }

    private func beginBatch(
        of count: Int, on machine: SimulatedMachine, if precondition: Precondition
    ) throws(BatchFailure) -> Timestamp {
        do {
            let time = try decisionTime(forEntries: count)
            try precondition.check(machine.lastSequence)
            return time
        } catch {
            throw BatchFailure(operation: nil, reason: error)
        }
    }

    /// Carries out one of the operations on the allocator.
    ///
    /// - Parameters:
    ///   - id: of what it allocates: the sequence that its entry will have.
    ///   - rounds: where the operations so far have left the rounds of stored controls.
    private func decide(
        _ operation: Operation, as id: AllocationID, on machine: SimulatedMachine,
        _ rounds: inout [String: InterleaveState], for caller: Caller
    ) throws(Refusal) -> Decision {
        switch operation {
        case .allocate(let asked):
            var record = asked
            setTurn(of: &record, on: machine, rounds)
            do {
                let grant = try machine.allocator.allocatePages(record.request, as: id)
                if let name = record.controlName, let after = record.interleaveAfter {
                    rounds[name] = after
                }
                return .granted(record, grant)
            } catch {
                // It takes no turn: nothing is to change.
                throw .allocation(asked, error)
            }
        case .free(let target):
            try expectOwner(of: target, on: machine, for: caller)
            do {
                return .freed(target, try Self.free(target, from: &machine.allocator))
            } catch {
                throw .free(target, error)
            }
        }
    }

    private func expectOwner(
        of target: FreeRecord.Target, on machine: SimulatedMachine, for caller: Caller
    ) throws(Refusal) {
        let isAnothers: Bool
        do {
            isAnothers = try isHeldByAnother(target, on: machine, for: caller)
        } catch {
            throw .undecided(error)
        }
        if isAnothers { throw .free(target, .notOwner) }
    }

    private func record(
        _ refusal: Refusal, on machine: SimulatedMachine, at time: Timestamp, for caller: Caller
    ) -> ServiceFailure {
        do {
            switch refusal {
            case .allocation(let record, let failure):
                let event = LedgerEvent.refused(record, reason: AllocationRefusal(failure))
                let entry = try recordDone(event, on: machine, at: time, for: caller)
                return .refused(failure, entry.sequence)
            case .free(let target, let failure):
                let failure = try explain(failure, of: target, on: machine)
                return try refuse(target, failure, on: machine, at: time, for: caller)
            case .undecided(let failure):
                return failure
            }
        } catch {
            return error
        }
    }

    private func record(
        _ decisions: [Decision], on machine: SimulatedMachine, at time: Timestamp,
        for caller: Caller
    ) throws(ServiceFailure) -> [OperationResult] {
        var results: [OperationResult] = []
        results.reserveCapacity(decisions.count)
        for (position, decision) in decisions.enumerated() {
            let caller = position == decisions.count - 1 ? caller : caller.withoutKey
            switch decision {
            case .granted(let record, let grant):
                let event = LedgerEvent.granted(record, machine.record(of: grant))
                let entry = try recordDone(event, on: machine, at: time, for: caller)
                machine.takeTurn(record)
                results.append(.granted(entry))
            case .freed(let target, let freed):
                let event = LedgerEvent.freed(
                    FreeRecord(target: target), machine.record(of: freed))
                let entry = try recordDone(event, on: machine, at: time, for: caller)
                results.append(.freed(freed, entry))
            }
        }
        return results
    }
}
