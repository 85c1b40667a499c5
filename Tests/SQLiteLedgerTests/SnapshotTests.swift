// The state as it was, at every entry; snapshots that are made, found again, and not believed.

import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("Snapshots and past states")
struct SnapshotTests {
    private let bench = LedgerBench()

    private static let entries = 230
    private static let interval: UInt64 = 32

    /// A ledger in the directory, and the state after each of its entries, none first.
    private func makeLedger(
        seed: UInt64, microsecondsPerStep: Int64 = 1, dialect: KernelDialect = .linux612
    ) throws -> [LedgerStateImage] {
        var life = LedgerLife(seed, microsecondsPerStep, dialect)
        for _ in 0..<Self.entries { life.goOn() }
        try bench.fill(life.entries)
        var state = LedgerState()
        return try [LedgerStateImage(state)]
            + life.entries.map { entry in
                try state.apply(entry)
                return LedgerStateImage(state)
            }
    }

    // MARK: The state as it was

    @Test(
        "the state at every entry is that which replay leads to, with snapshots and without",
        arguments: KernelDialect.allCases)
    func everyEntry(dialect: KernelDialect) throws {
        // Leases end on the way.
        let images = try makeLedger(seed: 1, microsecondsPerStep: 900_000, dialect: dialect)
        let ended = try bench.recovered().count { $0.kind == .leaseExpired }
        #expect(ended > 3)
        let history = try bench.history()
        try expect(images, of: history, forwards: true)
        let keeper = try keeper(of: history)
        while try keeper.step() {}
        try expect(images, of: history, forwards: true)
        try expect(images, of: history, forwards: false)
        var random = SeededGenerator(seed: 2)
        for _ in 0..<100 {
            let sequence = random.below(images.count)
            let state = try history.state(at: Sequence(UInt64(sequence)))
            #expect(LedgerStateImage(state) == images[sequence], "entry \(sequence)")
        }
    }

    private func expect(
        _ images: [LedgerStateImage], of history: SQLiteHistory, forwards: Bool
    ) throws {
        let sequences = forwards ? Array(images.indices) : images.indices.reversed()
        for sequence in sequences {
            let state = try history.state(at: Sequence(UInt64(sequence)))
            guard LedgerStateImage(state) == images[sequence] else {
                Issue.record("another state at entry \(sequence), forwards: \(forwards)")
                return
            }
        }
    }

