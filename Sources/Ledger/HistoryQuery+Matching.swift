// Which entries a query asks for, said once in Swift. Storage may answer the same question its own
// way, as long as the answer is the same.

import PageAllocator

extension HistoryQuery {
    /// Whether an entry is among those asked for. Direction and page size are not looked at.
    public func matches(_ entry: LedgerEntry) -> Bool {
        let facts = EntryFacts(entry)
        return (machines.map { $0.contains(entry.machine) } ?? true)
            && Self.equal(kind, entry.kind)
            && Self.equal(outcome, entry.outcome)
            && Self.equal(owner, facts.owner)
            && Self.equal(controlName, facts.controlName)
            && Self.equal(node, facts.node)
            && Self.equal(zone, facts.zone)
            && Self.equal(order, facts.order)
            && (pfn.map(facts.holds) ?? true)
            && Self.equal(allocation, facts.allocation)
            && Self.equal(requestID, entry.requestID)
            && (since.map { entry.time >= $0 } ?? true)
            && (until.map { entry.time < $0 } ?? true)
            && (after.map { entry.sequence > $0 } ?? true)
            && (before.map { entry.sequence < $0 } ?? true)
    }

    private static func equal<Value: Equatable>(_ asked: Value?, _ found: Value?) -> Bool {
        asked == nil || asked == found
    }
}
