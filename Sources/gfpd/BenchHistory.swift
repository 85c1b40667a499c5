// gfpd bench history: how fast questions about the past are answered in a long ledger, and what
// its length costs.
//
// The ledger is made by the service itself, without HTTP: allocations of mixed orders for many
// owners and frees in random order, a thousand to a commit, while the history's background work
// follows on a thread of its own as it does in a server. Then each filter is asked for the values
// of entries drawn at random, from the beginning and from the middle.

import AllocationService
import ArgumentParser
import Dispatch
import Glibc
import Ledger
import PageAllocator
import SQLiteLedger
import Synchronization

struct BenchHistory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Measure history in a ledger of many entries: rates, sizes, answers.")

    @Option(help: "Entries of the ledger that is made.")
    var entries = 2_000_000

    @Option(help: "Questions for each filter.")
    var questions = 300

    @Option(help: "Folder on the disk to measure.")
    var directory = "/var/tmp"

    @Flag(help: "Leave the ledger there, and say where.")
    var keep = false

    @Option(help: "Ask an existing ledger, which no server may have open, instead of making one.")
    var ledger: String?

    func validate() throws {
        guard (10_000...1_000_000_000).contains(entries) else {
            throw ValidationError("--entries takes 10000 to 1000000000")
        }
        guard (1...100_000).contains(questions) else {
            throw ValidationError("--questions takes 1 to 100000")
        }
    }

    func run() throws {
        if let ledger {
            try measure(ledger, Follower(directory: ledger))
            return
        }
        let folder = try BenchFolder(in: directory)
        defer {
            if keep {
                print("The ledger is in \(folder.path)/ledger.")
            } else {
                folder.remove()
            }
        }
        let path = folder.path + "/ledger"
        let follower = try fill(path)
        try measure(path, follower)
    }

    private func fill(_ path: String) throws -> Follower {
        let ledger = try SQLiteLedger.open(directory: path)
        var life = try BenchLife(ledger)
        let follower = Follower(directory: path)
        var rates = InsertRates(entries: entries)
        while life.entries < entries {
            try life.advance(by: BenchLife.entriesPerCommit)
            rates.note(entries: life.entries)
        }
        rates.print()
        try ledger.close()
        return follower
    }

    private func measure(_ path: String, _ follower: Follower) throws {
        let clock = ContinuousClock()
        let end = clock.now
        let history = try follower.finish()
        print("All is indexed \(clock.now - end) after the last entry was durable.")
        let last = try history.head().sequence.rawValue
        for file in ["gfpd.db", "history.db"] {
            let bytes = Self.size(of: "\(path)/\(file)")
            print("\(file): \(bytes) bytes, \(bytes / last) an entry.")
        }
        print("\n| question | first page p50 | p99 | middle page p50 | p99 | entries a page |")
        print("|---|---|---|---|---|---|")
        var random = SplitMix64(seed: 1)
        for filter in BenchFilter.allCases {
            let first = try times(filter, history, last, isMiddle: false, &random)
            let middle = try times(filter, history, last, isMiddle: true, &random)
            print(
                "| \(filter.rawValue) | \(first.p50) | \(first.p99) | \(middle.p50) "
                    + "| \(middle.p99) | \(first.entries) |")
            fflush(nil)
        }
    }

    private func times(
        _ filter: BenchFilter, _ history: SQLiteHistory, _ last: UInt64, isMiddle: Bool,
        _ random: inout SplitMix64
    ) throws -> AnswerTimes {
        var times: [Duration] = []
        var found = 0
        let clock = ContinuousClock()
        var draws = 0
        while times.count < questions, draws < Self.draws {
            draws += 1
            let sequence = Sequence(UInt64.random(in: 1...last, using: &random))
            var query = HistoryQuery()
            query.isDescending = Bool.random(using: &random)
            guard let entry = try history.entry(at: sequence), filter.set(&query, like: entry)
            else { continue }
            if isMiddle {
                let place = Sequence(UInt64.random(in: last / 4...last / 4 * 3, using: &random))
                if query.isDescending { query.before = place } else { query.after = place }
            }
            let start = clock.now
            let page = try history.page(query)
            times.append(clock.now - start)
            found += page.entries.count
        }
        return AnswerTimes(times, entries: found / max(times.count, 1))
    }

    /// Entries drawn at the most until enough of them have a value to ask for.
    private static let draws = 100_000

    private static func size(of path: String) -> UInt64 {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? UInt64(status.st_size) : 0
    }
}

