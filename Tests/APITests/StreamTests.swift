// The ledger as Server-Sent Events: each entry once and in order, whatever of it is past and
// whatever comes meanwhile.

import Glibc
import Ledger
import Testing

@testable import API
@testable import HTTPServer

/// An event as a reader takes it apart (WHATWG HTML, section 9.2.6).
struct StreamEvent {
    var id: UInt64?
    var name = "message"
    var json = JSONValue.null

    /// The events of a whole stream; comments are left out.
    static func all(in text: String) throws -> [StreamEvent] {
        var events: [StreamEvent] = []
        for block in text.components("\n\n").dropLast() where !block.hasPrefix(":") {
            var event = StreamEvent()
            for line in block.components("\n") {
                let parts = line.components(": ")
                let value = parts.dropFirst().joined(separator: ": ")
                switch parts[0] {
                case "id": event.id = UInt64(value)
                case "event": event.name = value
                case "data": event.json = try JSONValue(Array(value.utf8))
                default: Issue.record("a field that no event has: \(line)")
                }
            }
            events.append(event)
        }
        return events
    }
}

struct StreamTests {
    private static let target = "/v1/ledger/stream"

    private func stream(
        _ harness: Harness, _ query: String = "", lastEventID: String? = nil
    ) throws -> ExchangeID {
        try harness.open(
            "GET", Self.target + (query.isEmpty ? "" : "?" + query),
            headers: lastEventID.map { [("Last-Event-ID", $0)] } ?? [])
    }

    /// Each stream's entries, once so many have come.
    private func entries(
        _ exchange: ExchangeID, _ harness: Harness, count: Int
    ) throws -> [StreamEvent] {
        try harness.turns { try events(exchange, harness).count >= count }
        return try events(exchange, harness)
    }

    private func events(_ exchange: ExchangeID, _ harness: Harness) throws -> [StreamEvent] {
        try StreamEvent.all(in: harness.openExchanges[exchange]?.text ?? "")
    }

    /// That the events are the entries of the ledger's list with the same filters.
    private func expectEntries(
        _ events: [StreamEvent], of harness: Harness, _ query: String
    ) throws {
        let items = try harness.items("/v1/ledger" + (query.isEmpty ? "" : "?" + query))
        #expect(events.allSatisfy { $0.name == "entry" })
        #expect(events.map(\.json) == items, "\(query)")
        #expect(events.map(\.id) == items.map { $0["sequence"]?.number })
    }

    @Test func theHeadSaysWhatItIs() throws {
        let harness = try Harness.withMachine()
        let exchange = try stream(harness)
        let head = try #require(harness.openExchanges[exchange]?.answer)
        #expect(head.status == 200)
        #expect(head["Content-Type"] == "text/event-stream")
        #expect(head["Cache-Control"] == "no-store")
        #expect(head["Gfpd-Sequence"] == "1")
        #expect(head["X-Request-Id"] != nil)
    }

    @Test func thePastAndThenWhatComes() throws {
        let harness = try Harness.withMachine(entriesScanned: 10)
        for _ in 0..<40 { try harness.allocate() }
        let exchange = try stream(harness)
        #expect(try entries(exchange, harness, count: 41).count == 41)
        for _ in 0..<40 { try harness.allocate("{\"labels\": {\"a\": \"\\u00e9\"}}") }
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/2")
        try expectEntries(try entries(exchange, harness, count: 82), of: harness, "")
        #expect(harness.openExchanges[exchange]?.hasEnded == false)
    }

    @Test func nothingIsSentBeforeItsCommit() throws {
        let harness = try Harness.withMachine()
        let exchange = try stream(harness)
        _ = try entries(exchange, harness, count: 1)
        let request = try Message("POST", "/v1/machines/m/allocations", body: "{}").request()
        harness.api.beginTurn()
        _ = harness.api.respond(to: request, exchange: harness.nextExchange())
        // Another thread has every chance to find the entry too early.
        usleep(50_000)
        for completion in harness.takeCompletions() where try !harness.isOfOpenExchange(completion)
        {
            Issue.record("something for nobody")
        }
        #expect(try events(exchange, harness).count == 1)
        try harness.api.endTurn()
        #expect(try entries(exchange, harness, count: 2).count == 2)
    }

    @Test func goingOnWhereItBrokeOff() throws {
        let harness = try Harness.withMachine(entriesScanned: 7)
        for _ in 0..<30 { try harness.allocate() }
        let whole = try stream(harness)
        let all = try entries(whole, harness, count: 31)
        for place in [0, 1, 17, 30, 31] {
            let id = all.prefix(place).last?.id ?? 0
            for exchange in [
                try stream(harness, "after=\(id)"), try stream(harness, lastEventID: "\(id)"),
                try stream(harness, "after=3", lastEventID: "\(id)"),
            ] {
                let events = try entries(exchange, harness, count: 31 - place)
                #expect(events.map(\.id) == all[place...].map(\.id))
                harness.abandon(exchange)
            }
        }
        // An id that is still to come.
        let future = try stream(harness, "after=33")
        for _ in 0..<4 { try harness.allocate() }
        #expect(try entries(future, harness, count: 2).map(\.id) == [34, 35])
    }

