// A disk that fills up under a serving gfpd, on a small file system of its own: 507 before anything
// breaks, reads all the while, and writes again once there is room.

import Foundation
import Glibc
import Testing

/// A tmpfs, unmounted when this goes.
final class SmallFileSystem {
    let path: String

    /// It goes after this.
    private let scratch: ScratchDirectory

    /// nil where this process may not mount.
    init?(in scratch: ScratchDirectory, megabytes: Int) throws {
        self.scratch = scratch
        path = scratch.path("disk")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        guard unsafe mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            print("skipped: mount(2) of a tmpfs: errno \(errno)")
            return nil
        }
    }

    deinit {
        if unsafe umount2(path, Int32(MNT_DETACH)) != 0 {
            Issue.record("\(path) stays mounted: errno \(errno)")
        }
    }

    /// Bytes that are free.
    var freeBytes: Int {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return 0 }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    /// Takes room until so much is left.
    func fill(leaving bytes: Int) throws {
        let file = unsafe open(path + "/filling", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        var status = stat()
        try #require(unsafe fstat(file, &status) == 0)
        let more = freeBytes - bytes
        guard more > 0 else { return }
        try #require(posix_fallocate(file, status.st_size, more) == 0)
    }

    func empty() throws {
        try FileManager.default.removeItem(atPath: path + "/filling")
    }
}

@Suite struct FullDiskTests {
    private static let reserved = 64 << 20
    private static let topology = """
        {"nodes": [{"id": 0, "cpus": [0], "memory": [{"start": "0x0", "end": "0x3ffffff"}]}]}
        """

    @Test func aFullDiskIsToldAndOutlived() throws {
        let scratch = try ScratchDirectory()
        guard let disk = try SmallFileSystem(in: scratch, megabytes: 160) else {
            return
        }
        let data = disk.path + "/data"
        let server = try Server(
            data: data, ["--topology", try scratch.write(Self.topology, to: "machine.json")],
            scratch: scratch)
        let client = try server.client()
        let allocations = "/v1/machines/default/allocations"
        try expectStatus(201, client.post(allocations, "{}"))

        // The writes themselves take what is left above the reserve, little by little.
        try disk.fill(leaving: Self.reserved + (256 << 10))
        var written = 0
        while written < 20_000 {
            let answer = try client.post(allocations, #"{"owner": "\#(Self.longOwner)"}"#)
            if answer.status == 507 { break }
            try #require([201, 409].contains(answer.status), "\(answer.text)")
            written += 1
            if written % 100 == 0 { try disk.fill(leaving: disk.freeBytes - (64 << 10)) }
        }
        #expect((1..<20_000).contains(written))

        // Full to the last byte.
        try disk.fill(leaving: 0)
        let sequence = try client.get("/v1/machines").fields["gfpd-sequence"]
        for _ in 0..<20 {
            let answer = try client.post(allocations, "{}")
            try expectStatus(507, answer)
            #expect(answer.json["type"].string == "/problems/insufficient-storage")
            #expect(answer.fields["gfpd-sequence"] == sequence)
        }
        try expectStatus(507, client.get("/readyz"))
        try expectStatus(200, client.get("/livez"))
        try expectStatus(200, client.get(allocations))
        try expectStatus(200, client.get("/v1/ledger?sort=desc&page_size=3"))

        try disk.empty()
        try expectStatus(200, client.get("/readyz"))
        let freed = try client.send("DELETE", allocations + "/2")
        try expectStatus(200, freed)
        #expect(freed.json["sequence"].int == Int(sequence ?? "").map { $0 + 1 })
        #expect(try server.stop() == .exited(0))

        let next = try Server(data: data, scratch: scratch)
        let last = try next.client().get("/v1/machines").fields["gfpd-sequence"]
        #expect(last.flatMap { Int($0) } == freed.json["sequence"].int)
        #expect(try next.stop() == .exited(0))
    }

    private static let longOwner = String(repeating: "x", count: 255)

    private func expectStatus(_ status: Int, _ answer: Answer) throws {
        try #require(answer.status == status, "\(answer.text)")
    }
}
