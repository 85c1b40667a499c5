// What a server holds of the computer while clients do their worst.

import Foundation
import Testing

extension Server {
    /// Sockets that the process has open, the listening one among them.
    func openSockets() throws -> Int {
        let directory = "/proc/\(process.pid)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: directory).count { name in
            // A descriptor may be closed by now.
            let path = "\(directory)/\(name)"
            let file = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
            return file?.hasPrefix("socket:") ?? false
        }
    }

    /// It lives, it answers, and it never held more.
    func expectWell(residentMegabytes: Int) throws {
        #expect(try client().get("/readyz").status == 200)
        try expectResident(atMostMegabytes: residentMegabytes)
    }

    /// It never held more.
    func expectResident(atMostMegabytes limit: Int) throws {
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let peak = try #require(status.firstMatch(of: /VmHWM:\s+([0-9]+) kB/).flatMap { Int($0.1) })
        #expect(peak >> 10 <= limit, "\(peak >> 10) MiB at most")
    }
}
