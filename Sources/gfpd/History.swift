// gfpd history: the entries of a ledger as text, with a server beside it or none.

import API
import ArgumentParser
import Glibc
import Ledger
import SQLiteLedger

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the entries of a ledger, each as a line of JSON.",
        discussion: """
            Only reads, and may run beside a server. The filters are those of GET /v1/ledger, and \
            narrow each other. A server has an index of its ledger; this goes through all entries \
            between --after and --before, which takes some seconds for each million. Exit status \
            1, and the entry, where one is not what was written.
            """)

    @Argument(help: "Directory of the ledger.")
    var data: String

    @OptionGroup(title: "Filters")
    var filters: HistoryFilters

    @Flag(help: "The newest entry first.")
    var descending = false

    @Option(help: "Print so many entries at the most.")
    var limit: Int?

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }

    func run() throws {
        let listing = try listing()
        var left = limit ?? .max
        while left > 0, let lines = try next(of: listing, limit: left) {
            try print(Array(lines.joined()))
            left -= lines.count
        }
    }

    private func listing() throws -> HistoryListing {
        let history: SQLiteHistory
        do {
            history = try SQLiteHistory.open(directory: data)
        } catch {
            throw Failure("cannot read the ledger in \(data): \(error.detail)")
        }
        let sort = descending ? [(name: "sort", value: "desc")] : []
        do {
            return try HistoryListing(filters.given + sort, of: history)
        } catch {
            let option = error.filter.map { $0 == "_" ? "-" : $0 }
            throw ValidationError("--\(String(option)) \(error.rule)")
        }
    }

    private func next(
        of listing: HistoryListing, limit: Int
    ) throws(Failure) -> [[UInt8]]? {
        do {
            return try listing.nextLines(limit: limit)
        } catch {
            throw Failure("cannot read the ledger in \(data): \(error.detail)")
        }
    }

    private func print(_ text: [UInt8]) throws(Failure) {
        var rest = text[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
            }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                throw Failure("cannot print: \(unsafe String(cString: strerror(errno)))")
            }
        }
    }
}

/// Which entries; each option is the parameter of GET /v1/ledger of the same name.
struct HistoryFilters: ParsableArguments {
    @Option(help: "Of the machines of that name.")
    var machine: String?

    @Option(help: "machine_created, allocate, free, lease_expired …")
    var kind: String?

    @Option(help: "granted, refused or done.")
    var outcome: String?

    @Option(help: "Of allocations that were asked for with that owner.")
    var owner: String?

    @Option(help: "About the stored control of that name.")
    var control: String?

    @Option(help: "The node of the pages.")
    var node: String?

    @Option(help: "The zone of the pages: DMA, DMA32, Normal …")
    var zone: String?

    @Option(help: "The order of the block.")
    var order: String?

    @Option(help: "The block or run holds that page frame.")
    var pfn: String?

    @Option(help: "The grant of that id, and what renewed or freed it.")
    var allocation: String?

    @Option(help: "The request of that id.")
    var requestID: String?

    @Option(help: "At that time or after it, as 2026-11-22T10:02:03.000123Z.")
    var since: String?

    @Option(help: "Before that time.")
    var until: String?

    @Option(help: "After the entry of that sequence.")
    var after: String?

    @Option(help: "Before the entry of that sequence.")
    var before: String?

    /// By the names that the query has for them.
    var given: [(name: String, value: String)] {
        let all = [
            ("machine", machine), ("kind", kind), ("outcome", outcome), ("owner", owner),
            ("control", control), ("node", node), ("zone", zone), ("order", order), ("pfn", pfn),
            ("allocation", allocation), ("request_id", requestID), ("since", since),
            ("until", until), ("after", after), ("before", before),
        ]
        return all.compactMap { name, value in value.map { (name: name, value: $0) } }
    }
}
