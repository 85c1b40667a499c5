// A task exits, or a driver unbinds: all that it holds is freed.
//
// Who asked for a grant the ledger alone knows, and finding all of an owner's takes a look at its
// history. So the caller brings the grants that it has found there, up to an entry; the verb looks
// at those that have been granted since, and decides on what is alive at that moment.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// The owner whose grants are freed, and whose of them.
    public struct Owner: Hashable, Sendable {
        public let name: String

        /// Only what was granted to this principal; nil: whoever it was granted to.
        public let principal: String?

        public init(name: String, principal: String?) {
            self.name = name
            self.principal = principal
        }

        /// Whether an entry grants something to the owner.
        public func holds(_ entry: LedgerEntry) -> Bool {
            guard case .granted(let record, _) = entry.event, record.owner == name else {
                return false
            }
            return principal == nil || entry.principal == principal
        }
    }

    /// What freeing all that an owner held did.
    public struct OwnerRelease: Hashable, Sendable {
        public let freedAllocations: Int
        public let freedPages: UInt64

        /// The last entry; nil where there was nothing to free, and nothing was recorded.
        public let lastEntry: LedgerEntry?
    }

    /// Frees what is left of all grants of an owner, each with an entry of its own, oldest first.
    ///
    /// - Parameters:
    ///   - known: the owner's grants up to `sequence`, ascending; among them may be some that have
    ///     ended.
    ///   - sequence: later grants are looked up here, one by one.
    public func release(
        _ owner: Owner, known: [AllocationID], through sequence: Sequence,
        on machine: SimulatedMachine, if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> OwnerRelease {
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        let held =
            known.filter { machine.allocator.liveGrant($0) != nil }
            + (try grants(of: owner, after: sequence, on: machine))
        guard held.count <= ServiceLimits.forcedFrees else { throw .limitReached(.forcedFrees) }
        try checkLedger(forEntries: held.count)
        var pages: UInt64 = 0
        var last: LedgerEntry?
        for id in held {
            let freed: Freed
            do {
                freed = try machine.allocator.free(id)
            } catch {
                preconditionFailure("a live grant that cannot be freed: \(error)")
            }
            last = try recordDone(
                .freed(FreeRecord(target: .allocation(id)), machine.record(of: freed)),
                on: machine, at: time, for: id == held.last ? caller : caller.withoutKey)
            pages += freed.pages
        }
        return OwnerRelease(freedAllocations: held.count, freedPages: pages, lastEntry: last)
    }

    private func grants(
        of owner: Owner, after sequence: Sequence, on machine: SimulatedMachine
    ) throws(ServiceFailure) -> [AllocationID] {
        let live = machine.allocator.liveGrants(
            after: AllocationID(sequence.rawValue), limit: .max)
        var found: [AllocationID] = []
        for grant in live {
            guard let entry = try grantEntry(of: grant.id, on: machine), owner.holds(entry) else {
                continue
            }
            found.append(grant.id)
        }
        return found
    }
}
