// From an entry to its row. Only what is not NULL is bound.

import Ledger
import PageAllocator
import SQLite

struct EntryInsertion {
    private let statement: Statement

    init(on connection: Connection) throws(SQLiteError) {
        let values = LedgerColumn.allCases.map { _ in "?" }.joined(separator: ", ")
        statement = try connection.prepare(
            "INSERT INTO ledger (\(LedgerColumn.list)) VALUES (\(values))")
    }

    func insert(_ entry: LedgerEntry) throws(SQLiteError) {
        statement.clearBindings()
        try bind(entry.sequence.rawValue, .sequence)
        try bind(entry.time.microseconds, .time)
        try bind(entry.machine.rawValue, .machine)
        try bind(entry.kind.rawValue, .kind)
        try bind(entry.outcome.rawValue, .outcome)
        try bind(entry.requestID, .requestID)
        try bind(entry.event)
        try statement.run()
    }

    private func bind(_ event: LedgerEvent) throws(SQLiteError) {
        switch event {
        case .machineCreated(let name, let machine):
            try bind(name, .machineName)
            try statement.bind(machine.canonicalBytes, at: LedgerColumn.document.parameter)
        case .machineDeleted(let name):
            try bind(name, .machineName)
        case .controlPut(let name, let control, let dialect):
            try bind(name, .control)
            try bind(control, dialect)
        case .controlDeleted(let name):
            try bind(name, .control)
        case .granted(let asked, let grant):
            // One column holds both.
            precondition(grant.order == asked.request.control.order, "a grant of another order")
            try bind(asked)
            try bind(grant)
        case .refused(let asked, let reason):
            try bind(asked)
            try bind(reason.name, .reason)
        case .freed(let named, let freed):
            try bind(named, freed)
        case .freeRefused(let named, let reason):
            try bind(named.target)
            try bind(reason.rawValue, .reason)
        }
    }

    private func bind(_ asked: AllocationRecord) throws(SQLiteError) {
        if let name = asked.controlName {
            try bind(name, .control)
        }
        if let owner = asked.owner {
            try bind(owner, .owner)
        }
        try bind(asked.request.control, asked.dialect)
        if !asked.request.additionalFlags.isEmpty {
            try bind(UInt64(asked.request.additionalFlags.rawValue), .additionalFlags)
        }
        if let cpu = asked.request.cpu {
            try bind(cpu, .requestCPU)
        }
        if !asked.labels.isEmpty {
            try bind(LabelLines.text(asked.labels), .labels)
        }
    }

    private func bind(
        _ control: AllocationControl, _ dialect: KernelDialect
    ) throws(SQLiteError) {
        try bind(dialect.rawValue, .dialect)
        try bind(UInt64(control.flags.rawValue), .flags)
        try bind(control.order.rawValue, .blockOrder)
        if let node = control.node {
            try bind(node.rawValue, .requestNode)
        }
        if control.lowBoundary != 0 {
            try bind(control.lowBoundary, .lowBoundary)
        }
        if control.highBoundary != .max {
            try bind(control.highBoundary, .highBoundary)
        }
    }

    private func bind(_ grant: GrantRecord) throws(SQLiteError) {
        try bind(grant.pfn.rawValue, .pfn)
        try bind(grant.node.rawValue, .node)
        try bind(grant.zone.rawValue, .zone)
        try bind(grant.migratetype.rawValue, .migratetype)
        try bind(grant.isCompound ? 1 : 0, .compound)
    }

    private func bind(_ named: FreeRecord, _ freed: FreedRecord) throws(SQLiteError) {
        if case .allocation(let id) = named.target {
            // One column holds both.
            precondition(id == freed.allocation, "another allocation was freed than was named")
        }
        precondition(
            (1...freed.order.pageCount).contains(freed.pages), "more was freed than the block")
        try bind(named.target)
        try bind(freed.allocation.rawValue, .allocation)
        try bind(freed.pfn.rawValue, .pfn)
        try bind(freed.order.rawValue, .blockOrder)
        try bind(freed.pages, .freedPages)
        try bind(freed.node.rawValue, .node)
        try bind(freed.zone.rawValue, .zone)
    }

    private func bind(_ target: FreeRecord.Target) throws(SQLiteError) {
        switch target {
        case .allocation(let id):
            try bind(id.rawValue, .allocation)
        case .page(let pfn, let order):
            try bind(pfn.rawValue, .targetPFN)
            if let order {
                try bind(order.rawValue, .targetOrder)
            }
        }
    }

    private func bind(_ value: Int, _ column: LedgerColumn) throws(SQLiteError) {
        try statement.bind(Int64(value), at: column.parameter)
    }

    private func bind(_ value: Int64, _ column: LedgerColumn) throws(SQLiteError) {
        try statement.bind(value, at: column.parameter)
    }

    private func bind(_ value: UInt64, _ column: LedgerColumn) throws(SQLiteError) {
        try statement.bind(bitPattern: value, at: column.parameter)
    }

    private func bind(_ text: String, _ column: LedgerColumn) throws(SQLiteError) {
        try statement.bind(text, at: column.parameter)
    }
}