    @Test("there is no state at an entry that is not there, and the next question is answered")
    func beyondTheLast() throws {
        let images = try makeLedger(seed: 3)
        let history = try bench.history()
        #expect(throws: RecoveryFailure.self) {
            try history.state(at: Sequence(UInt64(Self.entries) + 1))
        }
        let last = try history.state(at: Sequence(UInt64(Self.entries)))
        #expect(LedgerStateImage(last) == images.last)
    }

    @Test("the last entry at or before a time, several of which share one")
    func times() throws {
        _ = try makeLedger(seed: 4)
        let entries = try bench.recovered()
        let history = try bench.history()
        let first = entries[0].time.microseconds
        for time in first - 1...(entries[entries.count - 1].time.microseconds + 1) {
            let expected = entries.last { $0.time.microseconds <= time }?.sequence ?? .zero
            let found = try history.sequence(atOrBefore: Timestamp(microseconds: time))
            #expect(found == expected, "time \(time - first)")
        }
    }

    @Test("a changed entry is named, and no state is made of it")
    func changedEntry() throws {
        _ = try makeLedger(seed: 5)
        try bench.spoil("UPDATE ledger SET request_id = request_id || 'x' WHERE sequence = 100")
        let history = try bench.history()
        _ = try history.state(at: Sequence(99))
        do throws(RecoveryFailure) {
            _ = try history.state(at: Sequence(120))
            Issue.record("a changed entry went unseen")
        } catch {
            guard case .unreadable(let failure) = error else { throw error }
            #expect(failure.kind == .corrupt)
            #expect(failure.detail.hasPrefix("entry 100:"))
        }
    }

    // MARK: Making snapshots

    @Test("a snapshot is made of every so many entries")
    func intervals() throws {
        _ = try makeLedger(seed: 6)
        let history = try bench.history()
        let keeper = try keeper(of: history)
        while try keeper.step() {}
        #expect(try sequences(of: history) == [32, 64, 96, 128, 160, 192, 224])
        #expect(try !keeper.step())
    }

    @Test("the index does not leave them far behind")
    func turns() throws {
        _ = try makeLedger(seed: 12)
        let shape = IndexShape(entries: 4, mergedRuns: 2, levels: 4, chunkBytes: 96)
        let history = try SQLiteHistory.open(
            in: LedgerDirectory(path: bench.directory.path), shape: shape,
            snapshotInterval: Self.interval)
        var furthest: UInt64 = 0
        while try history.housekeep() {
            let table = try #require(history.past.snapshots)
            let entries = try #require(history.index).end - 1
            let newest = table.nearest(atOrBefore: Sequence(entries)).rawValue
            furthest = max(furthest, entries - newest)
        }
        // Three are due by then, the third while steps are shared.
        #expect(furthest < 4 * Self.interval)
        #expect(furthest > 2 * Self.interval)
        #expect(try sequences(of: history) == [32, 64, 96, 128, 160, 192, 224])
    }

    @Test("questions in between take nothing from the snapshots")
    func questionsInBetween() throws {
        let images = try makeLedger(seed: 7)
        let history = try bench.history()
        let keeper = try keeper(of: history)
        var random = SeededGenerator(seed: 8)
        var steps = 0
        while try keeper.step() {
            steps += 1
            guard random.chance(percent: 30), steps < 200 else { continue }
            let sequence = random.below(images.count)
            let state = try history.state(at: Sequence(UInt64(sequence)))
            #expect(LedgerStateImage(state) == images[sequence])
        }
        let table = try #require(history.past.snapshots)
        for sequence in try sequences(of: history) {
            let kept = try #require(table.snapshot(atOrBefore: Sequence(sequence)))
            let state = try LedgerState(kept)
            #expect(LedgerStateImage(state) == images[Int(sequence)])
        }
    }

    // MARK: Recovery

    @Test(
        "a start uses the newest snapshot, and comes to the same state", arguments: 1..<5,
        KernelDialect.allCases)
    func recovery(seed: UInt64, dialect: KernelDialect) throws {
        let images = try makeLedger(seed: seed, microsecondsPerStep: 900_000, dialect: dialect)
        try keepSnapshots()
        let (recovery, reports) = try recover()
        #expect(recovery.way.snapshot == Sequence(224))
        #expect(recovery.way.entries == UInt64(Self.entries) - 224)
        #expect(LedgerStateImage(recovery.state) == images.last)
        #expect(reports.isEmpty)
    }

    @Test(
        "snapshots that are damaged, or of another ledger, are passed over",
        arguments: [
            "UPDATE snapshot SET bytes = zeroblob(length(bytes)) WHERE sequence > 150",
            "UPDATE snapshot SET bytes = x'', hash = x'' WHERE sequence > 150",
            "UPDATE snapshot SET mark = mark + 1 WHERE sequence > 150",
            """
            UPDATE snapshot SET bytes = s.bytes, hash = s.hash
            FROM (SELECT * FROM snapshot WHERE sequence = 32) AS s WHERE snapshot.sequence > 150
            """,
        ])
    func passedOver(change: String) throws {
        let images = try makeLedger(seed: 9)
        try keepSnapshots()
        try Connection(path: bench.directory.file("history.db"), access: .readWriteCreate)
            .execute(change)
        let (recovery, reports) = try recover()
        #expect(recovery.way.snapshot == Sequence(128))
        #expect(LedgerStateImage(recovery.state) == images.last)
        #expect(reports.count == 3)
        // They are gone now, and made again.
        #expect(try recover().reports.isEmpty)
        try keepSnapshots()
        #expect(try recover().recovery.way.snapshot == Sequence(224))
    }

    @Test("without a snapshot that is believed all entries are replayed")
    func noneIsBelieved() throws {
        let images = try makeLedger(seed: 10)
        try keepSnapshots()
        try Connection(path: bench.directory.file("history.db"), access: .readWriteCreate)
            .execute("UPDATE snapshot SET hash = zeroblob(32)")
        let (recovery, reports) = try recover()
        #expect(recovery.way.snapshot == nil)
        #expect(recovery.way.entries == UInt64(Self.entries))
        #expect(LedgerStateImage(recovery.state) == images.last)
        #expect(reports.count == 7)
    }

    @Test("snapshots of a future that the ledger does not have are not asked")
    func shorterLedger() throws {
        _ = try makeLedger(seed: 11)
        try keepSnapshots()
        try bench.spoil("DELETE FROM ledger WHERE sequence > 100")
        let (recovery, reports) = try recover()
        #expect(recovery.way.snapshot == Sequence(96))
        #expect(recovery.state.lastSequence == Sequence(100))
        #expect(reports.isEmpty)
    }

    // MARK: Making what tests need

    private func keeper(of history: SQLiteHistory) throws -> SnapshotKeeper {
        _ = history.openIndex()
        let table = try #require(history.past.snapshots)
        return SnapshotKeeper(history.past, table, interval: Self.interval)
    }

    private func keepSnapshots() throws {
        let keeper = try keeper(of: try bench.history())
        while try keeper.step() {}
    }

    private func sequences(of history: SQLiteHistory) throws -> [UInt64] {
        let table = try #require(history.past.snapshots)
        var found: [UInt64] = []
        var last = table.nearest(atOrBefore: Sequence(UInt64(Int64.max)))
        while last > .zero {
            found.append(last.rawValue)
            last = table.nearest(atOrBefore: Sequence(last.rawValue - 1))
        }
        return found.reversed()
    }

    private func recover() throws -> (recovery: Recovery, reports: [String]) {
        let ledger = try bench.open()
        var reports: [String] = []
        let snapshots = try ledger.snapshots(directory: bench.directory.path) { reports.append($0) }
        let recovery = try Recovery(of: ledger, with: snapshots)
        try ledger.close()
        return (recovery, reports)
    }
}