/// What is asked for.
private enum BenchFilter: String, CaseIterable {
    case nothing, machine, kind, outcome, owner, control, node, zone, order, pfn, allocation
    case requestID = "request_id"
    case time = "since"
    case pageHistory = "a page's history"
    case ownerAndKind = "owner, kind"
    case refusedOfOwner = "owner, refused"
    case zoneAndOrder = "zone, order, free"

    /// Asks for an entry's value; false where it has none.
    func set(_ query: inout HistoryQuery, like entry: LedgerEntry) -> Bool {
        let facts = EntryFacts(entry)
        switch self {
        case .nothing: return true
        case .machine: query.machines = [entry.machine]
        case .kind: query.kind = entry.kind
        case .outcome: query.outcome = entry.outcome
        case .owner: query.owner = facts.owner
        case .control: query.controlName = facts.controlName
        case .node: query.node = facts.node
        case .zone: query.zone = facts.zone
        case .order: query.order = facts.order
        case .pfn: query.pfn = facts.pfn
        case .allocation: query.allocation = facts.allocation
        case .requestID: query.requestID = entry.requestID
        case .time: query.since = entry.time
        case .pageHistory: (query.machines, query.pfn) = ([entry.machine], facts.pfn)
        case .ownerAndKind: (query.owner, query.kind) = (facts.owner, .allocate)
        case .refusedOfOwner: (query.owner, query.outcome) = (facts.owner, .refused)
        case .zoneAndOrder:
            (query.zone, query.order, query.kind) = (facts.zone, facts.order, .free)
        }
        switch self {
        case .owner, .ownerAndKind, .refusedOfOwner: return facts.owner != nil
        case .control: return facts.controlName != nil
        case .node, .zone: return facts.zone != nil
        case .order: return facts.order != nil
        case .pfn, .pageHistory: return facts.pfn != nil
        case .allocation: return facts.allocation != nil
        case .zoneAndOrder: return facts.zone != nil && facts.order != nil
        case .nothing, .machine, .kind, .outcome, .requestID, .time: return true
        }
    }
}

/// Milliseconds, with two digits.
private struct AnswerTimes {
    let p50: String
    let p99: String

    /// On a page, on average.
    let entries: Int

    init(_ times: [Duration], entries: Int) {
        let sorted = times.sorted()
        func time(atPercent percent: Int) -> String {
            guard !sorted.isEmpty else { return "none" }
            let time = sorted[min(sorted.count * percent / 100, sorted.count - 1)]
            let hundredths = Int(time / .microseconds(10))
            let digits = String(hundredths % 100 + 100).dropFirst()
            return "\(hundredths / 100).\(digits) ms"
        }
        p50 = time(atPercent: 50)
        p99 = time(atPercent: 99)
        self.entries = entries
    }
}

/// Entries a second near the first million and near the end.
private struct InsertRates {
    private let entries: Int
    private let clock = ContinuousClock()
    private var marks: [(entries: Int, time: ContinuousClock.Instant)] = []

    /// Entries over which a rate is measured, at the most.
    private static let span = 500_000

    init(entries: Int) {
        self.entries = entries
        marks = [(0, clock.now)]
    }

    mutating func note(entries: Int) {
        let last = marks[marks.count - 1].entries
        if entries - last >= min(Self.span, self.entries / 4) { marks.append((entries, clock.now)) }
    }

    func print() {
        let rates = zip(marks, marks.dropFirst()).map { from, to in
            Double(to.entries - from.entries) / ((to.time - from.time) / .seconds(1))
        }
        guard let last = rates.last else { return }
        let early = marks.dropFirst().firstIndex { $0.entries >= 1_000_000 } ?? 1
        let first = rates[early - 1]
        let end = marks[marks.count - 1].entries
        Swift.print(
            "Inserted \(Int(first)) entries/s up to entry \(marks[early].entries), \(Int(last)) up "
                + "to \(end): \((last / first * 100).rounded() / 100) of it.")
    }
}

/// Random allocations and frees, all of them valid.
private struct BenchLife {
    static let entriesPerCommit = 1000

