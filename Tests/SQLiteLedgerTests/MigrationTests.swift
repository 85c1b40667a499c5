// A ledger of an earlier version is brought to this one with nothing lost, and goes on.

import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct MigrationTests {
    private let bench = LedgerBench()

    @Test func aVersion1LedgerIsReadAsWhatItWas() throws {
        try Version1Ledger.write(to: bench)
        let entries = try bench.recovered()
        #expect(entries.map(\.event) == Version1Ledger.events(try machines(of: entries)))
        #expect(entries.map(\.sequence.rawValue) == Array(1...17))
        #expect(entries.map(\.requestID)[...3] == ["first-start", "r1", "r2", "r3"])
        #expect(entries[3].time == Timestamp(microseconds: 1_795_410_221_554_078))
        #expect(try bench.texts("PRAGMA user_version") == ["4"])
    }

    @Test func itsStateIsWhatItWas() throws {
        try Version1Ledger.write(to: bench)
        let state = try LedgerState.recover(from: try bench.open())
        let machine = try #require(state.machine(named: "default"))
        #expect(
            machine.allocator.liveGrants(after: AllocationID(0), limit: 9).map(\.id.rawValue) == [
                4, 5,
            ])
        #expect(machine.allocator.freePages == 12_287 - 3)
        #expect(machine.controls.map(\.name) == ["dma-32bit", "nic"])
        #expect(machine.controls.allSatisfy { $0.interleave == .start })
        #expect(state.machine(named: "second") == nil)
        machine.allocator.checkInvariants()
    }

    @Test func aVersion2LedgerIsReadAsWhatItWas() throws {
        try Version2Ledger.write(to: bench)
        let entries = try bench.recovered()
        #expect(entries.count == Int(Version2Ledger.entries))
        #expect(entries.allSatisfy { $0.hash == nil && $0.principal == nil })
        #expect(entries[4].requestID == "r4")
        guard case .granted(let asked, let grant) = entries[4].event else {
            Issue.record("entry 5 is no grant")
            return
        }
        #expect(asked.request.control.pages == 24)
        #expect(asked.request.control.fit == .next)
        #expect(asked.ttlSeconds == nil)
        #expect(grant.segments == [FrameRange(sketched: 1040..<1064)])
        #expect(grant.changes == [.advanced(to: PageFrameNumber(1064))])
        #expect(try bench.texts("PRAGMA user_version") == ["4"])
    }

    @Test func itsStateIsWhatThatVersionSaid() throws {
        try Version2Ledger.write(to: bench)
        let state = try LedgerState.recover(from: try bench.open())
        let machine = try #require(state.machine(named: "default"))
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: 9)
        #expect(live.map(\.id.rawValue) == [3, 4, 5, 8, 11])
        #expect(machine.allocator.freePages == 3967)
        #expect(machine.controls == [])
        #expect(machine.leases.isEmpty)
        machine.allocator.checkInvariants()
    }

    @Test func aVersion3LedgerIsReadAsWhatItWas() throws {
        try Version3Ledger.write(to: bench)
        let ledger = try bench.open()
        #expect(ledger.head.hash.text == Version3Ledger.head)
        let entries = try LedgerBench.entries(of: ledger)
        #expect(entries.count == Int(Version3Ledger.entries))
        #expect(entries.allSatisfy { $0.hash != nil && $0.traceParent == nil })
        #expect(entries.chained().map(\.hash) == entries.map(\.hash))
        #expect(try ledger.keyed("k1")?.answer.status == 201)
        #expect(try ledger.keyed("k2")?.sequence == Sequence(5))
        try ledger.close()
        #expect(try bench.texts("PRAGMA user_version") == ["4"])
        #expect(try bench.texts("SELECT count(*) FROM chain_start") == ["0"])
    }

    @Test func itsLeasesAreWhatTheyWere() throws {
        try Version3Ledger.write(to: bench)
        let state = try LedgerState.recover(from: try bench.open())
        let machine = try #require(state.machine(named: "default"))
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: 9)
        #expect(live.map(\.id.rawValue) == [2])
        #expect(machine.allocator.freePages == 1023)
        let renewed = Timestamp(microseconds: 1_795_439_481_831_051).adding(seconds: 120)
        #expect(machine.leases.first?.expiry == renewed)
        machine.allocator.checkInvariants()
    }

    @Test func aTraceIsKeptFromThereOn() throws {
        try Version3Ledger.write(to: bench)
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let ledger = try bench.open()
        var entry = LedgerEntry(
            sequence: ledger.lastSequence.next,
            time: Timestamp(microseconds: 1_795_439_500_000_000), machine: MachineID(1),
            requestID: "r8",
            event: .leaseRenewed(
                LeaseRecord(allocation: AllocationID(2), ttlSeconds: 5)))
        entry.traceParent = trace
        try ledger.append(entry)
        try ledger.commit()
        try ledger.close()
        let entries = try bench.recovered()
        #expect(entries.last?.traceParent == trace)
        #expect(
            try bench.texts("SELECT traceparent FROM ledger_readable WHERE sequence = 10") == [
                trace
            ])
        #expect(entries.chained().last?.hash == entries.last?.hash)
    }

    /// The same entries are the same bytes for ever.
    @Test(arguments: [
        (1, "5b8fe6035d25140912c5a98f4a549edeffd6b8d02722968ce387caa32d9cbe5d"),
        (2, "7cc7b6234cd90b9d479be1368748d32e8da9dfd4ee820d2670e3ff94f798b3a1"),
    ])
    func theChainOverOlderEntriesIsWhatItAlwaysWas(version: Int, hash: String) throws {
        if version == 1 {
            try Version1Ledger.write(to: bench)
        } else {
            try Version2Ledger.write(to: bench)
        }
        let ledger = try bench.open()
        #expect(ledger.head.hash.text == hash)
        let entries = try LedgerBench.entries(of: ledger)
        #expect(entries.chained().last?.hash == ledger.head.hash)
        try ledger.close()
        // Noted once, and there the next time.
        let noted = try bench.texts("SELECT sequence || ' ' || lower(hex(hash)) FROM chain_start")
        #expect(noted == ["\(entries.count) \(hash)"])
        #expect(try bench.open().head.hash.text == hash)
    }

    @Test func itsRowsStayAsTheyAre() throws {
        try Version1Ledger.write(to: bench)
        let rows = """
            SELECT quote(sequence) || quote(time) || quote(machine) || quote(kind)
                || quote(outcome) || quote(request_id) || quote(machine_name) || quote(control)
                || quote(owner) || quote(dialect) || quote(flags) || quote(additional_flags)
                || quote(low_boundary) || quote(high_boundary) || quote(request_node)
                || quote(request_cpu) || quote(labels) || quote(target_pfn)
                || quote(target_order) || quote(allocation) || quote(pfn) || quote(block_order)
                || quote(freed_pages) || quote(node) || quote(zone) || quote(migratetype)
                || quote(compound) || quote(reason) || quote(document)
            FROM ledger ORDER BY sequence
            """
        let before = try bench.texts(rows)
        #expect(before.count == 17)
        try bench.open().close()
        #expect(try bench.texts(rows) == before)
        #expect(throws: SQLiteError.self) {
            try bench.raw().execute("UPDATE ledger SET owner = 'me'")
        }
    }

    @Test func itGoesOnWithEntriesOfEveryKind() throws {
        try Version1Ledger.write(to: bench)
        let old = try bench.recovered()
        var generator = EntryGenerator(seed: 61)
        generator.skip(to: Timestamp(microseconds: 1_795_410_221_746_535))
        let ledger = try bench.open()
        var new: [LedgerEntry] = []
        for _ in 0..<300 {
            let entry = generator.entry(after: ledger.head)
            try ledger.append(entry)
            new.append(entry)
        }
        try ledger.commit()
        try ledger.close()
        #expect(try bench.recovered() == old + new)
        #expect(
            try bench.texts("SELECT count(*) FROM ledger_readable") == [String(old.count + 300)])
    }

    @Test func historyWaitsForTheMigration() throws {
        try Version1Ledger.write(to: bench)
        #expect {
            try bench.history()
        } throws: { error in
            (error as? LedgerFailure)?.detail.hasSuffix("has yet to be migrated") == true
        }
        let entries = try bench.recovered()
        #expect(try bench.history().page(HistoryQuery()).entries == entries)
    }

    @Test func aMigrationThatIsBrokenOffHasNotHappened() throws {
        try Version1Ledger.write(to: bench)
        // The second migration gives up at its second statement.
        try bench.raw().execute("DROP VIEW ledger_readable")
        #expect(throws: LedgerFailure.self) { try bench.open() }
        #expect(try bench.texts("PRAGMA user_version") == ["1"])
        #expect(
            try bench.texts(
                "SELECT name FROM pragma_table_info('ledger') WHERE name = 'details'") == [])
    }

    private func machines(of entries: [LedgerEntry]) throws -> (Machine, Machine) {
        let machines = entries.compactMap { entry -> Machine? in
            guard case .machineCreated(_, let machine) = entry.event else { return nil }
            return machine
        }
        try #require(machines.count == 2)
        #expect(machines.map(\.dialect) == [.linux612, .linux61])
        #expect(machines.map { $0.zones.map(\.type) } == [[.dma, .normal], [.normal]])
        #expect(machines.map { $0.zones.map(\.managedPages) } == [[4095, 8192], [16]])
        return (machines[0], machines[1])
    }
}
