// Snapshots: what is read from one is what was written, in every regard, and bytes that are no
// snapshot are refused.

import PageAllocator
import TestSupport
import Testing

@testable import Ledger

@Suite("Snapshots of a ledger's state")
struct LedgerStateSnapshotTests {
    @Test("an empty state")
    func empty() throws {
        let state = try LedgerState(snapshotBytes: LedgerState().snapshotBytes)
        #expect(LedgerStateImage(state) == LedgerStateImage(LedgerState()))
    }

    @Test(
        "a state read from a snapshot is the state, and goes on as it would", arguments: 1..<6,
        KernelDialect.allCases)
    func goesOn(seed: UInt64, dialect: KernelDialect) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe(dialect: dialect)
        for _ in 0..<400 { try scribe.writeSomething(&random) }
        let bytes = scribe.state.snapshotBytes
        var restored = try LedgerState(snapshotBytes: bytes)
        #expect(LedgerStateImage(restored) == LedgerStateImage(scribe.state))
        #expect(restored.snapshotBytes == bytes)
        let written = scribe.entries.count
        for _ in 0..<200 { try scribe.writeSomething(&random) }
        for entry in scribe.entries.dropFirst(written) { try restored.apply(entry) }
        #expect(LedgerStateImage(restored) == LedgerStateImage(scribe.state))
        for machine in restored.machines { machine.allocator.checkInvariants() }
    }

    /// What a snapshot leaves out would be seen in what is decided next: which list a page stands
    /// in, a boosted watermark, pages kept for atomic requests.
    @Test(
        "what is asked of a state read from a snapshot is decided as by the state",
        arguments: 1..<6,
        KernelDialect.allCases)
    func decides(seed: UInt64, dialect: KernelDialect) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe(dialect: dialect)
        for _ in 0..<400 { try scribe.writeSomething(&random) }
        let restored = try LedgerState(snapshotBytes: scribe.state.snapshotBytes)
        var granted = 0
        for (machine, other) in zip(scribe.state.machines, restored.machines) {
            for number in 0..<120 {
                let id = AllocationID(1_000_000 + UInt64(number))
                let grant = Self.decision(on: machine, id, seed: id.rawValue)
                #expect(grant == Self.decision(on: other, id, seed: id.rawValue))
                if grant != nil { granted += 1 }
                guard random.chance(percent: 40) else { continue }
                let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max)
                guard let chosen = live.randomElement(using: &random)?.id else { continue }
                let freed = try machine.record(of: machine.allocator.free(chosen))
                #expect(try freed == other.record(of: other.allocator.free(chosen)))
            }
            #expect(machine.allocator.stateImage() == other.allocator.stateImage())
        }
        #expect(granted > 50)
    }

    /// nil for a refusal.
    private static func decision(
        on machine: SimulatedMachine, _ id: AllocationID, seed: UInt64
    ) -> GrantRecord? {
        var random = SeededGenerator(seed: seed)
        let flags: [GFPFlags] = [
            .kernel, [.kernel, .movable], [.kernel, .reclaimable], [.high, .kswapdReclaim],
        ]
        var control = AllocationControl(
            flags: random.pick(flags), order: Order(sketched: random.below(5)))
        if random.chance(percent: 20) {
            control.order = .zero
            control.pages = UInt64(random.below(9) + 1)
            control.fit = random.pick(Fit.allCases)
        }
        do {
            let request = AllocationRequest(control: control)
            return machine.record(of: try machine.allocator.allocatePages(request, as: id))
        } catch {
            return nil
        }
    }

    @Test("leases end in the order in which they would have", arguments: 1..<6)
    func leases(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe()
        var leases = 0
        for _ in 0..<12 {
            for _ in 0..<60 { try scribe.writeSomething(&random) }
            let restored = try LedgerState(snapshotBytes: scribe.state.snapshotBytes)
            #expect(restored.nextExpiry == scribe.state.nextExpiry)
            for (machine, other) in zip(scribe.state.machines, restored.machines) {
                #expect(Self.ends(of: machine.leases) == Self.ends(of: other.leases))
                leases += machine.leases.count
            }
        }
        #expect(leases > 10)
    }

    /// As one after the other comes to its end.
    private static func ends(of leases: Leases) -> [Leases.Lease] {
        var leases = leases
        var ends: [Leases.Lease] = []
        while let next = leases.first {
            ends.append(next)
            leases.remove(next.id)
        }
        return ends
    }

    @Test("an end before the last entry, and the last one that there is, are kept")
    func endsAtTheEdges() throws {
        var random = SeededGenerator(seed: 4)
        var scribe = Scribe()
        for _ in 0..<40 { try scribe.writeSomething(&random) }
        let machine = try #require(scribe.state.machines.first)
        let live = machine.allocator.liveGrants(after: AllocationID(0), limit: .max).map(\.id)
        try #require(live.count >= 3)
        let edges = [Int64.min, 0, Int64.max].map(Timestamp.init(microseconds:))
        for (id, edge) in zip(live, edges) { machine.leases.set(edge, of: id) }
        let restored = try LedgerState(snapshotBytes: scribe.state.snapshotBytes)
        let other = try #require(restored.machines.first)
        for (id, edge) in zip(live, edges) { #expect(other.leases.expiry(of: id) == edge) }
        #expect(other.leases.first?.expiry == edges[0])
    }

    @Test(
        "the same state is the same bytes, however it was come to", arguments: 1..<5,
        KernelDialect.allCases)
    func canonical(seed: UInt64, dialect: KernelDialect) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe(dialect: dialect)
        for _ in 0..<300 { try scribe.writeSomething(&random) }
        let replayed = try LedgerState.recover(from: MemoryLedger(scribe.entries))
        #expect(replayed.snapshotBytes == scribe.state.snapshotBytes)
    }

    // MARK: Bytes that are none

    @Test("of no beginning of a snapshot a state is made")
    func truncated() throws {
        let bytes = try Self.someBytes()
        for count in 0..<bytes.count {
            #expect(throws: SnapshotFailure.self, "\(count) bytes") {
                try LedgerState(snapshotBytes: Array(bytes.prefix(count)))
            }
        }
        #expect(throws: SnapshotFailure.self) { try LedgerState(snapshotBytes: bytes + [0]) }
    }

    @Test("spoilt bytes are refused, or are another sound state", arguments: 1..<5)
    func spoilt(seed: UInt64) throws {
        let bytes = try Self.someBytes()
        var random = SeededGenerator(seed: seed)
        var refusals = 0
        for _ in 0..<400 {
            var spoilt = bytes
            for _ in 0...random.below(3) {
                spoilt[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            do throws(SnapshotFailure) {
                let state = try LedgerState(snapshotBytes: spoilt)
                for machine in state.machines { machine.allocator.checkInvariants() }
            } catch {
                refusals += 1
            }
        }
        #expect(refusals > 100)
    }

    @Test("a later version is named")
    func laterVersion() throws {
        var bytes = LedgerState().snapshotBytes
        bytes[4] = 99
        #expect(throws: SnapshotFailure.unknownVersion(99)) {
            try LedgerState(snapshotBytes: bytes)
        }
        #expect(throws: SnapshotFailure.notASnapshot) {
            try LedgerState(snapshotBytes: Array("gfpMachine".utf8))
        }
    }

    private static func someBytes() throws -> [UInt8] {
        var random = SeededGenerator(seed: 3)
        var scribe = Scribe()
        for _ in 0..<250 { try scribe.writeSomething(&random) }
        return scribe.state.snapshotBytes
    }

    // MARK: Recovery

    @Test("recovery takes the newest snapshot and the entries after it", arguments: 1..<9)
    func recovery(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe()
        let snapshots = KeptSnapshots()
        for _ in 0..<400 {
            try scribe.writeSomething(&random)
            if random.chance(percent: 2) { snapshots.keep(scribe.state) }
        }
        let last = try #require(snapshots.kept.last?.sequence)
        let recovery = try Recovery(of: MemoryLedger(scribe.entries), with: snapshots)
        #expect(recovery.way.snapshot == last)
        #expect(snapshots.discarded.isEmpty)
        #expect(recovery.way.entries == UInt64(scribe.entries.count) - last.rawValue)
        #expect(LedgerStateImage(recovery.state) == LedgerStateImage(scribe.state))
    }

    @Test("what cannot be read is passed over, and all entries are asked where nothing can be")
    func passedOver() throws {
        var random = SeededGenerator(seed: 5)
        var scribe = Scribe()
        let snapshots = KeptSnapshots()
        for _ in 0..<60 { try scribe.writeSomething(&random) }
        snapshots.keep(scribe.state)
        for _ in 0..<60 { try scribe.writeSomething(&random) }
        let last = scribe.state.lastSequence
        snapshots.kept.append(LedgerSnapshot(sequence: last, bytes: [1, 2, 3]))
        let recovery = try Recovery(of: MemoryLedger(scribe.entries), with: snapshots)
        #expect(recovery.way.snapshot == snapshots.kept[0].sequence)
        #expect(snapshots.discarded == [last])
        #expect(LedgerStateImage(recovery.state) == LedgerStateImage(scribe.state))
        snapshots.kept.removeFirst()
        let whole = try Recovery(of: MemoryLedger(scribe.entries), with: snapshots)
        #expect(whole.way.snapshot == nil)
        #expect(whole.way.entries == last.rawValue)
        #expect(LedgerStateImage(whole.state) == LedgerStateImage(scribe.state))
    }

    @Test("a snapshot that says another entry, or that the entries contradict, decides nothing")
    func contradicted() throws {
        var random = SeededGenerator(seed: 6)
        var scribe = Scribe()
        for _ in 0..<80 { try scribe.writeSomething(&random) }
        var other = Scribe()
        for _ in 0..<40 { try other.writeSomething(&random) }
        let snapshots = KeptSnapshots()
        snapshots.kept = [LedgerSnapshot(sequence: Sequence(39), bytes: other.state.snapshotBytes)]
        let mislabelled = try Recovery(of: MemoryLedger(scribe.entries), with: snapshots)
        #expect(mislabelled.way.snapshot == nil)
        snapshots.kept = [LedgerSnapshot(sequence: Sequence(40), bytes: other.state.snapshotBytes)]
        let recovery = try Recovery(of: MemoryLedger(scribe.entries), with: snapshots)
        #expect(recovery.way.snapshot == nil)
        #expect(snapshots.discarded == [Sequence(39), Sequence(40)])
        #expect(LedgerStateImage(recovery.state) == LedgerStateImage(scribe.state))
    }

    @Test("entries after a snapshot that do not follow from it are refused as ever")
    func damagedEntries() throws {
        var random = SeededGenerator(seed: 7)
        var scribe = Scribe()
        for _ in 0..<80 { try scribe.writeSomething(&random) }
        let snapshots = KeptSnapshots()
        snapshots.keep(scribe.state)
        for _ in 0..<40 { try scribe.writeSomething(&random) }
        var gap = scribe.entries
        gap.remove(at: 99)
        #expect(throws: RecoveryFailure.self) {
            try Recovery(of: MemoryLedger(gap), with: snapshots)
        }
    }
}

/// Snapshots in memory, ascending.
private final class KeptSnapshots: SnapshotSource {
    var kept: [LedgerSnapshot] = []
    private(set) var discarded: [Sequence] = []

    func keep(_ state: LedgerState) {
        kept.append(LedgerSnapshot(sequence: state.lastSequence, bytes: state.snapshotBytes))
    }

    func snapshot(atOrBefore sequence: Sequence) -> LedgerSnapshot? {
        kept.last { $0.sequence <= sequence }
    }

    func discard(_ sequence: Sequence, because reason: String) {
        discarded.append(sequence)
    }
}
