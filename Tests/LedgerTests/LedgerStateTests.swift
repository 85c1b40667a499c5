// The state that entries lead to: recovery comes to the state that was live, and entries that
// contradict each other are refused by the first that does not fit.

import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("LedgerState")
struct LedgerStateTests {
    // MARK: Recovery

    @Test("an empty ledger leads to no machines")
    func emptyLedger() throws {
        let state = try LedgerState.recover(from: MemoryLedger())
        #expect(state.machines.isEmpty)
        #expect(state.names.isEmpty)
        #expect(state.lastSequence == .zero)
        #expect(state.lastTime == Timestamp(microseconds: 0))
    }

    static let seeds: Range<UInt64> = 1..<9
    static let entriesPerLife = 600

    @Test("recovery comes to the state that was live, at every point of a life", arguments: seeds)
    func recoveryEqualsTheLiveState(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var scribe = Scribe()
        for step in 0..<Self.entriesPerLife {
            try scribe.writeSomething(&random)
            guard step.isMultiple(of: 25) || step == Self.entriesPerLife - 1 else { continue }
            let recovered = try LedgerState.recover(from: MemoryLedger(scribe.entries))
            guard LedgerStateImage(recovered) == LedgerStateImage(scribe.state) else {
                Issue.record("seed \(seed), entry \(scribe.entries.count): another state")
                return
            }
            for machine in recovered.machines { machine.allocator.checkInvariants() }
        }
        #expect(Set(scribe.entries.map(\.kind)) == Set(LedgerKind.allCases))
        #expect(Set(scribe.entries.map(\.outcome)) == Set(LedgerOutcome.allCases))
        let freed = scribe.entries.compactMap(\.freed)
        #expect(
            freed.contains { $0.pages < $0.order?.pageCount ?? 0 },
            "no whole free after a partial one")
        #expect(freed.contains { $0.ranges.count > 1 }, "no whole free of a run freed in part")
        #expect(scribe.entries.contains { $0.takesATurn }, "no control took a turn")
        let changes = scribe.entries.flatMap(\.changes)
        #expect(changes.contains(where: Self.isRetyped), "no pageblock changed its type")
        #expect(changes.contains(where: Self.isAdvanced), "no search by the next fit")
    }

    private static func isRetyped(_ change: ZoneChange) -> Bool {
        if case .retyped = change { true } else { false }
    }

    private static func isAdvanced(_ change: ZoneChange) -> Bool {
        if case .advanced = change { true } else { false }
    }

    @Test("each call that names a control takes the turn that it says, also when it is refused")
    func turns() throws {
        let (zero, one) = (NodeID(sketched: 0), NodeID(sketched: 1))
        let first = InterleaveState(previous: zero, weightLeft: 0)
        let second = InterleaveState(previous: one, weightLeft: 2)
        let put = LedgerEvent.controlPut(
            name: "c", control: AllocationControl(), dialect: .linux612)
        let events: [(LedgerEvent, InterleaveState)] = [
            (.granted(Self.turn(first), Self.grant(8, 0)), first),
            (.refused(Self.turn(second), reason: .outOfMemory), second),
            (.refused(Self.turn(nil), reason: .outOfMemory), second),
            (.granted(Self.request, Self.grant(9, 0)), second),
            (put, .start),
            (.granted(Self.turn(second), Self.grant(10, 0)), second),
        ]
        var entries = Self.sound
        for (event, expected) in events {
            entries.append(Self.entry(UInt64(entries.count + 1), on: 1, event))
            let state = try LedgerState.recover(from: MemoryLedger(entries))
            let stored = try #require(state.machines.first?.control(named: "c"))
            #expect(stored.interleave == expected, "entry \(entries.count)")
        }
    }

    @Test("every machine has the controls of the usual DMA masks, and the ledger none of them")
    func builtInControls() throws {
        var scribe = Scribe()
        let id = try scribe.create("a", .normalOnly(pages: 4))
        let machine = try #require(scribe.state.machine(named: "a"))
        #expect(machine.controls.isEmpty)
        #expect(
            machine.builtInControls.map(\.name)
                == [20, 24, 26, 28, 30, 31, 32, 36, 40, 48].map { "dma-\($0)bit" })
        #expect(
            machine.builtInControls.map(\.control.highBoundary) == [
                0xf_ffff, 0xff_ffff, 0x3ff_ffff, 0xfff_ffff, 0x3fff_ffff, 0x7fff_ffff,
                0xffff_ffff, 0xf_ffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff,
            ])
        for built in machine.builtInControls {
            #expect(machine.control(named: built.name) == built)
            #expect(built.isBuiltIn)
            #expect(built.sequence == id)
            #expect(built.putAt == machine.createdAt)
            #expect(built.control.flags == .kernel)
            #expect(built.control.lowBoundary == 0)
        }
    }

    @Test("a control that an older ledger has under such a name is the one that is meant")
    func olderControlOfABuiltInName() throws {
        var entries = Self.sound
        let control = AllocationControl(order: .max)
        entries.append(
            Self.entry(
                5, on: 1, .controlPut(name: "dma-32bit", control: control, dialect: .linux612)))
        var state = try LedgerState.recover(from: MemoryLedger(entries))
        #expect(state.machines.first?.control(named: "dma-32bit")?.control == control)
        #expect(state.machines.first?.control(named: "dma-32bit")?.isBuiltIn == false)
        entries.append(Self.entry(6, on: 1, .controlDeleted(name: "dma-32bit")))
        state = try LedgerState.recover(from: MemoryLedger(entries))
        #expect(state.machines.first?.control(named: "dma-32bit")?.isBuiltIn == true)
    }

    @Test("recovered entries keep the names of machines that are gone")
    func names() throws {
        var scribe = Scribe()
        let first = try scribe.create("a", .normalOnly(pages: 4))
        let second = try scribe.create("b", TestWorld.oneNode.machine)
        try scribe.delete("a", first)
        let third = try scribe.create("a", TestWorld.memoryless.machine)
        let state = try LedgerState.recover(from: MemoryLedger(scribe.entries))
        #expect(state.names.map(\.id) == [first, second, third])
        #expect(state.names.map(\.name) == ["a", "b", "a"])
        #expect(state.machineIDs(named: "a") == [first, third])
        #expect(state.machineIDs(named: "c") == [])
        #expect(state.machines.map(\.id) == [second, third])
        #expect(state.machine(named: "a")?.id == third)
        #expect(state.machine(named: "b")?.id == second)
        #expect(state.machine(named: "c") == nil)
    }

    @Test("a ledger that cannot be read is no state")
    func unreadable() {
        let failure = RecoveryFailure.unreadable(LedgerFailure(.storage, "the disk is gone"))
        #expect(throws: failure) { try LedgerState.recover(from: UnreadableLedger(failure)) }
    }

    // MARK: Contradictions

    /// Entries that fit each other: a machine of 16 pages from frame 0, a grant of four pages, a
    /// control, a free of one of the pages.
    static let sound: [LedgerEntry] = [
        entry(1, on: 1, .machineCreated(name: "a", machine: .normalOnly(pages: 16))),
        entry(2, on: 1, .granted(request, grant(0, 2))),
        entry(3, on: 1, .controlPut(name: "c", control: AllocationControl(), dialect: .linux612)),
        entry(4, on: 1, freed(2, pfn: 1, order: 0, pages: 1)),
    ]

    @Test("entries that fit are taken")
    func soundEntries() throws {
        let state = try LedgerState.recover(from: MemoryLedger(Self.sound))
        #expect(state.lastSequence == Sequence(4))
        #expect(state.machines.first?.allocator.freePages == 13)
    }

    struct Contradiction: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let entry: LedgerEntry

        init(_ description: String, _ entry: LedgerEntry) {
            testDescription = description
            self.entry = entry
        }
    }

    static let contradictions: [Contradiction] = [
        Contradiction("a gap", entry(6, on: 1, .controlDeleted(name: "c"))),
        Contradiction("a repeated sequence", entry(4, on: 1, .controlDeleted(name: "c"))),
        Contradiction("sequence zero", entry(0, on: 1, .controlDeleted(name: "c"))),
        Contradiction("an unknown machine", entry(5, on: 2, .controlDeleted(name: "c"))),
        Contradiction(
            "a refusal on an unknown machine",
            entry(5, on: 3, .refused(request, reason: .outOfMemory))),
        Contradiction(
            "a grant on an unknown machine", entry(5, on: 9, .granted(request, grant(8, 0)))),
        Contradiction(
            "a free on an unknown machine", entry(5, on: 9, freed(2, pfn: 0, order: 0, pages: 1))),
        Contradiction("an overlap", entry(5, on: 1, .granted(request, grant(0, 0)))),
        Contradiction("an overlap in part", entry(5, on: 1, .granted(request, grant(0, 3)))),
        Contradiction("a misaligned grant", entry(5, on: 1, .granted(request, grant(9, 1)))),
        Contradiction("a grant of no memory", entry(5, on: 1, .granted(request, grant(16, 0)))),
        Contradiction(
            "a grant beyond all memory",
            entry(
                5, on: 1, .granted(request, grant(PageFrameNumber.limit.rawValue - 1, 0)))),
        Contradiction(
            "a change outside the zone",
            entry(
                5, on: 1,
                .granted(request, run([8..<10], changes: [.advanced(to: PageFrameNumber(17))])))),
        Contradiction(
            "a change of no pageblock",
            entry(
                5, on: 1,
                .granted(
                    request,
                    run([8..<10], changes: [.retyped(FrameRange(sketched: 8..<10), to: .movable)])))
        ),
        Contradiction("a run that overlaps", entry(5, on: 1, .granted(request, run([2..<6])))),
        Contradiction(
            "a run of no memory", entry(5, on: 1, .granted(request, run([8..<10, 14..<17])))),
        Contradiction(
            "a count on a node that is not there",
            entry(
                5, on: 1,
                .granted(
                    request,
                    run([8..<10], numa: NUMACount(preferred: 1, local: 0, isInterleaveHit: false))))
        ),
        Contradiction(
            "a turn of a control that is not there",
            entry(5, on: 1, .granted(turn(.start, of: "d"), grant(8, 0)))),
        Contradiction(
            "a refused turn of a control that is not there",
            entry(5, on: 1, .refused(turn(.start, of: "d"), reason: .outOfMemory))),
        Contradiction(
            "a turn of a control that nobody put",
            entry(5, on: 1, .granted(turn(.start, of: "dma-32bit"), grant(8, 0)))),
        Contradiction(
            "a turn of no control", entry(5, on: 1, .granted(turn(.start, of: nil), grant(8, 0)))),
        Contradiction(
            "a grant in a zone that is not there",
            entry(5, on: 1, .granted(request, grant(8, 0, zone: .dma)))),
        Contradiction(
            "a grant on a node that is not there",
            entry(5, on: 1, .granted(request, grant(8, 0, node: 1)))),
        Contradiction(
            "a free of what is free", entry(5, on: 1, freed(2, pfn: 1, order: 0, pages: 1))),
        Contradiction("a free by another", entry(5, on: 1, freed(3, pfn: 0, order: 0, pages: 1))),
        Contradiction("a free by nobody", entry(5, on: 1, freed(77, pfn: 0, order: 0, pages: 1))),
        Contradiction(
            "a free of more than is held", entry(5, on: 1, freed(2, pfn: 0, order: 2, pages: 4))),
        Contradiction(
            "a free of less than is held", entry(5, on: 1, freed(2, pfn: 0, order: 2, pages: 2))),
        Contradiction("a misaligned free", entry(5, on: 1, freed(2, pfn: 1, order: 1, pages: 2))),
        Contradiction(
            "a free beyond all memory", entry(5, on: 1, freed(2, pfn: .max, order: 3, pages: 8))),
        Contradiction("a deletion with live grants", entry(5, on: 1, .machineDeleted(name: "a"))),
        Contradiction("a deletion under another name", entry(5, on: 1, .machineDeleted(name: "b"))),
        Contradiction(
            "a name that is taken",
            entry(5, on: 5, .machineCreated(name: "a", machine: .normalOnly(pages: 4)))),
        Contradiction(
            "a machine under another's id",
            entry(5, on: 1, .machineCreated(name: "b", machine: .normalOnly(pages: 4)))),
        Contradiction("a deletion of no control", entry(5, on: 1, .controlDeleted(name: "d"))),
    ]

    @Test("the first entry that does not fit is named", arguments: contradictions)
    func refusesContradictions(contradiction: Contradiction) {
        let entries = Self.sound + [contradiction.entry]
        do {
            _ = try LedgerState.recover(from: MemoryLedger(entries))
            Issue.record("the entries were taken for a state")
        } catch RecoveryFailure.contradiction(let sequence, let reason) {
            #expect(sequence == contradiction.entry.sequence)
            #expect(!reason.isEmpty)
        } catch {
            Issue.record("refused for another reason: \(error)")
        }
    }

    @Test("a machine that is gone is unknown to later entries")
    func entriesAfterDeletion() {
        let entries = [
            Self.entry(1, on: 1, .machineCreated(name: "a", machine: .normalOnly(pages: 16))),
            Self.entry(2, on: 1, .machineDeleted(name: "a")),
            Self.entry(3, on: 1, .granted(Self.request, Self.grant(0, 0))),
        ]
        #expect(throws: RecoveryFailure.contradiction(Sequence(3), "there is no such machine")) {
            try LedgerState.recover(from: MemoryLedger(entries))
        }
    }

    // MARK: Entries

    static let request = AllocationRecord(request: AllocationRequest(), dialect: .linux612)

    static func entry(_ sequence: UInt64, on machine: UInt64, _ event: LedgerEvent) -> LedgerEntry {
        LedgerEntry(
            sequence: Sequence(sequence), time: Timestamp(microseconds: Int64(sequence)),
            machine: Sequence(machine), requestID: "r\(sequence)", event: event)
    }

    static func grant(
        _ pfn: UInt64, _ order: Int, node: Int = 0, zone: ZoneType = .normal
    ) -> GrantRecord {
        GrantRecord(
            pfn: PageFrameNumber(pfn), order: Order(sketched: order), node: NodeID(sketched: node),
            zone: zone, migratetype: .unmovable, isCompound: false)
    }

    static func run(
        _ segments: [Range<UInt64>], changes: [ZoneChange] = [], numa: NUMACount? = nil
    ) -> GrantRecord {
        GrantRecord(
            segments: segments.map { FrameRange(sketched: $0) }, node: NodeID(sketched: 0),
            zone: .normal, migratetype: .unmovable, changes: changes, numa: numa)
    }

    /// A request by a stored control, after which its round stands there.
    static func turn(_ after: InterleaveState?, of name: String? = "c") -> AllocationRecord {
        AllocationRecord(
            controlName: name, request: AllocationRequest(), dialect: .linux612,
            interleaveAfter: after)
    }

    static func freed(_ id: UInt64, pfn: UInt64, order: Int, pages: UInt64) -> LedgerEvent {
        .freed(
            FreeRecord(target: .allocation(AllocationID(id))),
            FreedRecord(
                allocation: AllocationID(id), pfn: PageFrameNumber(pfn),
                order: Order(sketched: order), node: NodeID(sketched: 0), zone: .normal,
                pages: pages))
    }
}

