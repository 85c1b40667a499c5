// Acknowledged means durable: the server is killed under load, again and again, at times while it
// closes its ledger or recovers, and what it had answered is held against what it says afterwards.

import Foundation
import Synchronization
import Testing

@Suite(.serialized) struct KillTests {
    /// `$GFPD_KILL_CYCLES`, which `make soak` sets.
    static let cycles =
        ProcessInfo.processInfo.environment["GFPD_KILL_CYCLES"].flatMap { Int($0) } ?? 200
    static let clients = 6

    /// How many requests a server lives for, however long they take it, and how long after that. A
    /// life of a fixed time would hold few requests where the machine is busy.
    static let lives = 40...160
    static let afterwardsMicroseconds: ClosedRange<UInt32> = 0...3_000

    /// Of so many deaths one comes while the server closes its ledger, and so many are followed by
    /// one of a server that recovers; and how long either of these lives.
    static let closingCycles = 5
    static let recoveringCycles = 4
    static let closingMicroseconds: ClosedRange<UInt32> = 0...4_000
    static let recoveringMicroseconds: ClosedRange<UInt32> = 0...40_000

    /// What takes longer is taken for a hang.
    static let patienceSeconds = 60.0

    /// 64 MiB on two nodes, with three kinds of zone.
    static let topology = """
        {"nodes": [
            {"id": 0, "cpus": [0, 1], "memory": [{"start": "0x0", "end": "0x2ffffff"}]},
            {"id": 1, "cpus": [2, 3], "memory": [{"start": "0x3000000", "end": "0x3ffffff"}]}],
         "zones": {"DMA": "0xffffff", "DMA32": "0x1ffffff"}}
        """

    @Test func nothingAcknowledgedIsLost() throws {
        let scratch = try ScratchDirectory()
        let data = scratch.path("data")
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var tally = Tally()

        var server = try Server(data: data, scratch: scratch)
        var model = try Self.createMachine(server)
        for cycle in 1...Self.cycles {
            let dying = random.next()
            let operations = try Self.load(server, cycle, model, &random) { server in
                try Self.end(server, cycle, seed: dying)
            }
            if cycle % Self.recoveringCycles == 0 {
                try Self.killWhileItRecovers(data, scratch, &random)
            }
            server = try Server(data: data, scratch: scratch)
            do {
                try Self.check(server, operations, &model, &tally)
            } catch {
                Issue.record("seed \(seed), cycle \(cycle): \(error)")
                return
            }
        }
        #expect(try server.stop() == .exited(0))
        print("kill -9, seed \(seed): \(tally)")
        // A server that does nothing passes every check above.
        #expect(tally.granted > Self.cycles * 10)
        #expect(tally.freed > Self.cycles * 5)
        #expect(tally.refused > 0)
        #expect(tally.cyclesWithRequestsInFlight > Self.cycles / 2)
    }

    /// What happened in all cycles.
    struct Tally {
        var granted = 0
        var freed = 0
        var refused = 0

        /// Requests without an answer, and how many of them the ledger has.
        var unanswered = 0
        var unansweredRecorded = 0
        var cyclesWithRequestsInFlight = 0
    }

