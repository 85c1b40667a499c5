// Who asks, where not everybody may: a grant belongs to the principal that it was made to, and only
// that one, or one that may do everything, frees it or renews its lease. Whose a grant is, its
// entry says; it is looked up with each free of a caller to whom it matters, and of no other.

import Ledger
import PageAllocator

/// Somebody who was let in.
public struct Principal: Hashable, Sendable {
    /// As the ledger keeps it.
    public let name: String

    /// Whether the grants of all others count as its own.
    public let ownsAll: Bool

    public init(name: String, ownsAll: Bool) {
        self.name = name
        self.ownsAll = ownsAll
    }
}

extension AllocationService {
    /// Whether what is to be freed is part of a live grant that was made to another principal.
    func isHeldByAnother(
        _ target: FreeRecord.Target, on machine: SimulatedMachine, for caller: Caller
    ) throws(ServiceFailure) -> Bool {
        guard let principal = caller.principal, !principal.ownsAll else { return false }
        let held =
            switch target {
            case .allocation(let id): machine.allocator.liveGrant(id)?.id
            case .page(let pfn, _): machine.allocator.liveGrant(holding: pfn)?.id
            }
        guard let held else { return false }
        return try !owns(held, on: machine, principal)
    }

    /// Whether a grant was made to the principal, or counts as if it were.
    func owns(
        _ id: AllocationID, on machine: SimulatedMachine, _ principal: Principal
    ) throws(ServiceFailure) -> Bool {
        // What has no entry yet is granted by the same request.
        if principal.ownsAll || id.rawValue > state.lastSequence.rawValue { return true }
        return try grantEntry(of: id, on: machine)?.principal == principal.name
    }
}
