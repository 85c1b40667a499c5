// From a row back to its entry. Nothing is taken on trust: a row that no entry could have given is
// a failure that names the entry and the column.

import Ledger
import PageAllocator
import SQLite

/// The present row of a selection of all columns.
struct EntryRow {
    static let selectionAfterSequence =
        "SELECT \(LedgerColumn.list) FROM ledger WHERE sequence > ? ORDER BY sequence"
    static let selectionOfStretch =
        "SELECT \(LedgerColumn.list) FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?"
    static let selectionBySequence = "SELECT \(linkedColumns) FROM ledger WHERE sequence = ?"

    /// All columns, and behind them the hash of the entry before: with it each row is checked to be
    /// the one that was written. For reading entries here and there; whoever reads all in order has
    /// `ChainCheck` for less.
    static let linkedColumns = """
        \(LedgerColumn.list), coalesce( \
        (SELECT p.hash FROM ledger AS p WHERE p.sequence = ledger.sequence - 1), \
        (SELECT hash FROM chain_start WHERE sequence = ledger.sequence - 1))
        """

    private let statement: Statement

    /// For a selection of `linkedColumns`.
    private let link: EntryLink?

    /// The columns that the present row was asked for.
    private let asked = AskedColumns()

    private final class AskedColumns {
        /// Bit n is the column of position n.
        var bits: UInt64 = 0
    }

    init(_ statement: Statement) {
        self.statement = statement
        link = statement.columnCount > LedgerColumn.allCases.count ? EntryLink() : nil
    }

    /// Runs a `selectionBySequence`.
    static func entry(
        at sequence: Sequence, _ selection: Statement
    ) throws(LedgerFailure) -> LedgerEntry? {
        defer { selection.reset() }
        let isFound = try LedgerFailure.converting { () throws(SQLiteError) in
            try selection.bind(bitPattern: sequence.rawValue, at: 1)
            return try selection.step()
        }
        return isFound ? try EntryRow(selection).entry() : nil
    }

    /// That a ledger which goes on beyond an entry does not have it.
    static func missing(_ sequence: Sequence) -> LedgerFailure {
        LedgerFailure(.corrupt, "entry \(sequence.rawValue): it is missing")
    }

    var sequence: Sequence {
        Sequence(
            UInt64(bitPattern: statement.integer(at: LedgerColumn.sequence.position)))
    }

    /// - Throws: `.corrupt` where no entry could have given the row, or another one did.
    func entry() throws(LedgerFailure) -> LedgerEntry {
        asked.bits = 0
        let entry = try decoded()
        try expectNothingElse()
        guard let link, let hash = entry.hash else { return entry }
        let previous = statement.bytes(at: Int32(LedgerColumn.allCases.count))
        guard link.hash(of: entry, after: previous) == hash else {
            throw damage("it is not what was written: its hash does not fit")
        }
        return entry
    }

    /// What an entry of its kind does not have, its row must not have either: filters look at it.
    private func expectNothingElse() throws(LedgerFailure) {
        var rest = Self.allColumns & ~asked.bits
        while rest != 0 {
            let position = Int32(rest.trailingZeroBitCount)
            rest &= rest - 1
            guard statement.storageClass(at: position) == .null else {
                let name = LedgerColumn.allCases.first { $0.position == position }?.name ?? ""
                throw damage("\(name) is set, and no entry of its kind has one")
            }
        }
    }

    /// Bit n is the column of position n.
    private static let allColumns = LedgerColumn.allCases.reduce(into: UInt64(0)) {
        $0 |= 1 << UInt64($1.position)
    }

    /// How the present row keeps the column's value, which is asked for with this.
    private func storageClass(_ column: LedgerColumn) -> Statement.StorageClass {
        asked.bits |= 1 << UInt64(column.position)
        return statement.storageClass(at: column.position)
    }

    private func decoded() throws(LedgerFailure) -> LedgerEntry {
        LedgerEntry(
            sequence: Sequence(try bits(.sequence)),
            time: Timestamp(microseconds: try integer(.time)),
            machine: MachineID(try bits(.machine)),
            requestID: try text(.requestID),
            event: try event(),
            principal: try optionalText(.principal),
            idempotency: try idempotency(),
            traceParent: try optionalText(.traceParent),
            hash: try hash())
    }