    static func createMachine(_ server: Server) throws -> LedgerModel {
        let answer = try server.client().post("/v1/machines?name=\(LoadClient.machine)", topology)
        try #require(answer.status == 201, "\(answer.text)")
        return LedgerModel(after: try #require(answer.json["sequence"].int))
    }

    /// Keeps a server busy until it ends: what was asked, and what was answered.
    ///
    /// - Parameter end: is called after a while, and ends it.
    static func load(
        _ server: Server, _ cycle: Int, _ model: LedgerModel, _ random: inout SeededGenerator,
        _ end: (Server) throws -> Void
    ) throws -> [LoadOperation] {
        let clients = (0..<clients).map { number in
            let owner = "client-\(number)"
            let held = model.grants.values.filter { $0.owner == owner }
                .sorted { $0.id < $1.id }
                .map {
                    HeldGrant(
                        id: $0.id, pfn: $0.pfn, order: $0.order, isCompound: $0.isCompound,
                        isWhole: $0.isWhole)
                }
            return LoadClient(
                owner: owner, port: server.port, cycle: cycle, held: held, seed: random.next())
        }
        let failures = Mutex<[String]>([])
        let finished = DispatchGroup()
        for client in clients {
            finished.enter()
            Thread {
                do {
                    try client.run()
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
                finished.leave()
            }.start()
        }
        let life = Int.random(in: lives, using: &random)
        let deadline = Date(timeIntervalSinceNow: patienceSeconds)
        while clients.reduce(0, { $0 + $1.operations.count }) < life, Date() < deadline {
            usleep(500)
        }
        try end(server)
        finished.wait()
        #expect(failures.withLock { $0 } == [])
        return clients.flatMap(\.operations)
    }

    private static func end(_ server: Server, _ cycle: Int, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        usleep(UInt32.random(in: afterwardsMicroseconds, using: &random))
        if cycle % closingCycles == 0 {
            try killWhileItCloses(server, &random)
        } else {
            try server.kill()
        }
    }

    /// Tells it to stop, upon which it copies its log into the database, and does not wait.
    private static func killWhileItCloses(
        _ server: Server, _ random: inout SeededGenerator
    ) throws {
        server.process.send(SIGTERM)
        usleep(UInt32.random(in: closingMicroseconds, using: &random))
        server.process.send(SIGKILL)
        let end = try server.process.waitForEnd()
        #expect([.exited(0), .signalled(SIGKILL)].contains(end))
    }

    /// Starts a server on what is left, and does not wait until it is ready.
    private static func killWhileItRecovers(
        _ data: String, _ scratch: ScratchDirectory, _ random: inout SeededGenerator
    ) throws {
        let process = try ChildProcess(
            GFPD.binary(), ["serve", "--port", "0", "--data", data], scratch: scratch.url)
        usleep(UInt32.random(in: recoveringMicroseconds, using: &random))
        process.send(SIGKILL)
        #expect(try process.waitForEnd() == .signalled(SIGKILL))
    }

    static func check(
        _ server: Server, _ operations: [LoadOperation], _ model: inout LedgerModel,
        _ tally: inout Tally
    ) throws {
        let client = try server.client()
        var entries: [String: JSONValue] = [:]
        for entry in try newEntries(client, after: model.lastSequence) {
            try model.append(entry)
            let requestID = entry["request_id"].string ?? ""
            guard entries.updateValue(entry, forKey: requestID) == nil else {
                throw Contradiction("request \(requestID) has two entries")
            }
        }
        let unanswered = operations.count { $0.outcome == .unanswered }
        tally.unanswered += unanswered
        if unanswered > 0 { tally.cyclesWithRequestsInFlight += 1 }
        for operation in operations {
            let entry = entries.removeValue(forKey: operation.requestID)
            try check(operation, entry, &tally)
        }
        guard entries.isEmpty else {
            throw Contradiction("entries that nobody asked for: \(entries.keys.sorted())")
        }
        try checkState(client, model)
    }

    private static func newEntries(
        _ client: HTTPClient, after sequence: Int
    ) throws -> [JSONValue] {
        try allItems(client, "/v1/ledger?page_size=1000&after=\(sequence)")
    }

    /// The items of all pages of a list.
    private static func allItems(_ client: HTTPClient, _ target: String) throws -> [JSONValue] {
        var items: [JSONValue] = []
        var page = try client.get(target).json
        while true {
            items += page["items"].array
            guard let token = page["next_page_token"].string else { return items }
            page = try client.get("\(target)&page_token=\(token)").json
        }
    }

    /// Holds what was answered against the ledger.
    private static func check(
        _ operation: LoadOperation, _ entry: JSONValue?, _ tally: inout Tally
    ) throws(Contradiction) {
        let outcome = operation.outcome
        guard let entry else {
            guard outcome == .unanswered else {
                throw Contradiction("lost: \(operation)")
            }
            return
        }
        let isAllocation = if case .allocate = operation.request { true } else { false }
        guard entry["kind"].string == (isAllocation ? "allocate" : "free") else {
            throw Contradiction("\(operation) is recorded as something else")
        }
        let holds: Bool
        switch outcome {
        case .granted(let id, let pfn):
            tally.granted += 1
            holds =
                entry["sequence"].int == id && entry["pfn"].int == pfn
                && entry["outcome"].string == "granted" && matches(operation.request, entry)
        case .freed(let sequence, let allocation, let pages):
            tally.freed += 1
            holds =
                entry["sequence"].int == sequence && entry["allocation"].int == allocation
                && entry["pages"].int == pages && entry["outcome"].string == "done"
        case .refused(_, let sequence):
            tally.refused += 1
            holds = entry["sequence"].int == sequence && entry["outcome"].string == "refused"
        case .unanswered:
            tally.unansweredRecorded += 1
            holds = true
        }
        guard holds else { throw Contradiction("\(operation) is recorded otherwise") }
    }

    /// Whether a grant is what was asked for.
    private static func matches(_ request: LoadOperation.Request, _ entry: JSONValue) -> Bool {
        guard case .allocate(let order, let low, let high, let isCompound, false) = request else {
            return false
        }
        let control = entry["allocation_control"]
        return entry["order"].int == order && entry["compound"].bool == (isCompound && order > 0)
            && control["low_boundary"].address == UInt64(low)
            && control["high_boundary"].address == UInt64(high)
    }

    /// Holds what is live now against the ledger.
    private static func checkState(_ client: HTTPClient, _ model: LedgerModel) throws {
        let path = "/v1/machines/" + LoadClient.machine
        let live = try allItems(client, path + "/allocations?page_size=1000")
        guard live.count == model.grants.count else {
            throw Contradiction("\(live.count) grants live, \(model.grants.count) should")
        }
        for allocation in live { try model.compare(allocation) }
        let answer = try client.get(path)
        let totals = answer.json["totals"]
        guard let managed = totals["managed_pages"].int,
            totals["granted_pages"].int == model.heldPages,
            totals["free_pages"].int == managed - model.heldPages,
            totals["live_allocations"].int == model.grants.count,
            answer.fields["gfpd-sequence"] == String(model.lastSequence)
        else { throw Contradiction("the totals are \(totals)") }
    }
}
