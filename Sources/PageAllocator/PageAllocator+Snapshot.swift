// The state of an allocator as bytes, from which it can be brought back at once instead of by all
// grants and frees since the machine was made.
//
// They are a part of a ledger's snapshot, which says which machine it is and which version wrote
// them. The same state is always the same bytes. What follows from other fields is left out: free
// lists (`BuddyAllocator+Snapshot`), free pages, movable pages of each pageblock, the index of
// runs. A grant takes about seven bytes where grants lie at random, and two where each lies behind
// the one before.
//
//   numastat            for each node: hit, miss, foreign, interleave hit, local, other
//   zones               for each: `BuddyAllocator+Snapshot`, and where the next search by
//                       `Fit.next` begins, in pages from the zone's first
//   grants              count, and for each, ascending by id: `SnapshotGrantWriter`

extension PageAllocator {
    /// All but the grants, which follow: `count` of them is the last thing written.
    package func writeSnapshotHead(to writer: inout SnapshotWriter) {
        for counts in numaCounts {
            for count in counts.inOrder { writer.write(count) }
        }
        for zone in machine.zones.indices {
            unsafe zones[zone].buddies.writeSnapshot(to: &writer)
            let rotor = unsafe zones[zone].rotor.rawValue
            writer.write(rotor - machine.zones[zone].startPFN.rawValue)
        }
        writer.write(liveGrantCount)
    }

    /// Writes at most `limit` of the grants that follow the last one that `grants` wrote; false
    /// where there are no more.
    package func writeSnapshotGrants(
        _ limit: Int, with grants: inout SnapshotGrantWriter, to writer: inout SnapshotWriter
    ) -> Bool {
        let batch = liveGrants(after: grants.last, limit: limit)
        for live in batch {
            let isWhole = live.livePages == live.grant.pageCount
            grants.write(live, holding: isWhole ? nil : liveRanges(of: live), to: &writer)
        }
        return batch.count == limit
    }

    /// The allocator whose snapshot the reader is at.
    package init(
        machine: Machine, snapshot reader: inout SnapshotReader
    ) throws(SnapshotFailure) {
        self.init(machine: machine)
        for node in numaCounts.indices {
            numaCounts[node] = try NUMACounts(snapshot: &reader)
        }
        var snapshots: [ZoneSnapshot] = []
        for zone in machine.zones.indices {
            snapshots.append(try ZoneSnapshot(&reader))
            let offset = try reader.read(0...machine.zones[zone].spannedPages)
            unsafe zones[zone].rotor = machine.zones[zone].startPFN + offset
        }
        var blocks: [LiveBlockTable.Entry] = []
        try restoreZones(snapshots, taken: try restoreGrants(&reader, &blocks))
        grants.blocks = LiveBlockTable(blocks)
    }

    private mutating func restoreZones(
        _ snapshots: [ZoneSnapshot], taken: consuming PageSet
    ) throws(SnapshotFailure) {
        let starts = zonePageStarts
        for zone in machine.zones.indices {
            try unsafe zones[zone].buddies.restore(
                snapshots[zone], taken: taken, from: starts[zone])
        }
    }
}

extension NUMACounts {
    fileprivate var inOrder: [UInt64] {
        [hit, miss, foreign, interleaveHit, localNode, otherNode]
    }

    fileprivate init(snapshot reader: inout SnapshotReader) throws(SnapshotFailure) {
        self.init(
            hit: try reader.readNumber(), miss: try reader.readNumber(),
            foreign: try reader.readNumber(), interleaveHit: try reader.readNumber(),
            localNode: try reader.readNumber(), otherNode: try reader.readNumber())
    }
}