    private func idempotency() throws(LedgerFailure) -> IdempotencyKey? {
        guard let key = try optionalText(.idempotencyKey) else {
            guard try optionalBytes(.fingerprint) == nil else {
                throw damage("there is a fingerprint, and no idempotency_key")
            }
            return nil
        }
        guard let fingerprint = try optionalBytes(.fingerprint) else {
            throw damage("fingerprint is missing")
        }
        return IdempotencyKey(key: key, fingerprint: fingerprint)
    }

    private func hash() throws(LedgerFailure) -> EntryHash? {
        switch storageClass(.hash) {
        case .null: return nil
        case .blob: break
        case .integer, .real, .text: throw damage("hash is not a BLOB")
        }
        var (hash, count) = (EntryHash?.none, 0)
        statement.withBytes(at: LedgerColumn.hash.position) { bytes in
            (hash, count) = (EntryHash(bytes: bytes), bytes.count)
        }
        guard let hash else { throw damage("hash has \(count) bytes") }
        return hash
    }

    private func event() throws(LedgerFailure) -> LedgerEvent {
        guard let text = try optionalText(.details) else { return try event(EntryDetails()) }
        guard let details = EntryDetails(text: text) else { throw damage(details: text) }
        let event = try event(details)
        // Words that an entry of this kind does not have, or has in another order, end here too.
        guard EntryDetails(event).text == text else { throw damage(details: text) }
        return event
    }

    private func event(_ details: EntryDetails) throws(LedgerFailure) -> LedgerEvent {
        let kind = try integer(.kind)
        let outcome = try integer(.outcome)
        switch (LedgerKind(rawValue: Int(kind)), LedgerOutcome(rawValue: Int(outcome))) {
        case (.machineCreated, .done):
            return .machineCreated(name: try text(.machineName), machine: try machine())
        case (.machineDeleted, .done):
            return .machineDeleted(name: try text(.machineName))
        case (.controlPut, .done):
            return .controlPut(
                name: try text(.control), control: try control(details), dialect: try dialect())
        case (.controlDeleted, .done):
            return .controlDeleted(name: try text(.control))
        case (.allocate, .granted):
            return .granted(try allocationRecord(details), try grantRecord(details))
        case (.allocate, .refused):
            return .refused(try allocationRecord(details), reason: try allocationRefusal())
        case (.free, .done):
            return .freed(FreeRecord(target: try target()), try freedRecord(details))
        case (.free, .refused):
            return .freeRefused(FreeRecord(target: try target()), reason: try freeRefusal())
        case (.leaseRenewed, .done):
            return .leaseRenewed(try leaseRecord())
        case (.leaseRenewed, .refused):
            return .leaseRenewalRefused(try leaseRecord(), reason: try freeRefusal())
        case (.leaseExpired, .done):
            return .leaseExpired(try freedRecord(details))
        default:
            throw damage("no entry has kind \(kind) and outcome \(outcome)")
        }
    }

    private func damage(details text: String) -> LedgerFailure {
        damage("details '\(text)' are not those of an entry of its kind")
    }

    private func damage(_ what: String) -> LedgerFailure {
        LedgerFailure(.corrupt, "entry \(sequence.rawValue): \(what)")
    }
}

// MARK: Records

extension EntryRow {
    private func machine() throws(LedgerFailure) -> Machine {
        let position = LedgerColumn.document.position
        guard storageClass(.document) == .blob else {
            throw damage("document is not a BLOB")
        }
        do throws(CanonicalBytesFailure) {
            return try Machine(canonicalBytes: statement.bytes(at: position))
        } catch {
            throw damage("document is no machine: \(error)")
        }
    }

    private func allocationRecord(
        _ details: EntryDetails
    ) throws(LedgerFailure) -> AllocationRecord {
        let request = AllocationRequest(
            control: try control(details),
            additionalFlags: try optionalInteger(.additionalFlags) == nil
                ? [] : try flags(.additionalFlags),
            cpu: try optionalInteger(.requestCPU).map { Int($0) },
            interleave: details.turn?.before ?? .start)
        return AllocationRecord(
            controlName: try optionalText(.control), request: request, dialect: try dialect(),
            owner: try optionalText(.owner), labels: try labels(),
            interleaveAfter: details.turn?.after,
            ttlSeconds: try optionalInteger(.ttlSeconds) == nil ? nil : try ttl())
    }