    static let filters = [
        "machine=m", "machine=other", "kind=free", "outcome=refused", "owner=o", "order=3",
        "zone=Normal&owner=o", "allocation=5", "request_id=r", "kind=allocate&after=20", "pfn=8192",
        "machine=nobody", "node=0&outcome=granted",
    ]

    @Test(arguments: filters)
    func filtersAreThoseOfTheList(query: String) throws {
        let harness = try Harness.withMachine(entriesScanned: 9)
        let early = try stream(harness, query)
        try write(to: harness)
        let middle = try stream(harness, query)
        try write(to: harness)
        let late = try stream(harness, query)
        let mark = try stream(harness, "after=\(harness.lastSequence)&kind=machine_deleted")
        try harness.createMachine("last")
        _ = try harness.send("DELETE", "/v1/machines/last")
        _ = try entries(mark, harness, count: 1)
        let count = try harness.items("/v1/ledger?" + query).count
        for exchange in [early, middle, late] {
            try expectEntries(
                try entries(exchange, harness, count: count), of: harness, query)
        }
    }

    private func write(to harness: Harness) throws {
        if try harness.send("GET", "/v1/machines/other").status == 404 {
            try harness.createMachine("other")
        }
        for number in 0..<8 {
            let owner = number % 3 == 0 ? "o" : "p"
            let answer = try harness.send(
                "POST", "/v1/machines/\(number % 2 == 0 ? "m" : "other")/allocations",
                "{\"owner\": \"\(owner)\", \"allocation_control\": {\"order\": \(number % 4)}}",
                headers: [("X-Request-Id", number == 4 ? "r" : "s")])
            let id = try #require(answer.json["id"]?.number)
            if number == 2 { _ = try harness.send("DELETE", "/v1/machines/m/allocations/\(id)") }
        }
        _ = try harness.send("DELETE", "/v1/machines/m/allocations/999")
    }

    @Test func aMachineOfALaterNameIsMeantToo() throws {
        let harness = try Harness.withMachine()
        let exchange = try stream(harness, "machine=n")
        for _ in 0..<2 {
            try harness.createMachine("n")
            try harness.allocate(on: "n")
            try harness.allocate()
            _ = try harness.send("DELETE", "/v1/machines/n?force=true")
        }
        try expectEntries(try entries(exchange, harness, count: 8), of: harness, "machine=n")
    }

    @Test(arguments: ["before=20", "before=20&owner=nobody", "before=1", "before=0"])
    func anEndInTheLedgerEndsTheStream(query: String) throws {
        let harness = try Harness.withMachine(entriesScanned: 6)
        for _ in 0..<8 { try harness.allocate() }
        let exchange = try stream(harness, query)
        for _ in 0..<20 { try harness.allocate() }
        try harness.turns { harness.openExchanges[exchange]?.hasEnded == true }
        try expectEntries(try events(exchange, harness), of: harness, query)
    }

    @Test func anEndInTimeEndsTheStream() throws {
        let harness = try Harness.withMachine()
        // Each look at the clock takes a second.
        let until = Harness.firstTime.adding(seconds: 20).text
        let exchange = try stream(harness, "until=\(until)")
        try harness.allocate()
        #expect(try entries(exchange, harness, count: 2).count == 2)
        #expect(harness.openExchanges[exchange]?.hasEnded == false)
        try harness.turns {
            try harness.allocate()
            return harness.openExchanges[exchange]?.hasEnded == true
        }
        try expectEntries(try events(exchange, harness), of: harness, "until=\(until)")
    }

    @Test func aStreamBeforeAnythingHappened() throws {
        let harness = try Harness()
        let exchange = try stream(harness)
        try harness.createMachine("m")
        #expect(try entries(exchange, harness, count: 1).map(\.id) == [1])
    }

    @Test func bookmarksAndComments() throws {
        var limits = StreamLimits()
        limits.commentInterval = .milliseconds(20)
        limits.bookmarkInterval = .milliseconds(30)
        let harness = try Harness.withMachine(streams: limits)
        for _ in 0..<5 { try harness.allocate() }
        let exchange = try stream(harness, "owner=nobody")
        try harness.turns {
            let text = harness.openExchanges[exchange]?.text ?? ""
            return try self.events(exchange, harness).count >= 3
                && text.contains(": keep-alive\n\n")
        }
        let events = try events(exchange, harness)
        #expect(events.allSatisfy { $0.name == "bookmark" })
        #expect(events.last?.id == 6)
        #expect(events.last?.json["sequence"]?.number == 6)
        // Who goes on after a bookmark misses nothing.
        try harness.allocate("{\"owner\": \"nobody\"}")
        let next = try stream(harness, "owner=nobody", lastEventID: "6")
        try harness.turns {
            try self.events(next, harness).contains { $0.name == "entry" && $0.id == 7 }
        }
    }