/// Entries as a service would write them: machines, blocks, runs, frees, leases.
private struct LedgerLife {
    private(set) var entries: [LedgerEntry] = []
    private var state = LedgerState()
    private var random: SeededGenerator

    /// Between two entries of different times.
    private let microsecondsPerStep: Int64
    private let dialect: KernelDialect

    init(_ seed: UInt64, _ microsecondsPerStep: Int64, _ dialect: KernelDialect) {
        random = SeededGenerator(seed: seed)
        self.microsecondsPerStep = microsecondsPerStep
        self.dialect = dialect
    }

    mutating func goOn() {
        guard let machine = state.machines.randomElement(using: &random) else { return create() }
        if let expiry = state.nextExpiry, expiry <= time(of: state.lastSequence.next) {
            return expire(expiry)
        }
        if state.machines.count < 3, random.chance(percent: 5) { return create() }
        switch random.below(10) {
        case 0 where machine.allocator.liveGrantCount == 0:
            carryOut(.machineDeleted(name: machine.name), on: machine.id)
        case 0..<6: allocate(on: machine)
        case 6: renew(on: machine)
        default: free(on: machine)
        }
    }

    /// The lease that ends first.
    private mutating func expire(_ expiry: Timestamp) {
        for machine in state.machines {
            guard let lease = machine.leases.first, lease.expiry == expiry else { continue }
            do {
                let freed = machine.record(of: try machine.allocator.free(lease.id))
                return note(.leaseExpired(freed), on: machine)
            } catch {
                preconditionFailure("a lease of a grant that is gone: \(error)")
            }
        }
    }

    private mutating func renew(on machine: SimulatedMachine) {
        guard let lease = machine.leases.all.randomElement(using: &random) else {
            return allocate(on: machine)
        }
        let record = LeaseRecord(
            allocation: lease.id, ttlSeconds: UInt32(random.below(60) + 1))
        note(.leaseRenewed(record), on: machine)
    }

    private mutating func create() {
        let machine = random.pick([TestWorld.wide, .fourNodes, .holes]).machine.under(dialect)
        carryOut(
            .machineCreated(name: "m\(state.names.count)", machine: machine), on: nil)
    }

    private mutating func allocate(on machine: SimulatedMachine) {
        var control = AllocationControl(
            flags: random.pick([.kernel, [.kernel, .movable], [.kernel, .compound]]),
            order: Order(sketched: random.below(4)))
        if random.chance(percent: 25) {
            control.order = .zero
            control.pages = UInt64(random.below(12) + 1)
            control.fit = random.pick(Fit.allCases)
        }
        var record = AllocationRecord(
            request: AllocationRequest(control: control),
            dialect: machine.allocator.machine.dialect)
        if random.chance(percent: 20) { record.ttlSeconds = UInt32(random.below(40) + 1) }
        do {
            let grant = try machine.allocator.allocatePages(
                record.request, as: AllocationID(state.lastSequence.next.rawValue))
            note(.granted(record, machine.record(of: grant)), on: machine)
        } catch {
            note(.refused(record, reason: .outOfMemory), on: machine)
        }
    }

    private mutating func free(on machine: SimulatedMachine) {
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
        guard let chosen = live.randomElement(using: &random) else { return allocate(on: machine) }
        let isWhole = random.chance(percent: 60)
        let record = FreeRecord(
            target: isWhole ? .allocation(chosen.id) : .page(chosen.grant.pfn, order: nil))
        do {
            let freed =
                isWhole
                ? try machine.allocator.free(chosen.id)
                : try machine.allocator.freeAPage(chosen.grant.pfn)
            note(.freed(record, machine.record(of: freed)), on: machine)
        } catch {
            note(.freeRefused(record, reason: error.reason), on: machine)
        }
    }

    private mutating func carryOut(_ event: LedgerEvent, on machine: MachineID?) {
        do {
            try state.carryOut(write(event, on: machine))
        } catch {
            preconditionFailure("an entry that does not fit: \(error)")
        }
    }

    private mutating func note(_ event: LedgerEvent, on machine: SimulatedMachine) {
        state.note(write(event, on: machine.id), on: machine)
    }

    /// Three entries in a row share a time.
    private func time(of sequence: Sequence) -> Timestamp {
        Timestamp(microseconds: Int64(sequence.rawValue / 3) * microsecondsPerStep)
    }

    private mutating func write(_ event: LedgerEvent, on machine: MachineID?) -> LedgerEntry {
        let sequence = state.lastSequence.next
        let entry = LedgerEntry(
            sequence: sequence, time: time(of: sequence),
            machine: machine ?? sequence, requestID: "r\(sequence.rawValue)", event: event)
        entries.append(entry)
        return entry
    }
}
