// A backup that is killed leaves no file of its name, or a whole copy; the server goes on.

import Foundation
import Glibc
import Testing

@Suite struct BackupKillTests {
    private static let backups = 12
    private static let livesMicroseconds: ClosedRange<UInt32> = 0...60_000

    @Test func aKilledBackupIsNothingOrWhole() throws {
        let scratch = try ScratchDirectory()
        let data = scratch.path("data")
        let server = try Server(data: data, scratch: scratch)
        let created = try server.client().post(
            "/v1/machines?name=\(LoadClient.machine)", KillTests.topology)
        try #require(created.status == 201, "\(created.text)")
        let load = BackgroundLoad(on: server, clients: 3)

        var killed = 0
        for number in 1...Self.backups {
            let restored = scratch.path("restored-\(number)")
            try FileManager.default.createDirectory(
                atPath: restored, withIntermediateDirectories: true)
            // Made where it is to be restored: a copy must do without being moved.
            let copy = restored + "/gfpd.db"
            let process = try ChildProcess(
                GFPD.binary(), ["backup", data, copy], scratch: scratch.url)
            usleep(UInt32.random(in: Self.livesMicroseconds))
            process.send(SIGKILL)
            if try process.waitForEnd() == .signalled(SIGKILL) { killed += 1 }
            guard FileManager.default.fileExists(atPath: copy) else { continue }
            let (end, output, errors) = try GFPD.run(["verify", restored], scratch: scratch)
            #expect(end == .exited(0), "\(output)\(errors)")
        }
        #expect(killed > 0)
        try server.kill()
        load.waitForEnd()

        let (end, output, errors) = try GFPD.run(["verify", data], scratch: scratch)
        #expect(end == .exited(0), "\(output)\(errors)")
    }
}
