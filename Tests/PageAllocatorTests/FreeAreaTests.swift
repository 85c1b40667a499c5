// The free blocks of one order against a plain set of numbers.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("FreeArea")
struct FreeAreaTests {
    /// Around each number of blocks at which a word or a level of summaries is added.
    static let blockCounts = [1, 2, 63, 64, 65, 127, 4095, 4096, 4097, 262_143, 262_145]
    static let stepsPerCount = 4_000

    @Test("says which blocks are free, how many, and which is next", arguments: blockCounts)
    func agreesWithASet(blockCount: Int) {
        let seed = UInt64(blockCount)
        var random = SeededGenerator(seed: seed)
        var area = FreeArea(blockCount: blockCount)
        var free: [Int] = []
        // Few places, so that blocks are inserted and removed again and again.
        let places =
            (0..<min(blockCount, 40)).map { _ in random.below(blockCount) }
            + [0, blockCount - 1]
        for step in 0..<Self.stepsPerCount {
            let place = random.pick(places)
            if free.contains(place) {
                area.remove(place)
                free.removeAll { $0 == place }
            } else {
                area.insert(place)
                free.append(place)
            }
            let start = random.chance(percent: 50) ? random.pick(places) : random.below(blockCount)
            let next = free.filter { $0 >= start }.min()
            guard area.freeCount == free.count, area.contains(place) == free.contains(place),
                area.first(atOrAfter: start) == next
            else {
                Issue.record("seed \(seed), step \(step), from \(start)")
                return
            }
            if step.isMultiple(of: 500) { area.checkInvariants() }
        }
        area.checkInvariants()
    }

    @Test("finds each single block from every place")
    func findsEachSingleBlock() {
        let blockCount = 200
        for block in 0..<blockCount {
            var area = FreeArea(blockCount: blockCount)
            area.insert(block)
            for start in 0..<blockCount + 70 {
                let next = area.first(atOrAfter: start)
                #expect(next == (start <= block ? block : nil))
            }
        }
    }

    @Test("is empty at first, and again when all has been taken")
    func startsEmpty() {
        var area = FreeArea(blockCount: 5000)
        #expect(area.freeCount == 0)
        let none = area.first(atOrAfter: 0)
        #expect(none == nil)
        for block in 0..<5000 { area.insert(block) }
        #expect(area.freeCount == 5000)
        for block in 0..<5000 {
            let next = area.first(atOrAfter: 0)
            #expect(next == block)
            area.remove(block)
        }
        area.checkInvariants()
        let left = area.first(atOrAfter: 0)
        #expect(left == nil)
    }

    @Test("a block cannot be inserted twice")
    func refusesASecondInsertion() async {
        await #expect(processExitsWith: .failure) {
            var area = FreeArea(blockCount: 70)
            area.insert(69)
            area.insert(69)
        }
    }

    @Test("a block that is not there cannot be removed")
    func refusesARemovalOfNothing() async {
        await #expect(processExitsWith: .failure) {
            var area = FreeArea(blockCount: 70)
            area.insert(69)
            area.remove(68)
        }
    }
}