    private func leaseRecord() throws(LedgerFailure) -> LeaseRecord {
        LeaseRecord(allocation: AllocationID(try bits(.allocation)), ttlSeconds: try ttl())
    }

    private func ttl() throws(LedgerFailure) -> UInt32 {
        let value = try integer(.ttlSeconds)
        guard let seconds = UInt32(exactly: value), seconds > 0 else {
            throw damage("ttl_seconds is \(value)")
        }
        return seconds
    }

    private func control(_ details: EntryDetails) throws(LedgerFailure) -> AllocationControl {
        var control = details.control
        control.flags = try flags(.flags)
        control.node = try optionalInteger(.requestNode) == nil ? nil : try node(.requestNode)
        control.lowBoundary =
            try optionalInteger(.lowBoundary).map { UInt64(bitPattern: $0) } ?? 0
        control.highBoundary =
            try optionalInteger(.highBoundary).map { UInt64(bitPattern: $0) } ?? .max
        if control.pages == nil {
            control.order = try order(.blockOrder)
        } else {
            try expectNoBlock()
        }
        return control
    }

    private func labels() throws(LedgerFailure) -> [Label] {
        guard let text = try optionalText(.labels) else { return [] }
        guard let labels = LabelLines.labels(text) else {
            throw damage("labels are not lines of 'name=value'")
        }
        return labels
    }

    private func grantRecord(_ details: EntryDetails) throws(LedgerFailure) -> GrantRecord {
        let compound = try integer(.compound)
        guard (0...1).contains(compound) else { throw damage("compound is \(compound)") }
        let (node, zone, migratetype) = (try node(.node), try zone(), try migratetype())
        guard let first = details.segments.first else {
            let (pfn, order) = try block()
            return GrantRecord(
                pfn: pfn, order: order, node: node, zone: zone, migratetype: migratetype,
                isCompound: compound == 1, changes: details.changes, numa: details.numa)
        }
        try expectNoBlock()
        guard try bits(.pfn) == first.lowerBound.rawValue else {
            throw damage("pfn is not where the first of the segments begins")
        }
        return GrantRecord(
            segments: details.segments, node: node, zone: zone, migratetype: migratetype,
            isCompound: compound == 1, changes: details.changes, numa: details.numa)
    }

    private func freedRecord(_ details: EntryDetails) throws(LedgerFailure) -> FreedRecord {
        let allocation = AllocationID(try bits(.allocation))
        let (node, zone, pages) = (try node(.node), try zone(), try bits(.freedPages))
        guard !details.segments.isEmpty else {
            let (pfn, order) = try block()
            guard (1...order.pageCount).contains(pages) else {
                throw damage("freed_pages is \(pages) of a block of \(order.pageCount)")
            }
            return FreedRecord(
                allocation: allocation, pfn: pfn, order: order, node: node, zone: zone,
                pages: pages)
        }
        try expectNoBlock()
        guard pages == details.segments.pageCount else {
            throw damage("freed_pages is \(pages), not \(details.segments.pageCount)")
        }
        let pfn = PageFrameNumber(try bits(.pfn))
        guard pfn < .limit else { throw damage("pfn \(pfn.rawValue) is beyond 64-bit addresses") }
        return FreedRecord(
            allocation: allocation, pfn: pfn, order: nil, node: node, zone: zone, pages: pages,
            ranges: details.segments)
    }

    private func expectNoBlock() throws(LedgerFailure) {
        guard try optionalInteger(.blockOrder) == nil else {
            throw damage("block_order is set, and it is about a run of pages")
        }
    }

    /// A block of frames that exist, so that it can be reckoned with.
    private func block() throws(LedgerFailure) -> (PageFrameNumber, Order) {
        let pfn = PageFrameNumber(try bits(.pfn))
        let order = try order(.blockOrder)
        guard pfn.rawValue <= PageFrameNumber.limit.rawValue - order.pageCount else {
            throw damage("pfn \(pfn.rawValue) is beyond 64-bit addresses")
        }
        return (pfn, order)
    }

    private func target() throws(LedgerFailure) -> FreeRecord.Target {
        guard let pfn = try optionalInteger(.targetPFN) else {
            return .allocation(AllocationID(try bits(.allocation)))
        }
        let order = try optionalInteger(.targetOrder) == nil ? nil : try order(.targetOrder)
        return .page(PageFrameNumber(UInt64(bitPattern: pfn)), order: order)
    }

