// The live grants of a snapshot, ascending by id.
//
//   id                  from the one before; from 0 for the first
//   kind                bits 0 to 3: the order, 15 for a run of pages; bits 4 and 5: the type that
//                       was asked for; bit 6: another number follows:
//     more              bit 0: compound; bit 1: held in part; the rest: the zone's position, from
//                       that of the grant before, signed; 0 where no number follows
//   place               of a block: its number among those of its order, from the first one at or
//                       after the end of the grant before in the same zone, signed
//   of a run            count of segments, and for each: where it begins, from the end of the one
//                       before, signed; its pages
//   held in part        count of ranges, ascending and apart, and for each: the pages between it
//                       and the end of the one before, for the first one signed and from the
//                       grant's first page; its pages

private enum Kind {
    static let runOrder: UInt64 = 15
    static let typeShift: UInt64 = 4
    static let more: UInt64 = 1 << 6
}

/// Where the last grant of each zone ended, and what else the next one is told from.
private struct GrantPlaces {
    var id: UInt64 = 0
    var zone = 0

    /// For each zone: one past the last page of its grant before.
    var ends: [UInt64]

    init(_ machine: Machine) {
        ends = machine.zones.map(\.startPFN.rawValue)
    }

    /// The number, among blocks of an order, that a zone's next grant is told from.
    func expected(_ order: UInt64) -> Int64 {
        Int64(ends[zone] &>> order) + (ends[zone] & (1 &<< order - 1) == 0 ? 0 : 1)
    }
}

package struct SnapshotGrantWriter {
    private var places: GrantPlaces

    package init(_ machine: Machine) {
        places = GrantPlaces(machine)
    }

    /// The last grant written.
    var last: AllocationID { AllocationID(places.id) }

    /// - Parameter held: what the grant still holds; nil: all of it.
    mutating func write(
        _ live: LiveGrant, holding held: [FrameRange]?, to writer: inout SnapshotWriter
    ) {
        let grant = live.grant
        writer.write(live.id.rawValue - places.id)
        places.id = live.id.rawValue
        let zoneChange = Int64(grant.zone - places.zone)
        let more =
            UInt64(bitPattern: zoneChange << 1 ^ zoneChange >> 63) << 2
            | (held == nil ? 0 : 2) | (grant.isCompound ? 1 : 0)
        let order = grant.order.map { UInt64($0.rawValue) } ?? Kind.runOrder
        let type = UInt64(grant.migratetype.rawValue) << Kind.typeShift
        writer.write(order | type | (more == 0 ? 0 : Kind.more))
        if more != 0 { writer.write(more) }
        places.zone = grant.zone
        if let order = grant.order.map({ UInt64($0.rawValue) }) {
            writer.write(
                signed: Int64(grant.pfn.rawValue >> order) - places.expected(order))
            places.ends[grant.zone] = grant.frames.upperBound.rawValue
        } else {
            write(segments: grant.segments, to: &writer)
        }
        if let held { write(held: held.joined(), of: grant, to: &writer) }
    }

    private mutating func write(segments: [FrameRange], to writer: inout SnapshotWriter) {
        writer.write(segments) { writer, segment in
            writer.write(signed: Int64(segment.lowerBound.rawValue) - places.expected(0))
            writer.write(segment.count)
            places.ends[places.zone] = segment.upperBound.rawValue
        }
    }

    private func write(held: [FrameRange], of grant: Grant, to writer: inout SnapshotWriter) {
        var end = grant.pfn.rawValue
        var isFirst = true
        writer.write(held) { writer, range in
            let gap = Int64(range.lowerBound.rawValue) - Int64(end)
            if isFirst { writer.write(signed: gap) } else { writer.write(UInt64(gap)) }
            writer.write(range.count)
            end = range.upperBound.rawValue
            isFirst = false
        }
    }
}

// MARK: Reading

private struct SnapshotGrantReader {
    private var places: GrantPlaces
    private let spans: [FrameRange]

    init(_ machine: Machine) {
        places = GrantPlaces(machine)
        spans = machine.zones.map(\.span)
    }

    /// - Returns: the next grant, and what it still holds; nil: all of it.
    mutating func next(
        _ reader: inout SnapshotReader
    ) throws(SnapshotFailure) -> (id: AllocationID, grant: Grant, held: [FrameRange]?) {
        let step = try reader.readNumber()
        let (id, overflow) = places.id.addingReportingOverflow(step)
        guard step > 0, !overflow, id <= LiveBlockTable.maximumID else {
            throw .invalidValue(offset: reader.offset)
        }
        places.id = id
        let kind = try reader.readNumber()
        let more = kind & Kind.more == 0 ? 0 : try reader.readNumber()
        try move(by: more >> 2, reader.offset)
        guard kind < Kind.more << 1,
            let type = Migratetype(rawValue: Int(kind >> Kind.typeShift & 3)), type != .highAtomic
        else { throw .invalidValue(offset: reader.offset) }
        let grant = try grant(order: kind & 15, type, isCompound: more & 1 == 1, &reader)
        let held = more & 2 == 0 ? nil : try readHeld(of: grant, &reader)
        return (AllocationID(id), grant, held)
    }

    private mutating func move(
        by change: UInt64, _ offset: Int
    ) throws(SnapshotFailure) {
        guard change != 0 else { return }
        let zone = places.zone &+ Int(Int64(bitPattern: change >> 1) ^ -Int64(change & 1))
        guard places.ends.indices.contains(zone) else { throw .invalidValue(offset: offset) }
        places.zone = zone
    }

