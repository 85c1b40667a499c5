// The layout, byte by byte, and that nothing of an entry is missing in it.

import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite struct EntryCanonicalBytesTests {
    @Test func aFreeByteByByte() {
        let entry = LedgerEntry(
            sequence: Sequence(0x0102), time: Timestamp(microseconds: -2),
            machine: MachineID(3), requestID: "r7",
            event: .freed(
                FreeRecord(target: .page(PageFrameNumber(0x1005), order: .zero)),
                FreedRecord(
                    allocation: AllocationID(9), pfn: PageFrameNumber(0x1005), order: .zero,
                    node: NodeID(sketched: 1), zone: .normal, pages: 1)),
            principal: "p",
            idempotency: IdempotencyKey(key: "k", fingerprint: [0xaa, 0xbb]), hash: .zero)
        #expect(
            hexadecimal(entry.canonicalBytes)
                == [
                    "67667045", "0100",  // "gfpE", version 1
                    "0201000000000000", "feffffffffffffff", "0300000000000000",
                    "06", "03",  // free, done
                    "020000007237", "010100000070",  // request id, principal
                    "01", "010000006b", "02000000aabb",  // key, fingerprint
                    "01", "0510000000000000", "0100",  // a page, of order 0
                    "0900000000000000", "0510000000000000", "0100", "0100", "02",
                    "0100000000000000", "00000000",  // pages, ranges
                ].joined())
    }

    @Test func aRenewalByteByByte() {
        let lease = LeaseRecord(allocation: AllocationID(4), ttlSeconds: 60)
        let entry = LedgerEntry(
            sequence: Sequence(5), time: Timestamp(microseconds: 6), machine: MachineID(1),
            requestID: "", event: .leaseRenewalRefused(lease, reason: .alreadyFreed))
        #expect(
            hexadecimal(entry.canonicalBytes)
                == [
                    "67667045", "0100", "0500000000000000", "0600000000000000", "0100000000000000",
                    "07", "02", "00000000", "00", "00", "0400000000000000", "3c000000",
                    "0d000000", hexadecimal(Array("already_freed".utf8)),
                ].joined())
    }

    /// An entry with a trace is of the second version; one without is not.
    @Test func aTraceByteByByte() {
        let lease = LeaseRecord(allocation: AllocationID(4), ttlSeconds: 60)
        var entry = LedgerEntry(
            sequence: Sequence(5), time: Timestamp(microseconds: 6), machine: MachineID(1),
            requestID: "", event: .leaseRenewed(lease))
        let plain = entry.canonicalBytes
        entry.traceParent = "00-1"
        #expect(
            hexadecimal(entry.canonicalBytes)
                == [
                    "67667045", "0200", "0500000000000000", "0600000000000000", "0100000000000000",
                    "07", "03", "00000000", "00", "00", "04000000", hexadecimal(Array("00-1".utf8)),
                    "0400000000000000", "3c000000",
                ].joined())
        entry.traceParent = nil
        #expect(entry.canonicalBytes == plain)
        #expect(plain[4...5] == [1, 0])
    }

    /// Entries that differ in one value only.
    @Test func eachValueCounts() {
        let entries = Self.variants
        var known: [[UInt8]: Int] = [:]
        for (position, entry) in entries.enumerated() {
            let other = known.updateValue(position, forKey: entry.canonicalBytes)
            #expect(other == nil, "\(entry) has the bytes of \(entries[other ?? 0])")
        }
        #expect(Set(entries.map { "\($0.kind) \($0.outcome)" }).count == 11)
    }

    @Test func theHashIsNoPartOfIt() {
        var entry = Self.variants[0]
        let bytes = entry.canonicalBytes
        entry.hash = EntryHash(words: (1, 2, 3, 4))
        #expect(entry.canonicalBytes == bytes)
    }

    @Test func aBufferIsUsedAgain() {
        var buffer = CanonicalBuffer()
        for entry in Self.variants + Self.variants.reversed() {
            buffer.removeAll()
            entry.writeCanonicalBytes(to: &buffer)
            #expect(buffer.bytes == entry.canonicalBytes)
        }
        buffer.removeAll()
        #expect(buffer.count == 0)
        buffer.write(EntryHash(words: (1, 0, 0, 0xff00_0000_0000_0000)))
        #expect(buffer.bytes == [1] + [UInt8](repeating: 0, count: 30) + [0xff])
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    // MARK: Entries

    private static let plain = AllocationRecord(request: AllocationRequest(), dialect: .linux612)
    private static let block = GrantRecord(
        pfn: PageFrameNumber(8), order: .zero, node: NodeID(sketched: 0), zone: .normal,
        migratetype: .unmovable, isCompound: false)
    private static let freed = FreedRecord(
        allocation: AllocationID(1), pfn: PageFrameNumber(8), order: .zero,
        node: NodeID(sketched: 0), zone: .normal, pages: 1)

    private static var variants: [LedgerEntry] {
        let base = entry(.granted(plain, block))
        let heads: [(inout LedgerEntry) -> Void] = [
            { _ in }, { $0.sequence = Sequence(2) }, { $0.time = Timestamp(microseconds: 1) },
            { $0.machine = MachineID(2) }, { $0.requestID = "s" }, { $0.principal = "" },
            { $0.principal = "p" }, { $0.traceParent = "" }, { $0.traceParent = "t" },
            { $0.idempotency = IdempotencyKey(key: "", fingerprint: []) },
            { $0.idempotency = IdempotencyKey(key: "k", fingerprint: []) },
            { $0.idempotency = IdempotencyKey(key: "", fingerprint: [0]) },
        ]
        return heads.map { changed(base, $0) } + events.map(entry)
    }

    private static var events: [LedgerEvent] {
        asked.map { LedgerEvent.refused($0, reason: .outOfMemory) }
            + grants.map { LedgerEvent.granted(changed(plain) { $0.owner = "g" }, $0) }
            + frees + machines
    }

    private static var asked: [AllocationRecord] {
        let changes: [(inout AllocationRecord) -> Void] = [
            { _ in }, { $0.controlName = "c" }, { $0.dialect = .linux61 }, { $0.owner = "o" },
            { $0.ttlSeconds = 1 }, { $0.request.additionalFlags = .compound },
            { $0.request.cpu = 0 }, { $0.request.interleave = turn }, { $0.interleaveAfter = turn },
            { $0.labels = [Label(name: "a", value: "bc")] },
            { $0.labels = [Label(name: "ab", value: "c")] },
        ]
        return changes.map { changed(plain, $0) }
            + controls.dropFirst().map { control in
                changed(plain) { $0.request.control = control }
            }
    }

    private static let turn = InterleaveState(previous: NodeID(sketched: 3), weightLeft: 1)

    private static var controls: [AllocationControl] {
        let node = NodeID(sketched: 1)
        let changes: [(inout AllocationControl) -> Void] = [
            { _ in }, { $0.flags = .zero }, { $0.order = .max }, { $0.node = node },
            { $0.lowBoundary = 1 }, { $0.highBoundary = 1 }, { $0.allowedNodes = [] },
            { $0.allowedNodes = [node] }, { $0.alignment = 1 }, { $0.phase = 1 },
            { $0.boundary = 1 }, { $0.pages = 1 }, { $0.maxSegments = 2 }, { $0.fit = .first },
            { $0.memoryPolicy = MemoryPolicy(mode: .bind) },
            { $0.memoryPolicy = MemoryPolicy(mode: .preferred) },
            { $0.memoryPolicy = MemoryPolicy(mode: .bind, flags: .staticNodes) },
            { $0.memoryPolicy = MemoryPolicy(mode: .bind, nodes: [node]) },
            { $0.memoryPolicy = MemoryPolicy(mode: .bind, homeNode: node) },
            {
                $0.memoryPolicy = MemoryPolicy(
                    mode: .bind, weights: [MemoryPolicy.Weight(node: node, pages: 2)])
            },
        ]
        return changes.map { changed(AllocationControl(), $0) }
    }

    private static var grants: [GrantRecord] {
        let frames = FrameRange(sketched: 8..<9)
        let further = FrameRange(sketched: 12..<13)
        let type = Migratetype.movable
        let changes: [(inout GrantRecord) -> Void] = [
            { $0.node = NodeID(sketched: 1) }, { $0.zone = .dma }, { $0.migratetype = .movable },
            { $0.isCompound = true },
            { $0.changes = [.retyped(frames, to: type)] }, { $0.changes = [.boosted(8)] },
            { $0.changes = [.moved(frames, to: type)] },
            { $0.changes = [.moved(further, to: type)] },
            { $0.changes = [.advanced(to: PageFrameNumber(8))] },
            { $0.numa = NUMACount(preferred: 0, local: 0, isInterleaveHit: false) },
            { $0.numa = NUMACount(preferred: 1, local: 0, isInterleaveHit: false) },
            { $0.numa = NUMACount(preferred: 0, local: 1, isInterleaveHit: false) },
            { $0.numa = NUMACount(preferred: 0, local: 0, isInterleaveHit: true) },
        ]
        let runs = [[frames], [frames, further], [further, frames]].map {
            GrantRecord(
                segments: $0, node: block.node, zone: block.zone, migratetype: block.migratetype)
        }
        return changes.map { changed(block, $0) } + runs
    }

    private static var frees: [LedgerEvent] {
        let changes: [(inout FreedRecord) -> Void] = [
            { _ in }, { $0.pfn = PageFrameNumber(9) }, { $0.order = .max }, { $0.order = nil },
            { $0.node = NodeID(sketched: 1) }, { $0.zone = .dma }, { $0.pages = 2 },
            { $0.ranges = [FrameRange(sketched: 8..<9)] }, { $0.allocation = AllocationID(2) },
        ]
        let targets: [FreeRecord.Target] = [
            .allocation(AllocationID(8)), .page(PageFrameNumber(8), order: nil),
            .page(PageFrameNumber(8), order: .zero), .page(PageFrameNumber(9), order: nil),
        ]
        let records = changes.map { changed(freed, $0) }
        let lease = LeaseRecord(allocation: AllocationID(1), ttlSeconds: 1)
        let later = LeaseRecord(allocation: AllocationID(1), ttlSeconds: 2)
        return records.map { .freed(FreeRecord(target: .page(freed.pfn, order: .max)), $0) }
            + records.map { .leaseExpired($0) }
            + targets.map { .freeRefused(FreeRecord(target: $0), reason: .notHead) }
            + [
                .freeRefused(FreeRecord(target: targets[0]), reason: .wrongOrder),
                .leaseRenewed(lease), .leaseRenewed(later),
                .leaseRenewed(LeaseRecord(allocation: AllocationID(2), ttlSeconds: 1)),
                .leaseRenewalRefused(lease, reason: .alreadyFreed),
                .leaseRenewalRefused(lease, reason: .unknownAllocation),
                .refused(plain, reason: .unsatisfiable(.windowTooSmall)),
            ]
    }

    private static var machines: [LedgerEvent] {
        [
            .machineCreated(name: "m", machine: .caseMachine),
            .machineCreated(name: "n", machine: .caseMachine),
            .machineCreated(name: "m", machine: .normalOnly(pages: 8, from: 512)),
            .machineDeleted(name: "m"), .machineDeleted(name: "n"), .controlDeleted(name: "m"),
            .controlPut(name: "c", control: AllocationControl(), dialect: .linux61),
            .controlPut(name: "d", control: AllocationControl(), dialect: .linux61),
        ] + controls.map { .controlPut(name: "c", control: $0, dialect: .linux612) }
    }

    private static func entry(_ event: LedgerEvent) -> LedgerEntry {
        LedgerEntry(
            sequence: Sequence(1), time: Timestamp(microseconds: 0), machine: MachineID(1),
            requestID: "r", event: event)
    }

    private static func changed<Value>(_ value: Value, _ change: (inout Value) -> Void) -> Value {
        var value = value
        change(&value)
        return value
    }
}