extension LedgerEntry {
    fileprivate var takesATurn: Bool {
        guard case .granted(let record, _) = event else { return false }
        return record.interleaveAfter != nil
    }

    fileprivate var changes: [ZoneChange] {
        guard case .granted(_, let grant) = event else { return [] }
        return grant.changes
    }

    fileprivate var freed: FreedRecord? {
        guard case .freed(_, let record) = event else { return nil }
        return record
    }
}

/// A ledger whose entries cannot be read.
private final class UnreadableLedger: Ledger {
    let failure: RecoveryFailure

    init(_ failure: RecoveryFailure) {
        self.failure = failure
    }

    var lastSequence: Sequence { .zero }

    func append(_ entry: LedgerEntry) throws(LedgerFailure) {}

    func commit() throws(LedgerFailure) {}

    func housekeep() throws(LedgerFailure) {}

    func replay(
        after sequence: Sequence, _ body: (LedgerEntry) throws(RecoveryFailure) -> Void
    ) throws(RecoveryFailure) {
        throw failure
    }

    func entry(at sequence: Sequence) throws(LedgerFailure) -> LedgerEntry? { nil }

    var head: ChainHead { .empty }

    func keep(_ answer: KeptAnswer, for sequence: Sequence) throws(LedgerFailure) {}

    func keyed(_ key: String) throws(LedgerFailure) -> KeyedAnswer? { nil }
}