    private func allocationRefusal() throws(LedgerFailure) -> AllocationRefusal {
        let name = try text(.reason)
        guard let reason = AllocationRefusal(name: name) else {
            throw damage("no allocation is refused for '\(name)'")
        }
        return reason
    }

    private func freeRefusal() throws(LedgerFailure) -> FreeRefusal {
        let name = try text(.reason)
        guard let reason = FreeRefusal(rawValue: name) else {
            throw damage("no free is refused for '\(name)'")
        }
        return reason
    }
}

// MARK: Values

extension EntryRow {
    private func dialect() throws(LedgerFailure) -> KernelDialect {
        if storageClass(.dialect) == .text {
            var found: KernelDialect?
            statement.withBytes(at: LedgerColumn.dialect.position) { name in
                found = Self.dialects.first { name.isEqual(to: $0.name) }?.dialect
            }
            if let found { return found }
        }
        throw damage("dialect '\(try text(.dialect))' is not known")
    }

    /// By the bytes of their names: a text made of each row's would cost more than what it says.
    private static let dialects = KernelDialect.allCases.map {
        (dialect: $0, name: Array($0.rawValue.utf8))
    }

    private func flags(_ column: LedgerColumn) throws(LedgerFailure) -> GFPFlags {
        let value = try integer(column)
        guard let value = UInt32(exactly: value) else {
            throw damage("\(column.name) \(value) does not fit 32 bits")
        }
        return GFPFlags(rawValue: value)
    }

    private func order(_ column: LedgerColumn) throws(LedgerFailure) -> Order {
        let value = try integer(column)
        guard let order = Order(Int(value)) else { throw damage("\(column.name) is \(value)") }
        return order
    }

    private func node(_ column: LedgerColumn) throws(LedgerFailure) -> NodeID {
        let value = try integer(column)
        guard let node = NodeID(Int(value)) else { throw damage("\(column.name) is \(value)") }
        return node
    }

    private func zone() throws(LedgerFailure) -> ZoneType {
        let value = try integer(.zone)
        guard let zone = ZoneType(rawValue: Int(value)) else { throw damage("zone is \(value)") }
        return zone
    }

    private func migratetype() throws(LedgerFailure) -> Migratetype {
        let value = try integer(.migratetype)
        guard let type = Migratetype(rawValue: Int(value)), type != .highAtomic else {
            throw damage("migratetype is \(value)")
        }
        return type
    }

    /// An unsigned value, kept as the signed one with the same bits.
    private func bits(_ column: LedgerColumn) throws(LedgerFailure) -> UInt64 {
        UInt64(bitPattern: try integer(column))
    }

    private func integer(_ column: LedgerColumn) throws(LedgerFailure) -> Int64 {
        guard let value = try optionalInteger(column) else {
            throw damage("\(column.name) is missing")
        }
        return value
    }

    private func optionalInteger(_ column: LedgerColumn) throws(LedgerFailure) -> Int64? {
        switch storageClass(column) {
        case .null: return nil
        case .integer: return statement.integer(at: column.position)
        case .real, .text, .blob: throw damage("\(column.name) is not an integer")
        }
    }

    private func text(_ column: LedgerColumn) throws(LedgerFailure) -> String {
        guard let text = try optionalText(column) else {
            throw damage("\(column.name) is missing")
        }
        return text
    }

    private func optionalText(_ column: LedgerColumn) throws(LedgerFailure) -> String? {
        switch storageClass(column) {
        case .null:
            return nil
        case .text:
            guard let text = statement.text(at: column.position) else {
                throw damage("\(column.name) is not UTF-8")
            }
            return text
        case .integer, .real, .blob:
            throw damage("\(column.name) is not text")
        }
    }

    private func optionalBytes(_ column: LedgerColumn) throws(LedgerFailure) -> [UInt8]? {
        switch storageClass(column) {
        case .null: return nil
        case .blob: return statement.bytes(at: column.position)
        case .integer, .real, .text: throw damage("\(column.name) is not a BLOB")
        }
    }
}

extension Span<UInt8> {
    fileprivate func isEqual(to other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }
}
