// The server is killed while it makes the index of its history, begun anew or gone on with: what is
// asked of the past has the same answer each time.

import Foundation
import Glibc
import Testing

@Suite struct IndexKillTests {
    /// More entries than the index keeps in memory: 65,536.
    private static let batches = 7
    private static let operations = 10_000
    private static let owners = 40
    private static let cycles = 6
    private static let livesMicroseconds: ClosedRange<UInt32> = 0...600_000

    /// 512 MiB: enough for all of them.
    private static let topology = """
        {"nodes": [{"id": 0, "cpus": [0], "memory": [{"start": "0x0", "end": "0x1fffffff"}]}]}
        """

    private let scratch: ScratchDirectory
    private var data: String { scratch.path("data") }

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test func answersStayTheSame() throws {
        let idsOfOwners = try fill()
        for cycle in 1...Self.cycles {
            if cycle % 2 == 1 { try removeHistory() }
            let server = try Server(data: data, scratch: scratch)
            usleep(UInt32.random(in: Self.livesMicroseconds))
            try expectAnswers(idsOfOwners, of: server, owner: cycle * 7 % Self.owners)
            usleep(UInt32.random(in: Self.livesMicroseconds))
            try server.kill()
        }
        let server = try Server(data: data, scratch: scratch)
        for owner in 0..<Self.owners { try expectAnswers(idsOfOwners, of: server, owner: owner) }
        #expect(try server.stop() == .exited(0))
        // Nothing of it was thrown away.
        #expect(!server.process.errors.contains("history.db"), "\(server.process.errors)")
        let (end, output, errors) = try GFPD.run(["verify", data], scratch: scratch)
        #expect(end == .exited(0), "\(output)\(errors)")
    }

    /// Leaves the ledger of a killed server; returns each owner's allocations.
    private func fill() throws -> [[Int]] {
        let server = try Server(data: data, scratch: scratch)
        let client = try server.client()
        let created = try client.post("/v1/machines?name=m", Self.topology)
        try #require(created.status == 201, "\(created.text)")
        let operations = (0..<Self.operations).map { number in
            "{\"allocate\": {\"owner\": \"owner-\(number % Self.owners)\"}}"
        }
        let body = "{\"atomic\": true, \"operations\": [\(operations.joined(separator: ","))]}"
        var ids = [[Int]](repeating: [], count: Self.owners)
        for _ in 0..<Self.batches {
            let answer = try client.post("/v1/machines/m/batch", body)
            try #require(answer.status == 200, "\(answer.text.prefix(300))")
            for (number, result) in answer.json["results"].array.enumerated() {
                ids[number % Self.owners].append(try #require(result["id"].int))
            }
        }
        try server.kill()
        return ids
    }

    private func removeHistory() throws {
        for file in ["history.db", "history.db-wal", "history.db-shm"] {
            let path = data + "/" + file
            guard FileManager.default.fileExists(atPath: path) else { continue }
            try FileManager.default.removeItem(atPath: path)
        }
    }

    private func expectAnswers(_ ids: [[Int]], of server: Server, owner: Int) throws {
        let client = try server.client()
        let path = "/v1/ledger?owner=owner-\(owner)&page_size=1000"
        var page = try client.get(path).json
        var found = page["items"].array
        while let token = page["next_page_token"].string {
            page = try client.get(path + "&page_token=\(token)").json
            found += page["items"].array
        }
        #expect(found.compactMap { $0["sequence"].int } == ids[owner])
        // A page's past: its grant.
        let grant = try #require(found.last)
        let pfn = try #require(grant["pfn"].int)
        let history = try client.get("/v1/machines/m/pages/\(pfn)").json["history"].array
        #expect(history.compactMap { $0["sequence"].int } == [ids[owner].last])
    }
}
