// What an entry says about leases: who has one from now on, and who has none any more.

import PageAllocator

extension SimulatedMachine {
    /// Notes an entry whose effect on the allocator has happened already.
    ///
    /// - Returns: whether a lease has come, gone or changed.
    func noteLease(_ entry: LedgerEntry) -> Bool {
        switch entry.event {
        case .granted(let asked, _):
            guard let seconds = asked.ttlSeconds else { return false }
            let id = AllocationID(entry.sequence.rawValue)
            leases.set(entry.time.adding(seconds: seconds), of: id)
        case .leaseRenewed(let lease):
            leases.set(entry.time.adding(seconds: lease.ttlSeconds), of: lease.allocation)
        case .freed(_, let freed), .leaseExpired(let freed):
            // A grant of which a part was freed keeps its lease.
            guard leases.expiry(of: freed.allocation) != nil,
                allocator.liveGrant(freed.allocation) == nil
            else { return false }
            leases.remove(freed.allocation)
        case .machineCreated, .machineDeleted, .controlPut, .controlDeleted, .refused,
            .freeRefused, .leaseRenewalRefused:
            return false
        }
        return true
    }
}
