// The chain over HTTP: the head, each entry's hash, and the verification of what is kept.

import JSON
import Ledger
import TestSupport
import Testing

@testable import API

struct ChainAnswerTests {
    private static let zeros = String(repeating: "0", count: 64)

    private func hash(_ harness: Harness, _ sequence: UInt64) throws -> String {
        let entry = try harness.send("GET", "/v1/ledger/\(sequence)").json
        return try #require(entry["hash"]?.text)
    }

    @Test func theHeadIsTheLastEntry() throws {
        let harness = try Harness()
        let empty = try harness.send("GET", "/v1/ledger/head").json
        #expect(empty["sequence"] == 0)
        #expect(empty["hash"] == .string(Self.zeros))
        #expect(empty["time"] == nil)
        try harness.createMachine("m")
        var seen: Set<String> = [Self.zeros]
        for _ in 0..<20 {
            try harness.allocate()
            let head = try harness.send("GET", "/v1/ledger/head")
            let last = try harness.send("GET", "/v1/ledger/\(harness.lastSequence)").json
            #expect(head["Gfpd-Sequence"] == String(harness.lastSequence))
            #expect(head.json["sequence"] == last["sequence"])
            #expect(head.json["time"] == last["time"])
            #expect(head.json["hash"] == last["hash"])
            let text = try #require(last["hash"]?.text)
            #expect(text.count == 64)
            #expect(text.allSatisfy { "0123456789abcdef".contains($0) })
            #expect(seen.insert(text).inserted)
        }
    }

    /// Entries that a server before the chain wrote have no hash.
    @Test func anEntryWithoutHash() throws {
        let harness = try Harness.withMachine()
        var entry = try #require(harness.ledger.shared.committed.first)
        entry.hash = nil
        var writer = JSONWriter()
        writer.value(entry, machine: "m")
        let json = try JSONValue(writer.take())
        #expect(json["hash"] == nil && json["sequence"] == 1)
        entry.principal = "token:ops"
        writer = JSONWriter()
        writer.value(entry, machine: "m")
        #expect(try JSONValue(writer.take())["principal"] == "token:ops")
    }

    @Test func aChainThatHolds() throws {
        let harness = try Harness.withMachine()
        for _ in 0..<30 { try harness.allocate() }
        for (body, entries, last) in [
            (nil, 31, 31), ("{}", 31, 31), ("{\"from\":7}", 25, 31), ("{\"to\":9}", 9, 9),
            ("{\"from\":7,\"to\":9}", 3, 9), ("{\"from\":31,\"to\":400}", 1, 31),
        ] as [(String?, UInt64, UInt64)] {
            let answer = try harness.send("POST", "/v1/ledger/verify", body)
            #expect(answer.status == 200)
            #expect(answer.json["ok"] == true, "\(answer.body)")
            #expect(answer.json["entries"] == .unsigned(entries), "\(answer.body)")
            #expect(answer.json["first_bad"] == nil)
            #expect(answer.json["head"]?["sequence"] == .unsigned(last))
            #expect(try answer.json["head"]?["hash"] == .string(hash(harness, last)))
        }
        let beyond = try harness.send("POST", "/v1/ledger/verify", "{\"from\":32}")
        #expect(beyond.json["ok"] == true && beyond.json["entries"] == 0)
        #expect(harness.lastSequence == 31)
    }

    @Test func whatIsNoRange() throws {
        let harness = try Harness.withMachine()
        for (body, pointer) in [
            ("{\"from\":0}", "/from"), ("{\"to\":-1}", "/to"), ("{\"from\":\"1\"}", "/from"),
            ("{\"from\":9223372036854775808}", "/from"), ("{\"from\":3,\"to\":2}", "/from"),
            ("{\"until\":3}", "/until"),
        ] {
            let answer = try harness.send("POST", "/v1/ledger/verify", body)
            expectProblem(answer, 400, "invalid-request", at: pointer, body)
        }
        let text = [("Content-Type", "text/plain")]
        let answer = try harness.send("POST", "/v1/ledger/verify", "{}", headers: text)
        expectProblem(answer, 415, "unsupported-media-type")
    }

    /// An entry that was changed is named, and nothing behind it is looked at.
    @Test func aChainThatWasTamperedWith() throws {
        let harness = try Harness.withMachine()
        for _ in 0..<30 { try harness.allocate("{\"owner\":\"o\"}") }
        harness.ledger.shared.tamper(with: 17) { $0.sequence = Sequence(99) }
        let answer = try harness.send("POST", "/v1/ledger/verify")
        #expect(answer.status == 200)
        #expect(answer.json["ok"] == false)
        #expect(answer.json["first_bad"] == 17)
        #expect(answer.json["reason"]?.text?.isEmpty == false)
        #expect(answer.json["entries"] == 16)
        #expect(answer.json["head"]?["sequence"] == 16)
        let before = try harness.send("POST", "/v1/ledger/verify", "{\"to\":16}")
        #expect(before.json["ok"] == true)
    }

    /// A ledger whose verification goes by very many stretches.
    private func longLedger() throws -> Harness {
        let harness = try Harness.withMachine(entriesScanned: 1)
        let free = Message("DELETE", "/v1/machines/m/allocations/999999999")
        _ = try harness.turn(Array(repeating: free, count: 300))
        return harness
    }

    /// Other questions have their turn between the stretches of a long verification.
    @Test func aVerificationHoldsUpNobody() throws {
        let harness = try longLedger()
        let answers = try harness.turn([
            Message("POST", "/v1/ledger/verify"), Message("GET", "/v1/ledger/1"),
            Message("GET", "/v1/machines/m?at=1"),
        ])
        #expect(harness.answeredLate == [1, 2, 0])
        #expect(answers[0].json["entries"] == 301)
    }

    @Test func verificationsAreBounded() throws {
        let harness = try longLedger()
        let most = HistoryThread.maximumVerifications
        let messages = Array(repeating: Message("POST", "/v1/ledger/verify"), count: most + 3)
        let refused = try harness.turn(messages).filter { $0.status != 200 }
        #expect(refused.count == 3)
        for answer in refused { expectProblem(answer, 503, "unavailable") }
        #expect(try harness.send("POST", "/v1/ledger/verify").status == 200)
    }

    /// What nobody waits for any more is not gone on with.
    @Test func aVerificationEndsWithItsPeer() throws {
        let harness = try longLedger()
        let most = HistoryThread.maximumVerifications
        try harness.leave(Array(repeating: Message("POST", "/v1/ledger/verify"), count: most))
        let answer = try harness.send("POST", "/v1/ledger/verify")
        #expect(answer.status == 200)
        #expect(answer.json["entries"] == 301)
    }
}
