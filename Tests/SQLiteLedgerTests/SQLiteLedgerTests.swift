// What is appended comes back, whatever it is; and nothing that is not a ledger passes for one.

import Glibc
import Ledger
import PageAllocator
import SQLite
import Telemetry
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct RoundTripTests {
    private let bench = LedgerBench()

    @Test func aNewLedgerIsEmpty() throws {
        let ledger = try bench.open()
        #expect(ledger.lastSequence == .zero)
        #expect(try LedgerBench.entries(of: ledger) == [])
        #expect(try ledger.entry(at: Sequence(1)) == nil)
        try ledger.commit()
        try ledger.housekeep()
        try ledger.close()
        #expect(try bench.recovered() == [])
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func entriesOfAllKindsComeBackEqual(seed: UInt64) throws {
        let entries = EntryGenerator.entries(2000, seed: seed)
        #expect(Set(entries.map { "\($0.kind) \($0.outcome)" }).count == 11, "seed \(seed)")
        try bench.fill(entries)
        #expect(try bench.recovered() == entries, "seed \(seed)")
    }

    @Test(arguments: 0..<extremes.count)
    func extremeValuesComeBackEqual(position: Int) throws {
        let entry = LedgerEntry(
            sequence: Sequence(1), time: Timestamp(microseconds: position % 2 == 0 ? .min : .max),
            machine: MachineID(.max), requestID: "\0 ' \" ;", event: Self.extremes[position])
        try bench.fill([entry])
        #expect(try bench.recovered() == [entry].chained())
        #expect(try bench.history().entry(at: Sequence(1)) == [entry].chained()[0])
    }

    @Test func everyEnumValueComesBack() throws {
        var entries: [LedgerEntry] = []
        for event in Self.everyValue {
            entries.append(
                LedgerEntry(
                    sequence: Sequence(UInt64(entries.count + 1)),
                    time: Timestamp(microseconds: 0), machine: MachineID(1), requestID: "r",
                    event: event))
        }
        try bench.fill(entries)
        #expect(try bench.recovered() == entries.chained())
    }

    @Test func aLedgerGoesOnWhereItStopped() throws {
        let entries = EntryGenerator.entries(300, seed: 4)
        for start in stride(from: 0, to: 300, by: 100) {
            let ledger = try bench.open()
            #expect(ledger.lastSequence == Sequence(UInt64(start)))
            for entry in entries[start..<start + 100] {
                try ledger.append(entry)
            }
            try ledger.commit()
            // Every other time it goes away unclosed, as at a crash.
            if start % 200 == 0 { try ledger.close() }
        }
        #expect(try bench.recovered() == entries)
    }

    @Test func whatWasNotCommittedIsGone() throws {
        let entries = EntryGenerator.entries(30, seed: 5)
        let ledger = try bench.open()
        for entry in entries[..<20] { try ledger.append(entry) }
        try ledger.commit()
        for entry in entries[20...] { try ledger.append(entry) }
        #expect(ledger.lastSequence == Sequence(30))
        #expect(try ledger.entry(at: Sequence(30)) == entries[29])
        #expect(try bench.history().entry(at: Sequence(21)) == nil)
        #expect(try bench.history().entry(at: Sequence(20)) == entries[19])
        try ledger.close()
        #expect(try bench.recovered() == Array(entries[..<20]))
    }

    @Test func housekeepingKeepsTheLogAtItsSize() throws {
        let ledger = try bench.open()
        let log = bench.directory.file("gfpd.db-wal")
        let size = try Self.size(log)
        #expect(size >= SQLiteLedger.checkpointThreshold * 4096)
        // An entry takes a page, and so a commit a hundred and a few.
        let text = String(repeating: "x", count: 3000)
        var frames: [Int] = []
        for batch in 0..<100 {
            for position in 1...100 {
                try ledger.append(
                    LedgerEntry(
                        sequence: Sequence(UInt64(batch * 100 + position)),
                        time: Timestamp(microseconds: 0), machine: MachineID(1), requestID: text,
                        event: .machineDeleted(name: "m")))
            }
            try ledger.commit()
            frames.append(try #require(ledger.storage).connection.walFrameCount)
            try ledger.housekeep()
        }
        // The log has begun again after each five commits, and never went far beyond its threshold.
        #expect(zip(frames, frames.dropFirst()).count { $0 > $1 } == 19)
        #expect(
            (0..<200).contains(try #require(frames.max()) - SQLiteLedger.checkpointThreshold))
        #expect(try Self.size(log) == size)
    }

    /// A log that stays behind whole could be damaged later, and would then hide entries: SQLite
    /// reads it up to the damage, and takes its older pages for newer than the database's.
    @Test func closingEmptiesTheLog() throws {
        let entries = EntryGenerator.entries(2000, seed: 21)
        try bench.fill(entries)
        #expect(try Self.size(bench.directory.file("gfpd.db-wal")) == 0)
        #expect(try bench.recovered() == entries)
    }

    /// Whoever reads the log, a backup for example, keeps it; the ledger is closed all the same.
    @Test func closingLeavesAReaderItsLog() throws {
        let entries = EntryGenerator.entries(100, seed: 22)
        let ledger = try bench.open()
        for entry in entries { try ledger.append(entry) }
        try ledger.commit()
        let reader = try LedgerDirectory(path: bench.directory.path).connect(.readOnly)
        try reader.execute("BEGIN; SELECT count(*) FROM ledger")
        try ledger.close()
        #expect(try Self.size(bench.directory.file("gfpd.db-wal")) > 0)
        try reader.execute("COMMIT")
        #expect(try bench.recovered() == entries)
    }

    @Test func syncsAndCheckpointsAreTimed() throws {
        let ledger = try bench.open()
        #expect(ledger.syncDurations.count == 0)
        for entry in EntryGenerator.entries(3, seed: 23) {
            try ledger.append(entry)
            try ledger.commit()
        }
        #expect(ledger.syncDurations.count == 3)
        #expect(ledger.syncDurations.totalNanoseconds > 0)
        #expect(ledger.checkpointDurations.count == 0)
        #expect(ledger.logFrames >= 3)
    }

    private static func size(_ path: String) throws -> Int {
        var status = stat()
        try #require(unsafe stat(path, &status) == 0)
        return status.st_size
    }

    private static let control = AllocationControl(
        flags: GFPFlags(rawValue: .max), order: .max, node: NodeID(sketched: 1023),
        lowBoundary: 1 << 63, highBoundary: .max - 1)

    private static let manyOptions: AllocationControl = {
        var control = Self.control
        control.memoryPolicy = MemoryPolicy(
            mode: .weightedInterleave, flags: MemoryPolicy.Flags(rawValue: .max),
            nodes: (0..<NodeID.limit).map { NodeID(sketched: $0) }, homeNode: NodeID(sketched: 0),
            weights: [MemoryPolicy.Weight(node: NodeID(sketched: 1023), pages: .max)])
        control.allowedNodes = []
        (control.alignment, control.phase, control.boundary) = (.max, .max, .max)
        (control.pages, control.maxSegments, control.fit) = (.max, .max, .topdown)
        return control
    }()

    private static let extremes: [LedgerEvent] = [
        .machineCreated(name: "", machine: .caseMachine),
        .machineDeleted(name: String(repeating: "m", count: 10_000)),
        .controlPut(name: "", control: AllocationControl(flags: []), dialect: .linux61),
        .controlPut(name: "\n", control: control, dialect: .linux612),
        .granted(
            AllocationRecord(
                controlName: "",
                request: AllocationRequest(
                    control: control, additionalFlags: GFPFlags(rawValue: 1 << 31), cpu: .max),
                dialect: .linux61, owner: "",
                labels: [Label(name: "", value: ""), Label(name: "a b", value: "=c=")]),
            GrantRecord(
                pfn: PageFrameNumber(PageFrameNumber.limit.rawValue - 1024), order: .max,
                node: NodeID(sketched: 1023), zone: .device, migratetype: .reclaimable,
                isCompound: true)),
        .freed(
            FreeRecord(target: .page(PageFrameNumber(.max), order: .max)),
            FreedRecord(
                allocation: AllocationID(.max), pfn: PageFrameNumber(0), order: .max,
                node: NodeID(sketched: 0), zone: .dma, pages: 1024)),
        .freed(
            FreeRecord(target: .allocation(AllocationID(1 << 63))),
            FreedRecord(
                allocation: AllocationID(1 << 63), pfn: PageFrameNumber(1), order: .zero,
                node: NodeID(sketched: 0), zone: .dma, pages: 1)),
        .controlPut(name: "c", control: manyOptions, dialect: .linux612),
        .granted(
            AllocationRecord(
                controlName: "c",
                request: AllocationRequest(
                    control: manyOptions,
                    interleave: InterleaveState(previous: NodeID(sketched: 1023), weightLeft: 255)),
                dialect: .linux612,
                interleaveAfter: InterleaveState(previous: NodeID(sketched: 0), weightLeft: 0)),
            GrantRecord(
                segments: [
                    FrameRange(
                        sketched: PageFrameNumber.limit.rawValue
                            - 1..<PageFrameNumber.limit
                            .rawValue),
                    FrameRange(sketched: 0..<PageFrameNumber.limit.rawValue - 1),
                ], node: NodeID(sketched: 0), zone: .dma, migratetype: .reclaimable,
                isCompound: true,
                changes: [
                    .boosted(.max),
                    .retyped(
                        FrameRange(sketched: 0..<PageFrameNumber.limit.rawValue), to: .highAtomic),
                ], numa: NUMACount(preferred: 1023, local: 1023, isInterleaveHit: true))),
        .freed(
            FreeRecord(target: .page(PageFrameNumber(3), order: .max)),
            FreedRecord(
                allocation: AllocationID(1), pfn: PageFrameNumber(3), order: nil,
                node: NodeID(sketched: 0), zone: .dma, pages: 2,
                ranges: [FrameRange(sketched: 3..<4), FrameRange(sketched: 5..<6)])),
        .freeRefused(
            FreeRecord(target: .page(PageFrameNumber(.max), order: nil)), reason: .noSuchPage),
        .freeRefused(
            FreeRecord(target: .allocation(AllocationID(.max))), reason: .unknownAllocation),
    ]

    /// Events that between them hold each value of each enumeration, order and dialect.
    private static var everyValue: [LedgerEvent] {
        var events: [LedgerEvent] = []
        let refusals = [.outOfMemory] + Unsatisfiable.allCases.map(AllocationRefusal.unsatisfiable)
        for dialect in KernelDialect.allCases {
            for reason in refusals {
                events.append(
                    .refused(
                        AllocationRecord(request: AllocationRequest(), dialect: dialect),
                        reason: reason))
            }
        }
        for reason in FreeRefusal.allCases {
            events.append(
                .freeRefused(FreeRecord(target: .allocation(AllocationID(1))), reason: reason))
        }
        for mode in MemoryPolicy.Mode.allCases {
            for fit in Fit.allCases {
                var control = AllocationControl()
                control.memoryPolicy = MemoryPolicy(mode: mode)
                control.fit = fit
                events.append(.controlPut(name: "c", control: control, dialect: .linux612))
            }
        }
        for order in 0..<Order.count {
            for zone in ZoneType.allCases {
                for migratetype in EntryGenerator.migratetypes {
                    events.append(grant(Order(sketched: order), zone, migratetype))
                }
            }
        }
        return events
    }

    private static func grant(
        _ order: Order, _ zone: ZoneType, _ migratetype: Migratetype
    ) -> LedgerEvent {
        .granted(
            AllocationRecord(
                request: AllocationRequest(control: AllocationControl(order: order)),
                dialect: .linux612),
            GrantRecord(
                pfn: PageFrameNumber(1024), order: order, node: NodeID(sketched: 0), zone: zone,
                migratetype: migratetype, isCompound: order.rawValue % 2 == 0))
    }
}

@Suite struct StorageTests {
    private let bench = LedgerBench()

    @Test func settingsAreAsTheyWereMeant() throws {
        let ledger = try bench.open()
        let settings = Dictionary(
            uniqueKeysWithValues: ledger.settings.map { ($0.name, $0.value) })
        #expect(
            settings == [
                "cell_size_check": "1", "trusted_schema": "0", "mmap_size": "0",
                "page_size": "4096", "locking_mode": "normal", "journal_mode": "wal",
                "synchronous": "2", "wal_autocheckpoint": "0", "journal_size_limit": "-1",
                "persist_wal": "1",
            ])
        // Asked anew, after everything that opening does.
        let connection = try #require(ledger.storage).connection
        for (name, value) in settings where name != "persist_wal" {
            #expect(try connection.pragma(name) == value, "\(name)")
        }
        #expect(SQLiteLedger.sqliteVersion.hasPrefix("3."))
    }

    @Test func theFileSaysWhoseItIs() throws {
        try bench.open().close()
        #expect(try bench.texts("PRAGMA application_id") == ["1734766692"])
        #expect(try bench.texts("PRAGMA user_version") == ["4"])
        #expect(try bench.texts("PRAGMA integrity_check") == ["ok"])
    }

    @Test func columnsAreThoseOfTheMigration() throws {
        try bench.open().close()
        #expect(
            try bench.texts("SELECT name FROM pragma_table_info('ledger') ORDER BY cid")
                == LedgerColumn.allCases.map(\.name))
        #expect(try bench.texts("SELECT name FROM pragma_index_list('ledger')") == [])
    }

    @Test func aSecondLedgerIsRefused() throws {
        let ledger = try bench.open()
        #expect(try failure { () throws(LedgerFailure) in _ = try bench.open() }.kind == .inUse)
        try ledger.close()
        try bench.open().close()
    }

    @Test func aNewerLedgerIsRefused() throws {
        try bench.open().close()
        try bench.raw().execute("PRAGMA user_version = 5")
        #expect(try failure { () throws(LedgerFailure) in _ = try bench.open() }.kind == .newer)
        #expect(try failure { () throws(LedgerFailure) in _ = try bench.history() }.kind == .newer)
    }

    @Test(arguments: ["CREATE TABLE theirs (a)", "PRAGMA application_id = 7"])
    func anotherApplicationsFileIsRefusedAndLeftAlone(sql: String) throws {
        try bench.raw().execute(sql)
        #expect(try failure { () throws(LedgerFailure) in _ = try bench.open() }.kind == .corrupt)
        #expect(try bench.texts("PRAGMA journal_mode") == ["delete"])
    }

    @Test func aMissingDirectoryIsMadeButNotItsParent() throws {
        let path = bench.directory.file("gfpd.db")
        #expect(
            try failure { () throws(LedgerFailure) in
                _ = try SQLiteLedger.open(directory: path + "/a/b")
            }.kind == .storage)
        #expect(
            try failure { () throws(LedgerFailure) in
                _ = try SQLiteHistory.open(directory: path)
            }.kind == .storage)
    }

    @Test(arguments: [
        "UPDATE ledger SET owner = 'me'", "DELETE FROM ledger",
        "DELETE FROM ledger WHERE sequence = 3",
    ])
    func entriesCannotBeChangedByAnybody(sql: String) throws {
        let entries = EntryGenerator.entries(10, seed: 7)
        try bench.fill(entries)
        #expect(throws: SQLiteError.self) { try bench.raw().execute(sql) }
        #expect(try bench.recovered() == entries)
    }

    @Test func historyCannotWrite() throws {
        try bench.fill(EntryGenerator.entries(10, seed: 7))
        let history = try bench.history()
        #expect(throws: SQLiteError.self) {
            try history.connection.execute("INSERT INTO gfp_spelling VALUES ('a', 1, 'b')")
        }
    }

    @Test func flagsAreSpelledOut() throws {
        let entries = EntryGenerator.entries(3000, seed: 8)
        try bench.fill(entries)
        let pairs = """
            SELECT DISTINCT dialect, flags AS value FROM ledger WHERE flags IS NOT NULL
            UNION SELECT DISTINCT dialect, additional_flags FROM ledger
                WHERE additional_flags IS NOT NULL
            """
        #expect(
            try bench.texts(
                "\(pairs) EXCEPT SELECT dialect, value FROM gfp_spelling") == [])
        #expect(
            try bench.texts(
                "SELECT dialect FROM gfp_spelling WHERE (dialect, value) NOT IN (\(pairs))") == [])
        #expect(
            try bench.texts(
                "SELECT names FROM gfp_spelling WHERE dialect = 'linux-6.1' AND value = 0xcc0")
                == ["GFP_KERNEL"])
    }

    @Test func theReadableViewReadsEveryEntry() throws {
        let entries = EntryGenerator.entries(500, seed: 9)
        try bench.fill(entries)
        #expect(
            try bench.texts("SELECT kind || ' ' || outcome FROM ledger_readable ORDER BY sequence")
                == entries.map { "\($0.kind.name) \($0.outcome.name)" })
        #expect(
            try bench.texts(
                "SELECT count(*) FROM ledger_readable WHERE dialect IS NOT NULL AND flags IS NULL")
                == ["0"])
    }

    @Test func detailsAreWrittenAsTheMigrationSays() throws {
        let node = NodeID(sketched: 3)
        var control = AllocationControl(order: Order(sketched: 1))
        control.memoryPolicy = MemoryPolicy(
            mode: .weightedInterleave, flags: [.staticNodes, .numaBalancing], nodes: [node],
            homeNode: node, weights: [MemoryPolicy.Weight(node: node, pages: 7)])
        control.allowedNodes = [NodeID(sketched: 0), node]
        (control.alignment, control.phase, control.boundary) = (0x10000, 0x1000, 0x100000)
        (control.pages, control.maxSegments, control.fit) = (24, 2, .next)
        let record = AllocationRecord(
            controlName: "c", request: AllocationRequest(control: control), dialect: .linux612,
            interleaveAfter: InterleaveState(previous: node, weightLeft: 6))
        let frames = FrameRange(sketched: 4096..<4608)
        let grant = GrantRecord(
            segments: [FrameRange(sketched: 4096..<4112), FrameRange(sketched: 8192..<8200)],
            node: NodeID(sketched: 0), zone: .dma32, migratetype: .movable,
            changes: [
                .retyped(frames, to: .movable), .moved(frames, to: .highAtomic), .boosted(512),
                .advanced(to: PageFrameNumber(8200)),
            ], numa: NUMACount(preferred: 2, local: 1, isInterleaveHit: true))
        try bench.fill([
            LedgerEntry(
                sequence: Sequence(1), time: Timestamp(microseconds: 0), machine: MachineID(1),
                requestID: "r", event: .granted(record, grant))
        ])
        #expect(
            try bench.texts("SELECT details FROM ledger_readable") == [
                """
                policy=weighted_interleave policy_flags=0xa000 policy_nodes=3 home_node=3 \
                weights=3:7 allowed_nodes=0,3 alignment=0x10000 phase=0x1000 boundary=0x100000 \
                pages=24 order=1 max_segments=2 fit=next interleave=1023+0,3+6 \
                segments=4096+16,8192+8 changes=retyped:4096+512:Movable,\
                moved:4096+512:HighAtomic,boosted:512,advanced:8200 numa=2,1,hit
                """
            ])
    }

    @Test func aPlainRequestSaysNothingMore() throws {
        let entry = LedgerEntry(
            sequence: Sequence(1), time: Timestamp(microseconds: 0), machine: MachineID(1),
            requestID: "r",
            event: .granted(
                AllocationRecord(request: AllocationRequest(), dialect: .linux612),
                GrantRecord(
                    pfn: PageFrameNumber(8), order: .zero, node: NodeID(sketched: 0), zone: .dma,
                    migratetype: .unmovable, isCompound: false)))
        try bench.fill([entry])
        #expect(try bench.texts("SELECT details FROM ledger") == [nil])
    }

    @Test func whatARowDoesNotSayIsNotThatOfTheRowBefore() throws {
        // Each row after each other one, so that each column is left by one that filled it.
        var generator = EntryGenerator(seed: 62)
        let shapes = (0..<24).map { _ in generator.next().event }
        var entries: [LedgerEntry] = []
        for first in shapes {
            for event in shapes.flatMap({ [first, $0] }) {
                entries.append(
                    LedgerEntry(
                        sequence: Sequence(UInt64(entries.count + 1)),
                        time: Timestamp(microseconds: 0), machine: MachineID(1), requestID: "r",
                        event: event))
            }
        }
        try bench.fill(entries)
        #expect(try bench.recovered() == entries.chained())
    }
}

