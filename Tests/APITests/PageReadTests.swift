// One page: who holds it, what it is part of when nobody does, and who held it before.

import TestSupport
import Testing

struct PageReadTests {
    private let harness: Harness

    init() throws {
        harness = try Harness.withMachine()
    }

    private func page(_ pfn: UInt64, _ query: String = "") throws -> Answer {
        try harness.send("GET", "/v1/machines/m/pages/\(pfn)\(query)")
    }

    private func sequences(_ answer: Answer) -> [UInt64] {
        (answer.json["history"]?.elements ?? []).compactMap { $0["sequence"]?.number }
    }

    @Test func aPageOfABlock() throws {
        try harness.send("PUT", "/v1/machines/m/controls/c", "{\"order\":2}")
        let grant = try harness.allocate(
            "{\"control\":\"c\",\"additional_flags\":\"__GFP_COMP\",\"owner\":\"o\"}")
        let first = try #require(grant["pfn"]?.number)
        for pfn in first..<first + 4 {
            let answer = try page(pfn)
            #expect(answer.status == 200)
            #expect(answer["ETag"] == "\"3\"")
            let json = answer.json
            #expect(json["pfn"] == .unsigned(pfn))
            #expect(json["address"] == .string("0x" + String(pfn << 12, radix: 16)))
            #expect(json["node"] == grant["node"] && json["zone"] == grant["zone"])
            #expect(json["pageblock_type"] == "Movable" || json["pageblock_type"] == "Unmovable")
            #expect(json["state"] == "granted")
            #expect(json["free_block"] == nil)
            let holder = try #require(json["holder"])
            #expect(holder["allocation"] == 3)
            #expect(holder["pfn"] == .unsigned(first))
            #expect(holder["order"] == 2 && holder["pages"] == 4)
            #expect(holder["owner"] == "o" && holder["control"] == "c")
            #expect(holder["compound"] == true)
            #expect(holder["since"] == grant["granted_at"])
            #expect(sequences(answer) == [3])
        }
    }

    @Test func aPageOfARun() throws {
        let grant = try harness.allocate("{\"allocation_control\":{\"pages\":5}}")
        let first = try #require(grant["pfn"]?.number)
        let answer = try page(first + 4)
        #expect(answer.json["holder"]?["order"] == .null)
        #expect(answer.json["holder"]?["pages"] == 5)
        #expect(sequences(answer) == [2])
        #expect(sequences(try page(first + 5)) == [])
        try harness.send("POST", "/v1/machines/m/pages/\(first + 4)/free")
        let freed = try page(first + 4)
        #expect(freed.json["state"] == "free" && freed.json["holder"] == nil)
        #expect(sequences(freed) == [3, 2])
        #expect(try page(first).json["holder"]?["allocation"] == 2)
    }

    /// On the empty machine, each page is part of the block that buddyinfo counts.
    @Test func aFreePage() throws {
        for pfn: UInt64 in [4096, 5119, 8192, 10_239] {
            let json = try page(pfn).json
            #expect(json["state"] == "free" && json["holder"] == nil)
            #expect(json["free_block"]?["pfn"] == .unsigned(pfn & ~1023))
            #expect(json["free_block"]?["order"] == 10)
            #expect(json["free_block"]?["pages"] == 1024)
            #expect(json["free_block"]?["migratetype"] == "Movable")
        }
        #expect(try page(1).json["free_block"]?["order"] == 0)
        #expect(try page(2).json["free_block"]?["order"] == 1)
    }

