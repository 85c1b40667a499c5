// Leases: grants that end by themselves.
//
// A lease is over at the time of the entry that granted or renewed it plus the seconds that were
// asked for. The ledger says what happened, not what should have: so its end is an entry of its
// own, and until that entry is written the pages are granted. Each verb writes those that are due
// before it decides, so that no decision is taken on pages that should have come back; the server
// has them written when nobody asks for anything.

public import Ledger
public import PageAllocator

extension AllocationService {
    /// The name under which the ends of leases are recorded.
    public static let expiryRequestID = "lease-expiry"

    /// How long until the next lease is over; nil where there is none, or where those that are over
    /// wait for room on the disk.
    public var timeToNextExpiry: Duration? {
        guard let expiry = state.nextExpiry, !areExpiriesHeldBack else { return nil }
        return .microseconds(max(0, expiry.microseconds - now.microseconds))
    }

    /// Ends the leases that are over. What stands in the way is not reported here: a failure of the
    /// ledger is kept for `commit` to throw, and where the disk has no room a later call ends them.
    public func endLeases() {
        guard state.nextExpiry != nil else { return }
        do throws(ServiceFailure) {
            _ = try decisionTime()
            areExpiriesHeldBack = false
        } catch {
            areExpiriesHeldBack = true
        }
    }

    /// Frees all that the leases over at `time` still hold, in the order in which they are over.
    func endLeases(overAt time: Timestamp) throws(ServiceFailure) {
        while let (machine, id) = firstLease(overAt: time) {
            let freed: Freed
            do {
                freed = try machine.allocator.free(id)
            } catch {
                preconditionFailure("a lease of pages that are not granted: \(error)")
            }
            _ = try recordDone(
                .leaseExpired(machine.record(of: freed)), on: machine, at: time,
                for: Caller(requestID: Self.expiryRequestID))
        }
    }

    private func firstLease(overAt time: Timestamp) -> (SimulatedMachine, AllocationID)? {
        var first: (machine: SimulatedMachine, expiry: Timestamp, id: AllocationID)?
        for machine in state.machines {
            guard let lease = machine.leases.first, lease.expiry <= time else { continue }
            if let first, (first.expiry, first.id) < (lease.expiry, lease.id) { continue }
            first = (machine, lease.expiry, lease.id)
        }
        return first.map { ($0.machine, $0.id) }
    }

    /// Makes a grant end so many seconds from now, whatever was said of its end before: the entry
    /// that granted it, and the one that renews it.
    ///
    /// - Parameter ttlSeconds: 1 to `ServiceLimits.ttlSeconds`.
    /// - Throws: `freeRefused` with the entry that records it, where the grant is not alive.
    public func renew(
        _ id: AllocationID, ttlSeconds: UInt32, on machine: SimulatedMachine,
        if precondition: Precondition = .none, for caller: Caller
    ) throws(ServiceFailure) -> (grant: LedgerEntry, renewal: LedgerEntry) {
        let time = try decisionTime()
        try precondition.check(machine.lastSequence)
        let record = LeaseRecord(allocation: id, ttlSeconds: ttlSeconds)
        let grant = try grantEntry(of: id, on: machine)
        if let failure = renewalFailure(of: id, grant, on: machine, for: caller) {
            let entry = try recordDone(
                .leaseRenewalRefused(record, reason: failure.reason), on: machine, at: time,
                for: caller)
            throw .freeRefused(failure, entry.sequence)
        }
        guard let grant else { preconditionFailure("what is renewed was granted") }
        let renewal = try recordDone(.leaseRenewed(record), on: machine, at: time, for: caller)
        return (grant, renewal)
    }

    /// Why a grant cannot be renewed; nil where it can.
    private func renewalFailure(
        of id: AllocationID, _ grant: LedgerEntry?, on machine: SimulatedMachine,
        for caller: Caller
    ) -> FreeFailure? {
        guard let grant else { return .unknownAllocation }
        guard machine.allocator.liveGrant(id) != nil else { return .alreadyFreed }
        guard let principal = caller.principal, !principal.ownsAll else { return nil }
        return grant.principal == principal.name ? nil : .notOwner
    }
}