@Suite struct FailureTests {
    private let bench = LedgerBench()

    @Test func aFullDiskIsFinal() throws {
        let ledger = try bench.open()
        let connection = try #require(ledger.storage).connection
        let pages = try #require(try connection.pragma("page_count").flatMap { Int($0) })
        var generator = EntryGenerator(seed: 10)
        var committed: [LedgerEntry] = []
        for _ in 0..<10 {
            committed.append(generator.next())
            try ledger.append(committed[committed.count - 1])
        }
        try ledger.commit()
        try connection.setPragma("max_page_count", to: String(pages + 4))
        let first = try failure { () throws(LedgerFailure) in
            for _ in 0..<10_000 {
                try ledger.append(generator.next())
            }
        }
        #expect(first.kind == .full)
        // There is room again, and still it is over.
        try connection.setPragma("max_page_count", to: "100000")
        let second = try failure { () throws(LedgerFailure) in try ledger.commit() }
        #expect(second == first)
        #expect(try failure { () throws(LedgerFailure) in try ledger.housekeep() } == first)
        let next = generator.entry(after: ledger.head)
        #expect(try failure { () throws(LedgerFailure) in try ledger.append(next) } == first)
        try ledger.close()
        #expect(try bench.recovered() == committed)
    }

    @Test(arguments: [UInt64(1), 5, 9])
    func aGapIsNamed(missing: UInt64) throws {
        try bench.fill(EntryGenerator.entries(10, seed: 11))
        try bench.spoil("DELETE FROM ledger WHERE sequence = \(missing)")
        #expect {
            try bench.recovered()
        } throws: { error in
            guard case .contradiction(let sequence, _) = error as? RecoveryFailure else {
                return false
            }
            return sequence == Sequence(missing)
        }
    }

    @Test func aTimeThatGoesBackIsNamed() throws {
        try bench.fill(EntryGenerator.entries(10, seed: 11))
        try bench.spoil("UPDATE ledger SET time = 0 WHERE sequence = 6")
        #expect {
            try bench.recovered()
        } throws: { error in
            guard case .contradiction(let sequence, _) = error as? RecoveryFailure else {
                return false
            }
            return sequence == Sequence(6)
        }
    }

    /// One entry of each event stands at each sequence from 1 to 8, and after them a grant and a
    /// free of a run: `Self.entries`.
    @Test(arguments: [
        Spoiling(1, "document = x'67'", "document"), Spoiling(1, "document = NULL", "document"),
        Spoiling(1, "machine_name = NULL", "machine_name"), Spoiling(1, "kind = 9", "kind 9"),
        Spoiling(1, "outcome = 1", "outcome 1"), Spoiling(2, "kind = -1", "kind -1"),
        Spoiling(3, "dialect = 'linux-2.4'", "dialect"), Spoiling(3, "flags = -1", "flags"),
        Spoiling(3, "flags = 1 << 32", "flags"), Spoiling(3, "block_order = 11", "block_order"),
        Spoiling(3, "request_node = 1024", "request_node"),
        Spoiling(4, "control = NULL", "control"),
        Spoiling(5, "zone = 5", "zone"), Spoiling(5, "migratetype = 3", "migratetype"),
        Spoiling(5, "migratetype = 4", "migratetype"),
        Spoiling(5, "compound = 2", "compound"), Spoiling(5, "node = -1", "node"),
        Spoiling(5, "pfn = -1", "pfn"), Spoiling(5, "pfn = (1 << 52)", "pfn"),
        Spoiling(5, "pfn = NULL", "pfn"), Spoiling(5, "labels = 'no equals sign'", "labels"),
        Spoiling(5, "labels = ''", "labels"), Spoiling(5, "dialect = NULL", "dialect"),
        Spoiling(5, "owner = CAST(x'ff' AS TEXT)", "owner"),
        Spoiling(5, "additional_flags = -5", "additional_flags"),
        Spoiling(6, "reason = 'already_freed'", "already_freed"),
        Spoiling(6, "reason = NULL", "reason"), Spoiling(7, "freed_pages = 0", "freed_pages"),
        Spoiling(7, "freed_pages = 3", "freed_pages"),
        Spoiling(7, "allocation = NULL", "allocation"),
        Spoiling(3, "details = 'pages=24'", "block_order"), Spoiling(3, ""),
        Spoiling(3, "fit=buddy"),
        Spoiling(3, "fit=last"), Spoiling(3, "fit=best "), Spoiling(3, "fit=best fit=best"),
        Spoiling(3, "alignment=65536"), Spoiling(3, "alignment=0x0"),
        Spoiling(3, "boundary=0x01"), Spoiling(3, "boundary=0x1 alignment=0x1"),
        Spoiling(3, "colour=red"), Spoiling(3, "policy"), Spoiling(3, "policy=prefer"),
        Spoiling(3, "policy_nodes=0"), Spoiling(3, "policy=bind policy_nodes=1024"),
        Spoiling(3, "policy=bind policy_nodes=0,,1"), Spoiling(3, "policy=bind weights=0"),
        Spoiling(3, "policy=bind weights=0:256"), Spoiling(3, "pages=-1"),
        Spoiling(3, "order=1"), Spoiling(3, "interleave=0+0,1+0"),
        Spoiling(3, "segments=8+2"), Spoiling(4, "fit=best"),
        Spoiling(5, "interleave=0+0"), Spoiling(5, "interleave=0+0,1+256"),
        Spoiling(5, "interleave=0+0,1024+0"), Spoiling(5, "numa=1"),
        Spoiling(5, "numa=0,-1"), Spoiling(5, "numa=0,1,miss"), Spoiling(5, "numa=0,1 fit=best"),
        Spoiling(5, "changes="), Spoiling(5, "changes=boosted"),
        Spoiling(5, "changes=boosted:07"), Spoiling(5, "changes=moved:0+512:CMA"),
        Spoiling(5, "changes=moved:0+0:Movable"), Spoiling(5, "changes=sunk:0+512:Movable"),
        Spoiling(5, "changes=advanced:-1"), Spoiling(5, "changes=advanced:4503599627370497"),
        Spoiling(5, "details = 'segments=8+2'", "block_order"),
        Spoiling(5, "details = 'segments=8+2', block_order = NULL", "block_order"),
        Spoiling(6, "segments=8+2"), Spoiling(6, "numa=0,1"),
        Spoiling(8, "reason = 'out_of_memory'", "out_of_memory"),
        Spoiling(8, "target_order = 11", "target_order"),
        Spoiling(8, "segments=8+2"), Spoiling(9, "pfn = 9", "pfn"),
        Spoiling(9, "block_order = 3", "block_order"),
        Spoiling(9, "details = NULL", "block_order"),
        Spoiling(9, "details = 'pages=24'", "block_order"),
        Spoiling(9, "details = 'segments=8+24'", "block_order"),
        Spoiling(9, "pages=24 segments="), Spoiling(9, "pages=24 segments=8"),
        Spoiling(9, "pages=24 segments=8+0"), Spoiling(9, "pages=24 segments=8+24,31+1"),
        Spoiling(9, "pages=24 segments=8+4503599627370490"),
        Spoiling(9, "segments=8+24 pages=24"), Spoiling(10, "pages=24 segments=8+24"),
        Spoiling(10, "freed_pages = 23", "freed_pages"),
        Spoiling(10, "block_order = 0", "block_order"),
        Spoiling(10, "pfn = 1 << 52", "pfn"), Spoiling(10, "details = NULL", "block_order"),
    ])
    func aRowThatNoEntryGaveIsRefusedByName(spoiling: Spoiling) throws {
        try bench.fill(Self.entries)
        try bench.spoil(
            "UPDATE ledger SET \(spoiling.change) WHERE sequence = \(spoiling.sequence)")
        #expect {
            try bench.recovered()
        } throws: { error in
            guard case .unreadable(let failure) = error as? RecoveryFailure else { return false }
            return failure.kind == .corrupt
                && failure.detail.hasPrefix("entry \(spoiling.sequence): ")
                && failure.detail.contains(spoiling.named)
        }
        let history = try bench.history()
        #expect(throws: LedgerFailure.self) {
            try history.entry(at: Sequence(UInt64(spoiling.sequence)))
        }
        #expect(throws: LedgerFailure.self) { try history.page(HistoryQuery()) }
    }

    @Test func aDamagedFileIsCorrupt() throws {
        try bench.fill(EntryGenerator.entries(2000, seed: 12))
        let file = unsafe open(bench.directory.file("gfpd.db"), O_WRONLY)
        #expect(unsafe pwrite(file, [UInt8](repeating: 0xa5, count: 65536), 65536, 8192) == 65536)
        close(file)
        #expect(unsafe unlink(bench.directory.file("gfpd.db-wal")) == 0)
        #expect {
            try bench.recovered()
        } throws: { error in
            switch error {
            case RecoveryFailure.unreadable(let failure): failure.kind == .corrupt
            case let failure as LedgerFailure: failure.kind == .corrupt
            default: false
            }
        }
    }

    struct Spoiling: CustomTestStringConvertible, Sendable {
        let sequence: Int
        let change: String
        let named: String

        init(_ sequence: Int, _ change: String, _ named: String) {
            (self.sequence, self.change, self.named) = (sequence, change, named)
        }

        /// Details that no entry of that kind has.
        init(_ sequence: Int, _ details: String) {
            self.init(sequence, "details = '\(details)'", "details")
        }

        var testDescription: String { "entry \(sequence): \(change)" }
    }

    private static let entries: [LedgerEntry] = {
        let control = AllocationControl(order: Order(sketched: 1))
        let record = AllocationRecord(
            request: AllocationRequest(control: control), dialect: .linux612)
        let page = FreeRecord(target: .page(PageFrameNumber(8), order: .zero))
        var run = AllocationControl()
        run.pages = 24
        let frames = FrameRange(sketched: 8..<32)
        let events: [LedgerEvent] = [
            .machineCreated(name: "m", machine: .caseMachine), .machineDeleted(name: "m"),
            .controlPut(name: "c", control: control, dialect: .linux612),
            .controlDeleted(name: "c"),
            .granted(
                record,
                GrantRecord(
                    pfn: PageFrameNumber(8), order: control.order, node: NodeID(sketched: 0),
                    zone: .dma, migratetype: .unmovable, isCompound: false)),
            .refused(record, reason: .outOfMemory),
            .freed(
                page,
                FreedRecord(
                    allocation: AllocationID(5), pfn: PageFrameNumber(8), order: control.order,
                    node: NodeID(sketched: 0), zone: .dma, pages: 2)),
            .freeRefused(page, reason: .alreadyFreed),
            .granted(
                AllocationRecord(request: AllocationRequest(control: run), dialect: .linux612),
                GrantRecord(
                    segments: [frames], node: NodeID(sketched: 0), zone: .dma,
                    migratetype: .unmovable)),
            .freed(
                FreeRecord(target: .allocation(AllocationID(9))),
                FreedRecord(
                    allocation: AllocationID(9), pfn: PageFrameNumber(8), order: nil,
                    node: NodeID(sketched: 0), zone: .dma, pages: 24, ranges: [frames])),
        ]
        return events.enumerated().map { position, event in
            LedgerEntry(
                sequence: Sequence(UInt64(position + 1)), time: Timestamp(microseconds: 1),
                machine: MachineID(1), requestID: "r", event: event)
        }
    }()
}

/// The failure that `body` throws.
private func failure(_ body: () throws(LedgerFailure) -> Void) throws -> LedgerFailure {
    do throws(LedgerFailure) {
        try body()
    } catch {
        return error
    }
    throw NoFailure()
}

private struct NoFailure: Error {}
