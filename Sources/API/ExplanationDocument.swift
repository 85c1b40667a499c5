// An explanation as it is answered: what the allocator says of a request, together with what the
// same moment's state says of the grants that stand in its way. Who owns those is in the ledger,
// and may be added when the ledger has been asked.

import Ledger
import PageAllocator

struct ExplanationDocument {
    /// The most blockers that are named; the rest are counted, as far as the certificate does.
    static let maximumBlockers = 100

    /// A live grant in the cheapest window.
    struct Blocker {
        let id: AllocationID

        /// Its pages that would have to move.
        let ranges: [FrameRange]
        let migratetype: Migratetype
        var owner: String?
    }

    let explanation: Explanation
    let machine: Machine

    /// Ascending by id.
    private(set) var blockers: [Blocker]

    init(_ explanation: Explanation, on allocator: borrowing PageAllocator) {
        self.explanation = explanation
        machine = allocator.machine
        blockers = []
        guard let certificate = explanation.certificate, let window = certificate.cheapestWindow
        else { return }
        for id in certificate.blockers.prefix(Self.maximumBlockers) {
            guard let live = allocator.liveGrant(id) else {
                preconditionFailure("a blocker that does not live")
            }
            let ranges = allocator.liveRanges(of: live).clipped(to: window)
            blockers.append(
                Blocker(id: id, ranges: ranges, migratetype: live.grant.migratetype))
        }
    }

    /// The entries of the grants in the way, ascending.
    var blockerSequences: [Sequence] { blockers.map { Sequence($0.id.rawValue) } }

    /// Notes who owns the grants in the way.
    ///
    /// - Parameter entries: ascending; those of grants among the blockers.
    mutating func note(_ entries: [LedgerEntry]) {
        var position = 0
        for entry in entries {
            while position < blockers.count,
                blockers[position].id.rawValue < entry.sequence.rawValue
            {
                position += 1
            }
            guard position < blockers.count, case .granted(let record, _) = entry.event,
                blockers[position].id.rawValue == entry.sequence.rawValue
            else { continue }
            blockers[position].owner = record.owner
        }
    }
}