    private mutating func grant(
        order: UInt64, _ type: Migratetype, isCompound: Bool, _ reader: inout SnapshotReader
    ) throws(SnapshotFailure) -> Grant {
        guard order != Kind.runOrder else {
            return Grant(
                segments: try readSegments(&reader), zone: places.zone, migratetype: type,
                isCompound: isCompound)
        }
        guard order <= UInt64(Order.max.rawValue) else {
            throw .invalidValue(offset: reader.offset)
        }
        let (block, overflow) = places.expected(order)
            .addingReportingOverflow(try reader.readSigned())
        guard !overflow, block >= 0, block <= PageFrameNumber.limit.rawValue &>> order else {
            throw .invalidValue(offset: reader.offset)
        }
        let first = PageFrameNumber(UInt64(block) &<< order)
        let frames = FrameRange(first, first + 1 &<< order)
        guard spans[places.zone].contains(frames) else {
            throw .invalidValue(offset: reader.offset)
        }
        places.ends[places.zone] = frames.upperBound.rawValue
        return Grant(
            pfn: first, order: Order(unchecked: Int(order)), zone: places.zone, migratetype: type,
            isCompound: isCompound)
    }

    private mutating func readSegments(
        _ reader: inout SnapshotReader
    ) throws(SnapshotFailure) -> [FrameRange] {
        let count = try reader.readCount()
        guard count > 0 else { throw .invalidValue(offset: reader.offset) }
        var segments: [FrameRange] = []
        for _ in 0..<count {
            let start = places.ends[places.zone]
            segments.append(try readRange(from: start, by: try reader.readSigned(), &reader))
            places.ends[places.zone] = segments[segments.count - 1].upperBound.rawValue
        }
        return segments
    }

    private func readHeld(
        of grant: Grant, _ reader: inout SnapshotReader
    ) throws(SnapshotFailure) -> [FrameRange] {
        let count = try reader.readCount()
        var held: [FrameRange] = []
        for _ in 0..<count {
            guard let end = held.last?.upperBound.rawValue else {
                let gap = try reader.readSigned()
                held.append(try readRange(from: grant.pfn.rawValue, by: gap, &reader))
                continue
            }
            let gap = try reader.read(1...Int64(UInt32.max))
            held.append(try readRange(from: end, by: gap, &reader))
        }
        let granted = grant.segments.joined()
        guard !held.isEmpty, held.subtracting(granted).isEmpty else {
            throw .contradiction("a grant holds what it was not granted, or nothing")
        }
        return held
    }

    /// A range of pages of the zone that the grant is in, not empty.
    private func readRange(
        from start: UInt64, by gap: Int64, _ reader: inout SnapshotReader
    ) throws(SnapshotFailure) -> FrameRange {
        let pages = try reader.read(1...Machine.maximumSpannedPages)
        let (first, overflow) = Int64(start).addingReportingOverflow(gap)
        guard !overflow, first >= 0, first <= Int64(PageFrameNumber.limit.rawValue) else {
            throw .invalidValue(offset: reader.offset)
        }
        let lower = PageFrameNumber(UInt64(first))
        let range = FrameRange(lower, lower + pages)
        guard spans[places.zone].contains(range) else {
            throw .invalidValue(offset: reader.offset)
        }
        return range
    }
}

extension PageAllocator {
    /// Reads the live grants and writes them into the books; the lists are still those of a machine
    /// of which nothing is taken.
    ///
    /// - Parameter blocks: is given the grants' blocks.
    /// - Returns: the pages that they hold, those of each zone after those of the zones before it.
    mutating func restoreGrants(
        _ reader: inout SnapshotReader, _ blocks: inout [LiveBlockTable.Entry]
    ) throws(SnapshotFailure) -> PageSet {
        let starts = zonePageStarts
        var taken = PageSet(pageCount: starts[machine.zones.count])
        let count = try reader.readCount()
        grants.slots.reserveCapacity(count)
        blocks.reserveCapacity(count)
        var grantReader = SnapshotGrantReader(machine)
        for _ in 0..<count {
            let (id, grant, held) = try grantReader.next(&reader)
            let zone = grant.zone
            if held == nil, grant.order != nil {
                let run = unsafe zones[zone].buddies.pages(of: grant.frames)
                try take(run, from: zone, starts[zone], grant.migratetype, &taken)
                grants.restore(grant, id: id, holding: nil, &blocks)
                continue
            }
            let ranges = held ?? grant.segments.joined()
            guard held != nil || ranges.pageCount == grant.pageCount else {
                throw .contradiction("segments of a grant overlap")
            }
            for range in ranges {
                let run = unsafe zones[zone].buddies.pages(of: range)
                try take(run, from: zone, starts[zone], grant.migratetype, &taken)
            }
            grants.restore(grant, id: id, holding: ranges, &blocks)
        }
        return taken
    }

    /// Where the pages of each zone begin, if those of all zones are numbered one after the other;
    /// and where they end.
    var zonePageStarts: [Int] {
        var starts = [0]
        for zone in machine.zones.indices {
            starts.append(starts[zone] + (unsafe zones[zone].buddies.frameCount))
        }
        return starts
    }

    @inline(__always)
    private mutating func take(
        _ run: Range<Int>, from zone: Int, _ start: Int, _ type: Migratetype,
        _ taken: inout PageSet
    ) throws(SnapshotFailure) {
        guard taken.insert(start + run.lowerBound..<start + run.upperBound) else {
            throw .contradiction("a page is in two grants")
        }
        if type == .movable { unsafe zones[zone].buddies.pageblocks.countMovable(run, sign: 1) }
    }
}
