// One order for all requests: decide, record, answer.
//
// Each verb below takes its decision on the state in memory and appends the entry that says so;
// nothing comes between the two. `commit` then makes the whole batch durable, and only after that
// may its answers leave the process. One thread owns the service; it is synchronous, takes its time
// from a clock that it is given, and so can be run from a test or a simulation as from a server.
//
// When the ledger fails, memory is ahead of disk. There is no rollback to get wrong: the failure is
// kept, every later verb and `commit` throw it, and the process ends and recovers from disk.

public import Ledger
import PageAllocator

public final class AllocationService {
    /// Who asks.
    public struct Caller {
        public let requestID: String

        public init(requestID: String) {
            self.requestID = requestID
        }
    }

    /// The machines and what is granted on them.
    public private(set) var state: LedgerState

    private let ledger: any Ledger
    private let clock: () -> Timestamp
    private var failure: LedgerFailure?

    /// Brings the state back from the ledger.
    ///
    /// - Parameter clock: the time now; a clock that goes backwards does not take entries with it.
    public init(
        ledger: any Ledger, clock: @escaping () -> Timestamp
    ) throws(RecoveryFailure) {
        self.ledger = ledger
        self.clock = clock
        state = try LedgerState.recover(from: ledger)
    }

    /// Makes all that was decided durable. Answers may be sent when it returns.
    public func commit() throws(LedgerFailure) {
        try keepingFailure { () throws(LedgerFailure) in try ledger.commit() }
    }

    /// Work for when the answers to a batch have been sent.
    public func housekeep() throws(LedgerFailure) {
        try keepingFailure { () throws(LedgerFailure) in try ledger.housekeep() }
    }

    /// Does what only a sound ledger may be asked for; its failure is kept.
    private func keepingFailure(
        _ body: () throws(LedgerFailure) -> Void
    ) throws(LedgerFailure) {
        if let failure { throw failure }
        do {
            try body()
        } catch {
            failure = error
            throw error
        }
    }

    /// The living machine of that name.
    public func machine(named name: String) throws(ServiceFailure) -> SimulatedMachine {
        guard let machine = state.machine(named: name) else { throw .machineNotFound }
        return machine
    }

    /// The first step of each verb: after a failure of the ledger nothing is decided any more.
    func checkLedger() throws(ServiceFailure) {
        if let failure { throw .ledger(failure) }
    }

    /// Records an event under the next sequence.
    func record(
        _ event: consuming LedgerEvent, on machine: MachineID?, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        try checkLedger()
        let sequence = state.lastSequence.next
        let entry = LedgerEntry(
            sequence: sequence, time: max(clock(), state.lastTime),
            machine: machine ?? sequence, requestID: caller.requestID, event: event)
        do {
            try ledger.append(entry)
        } catch {
            failure = error
            throw .ledger(error)
        }
        return entry
    }

    /// Records an event whose effect on the pages has happened.
    func recordDone(
        _ event: consuming LedgerEvent, on machine: SimulatedMachine, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let entry = try record(event, on: machine.id, for: caller)
        state.note(entry, on: machine)
        return entry
    }

    /// Records an event about machines or controls and carries it out.
    func recordAndCarryOut(
        _ event: consuming LedgerEvent, on machine: MachineID?, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let entry = try record(event, on: machine, for: caller)
        do {
            try state.carryOut(entry)
        } catch {
            preconditionFailure("a decision contradicts the state that it was taken on: \(error)")
        }
        return entry
    }

    /// Whether `id` was granted on this machine, alive or not.
    func wasGranted(
        _ id: AllocationID, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> Bool {
        do {
            guard id.rawValue <= UInt64(Int64.max),
                let entry = try ledger.entry(at: Sequence(id.rawValue))
            else { return false }
            return entry.machine == machine.id && entry.outcome == .granted
        } catch {
            failure = error
            throw .ledger(error)
        }
    }
}
