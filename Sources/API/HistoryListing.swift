// The ledger's history as text, for whoever reads it without a server: the filters of GET
// /v1/ledger, and an entry a line, each as GET /v1/ledger/{sequence} gives it.

import JSON
public import Ledger
import PageAllocator

public final class HistoryListing {
    /// A filter that is none, or whose value breaks a rule.
    public struct Refusal: Error {
        /// The parameter, as the query of GET /v1/ledger names it.
        public let filter: String
        public let rule: String
    }

    private let history: any LedgerHistory

    /// The entries that are still to come.
    private var query: HistoryQuery
    private var isFinished = false

    /// The machine asked for, of which the ids are not known yet.
    private var machine: String?

    /// By id, as far as they were met.
    private var names: [MachineID: String] = [:]

    /// - Parameter filters: as in the query of GET /v1/ledger; no pages.
    public init(
        _ filters: [(name: String, value: String)], of history: any LedgerHistory
    ) throws(Refusal) {
        self.history = history
        query = HistoryQuery()
        query.pageSize = HistoryQuery.maximumPageSize
        do throws(Problem) {
            var parameters = QueryParameters(filters)
            machine = try parameters.name("machine")
            try parameters.ledgerFilters(into: &query)
            query.isDescending = try parameters.isDescending()
            try parameters.finish()
        } catch {
            guard let fault = error.errors.first else {
                preconditionFailure("a filter that is refused without a rule: \(error.detail)")
            }
            throw Refusal(
                filter: String(fault.pointer.dropFirst("/query/".count)), rule: fault.detail)
        }
    }

    /// The next lines, each with its line feed; none where a stretch of the ledger had none of the
    /// entries asked for, nil at the end.
    ///
    /// - Parameter limit: lines, 1 or more.
    public func nextLines(limit: Int) throws(LedgerFailure) -> [[UInt8]]? {
        guard !isFinished else { return nil }
        if let machine {
            query.machines = try ids(ofMachine: machine)
            self.machine = nil
        }
        query.pageSize = min(limit, HistoryQuery.maximumPageSize)
        let page = try history.page(query)
        if query.isDescending { query.before = page.resume } else { query.after = page.resume }
        isFinished = page.resume == nil
        var lines: [[UInt8]] = []
        for entry in page.entries { lines.append(try line(entry)) }
        return lines
    }

    /// A name may have been given several times.
    private func ids(ofMachine name: String) throws(LedgerFailure) -> [MachineID] {
        var creations = HistoryQuery()
        creations.kind = .machineCreated
        creations.pageSize = HistoryQuery.maximumPageSize
        var ids: [MachineID] = []
        repeat {
            let page = try history.page(creations)
            creations.after = page.resume
            for entry in page.entries {
                if try self.name(of: entry.machine) == name { ids.append(entry.machine) }
            }
        } while creations.after != nil
        return ids
    }

    private func line(_ entry: LedgerEntry) throws(LedgerFailure) -> [UInt8] {
        let name = try name(of: entry.machine)
        var writer = JSONWriter(reserving: 1024)
        writer.value(entry, machine: name)
        return writer.take() + [UInt8(ascii: "\n")]
    }

    /// A machine's id is the entry that created it.
    private func name(of id: MachineID) throws(LedgerFailure) -> String {
        if let name = names[id] { return name }
        guard case .machineCreated(let name, _)? = try history.entry(at: id)?.event else {
            throw LedgerFailure(.corrupt, "entry \(id.rawValue): it creates no machine")
        }
        names[id] = name
        return name
    }
}
