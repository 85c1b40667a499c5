// One descriptor in the whole system may write to the database: what the kernel says of the files
// that processes have open, while entries are written, history is read, and backups, verifications
// and listings run beside the server. A checkpoint writes to the database's file, so that without
// such a descriptor nobody can make one.

import Foundation
import Glibc
import Testing

@Suite struct OneWriterTests {
    private static let rounds = 3

    @Test func onlyOneDescriptorOfTheDatabaseCanWrite() throws {
        let scratch = try ScratchDirectory()
        let data = scratch.path("data")
        let server = try Server(data: data, scratch: scratch)
        let created = try server.client().post(
            "/v1/machines?name=\(LoadClient.machine)", KillTests.topology)
        try #require(created.status == 201, "\(created.text)")
        let load = BackgroundLoad(on: server, clients: 3)

        var samples = Samples()
        for round in 1...Self.rounds {
            let copy = scratch.path("copy-\(round).db")
            for arguments in [["backup", data, copy], ["verify", data], ["history", data]] {
                let process = try ChildProcess(GFPD.binary(), arguments, scratch: scratch.url)
                while process.isRunning {
                    samples.take(data + "/gfpd.db", server.process.pid, process.pid)
                }
                #expect(try process.waitForEnd() == .exited(0), "\(process.errors)")
            }
        }
        try server.kill()
        load.waitForEnd()
        #expect(load.requests > 100)
        // Somebody looked while there was something to see.
        #expect(samples.ofServerReading > 0)
        #expect(samples.ofOthersReading > 0)
    }

    /// How often the database was seen open for reading.
    private struct Samples {
        var ofServerReading = 0
        var ofOthersReading = 0

        mutating func take(_ database: String, _ server: pid_t, _ other: pid_t) {
            let served = OpenFile.of(server, path: database)
            #expect(served.count(where: \.isWritable) == 1)
            if served.contains(where: { !$0.isWritable }) { ofServerReading += 1 }
            let others = OpenFile.of(other, path: database)
            #expect(others.allSatisfy { !$0.isWritable })
            if !others.isEmpty { ofOthersReading += 1 }
        }
    }
}
