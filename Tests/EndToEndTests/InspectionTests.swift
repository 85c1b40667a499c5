// `gfpd verify` and `gfpd backup`, as an operator runs them.

import Foundation
import Glibc
import Testing

@Suite struct InspectionTests {
    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test func aServedLedgerIsVerifiedAndCopied() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        try allocate(client, 20)
        let verified = try GFPD.run(["verify", data], scratch: scratch)
        #expect(verified.end == .exited(0), "\(verified)")
        #expect(verified.output.hasPrefix("ok: 21 entries, head 21 "))

        let ledger = try client.get("/v1/ledger").text
        let restored = scratch.path("restored")
        try FileManager.default.createDirectory(
            atPath: restored, withIntermediateDirectories: false)
        let copy = restored + "/gfpd.db"
        let copied = try GFPD.run(["backup", data, copy], scratch: scratch)
        #expect(copied.end == .exited(0), "\(copied)")
        #expect(copied.output.hasPrefix("copied 21 entries to \(copy)"))
        // The server goes on, and the copy stays what it was.
        try allocate(client, 5)
        #expect(try server.stop() == .exited(0))

        let next = try Server(data: restored, scratch: scratch)
        #expect(try next.client().get("/v1/ledger").text == ledger)
        try allocate(next.client(), 1)
        #expect(try next.stop() == .exited(0))
        let again = try GFPD.run(["verify", restored], scratch: scratch)
        #expect(again.output.hasPrefix("ok: 22 entries, head 22 "))
    }

    @Test func whatDoesNotFitIsNamed() throws {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        for owner in ["alice", "mallory", "bob"] {
            let body = "{\"owner\":\"\(owner)\"}"
            #expect(try client.post("/v1/machines/default/allocations", body).status == 201)
        }
        #expect(try server.stop() == .exited(0))
        try Forgery.replace("mallory", by: "forgery", inLedger: data)
        let verified = try GFPD.run(["verify", data], scratch: scratch)
        #expect(verified.end == .exited(1))
        #expect(verified.output.contains("entry 3: it is not what was written"), "\(verified)")
        #expect(verified.errors.contains("2 entries fit"), "\(verified)")
        let copied = try GFPD.run(["backup", data, scratch.path("copy")], scratch: scratch)
        #expect(copied.end == .exited(1))
        #expect(!FileManager.default.fileExists(atPath: scratch.path("copy")))
        // Nor is it served.
        let served = try GFPD.run(["serve", "--port", "0", "--data", data], scratch: scratch)
        #expect(served.end == .exited(1))
        #expect(served.errors.contains("entry 3"), "\(served)")
    }

    @Test func whereThereIsNothingNothingIsMade() throws {
        for command in [["verify", data], ["backup", data, scratch.path("copy")]] {
            let result = try GFPD.run(command, scratch: scratch)
            #expect(result.end == .exited(1))
            #expect(result.errors.contains("cannot"), "\(result)")
        }
        #expect(!FileManager.default.fileExists(atPath: data))
        #expect(!FileManager.default.fileExists(atPath: scratch.path("copy")))
    }

    private func allocate(_ client: HTTPClient, _ count: Int) throws {
        for _ in 0..<count {
            #expect(try client.post("/v1/machines/default/allocations", "{}").status == 201)
        }
    }
}
