// Questions of every kind, and all pages of their answers.

import Ledger
import PageAllocator
import SQLiteLedger
import TestSupport

extension SQLiteHistory {
    /// All pages of what a query asks for.
    func pages(_ query: HistoryQuery) throws(LedgerFailure) -> [HistoryPage] {
        var query = query
        var pages: [HistoryPage] = []
        repeat {
            let page = try page(query)
            pages.append(page)
            query.goOn(after: page)
        } while pages[pages.count - 1].resume != nil
        return pages
    }
}

extension HistoryQuery {
    mutating func goOn(after page: HistoryPage) {
        if isDescending {
            before = page.resume
        } else {
            after = page.resume
        }
    }

    /// A few fields set so that they fit an entry.
    static func random(
        like entry: LedgerEntry, fields: Int, _ random: inout SeededGenerator
    ) -> HistoryQuery {
        var query = HistoryQuery()
        for _ in 0..<fields {
            random.pick(HistoryFilter.allCases).set(&query, from: entry, &random)
        }
        query.pageSize = random.pick([2, 7, 100, 1000])
        query.isDescending = random.chance(percent: 50)
        return query
    }

    /// Of these entries, those that are asked for, in the order asked.
    func expected(of entries: [LedgerEntry]) -> [LedgerEntry] {
        let expected = entries.filter { matches($0) }
        return isDescending ? expected.reversed() : expected
    }
}

/// One field of a query, set so that it fits a given entry where the entry has such a value.
enum HistoryFilter: CaseIterable {
    case machines, kind, outcome, owner, controlName, node, zone, order
    case pfn, allocation, requestID, since, until, after, before

    func set(
        _ query: inout HistoryQuery, from entry: LedgerEntry, _ random: inout SeededGenerator
    ) {
        let facts = EntryFacts(entry)
        switch self {
        case .machines:
            query.machines = random.pick([[], [entry.machine], [entry.machine, MachineID(9)]])
        case .kind: query.kind = entry.kind
        case .outcome: query.outcome = entry.outcome
        case .owner: query.owner = facts.owner ?? "nobody"
        case .controlName: query.controlName = facts.controlName ?? "none"
        case .node: query.node = facts.node ?? NodeID(sketched: 7)
        case .zone: query.zone = facts.zone ?? .dma
        case .order: query.order = facts.order ?? .zero
        case .pfn:
            let block = facts.pfn.map { FrameRange(block: $0, order: facts.order ?? .zero) }
            let frames =
                facts.segments.isEmpty
                ? block ?? FrameRange(block: PageFrameNumber(100), order: .zero)
                : random.pick(facts.segments)
            let (first, end) = (frames.lowerBound, frames.upperBound)
            query.pfn = random.pick([first, end, PageFrameNumber(end.rawValue - 1)])
        case .allocation: query.allocation = facts.allocation ?? AllocationID(1)
        case .requestID: query.requestID = entry.requestID
        case .since: query.since = near(entry.time, &random)
        case .until: query.until = near(entry.time, &random)
        case .after: query.after = entry.sequence
        case .before: query.before = entry.sequence
        }
    }

    private func near(_ time: Timestamp, _ random: inout SeededGenerator) -> Timestamp {
        Timestamp(
            microseconds: random.pick([
                time.microseconds, time.microseconds - 1, time.microseconds + 1, .min, .max,
            ]))
    }
}
