// Allocations that wait for frees.
//
// A caller that may sleep (`__GFP_DIRECT_RECLAIM`) can ask that a request which nothing fits now is
// not refused at once. It waits then, and is not in the ledger yet. At the end of each turn in
// which pages of its machine were freed, by whomever and also by the end of a lease, those that
// wait there are tried once more, oldest first; one that still does not fit keeps no other from its
// pages. At its time a request is decided for the last time, and its refusal recorded as of then.
//
// What waits is in memory alone: whoever asked has no answer yet, so that a stop or a crash takes
// nothing away that was promised.

public import Ledger
import PageAllocator

/// Names a request that waits.
public struct WaitTicket: Hashable, Sendable {
    fileprivate let number: UInt64
}

/// What became of a request that may wait.
public enum AllocationOutcome {
    case granted(LedgerEntry)
    case waiting(WaitTicket)
}

/// The requests that wait, oldest first.
struct WaitingAllocations {
    struct Request {
        let ticket: WaitTicket
        let record: AllocationRecord
        let machine: SimulatedMachine
        let precondition: Precondition
        let caller: AllocationService.Caller

        /// When it is decided for the last time.
        let end: Timestamp
    }

    private(set) var requests: [Request] = []
    private var ticketCount: UInt64 = 0

    /// Machines that had pages freed, or were deleted, since their requests were last tried.
    private(set) var changedMachines: Set<MachineID> = []

    var isEmpty: Bool { requests.isEmpty }

    /// When the next request is decided for the last time.
    var nextEnd: Timestamp? { requests.lazy.map(\.end).min() }

    mutating func add(
        _ record: AllocationRecord, on machine: SimulatedMachine, if precondition: Precondition,
        for caller: AllocationService.Caller, until end: Timestamp
    ) -> WaitTicket {
        ticketCount += 1
        let ticket = WaitTicket(number: ticketCount)
        requests.append(
            Request(
                ticket: ticket, record: record, machine: machine, precondition: precondition,
                caller: caller, end: end))
        return ticket
    }

    mutating func remove(_ tickets: Set<WaitTicket>) {
        requests.removeAll { tickets.contains($0.ticket) }
        if isEmpty { changedMachines = [] }
    }

    mutating func removeAll() {
        (requests, changedMachines) = ([], [])
    }

    /// What is recorded. Every free is, on whatever path.
    mutating func note(_ entry: LedgerEntry) {
        guard !isEmpty else { return }
        switch entry.event {
        case .freed, .leaseExpired, .machineDeleted: changedMachines.insert(entry.machine)
        default: break
        }
    }

    /// Whether something has changed for those that wait on a machine.
    func areToBeTried(on machine: SimulatedMachine) -> Bool {
        changedMachines.contains(machine.id)
    }

    /// The machines that have changed; what changes from here on counts anew.
    mutating func takeChanges() -> Set<MachineID> {
        defer { changedMachines = [] }
        return changedMachines
    }
}

extension AllocationService {
    /// `allocate`, of a request that may wait so long for frees.
    ///
    /// - Parameter milliseconds: 1 to `ServiceLimits.waitMilliseconds`. A request whose effective
    ///   flags lack `__GFP_DIRECT_RECLAIM` never waits.
    /// - Throws: `refused` with the entry that records it; `tooManyWaiting`.
    public func allocate(
        _ record: AllocationRecord, on machine: SimulatedMachine,
        if precondition: Precondition = .none, waiting milliseconds: UInt32, for caller: Caller
    ) throws(ServiceFailure) -> AllocationOutcome {
        guard record.request.effectiveFlags.contains(.directReclaim) else {
            return .granted(try allocate(record, on: machine, if: precondition, for: caller))
        }
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        // Pages that this turn has freed are first for those that have waited for them.
        if !waiting.areToBeTried(on: machine),
            let entry = try allocateIfFree(
                record, on: machine, if: precondition, at: time, for: caller)
        {
            return .granted(entry)
        }
        guard waiting.requests.count < ServiceLimits.waitingAllocations else {
            throw .tooManyWaiting
        }
        let end = time.adding(milliseconds: milliseconds)
        return .waiting(
            waiting.add(record, on: machine, if: precondition, for: caller, until: end))
    }