    private let service: AllocationService
    private let machine: SimulatedMachine
    private var random = SplitMix64(seed: 7)
    private var live: [AllocationID] = []

    /// Live grants between which the number goes up and down.
    private static let maximumLive = 1_000_000

    /// Stored controls; one allocation in four names one.
    private static let controls = 32

    var entries: Int { Int(service.state.lastSequence.rawValue) }

    /// 64 GiB on two nodes.
    init(_ ledger: SQLiteLedger) throws {
        service = try AllocationService(ledger: ledger, clock: wallClock)
        let nodes = [0, 1].compactMap { NodeID($0) }.map { node in
            let first = UInt64(node.rawValue) << 35
            return Topology.Node(
                id: node, cpus: [node.rawValue],
                memory: [AddressRange(first: first, last: first + (1 << 35) - 1)])
        }
        machine = try service.createMachine(
            named: "bench", Machine(topology: Topology(nodes: nodes)),
            for: .init(requestID: "bench"))
        for number in 0..<Self.controls {
            _ = try service.putControl(
                named: "driver-\(number)", AllocationControl(flags: .kernel, order: .zero),
                on: machine, for: .init(requestID: "bench"))
        }
    }

    mutating func advance(by count: Int) throws {
        for _ in 0..<count {
            let isFull = live.count >= Self.maximumLive
            if live.isEmpty || !isFull && Int.random(in: 0..<100, using: &random) < 55 {
                try allocate()
            } else {
                let index = Int.random(in: 0..<live.count, using: &random)
                let id = live[index]
                live[index] = live[live.count - 1]
                live.removeLast()
                _ = try service.free(.allocation(id), on: machine, for: caller())
            }
        }
        try service.commit()
        try service.housekeep()
    }

    private mutating func allocate() throws {
        var control = AllocationControl(
            flags: Bool.random(using: &random) ? .kernel : [.kernel, .movable],
            order: Order(min(random.next().trailingZeroBitCount, 10)) ?? .zero)
        control.node = NodeID(Int.random(in: 0...1, using: &random))
        // A request in fifty wants what no zone has.
        if Int.random(in: 0..<50, using: &random) == 0 { control.highBoundary = 4095 }
        let driver = Int.random(in: 0..<4 * Self.controls, using: &random)
        let record = AllocationRecord(
            controlName: driver < Self.controls ? "driver-\(driver)" : nil,
            request: AllocationRequest(control: control),
            dialect: machine.allocator.machine.dialect,
            owner: "task:\(Int.random(in: 1...100_000, using: &random))")
        do throws(ServiceFailure) {
            let entry = try service.allocate(record, on: machine, for: caller())
            live.append(AllocationID(entry.sequence.rawValue))
        } catch {
            guard case .refused = error else { throw error }
        }
    }

    private mutating func caller() -> AllocationService.Caller {
        .init(requestID: "7c3e91-" + String(service.state.lastSequence.rawValue + 1, radix: 16))
    }
}

/// The history's background work on a thread of its own, as a server does it. What it opened is
/// handed over when it has caught up.
private final class Follower: @unchecked Sendable {
    private let directory: String
    private let isStopping = Mutex(false)
    private let done = DispatchSemaphore(value: 0)
    private var result: Result<SQLiteHistory, LedgerFailure>?

    /// As the server's history thread has.
    private static let niceness: Int32 = 10

    /// How long it waits where there is nothing to do, in microseconds.
    private static let pause: UInt32 = 2000

    init(directory: String) {
        self.directory = directory
        DispatchQueue.global().async { [self] in
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
            result = Result { () throws(LedgerFailure) in try follow() }
            done.signal()
        }
    }

    private func follow() throws(LedgerFailure) -> SQLiteHistory {
        let history = try SQLiteHistory.open(directory: directory)
        while true {
            // Looked at first, so that what was committed before it was told to stop is seen.
            let isLast = isStopping.withLock { $0 }
            while try history.housekeep() {}
            if isLast { return history }
            usleep(Self.pause)
        }
    }

    /// Waits until all that is committed has been followed.
    func finish() throws -> SQLiteHistory {
        isStopping.withLock { $0 = true }
        done.wait()
        guard let result else { preconditionFailure("a thread ended without a result") }
        return try result.get()
    }
}

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators.
private struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }
}
