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

        /// The request under its idempotency key: nil for nearly every one.
        public var keyed: Optional<KeyedRequest>

        /// Who was let in; nil where everybody is.
        public var principal: Optional<Principal>

        /// Which trace of the caller's the request belongs to: `LedgerEntry.traceParent`.
        public var traceParent: Optional<String>

        public init(
            requestID: String, keyed: KeyedRequest? = nil, principal: Principal? = nil,
            traceParent: String? = nil
        ) {
            self.requestID = requestID
            self.keyed = keyed
            self.principal = principal
            self.traceParent = traceParent
        }

        /// The same for an entry of the request that is not its last.
        public var withoutKey: Caller {
            var caller = self
            caller.keyed = nil
            return caller
        }
    }

    /// The machines and what is granted on them.
    public private(set) var state: LedgerState

    /// The last entry decided, and the chain's value there.
    public var head: ChainHead { ledger.head }

    /// What was recorded since the start.
    public private(set) var entryCounts = EntryCounts()

    /// How the state was brought back.
    public let recovery: Recovery.Way

    /// Seconds for which an answer is given again under its key.
    let keyRetention: UInt32

    /// Whether leases that are over wait for room on the disk.
    var areExpiriesHeldBack = false

    var waiting = WaitingAllocations()

    /// What ended the ledger's service; nothing is decided any more.
    public var ledgerFailure: LedgerFailure? { failure }

    private let ledger: any Ledger
    private let clock: () -> Timestamp
    private var room: StorageRoom
    private var failure: LedgerFailure?

    /// Brings the state back from the ledger.
    ///
    /// - Parameters:
    ///   - snapshots: of the same ledger; nil: all entries are replayed.
    ///   - freeBytes: what the ledger may still take of its disk; looked at once a turn.
    ///   - keyRetention: seconds for which an answer is given again under its key.
    ///   - clock: the time now; a clock that goes backwards does not take entries with it.
    public init(
        ledger: any Ledger, snapshots: (any SnapshotSource)? = nil,
        freeBytes: @escaping () throws(LedgerFailure) -> UInt64 = {
            () throws(LedgerFailure) in .max
        }, keyRetention: UInt32 = ServiceLimits.keyRetention, clock: @escaping () -> Timestamp
    ) throws(RecoveryFailure) {
        self.ledger = ledger
        self.keyRetention = keyRetention
        self.clock = clock
        room = StorageRoom(freeBytes: freeBytes)
        let recovery = try Recovery(of: ledger, with: snapshots)
        state = recovery.state
        self.recovery = recovery.way
    }

    /// The last entry decided.
    public var lastSequence: Sequence {
        @inline(never) get { state.lastSequence }
    }

    /// All machines that there have been.
    public var machineNames: [MachineName] {
        @inline(never) get { state.names }
    }

    /// Makes all that was decided durable. Answers may be sent when it returns.
    public func commit() throws(LedgerFailure) {
        room.endTurn()
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

    /// The living machine of that name. Inlined elsewhere it would copy the whole state.
    @inline(never)
    public func machine(named name: String) throws(ServiceFailure) -> SimulatedMachine {
        guard let machine = state.machine(named: name) else { throw .machineNotFound }
        return machine
    }

    /// The first step of each verb: the moment of its decision. Leases that are over by then have
    /// ended.
    ///
    /// - Parameter entries: how many the verb records beyond what a turn may always record.
    func decisionTime(forEntries entries: Int = 0) throws(ServiceFailure) -> Timestamp {
        try checkLedger(forEntries: entries)
        let time = now
        if let expiry = state.nextExpiry, expiry <= time { try endLeases(overAt: time) }
        return time
    }

    /// After a failure of the ledger nothing is decided any more, and without room on its disk not
    /// now.
    public func checkLedger(forEntries entries: Int = 0) throws(ServiceFailure) {
        if let failure { throw .ledger(failure) }
        let shortage: UInt64?
        do {
            shortage = try room.shortage(forEntries: entries)
        } catch {
            failure = error
            throw .ledger(error)
        }
        if let shortage { throw .insufficientStorage(freeBytes: shortage) }
    }

    /// What the ledger may still take of its disk, as this turn has seen it. Bytes.
    public func freeBytes() throws(ServiceFailure) -> UInt64 {
        do {
            return try room.free()
        } catch {
            failure = error
            throw .ledger(error)
        }
    }

    /// Never earlier than the last entry.
    var now: Timestamp { max(clock(), state.lastTime) }

    /// Records an event under the next sequence.
    func record(
        _ event: consuming LedgerEvent, on machine: MachineID?, at time: Timestamp,
        for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let sequence = state.lastSequence.next
        let entry = LedgerEntry(
            sequence: sequence, time: time, machine: machine ?? sequence,
            requestID: caller.requestID, event: event, principal: caller.principal?.name,
            idempotency: caller.keyed?.takeKey(for: sequence), traceParent: caller.traceParent)
        // Not by way of `asking`: a closure would have the entry copied.
        if let failure { throw .ledger(failure) }
        do {
            try ledger.append(entry)
        } catch {
            failure = error
            throw .ledger(error)
        }
        entryCounts.count(entry.kind, entry.outcome)
        waiting.note(entry)
        return entry
    }

    /// Asks the ledger for something; its failure is kept.
    func asking<Answer>(
        _ question: (any Ledger) throws(LedgerFailure) -> Answer
    ) throws(ServiceFailure) -> Answer {
        if let failure { throw .ledger(failure) }
        do {
            return try question(ledger)
        } catch {
            failure = error
            throw .ledger(error)
        }
    }

    /// Records an event whose effect on the pages has happened.
    ///
    /// - Parameter hasNoLease: whether it is known to begin, change and end no lease.
    func recordDone(
        _ event: consuming LedgerEvent, on machine: SimulatedMachine, at time: Timestamp,
        for caller: Caller, hasNoLease: Bool = false
    ) throws(ServiceFailure) -> LedgerEntry {
        let entry = try record(event, on: machine.id, at: time, for: caller)
        state.note(entry, on: machine, hasNoLease: hasNoLease)
        return entry
    }

    /// Records an event about machines or controls and carries it out.
    func recordAndCarryOut(
        _ event: consuming LedgerEvent, on machine: MachineID?, at time: Timestamp,
        for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry {
        let entry = try record(event, on: machine, at: time, for: caller)
        do {
            try state.carryOut(entry)
        } catch {
            preconditionFailure("a decision contradicts the state that it was taken on: \(error)")
        }
        return entry
    }

    /// The entry that granted `id` on this machine, alive or not; nil where none did.
    func grantEntry(
        of id: AllocationID, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> LedgerEntry? {
        guard id.rawValue <= UInt64(Int64.max) else { return nil }
        let entry = try asking { (ledger) throws(LedgerFailure) in
            try ledger.entry(at: Sequence(id.rawValue))
        }
        guard let entry, entry.machine == machine.id, entry.outcome == .granted else { return nil }
        return entry
    }
}
