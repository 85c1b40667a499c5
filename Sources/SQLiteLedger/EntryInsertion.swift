// From an entry to its row. What has no value stays NULL.

import Ledger
import PageAllocator
import SQLite

struct EntryInsertion {
    private var row: RowInsertion
    private var spellings: FlagSpellings

    /// The dialect of the last row that had one.
    private var dialect: KernelDialect?

    init(on connection: Connection) throws(SQLiteError) {
        row = try RowInsertion(on: connection)
        spellings = try FlagSpellings(on: connection)
    }

    /// Within a transaction.
    ///
    /// - Parameter hash: the chain's value at the entry.
    mutating func insert(_ entry: LedgerEntry, hash: EntryHash) throws(SQLiteError) {
        try set(.sequence, entry.sequence.rawValue)
        try set(.time, entry.time.microseconds)
        try set(.machine, entry.machine.rawValue)
        try set(.kind, entry.kind.rawValue)
        try set(.outcome, entry.outcome.rawValue)
        try set(.requestID, entry.requestID)
        if let principal = entry.principal {
            try set(.principal, principal)
        }
        if let idempotency = entry.idempotency {
            try set(.idempotencyKey, idempotency.key)
            try row.set(.fingerprint, to: idempotency.fingerprint)
        }
        if let traceParent = entry.traceParent {
            try set(.traceParent, traceParent)
        }
        try set(entry.event)
        try row.set(.hash, to: hash)
        try row.insert()
    }

    private mutating func set(_ event: LedgerEvent) throws(SQLiteError) {
        switch event {
        case .machineCreated(let name, let machine):
            try set(.machineName, name)
            try row.set(.document, to: machine.canonicalBytes)
        case .machineDeleted(let name):
            try set(.machineName, name)
        case .controlPut(let name, let control, let dialect):
            try set(.control, name)
            try set(control, dialect)
            if !control.isSaidByColumns { try set(EntryDetails(control)) }
        case .controlDeleted(let name):
            try set(.control, name)
        case .granted(let asked, let grant):
            // One column holds both.
            precondition(
                grant.order == asked.request.control.blockOrder, "a grant of another order")
            try set(asked)
            try set(grant)
            if !asked.isSaidByColumns || !grant.isSaidByColumns {
                try setDetails(asked, grant)
            }
        case .refused(let asked, let reason):
            try set(asked)
            try set(.reason, reason.name)
            if !asked.isSaidByColumns { try set(EntryDetails(asked)) }
        case .freed(let named, let freed):
            if case .allocation(let id) = named.target {
                // One column holds both.
                precondition(id == freed.allocation, "another allocation was freed than was named")
            }
            try set(named.target)
            try set(freed)
        case .freeRefused(let named, let reason):
            try set(named.target)
            try set(.reason, reason.rawValue)
        case .leaseRenewed(let lease):
            try set(lease)
        case .leaseRenewalRefused(let lease, let reason):
            try set(lease)
            try set(.reason, reason.rawValue)
        case .leaseExpired(let freed):
            try set(freed)
        }
    }

    private mutating func set(_ asked: AllocationRecord) throws(SQLiteError) {
        if let name = asked.controlName {
            try set(.control, name)
        }
        if let owner = asked.owner {
            try set(.owner, owner)
        }
        try set(asked.request.control, asked.dialect)
        if !asked.request.additionalFlags.isEmpty {
            try set(.additionalFlags, asked.request.additionalFlags, asked.dialect)
        }
        if let cpu = asked.request.cpu {
            try set(.requestCPU, cpu)
        }
        if !asked.labels.isEmpty {
            try set(.labels, LabelLines.text(asked.labels))
        }
        if let seconds = asked.ttlSeconds {
            try set(ttl: seconds)
        }
        precondition(
            asked.interleaveAfter != nil || asked.request.interleave == .start,
            "a place in a round that no turn was taken of")
    }