    @Test func whatIsNoPageSaysWhatIsKnown() throws {
        let topology = """
            {"nodes": [{"id": 0, "memory": [{"start": "0x1000", "end": "0x7fffff"},
              {"start": "0x900000", "end": "0xffffff"},
              {"start": "0x1800000", "end": "0x1ffffff"}]}],
             "reserved": [{"start": "0x9f000", "end": "0xfffff"}],
             "zones": {"DMA": "0xffffff", "DMA32": null}}
            """
        try harness.send("POST", "/v1/machines?name=r", topology)
        for (pfn, reason, zone) in [
            (0x9f, "reserved", "DMA"), (0xff, "reserved", "DMA"), (0x850, "hole", "DMA"),
            (0, "beyond_memory", nil),
            (0x17ff, "beyond_memory", nil), (0x2000, "beyond_memory", nil),
        ] as [(Int, String, String?)] {
            let answer = try harness.send("GET", "/v1/machines/r/pages/\(pfn)")
            expectProblem(answer, 404, "page-not-found", "\(pfn)")
            #expect(answer.json["pfn"] == .unsigned(UInt64(pfn)))
            #expect(answer.json["reason"] == .string(reason), "\(pfn): \(answer.body)")
            #expect(answer.json["zone"] == zone.map { .string($0) }, "\(pfn)")
        }
        for bad in ["x", "-1", "4503599627370496"] {
            expectProblem(
                try harness.send("GET", "/v1/machines/m/pages/\(bad)"), 400, "invalid-request",
                at: "/path/pfn", bad)
        }
        #expect(try harness.send("GET", "/v1/machines/m/pages/0x1000").json["pfn"] == 4096)
    }

    /// A model that notes who touched which page, against the history of each page, as it is and as
    /// it was.
    @Test(arguments: [1, 2] as [UInt64])
    func historyIsWhatTouchedThePage(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var touched: [UInt64: [UInt64]] = [:]
        var live: [(id: UInt64, pfn: UInt64, order: Int)] = []
        func note(_ pfn: UInt64, _ order: Int) {
            for page in pfn..<pfn + 1 << UInt64(order) {
                touched[page, default: []].append(harness.lastSequence)
            }
        }
        for _ in 0..<120 {
            if random.chance(percent: 45), !live.isEmpty {
                let grant = live.remove(at: random.below(live.count))
                try harness.send("DELETE", "/v1/machines/m/allocations/\(grant.id)")
                note(grant.pfn, grant.order)
            } else {
                let order = random.below(4)
                let grant = try harness.allocate("{\"allocation_control\":{\"order\":\(order)}}")
                let pfn = try #require(grant["pfn"]?.number)
                live.append((harness.lastSequence, pfn, order))
                note(pfn, order)
            }
        }
        for (pfn, entries) in touched {
            let newestFirst = Array(entries.reversed())
            #expect(try history(of: pfn, "page_size=100") == newestFirst)
            #expect(try history(of: pfn, "page_size=2") == newestFirst)
            #expect(try history(of: pfn, "page_size=3&sort=asc") == entries)
            let middle = entries[entries.count / 2]
            let then = try history(of: pfn, "page_size=2&at=\(middle)")
            #expect(then == newestFirst.filter { $0 <= middle })
        }
    }

    /// All of a page's history, by its tokens.
    private func history(of pfn: UInt64, _ query: String) throws -> [UInt64] {
        var found: [UInt64] = []
        var token: String?
        repeat {
            let suffix = token.map { "&page_token=\($0)" } ?? ""
            let answer = try page(pfn, "?\(query)\(suffix)")
            found += sequences(answer)
            token = answer.json["next_page_token"]?.text
        } while token != nil
        return found
    }

    /// The history is that of the machine, not of the one that had its name before.
    @Test func anotherMachineOfTheSameName() throws {
        try harness.createMachine("n")
        let grant = try harness.allocate(on: "n")
        let pfn = try #require(grant["pfn"]?.number)
        try harness.send("DELETE", "/v1/machines/n?force=true")
        try harness.createMachine("n")
        let now = try harness.send("GET", "/v1/machines/n/pages/\(pfn)")
        #expect(sequences(now) == [])
        let then = try harness.send("GET", "/v1/machines/n/pages/\(pfn)?at=3")
        #expect(sequences(then) == [3])
        #expect(then.json["holder"]?["allocation"] == 3)
    }
}