    /// The entry of the grant; nil, and nothing is recorded, where nothing fits now.
    ///
    /// - Throws: `refused` where nothing ever will.
    private func allocateIfFree(
        _ record: AllocationRecord, on machine: SimulatedMachine, if precondition: Precondition,
        at time: Timestamp, for caller: Caller
    ) throws(ServiceFailure) -> LedgerEntry? {
        var turn = record
        setTurn(of: &turn, on: machine)
        let id = AllocationID(state.lastSequence.next.rawValue)
        let grant: Grant
        do {
            grant = try machine.allocator.allocatePages(turn.request, as: id)
        } catch .outOfMemory {
            return nil
        } catch {
            return try allocate(record, on: machine, if: precondition, for: caller)
        }
        let entry = try recordDone(
            .granted(turn, machine.record(of: grant)), on: machine, at: time, for: caller)
        machine.takeTurn(turn)
        return entry
    }

    /// How long until a request that waits is to be decided; nil where none waits.
    public var timeToNextWait: Duration? {
        guard let end = waiting.nextEnd else { return nil }
        guard waiting.changedMachines.isEmpty else { return .zero }
        return .microseconds(max(0, end.microseconds - now.microseconds))
    }

    /// Tries the requests that wait on machines that had pages freed, and ends those whose time is
    /// over. To be called once a turn, after all else, before `commit`.
    ///
    /// - Parameter settled: is told of each that waits no more, in their order, right after its
    ///   decision: the entry of the grant, or as `allocate` throws, `machineNotFound` among it.
    public func settleWaiting(
        _ settled: (WaitTicket, Result<LedgerEntry, ServiceFailure>) -> Void
    ) {
        guard let end = waiting.nextEnd else { return }
        guard end <= now || !waiting.changedMachines.isEmpty else { return }
        let changedMachines = waiting.takeChanges()
        var ended: Set<WaitTicket> = []
        for request in waiting.requests {
            let isToBeTried = changedMachines.contains(request.machine.id)
            guard let result = settle(request, isToBeTried: isToBeTried) else { continue }
            settled(request.ticket, result)
            ended.insert(request.ticket)
        }
        waiting.remove(ended)
    }

    /// What a request that waits comes to; nil where it waits on.
    private func settle(
        _ request: WaitingAllocations.Request, isToBeTried: Bool
    ) -> Result<LedgerEntry, ServiceFailure>? {
        let machine = request.machine
        guard state.machine(named: machine.name)?.id == machine.id else {
            return .failure(.machineNotFound)
        }
        do throws(ServiceFailure) {
            let time = try decisionTime()
            if time >= request.end {
                return .success(
                    try allocate(
                        request.record, on: machine, if: request.precondition, for: request.caller))
            }
            guard isToBeTried else { return nil }
            try request.precondition.check(machine.lastSequence)
            let entry = try allocateIfFree(
                request.record, on: machine, if: request.precondition, at: time,
                for: request.caller)
            return entry.map(Result.success)
        } catch {
            return .failure(error)
        }
    }

    /// Whoever asked has gone: the request leaves nothing behind.
    public func abandon(_ ticket: WaitTicket) {
        waiting.remove([ticket])
    }

    /// Ends all waiting, with nothing decided or recorded.
    public func abandonWaiting() {
        waiting.removeAll()
    }

    /// Whether the first request under a key still waits.
    func isUnderWay(_ key: IdempotencyKey) -> Bool {
        waiting.requests.contains { $0.caller.keyed?.key.key == key.key }
    }
}

extension Timestamp {
    fileprivate func adding(milliseconds: UInt32) -> Timestamp {
        let (sum, isBeyond) = microseconds.addingReportingOverflow(Int64(milliseconds) * 1000)
        return Timestamp(microseconds: isBeyond ? .max : sum)
    }
}