    private mutating func set(
        _ control: AllocationControl, _ dialect: KernelDialect
    ) throws(SQLiteError) {
        try set(dialect)
        try set(.flags, control.flags, dialect)
        if let order = control.blockOrder {
            try set(.blockOrder, order.rawValue)
        }
        if let node = control.node {
            try set(.requestNode, node.rawValue)
        }
        if control.lowBoundary != 0 {
            try set(.lowBoundary, control.lowBoundary)
        }
        if control.highBoundary != .max {
            try set(.highBoundary, control.highBoundary)
        }
    }

    private mutating func set(_ grant: GrantRecord) throws(SQLiteError) {
        precondition(grant.migratetype != .highAtomic, "a grant of a type that is kept back")
        try set(.pfn, grant.pfn.rawValue)
        try set(.node, grant.node.rawValue)
        try set(.zone, grant.zone.rawValue)
        try set(.migratetype, grant.migratetype.rawValue)
        try set(.compound, grant.isCompound ? 1 : 0)
    }

    private mutating func set(_ lease: LeaseRecord) throws(SQLiteError) {
        try set(.allocation, lease.allocation.rawValue)
        try set(ttl: lease.ttlSeconds)
    }

    private mutating func set(ttl seconds: UInt32) throws(SQLiteError) {
        precondition(seconds > 0, "a lease that has ended before it begins")
        try set(.ttlSeconds, UInt64(seconds))
    }

    private mutating func set(_ freed: FreedRecord) throws(SQLiteError) {
        try set(.allocation, freed.allocation.rawValue)
        try set(.pfn, freed.pfn.rawValue)
        if let order = freed.order {
            precondition(
                (1...order.pageCount).contains(freed.pages), "more was freed than the block")
            precondition(freed.ranges.isEmpty, "a block says which pages it has")
            try set(.blockOrder, order.rawValue)
        } else {
            precondition(
                freed.pages > 0 && freed.pages == freed.ranges.pageCount,
                "a run of other pages was freed")
            try set(EntryDetails(freed))
        }
        try set(.freedPages, freed.pages)
        try set(.node, freed.node.rawValue)
        try set(.zone, freed.zone.rawValue)
    }

    private mutating func set(_ target: FreeRecord.Target) throws(SQLiteError) {
        switch target {
        case .allocation(let id):
            try set(.allocation, id.rawValue)
        case .page(let pfn, let order):
            try set(.targetPFN, pfn.rawValue)
            if let order {
                try set(.targetOrder, order.rawValue)
            }
        }
    }

    private mutating func set(_ dialect: KernelDialect) throws(SQLiteError) {
        guard dialect != self.dialect || !row.keep(.dialect) else { return }
        try set(.dialect, dialect.rawValue)
        self.dialect = dialect
    }

    /// Out of line: an initializer takes its arguments over, and each row's record would be copied
    /// for what few rows have.
    @inline(never)
    private mutating func setDetails(
        _ asked: AllocationRecord, _ grant: GrantRecord
    ) throws(SQLiteError) {
        try set(EntryDetails(asked, grant))
    }

    private mutating func set(_ details: EntryDetails) throws(SQLiteError) {
        if let text = details.text {
            try set(.details, text)
        }
    }

    private mutating func set(
        _ column: LedgerColumn, _ flags: GFPFlags, _ dialect: KernelDialect
    ) throws(SQLiteError) {
        try spellings.note(flags, dialect)
        try set(column, UInt64(flags.rawValue))
    }

    private mutating func set(_ column: LedgerColumn, _ value: Int) throws(SQLiteError) {
        try row.set(column, to: Int64(value))
    }

    private mutating func set(_ column: LedgerColumn, _ value: Int64) throws(SQLiteError) {
        try row.set(column, to: value)
    }

    /// The signed integer with the same bits.
    private mutating func set(_ column: LedgerColumn, _ value: UInt64) throws(SQLiteError) {
        try row.set(column, to: Int64(bitPattern: value))
    }

    private mutating func set(_ column: LedgerColumn, _ text: String) throws(SQLiteError) {
        try row.set(column, to: text)
    }
}
