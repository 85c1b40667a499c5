public import Ledger

/// How many entries were recorded since the start, by what they say.
public struct EntryCounts: Sendable {
    /// By kind and outcome, whose raw values begin at 1.
    private var table = [UInt64](
        repeating: 0, count: LedgerKind.allCases.count * LedgerOutcome.allCases.count)

    /// Those that can come together, zeros included, in a fixed order.
    public var counts: [(kind: LedgerKind, outcome: LedgerOutcome, count: UInt64)] {
        LedgerKind.allCases.flatMap { kind in
            kind.outcomes.map { outcome in (kind, outcome, table[Self.place(kind, outcome)]) }
        }
    }

    mutating func count(_ kind: LedgerKind, _ outcome: LedgerOutcome) {
        table[Self.place(kind, outcome)] += 1
    }

    private static func place(_ kind: LedgerKind, _ outcome: LedgerOutcome) -> Int {
        (kind.rawValue - 1) * LedgerOutcome.allCases.count + outcome.rawValue - 1
    }
}

extension LedgerKind {
    /// What an entry of the kind may come to.
    fileprivate var outcomes: [LedgerOutcome] {
        switch self {
        case .allocate: [.granted, .refused]
        case .free, .leaseRenewed: [.refused, .done]
        case .machineCreated, .machineDeleted, .controlPut, .controlDeleted, .leaseExpired:
            [.done]
        }
    }
}
