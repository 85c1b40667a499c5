// The parameters of a path's query. Each has a reader below that names it, and the rule it breaks;
// what nobody reads is refused, so that a misspelled filter never reads as no filter.

import AllocationService
import HTTPServer
import Ledger
import PageAllocator

struct QueryParameters {
    private var items: [(name: String, value: String)]

    init(_ request: borrowing HTTPRequest) throws(Problem) {
        do {
            items = try request.queryItems()
        } catch {
            throw Problem(error)
        }
        for (position, item) in items.enumerated()
        where items[..<position].contains(where: { $0.name == item.name }) {
            throw Problem(at: Self.pointer(item.name), "must not be given more than once")
        }
    }

    /// Parameters that come otherwise than in a path, each once.
    init(_ items: [(name: String, value: String)]) {
        self.items = items
    }

    /// The parameters that were given and not read are none.
    func finish() throws(Problem) {
        if let unknown = items.first {
            throw Problem(at: Self.pointer(unknown.name), "is not a parameter of this path")
        }
    }

    /// The pointer to a parameter of any name (RFC 6901, section 3).
    private static func pointer(_ name: String) -> String {
        "/query/" + name.replacing("~", with: "~0").replacing("/", with: "~1")
    }

    /// The parameters not read yet, in the order of their names.
    var unread: [(name: String, value: String)] { items.sorted { $0.name < $1.name } }

    mutating func text(_ name: String) -> String? {
        guard let position = items.firstIndex(where: { $0.name == name }) else { return nil }
        return items.remove(at: position).value
    }

    /// A text that may stand in an entry.
    mutating func text(_ name: String, upTo bytes: Int) throws(Problem) -> String? {
        guard let text = text(name) else { return nil }
        guard (1...bytes).contains(text.utf8.count) else {
            throw Problem(at: "/query/" + name, "must be 1 to \(bytes) bytes")
        }
        return text
    }

    /// A machine's or a control's name.
    mutating func name(_ name: String) throws(Problem) -> String? {
        guard let text = text(name) else { return nil }
        guard isResourceName(text) else { throw Problem(at: "/query/" + name, resourceNameRule) }
        return text
    }

    /// A flag is `true`, `false`, or the bare name.
    mutating func flag(_ name: String) throws(Problem) -> Bool {
        switch text(name) {
        case nil, "false": false
        case "true", "": true
        default: throw Problem(at: "/query/" + name, "must be true or false")
        }
    }

    mutating func number(_ name: String, in range: ClosedRange<UInt64>) throws(Problem) -> UInt64? {
        guard let text = text(name) else { return nil }
        guard let number = UInt64(spelled: text), range.contains(number) else {
            throw Problem(
                at: "/query/" + name,
                "must be an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    mutating func time(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = text(name) else { return nil }
        guard let time = Timestamp(text: text) else {
            throw Problem(
                at: "/query/" + name, "must be a time like 2026-11-22T10:02:03.000123Z")
        }
        return time
    }

    /// `at`: which state is asked for; nil for the present one.
    mutating func moment() throws(Problem) -> Moment? {
        guard let text = text("at") else { return nil }
        if let number = UInt64(spelled: text), number <= Int64.max {
            return .sequence(Sequence(number))
        }
        guard let time = Timestamp(text: text) else {
            throw Problem(
                at: "/query/at",
                "must be a ledger sequence, or a time like 2026-11-22T10:02:03.000123Z")
        }
        return .time(time)
    }

    /// One of a closed set of words.
    mutating func word<Value>(
        _ name: String, among values: [(String, Value)]
    ) throws(Problem) -> Value? {
        guard let text = text(name) else { return nil }
        guard let value = values.first(where: { $0.0 == text })?.1 else {
            let words = values.map(\.0).joined(separator: ", ")
            throw Problem(at: "/query/" + name, "must be one of \(words)")
        }
        return value
    }

    mutating func pageSize() throws(Problem) -> Int {
        let largest = UInt64(HistoryQuery.maximumPageSize)
        return try number("page_size", in: 1...largest).map { Int($0) } ?? 100
    }
}

extension QueryParameters {
    /// The filters that the ledger and the allocations have in common.
    mutating func filters(into query: inout HistoryQuery) throws(Problem) {
        query.owner = try text("owner", upTo: ServiceLimits.ownerBytes)
        query.controlName = try name("control")
        query.node = try number("node", in: 0...UInt64(NodeID.limit - 1)).flatMap {
            NodeID(Int($0))
        }
        query.zone = try word("zone", among: ZoneType.allCases.map { ($0.name, $0) })
        query.order = try number("order", in: 0...UInt64(Order.max.rawValue))
            .flatMap { Order(Int($0)) }
        query.pfn = try number("pfn", in: 0...(PageFrameNumber.limit.rawValue - 1))
            .map(PageFrameNumber.init)
        query.requestID = try text("request_id", upTo: ServiceLimits.requestIDLength)
        query.since = try time("since")
        query.until = try time("until")
        query.after = try sequence("after")
        query.before = try sequence("before")
    }

    /// Those of the ledger, but for the machine.
    mutating func ledgerFilters(into query: inout HistoryQuery) throws(Problem) {
        query.kind = try word("kind", among: LedgerKind.allCases.map { ($0.name, $0) })
        query.outcome = try word("outcome", among: LedgerOutcome.allCases.map { ($0.name, $0) })
        query.allocation = try number("allocation", in: 1...UInt64(Int64.max))
            .map(AllocationID.init)
        try filters(into: &query)
    }

    mutating func sequence(_ name: String) throws(Problem) -> Sequence? {
        try number(name, in: 0...UInt64(Int64.max)).map(Sequence.init)
    }

    /// `sort=desc`: newest first.
    mutating func isDescending(unlessGiven: Bool = false) throws(Problem) -> Bool {
        try word("sort", among: [("asc", false), ("desc", true)]) ?? unlessGiven
    }
}
