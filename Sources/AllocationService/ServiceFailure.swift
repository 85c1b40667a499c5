public import Ledger
public import PageAllocator

/// Why a request was not carried out. It knows no HTTP.
public enum ServiceFailure: Error, Hashable, Sendable {
    case machineNotFound
    case machineExists

    /// The machine cannot be deleted while it has that many live allocations.
    case machineInUse(liveAllocations: Int)
    case controlNotFound

    /// Every machine has the control, and nobody can put or delete it.
    case builtInControl

    /// The resource has moved on: its present version, nil where it does not exist.
    case preconditionFailed(current: Sequence?)

    /// The allocation was refused, in that entry.
    case refused(AllocationFailure, Sequence)

    /// What was to be explained can never be granted. Nothing is recorded.
    case unsatisfiable(Unsatisfiable)

    /// The free, or the renewal of the lease, was refused, in that entry.
    case freeRefused(FreeFailure, Sequence)
    case limitReached(ServiceLimit)

    /// The key is that of another request, which that entry records.
    case keyReused(Sequence)

    /// A request under the key waits for pages: its answer is not known yet.
    case keyInUse

    /// As many requests as may wait for pages do.
    case tooManyWaiting

    /// The ledger's disk has only so many bytes left. Nothing is recorded; reads go on, and writes
    /// too once there is room again.
    case insufficientStorage(freeBytes: UInt64)

    /// The ledger failed. Final: nothing that this turn decided may be answered.
    case ledger(LedgerFailure)
}

/// A limit that a request ran into.
public enum ServiceLimit: Hashable, Sendable {
    case machines
    case spannedPages
    case controlsPerMachine
    case forcedFrees
}

/// What a client takes a resource's version to be (RFC 9110, section 13.1).
public enum Precondition: Hashable, Sendable {
    case none

    /// `If-Match: "7"`: one of these versions.
    case matches([Sequence])

    /// `If-Match: *`.
    case exists

    /// `If-None-Match: *`.
    case absent

    func check(_ current: Sequence?) throws(ServiceFailure) {
        let holds =
            switch self {
            case .none: true
            case .matches(let versions): current.map(versions.contains) ?? false
            case .exists: current != nil
            case .absent: current == nil
            }
        guard holds else { throw .preconditionFailed(current: current) }
    }
}
