// What can be asked of an entry about blocks and about runs of pages.

import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite("EntryFacts")
struct EntryFactsTests {
    @Test("a granted run holds the frames of its segments and no others")
    func grantedRun() {
        let facts = facts(
            .granted(
                Self.asked(pages: 6),
                GrantRecord(
                    segments: [FrameRange(sketched: 20..<24), FrameRange(sketched: 8..<10)],
                    node: NodeID(sketched: 0), zone: .normal, migratetype: .movable)))
        #expect(facts.order == nil)
        #expect(facts.pfn == PageFrameNumber(20))
        #expect(facts.pages == 6)
        #expect(facts.allocation == AllocationID(7))
        #expect(held(by: facts, among: 0..<40) == [8, 9, 20, 21, 22, 23])
    }

    @Test("a freed run holds the frames that were freed")
    func freedRun() {
        let facts = facts(
            .freed(
                FreeRecord(target: .allocation(AllocationID(3))),
                FreedRecord(
                    allocation: AllocationID(3), pfn: PageFrameNumber(8), order: nil,
                    node: NodeID(sketched: 0), zone: .normal, pages: 3,
                    ranges: [FrameRange(sketched: 9..<10), FrameRange(sketched: 20..<22)])))
        #expect(facts.order == nil)
        #expect(facts.pages == 3)
        #expect(held(by: facts, among: 0..<40) == [9, 20, 21])
    }

    @Test("a granted block holds its frames")
    func grantedBlock() {
        let facts = facts(
            .granted(
                AllocationRecord(
                    request: AllocationRequest(
                        control: AllocationControl(order: Order(sketched: 2))),
                    dialect: .linux612),
                GrantRecord(
                    pfn: PageFrameNumber(8), order: Order(sketched: 2), node: NodeID(sketched: 0),
                    zone: .normal, migratetype: .movable, isCompound: false)))
        #expect(facts.order == Order(sketched: 2))
        #expect(facts.pages == 4)
        #expect(facts.segments.isEmpty)
        #expect(held(by: facts, among: 0..<40) == [8, 9, 10, 11])
    }

    @Test("a run that was refused has no order and no frames")
    func refusedRun() {
        let facts = facts(.refused(Self.asked(pages: 1), reason: .outOfMemory))
        #expect(facts.order == nil)
        #expect(facts.pfn == nil)
        #expect(held(by: facts, among: 0..<40) == [])
    }

    private static func asked(pages: UInt64) -> AllocationRecord {
        var control = AllocationControl()
        control.pages = pages
        return AllocationRecord(
            request: AllocationRequest(control: control), dialect: .linux612)
    }

    private func facts(_ event: LedgerEvent) -> EntryFacts {
        EntryFacts(
            LedgerEntry(
                sequence: Sequence(7), time: Timestamp(microseconds: 0), machine: MachineID(1),
                requestID: "r", event: event))
    }

    private func held(by facts: EntryFacts, among frames: Range<UInt64>) -> [UInt64] {
        frames.filter { facts.holds(PageFrameNumber($0)) }
    }
}
