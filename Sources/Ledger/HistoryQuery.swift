// Questions about the past: which entries, in which direction, from where on.

public import PageAllocator

/// Which entries are asked for. A nil field does not restrict.
public struct HistoryQuery: Hashable, Sendable {
    /// The most entries on one page.
    public static let maximumPageSize = 1000

    /// The most entries that are looked at for one page. Where an index does not lead to those
    /// asked for, a page may therefore be short, even empty, and still have a next one.
    public static let maximumEntriesScanned = 50_000

    /// How often an index is looked into for one page, at the most. Only questions that combine
    /// conditions which many entries meet, and hardly any together, come to it; a page is then
    /// short as above.
    public static let maximumIndexLooks = 200_000

    /// Entries of one of these machines.
    public var machines: [MachineID]?
    public var kind: LedgerKind?
    public var outcome: LedgerOutcome?
    public var owner: String?
    public var controlName: String?

    /// Where the entry's pages lie.
    public var node: NodeID?
    public var zone: ZoneType?

    /// Of the entry's block; runs of pages have none.
    public var order: Order?

    /// The entry's block or run holds this frame.
    public var pfn: PageFrameNumber?

    /// The grant and what freed it.
    public var allocation: AllocationID?
    public var requestID: String?

    /// At or after.
    public var since: Timestamp?

    /// Before.
    public var until: Timestamp?

    /// Entries with a larger sequence.
    public var after: Sequence?

    /// Entries with a smaller sequence.
    public var before: Sequence?

    /// Newest first.
    public var isDescending = false

    /// 1…`maximumPageSize`.
    public var pageSize = 100

    public init() {}
}

/// Some of the entries asked for.
public struct HistoryPage: Hashable, Sendable {
    public var entries: [LedgerEntry]

    /// Where the next page begins: the last sequence that this page looked at, to be given as
    /// `after` (or `before`, newest first); nil on the last page.
    public var resume: Sequence?

    public init(entries: [LedgerEntry], resume: Sequence?) {
        self.entries = entries
        self.resume = resume
    }
}