    private func hasCome(_ id: UInt64, _ exchange: ExchangeID, _ harness: Harness) -> Bool {
        let piece = String(
            decoding: harness.openExchanges[exchange]?.pieces.last ?? [], as: UTF8.self)
        return piece.contains("id: \(id)\n")
    }

    @Test func aReaderThatDoesNotReadGetsNoMoreThanIsOnItsWay() throws {
        let harness = try Harness.withMachine()
        let entries: UInt64 = 800
        let slow = try stream(harness)
        let fast = try stream(harness)
        for _ in 0..<entries { try harness.allocate("{\"owner\": \"o\"}") }
        var drained = 0
        try harness.turns {
            // The fast reader takes what there is, the slow one nothing.
            if harness.openExchanges[fast]?.pieces.count != drained {
                drained = harness.openExchanges[fast]?.pieces.count ?? 0
                harness.api.streamDrained(fast)
            }
            return hasCome(entries + 1, fast, harness)
        }
        let bytes = harness.openExchanges[slow]?.text.utf8.count ?? 0
        #expect(bytes > 0 && bytes < 4 * StreamLimits.bytesUnderWay)
        let first = try events(slow, harness)
        // It goes on where it stood.
        try harness.turns {
            harness.api.streamDrained(slow)
            return hasCome(entries + 1, slow, harness)
        }
        let all = try events(slow, harness)
        #expect(all.map(\.id) == (1...entries + 1).map(Optional.some))
        #expect(all.prefix(first.count).map(\.id) == first.map(\.id))
    }

    @Test func aReaderThatTakesTooLongIsCut() throws {
        var limits = StreamLimits()
        limits.patience = .milliseconds(50)
        let harness = try Harness.withMachine(streams: limits)
        for _ in 0..<500 { try harness.allocate() }
        let exchange = try stream(harness)
        try harness.turns { harness.openExchanges[exchange]?.isCut == true }
        #expect(harness.openExchanges[exchange]?.hasEnded == false)
        try harness.allocate()
    }

    @Test func thereAreOnlySoMany() throws {
        let harness = try Harness.withMachine()
        let all = try (0..<StreamLimits.maximumStreams).map { _ in try stream(harness) }
        let answer = try harness.send("GET", Self.target)
        expectProblem(answer, 503, "unavailable")
        #expect(answer["Retry-After"] == String(StreamLimits.secondsToRetry))
        harness.abandon(all[0])
        let exchange = try stream(harness)
        #expect(try entries(exchange, harness, count: 1).count == 1)
        // One that has ended is one less.
        harness.abandon(all[1])
        let ended = try stream(harness, "before=1")
        try harness.turns { harness.openExchanges[ended]?.hasEnded == true }
        _ = try stream(harness)
    }

    @Test func headIsTheHeadAlone() throws {
        let harness = try Harness.withMachine()
        for _ in 0...StreamLimits.maximumStreams {
            let exchange = try harness.open("HEAD", Self.target)
            #expect(harness.openExchanges[exchange]?.answer?.status == 200)
        }
        try harness.allocate()
        #expect(harness.openExchanges.values.allSatisfy { $0.pieces.isEmpty })
    }

    @Test(
        arguments: [
            ("page_size=3", "/query/page_size"), ("sort=desc", "/query/sort"),
            ("page_token=x", "/query/page_token"), ("after=-1", "/query/after"),
            ("kind=x", "/query/kind"), ("at=1", "/query/at"),
        ])
    func parametersThatAreNone(query: String, pointer: String) throws {
        let harness = try Harness.withMachine()
        expectProblem(
            try harness.send("GET", "\(Self.target)?\(query)"), 400, "invalid-request", at: pointer)
    }

    @Test(arguments: ["x", "-1", "0x1", "9223372036854775808", "1, 2"])
    func idsThatAreNone(id: String) throws {
        let harness = try Harness.withMachine()
        expectProblem(
            try harness.send("GET", Self.target, headers: [("Last-Event-ID", id)]), 400,
            "invalid-request", at: "/header/Last-Event-ID")
    }

    @Test func whoWantsNoEventsGetsNone() throws {
        let harness = try Harness.withMachine()
        expectProblem(
            try harness.send("GET", Self.target, headers: [("Accept", "application/json")]), 406,
            "not-acceptable")
        let exchange = try harness.open(
            "GET", Self.target, headers: [("Accept", "text/event-stream")])
        #expect(try entries(exchange, harness, count: 1).count == 1)
    }
}
