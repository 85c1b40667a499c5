// A query as SQL: one condition for each field that it sets, each value a parameter. Only of runs
// of pages it cannot say whether they hold a frame; `matches` says the rest.

import Ledger
import PageAllocator
import SQLite

struct HistoryConditions {
    private enum Value {
        case integer(Int64)
        case text(String)
    }

    private var terms: [String] = []
    private var values: [Value] = []
    private let direction: String
    private let frame: PageFrameNumber?

    /// - Parameter window: the sequences to look at; they hold to the query's bounds of sequence
    ///   and time already.
    init(_ query: HistoryQuery, in window: ClosedRange<UInt64>) {
        direction = query.isDescending ? "DESC" : "ASC"
        frame = query.pfn
        add("sequence BETWEEN ? AND ?", bits(window.lowerBound), bits(window.upperBound))
        addWhat(query)
        addWho(query)
        addWhere(query)
    }

    var selection: String {
        """
        SELECT \(EntryRow.linkedColumns) FROM ledger WHERE \(terms.joined(separator: " AND ")) \
        ORDER BY sequence \(direction)
        """
    }

    /// Whether an entry that the selection gives is among those asked for.
    func matches(_ entry: LedgerEntry) -> Bool {
        frame.map(EntryFacts(entry).holds) ?? true
    }

    func bind(to statement: Statement) throws(SQLiteError) {
        for (value, parameter) in zip(values, Int32(1)...) {
            switch value {
            case .integer(let integer): try statement.bind(integer, at: parameter)
            case .text(let text): try statement.bind(text, at: parameter)
            }
        }
    }

    private mutating func addWhat(_ query: HistoryQuery) {
        if let kind = query.kind {
            add("kind = ?", .integer(Int64(kind.rawValue)))
        }
        if let outcome = query.outcome {
            add("outcome = ?", .integer(Int64(outcome.rawValue)))
        }
        if let allocation = query.allocation {
            let id = bits(allocation.rawValue)
            let isGrant =
                "kind = \(LedgerKind.allocate.rawValue)"
                + " AND outcome = \(LedgerOutcome.granted.rawValue)"
            add("(sequence = ? AND \(isGrant) OR allocation = ?)", id, id)
        }
    }

    private mutating func addWho(_ query: HistoryQuery) {
        if let machines = query.machines {
            // However many there are, it is one statement.
            let list = machines.map { String(Int64(bitPattern: $0.rawValue)) }
            add(
                "machine IN (SELECT value FROM json_each(?))",
                .text("[" + list.joined(separator: ",") + "]"))
        }
        if let owner = query.owner {
            add("owner = ?", .text(owner))
        }
        if let name = query.controlName {
            add("control = ?", .text(name))
        }
        if let id = query.requestID {
            add("request_id = ?", .text(id))
        }
    }

    private mutating func addWhere(_ query: HistoryQuery) {
        if let node = query.node {
            add("node = ?", .integer(Int64(node.rawValue)))
        }
        if let zone = query.zone {
            add("zone = ?", .integer(Int64(zone.rawValue)))
        }
        if let order = query.order {
            // The order that a free named counts where it was refused; else that of the block.
            add(
                "coalesce(block_order, iif(outcome = ?, target_order, NULL)) = ?",
                .integer(Int64(LedgerOutcome.refused.rawValue)), .integer(Int64(order.rawValue)))
        }
        if let pfn = query.pfn?.rawValue {
            // Where there is no block: the pages that a refused free named. The first frame of a
            // block that holds this one is at most a largest block below; so bounded, the
            // difference cannot overflow, whatever the sign of the frames' bits. Runs, whose
            // frames no column says, are let through.
            let lowest = pfn - min(pfn, Order.max.pageCount - 1)
            add(
                """
                iif(pfn IS NOT NULL AND block_order IS NULL, 1, \
                coalesce(pfn, target_pfn) BETWEEN ? AND ? AND \
                ? - coalesce(pfn, target_pfn) < 1 << coalesce(block_order, target_order, 0))
                """,
                bits(lowest), bits(pfn), bits(pfn))
        }
    }

    private mutating func add(_ term: String, _ values: Value...) {
        terms.append(term)
        self.values += values
    }

    private func bits(_ value: UInt64) -> Value {
        .integer(Int64(bitPattern: value))
    }
}
