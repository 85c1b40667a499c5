// An allocator's part of a snapshot by itself.

import PageAllocator

extension PageAllocator {
    /// Written a few grants at a time, as a service does it.
    var snapshotBytes: [UInt8] {
        var writer = SnapshotWriter()
        writeSnapshotHead(to: &writer)
        var grants = SnapshotGrantWriter(machine)
        while writeSnapshotGrants(3, with: &grants, to: &writer) {}
        return writer.bytes
    }

    static func restored(
        on machine: Machine, from snapshotBytes: [UInt8]
    ) throws(SnapshotFailure) -> PageAllocator {
        var reader = SnapshotReader(snapshotBytes)
        let allocator = try PageAllocator(machine: machine, snapshot: &reader)
        try reader.expectEnd()
        return allocator
    }
}
