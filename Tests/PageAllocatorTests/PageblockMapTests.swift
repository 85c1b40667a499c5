// The bits of a pageblock against a plain set of blocks.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("PageblockMap")
struct PageblockMapTests {
    static let steps = 3_000

    @Test("keeps the blocks of each order apart from those of the others", arguments: 0...9)
    func agreesWithASet(order: Int) {
        var maps = PageblockMaps(count: 1)
        let map = maps.writable(0)
        let count = PageblockMap.blockCount(order)
        var random = SeededGenerator(seed: UInt64(order))
        // The other orders' bits are all set, and must be neither seen nor touched.
        for other in 0...9 where other != order {
            for block in 0..<PageblockMap.blockCount(other) { _ = map.insert(other, block) }
        }
        var held: Set<Int> = []
        for step in 0..<Self.steps {
            let block = random.below(count)
            if held.contains(block) || random.chance(percent: 20) {
                let wasHeld = held.remove(block) != nil
                let expected: PageblockMap.Removal =
                    wasHeld ? (held.isEmpty ? .removedLast : .removed) : .notFree
                #expect(map.remove(order, block) == expected)
            } else {
                #expect(map.insert(order, block) == held.isEmpty)
                held.insert(block)
            }
            let start = random.below(count)
            let end = start + random.below(count - start + 1)
            guard map.contains(order, start) == held.contains(start),
                map.first(order, atOrAfter: start) == held.filter({ $0 >= start }).min(),
                map.last(order, atOrBefore: start) == held.filter({ $0 <= start }).max(),
                map.count(order, in: start..<end) == held.count(where: (start..<end).contains)
            else {
                Issue.record("order \(order), step \(step), from \(start)")
                return
            }
        }
        for other in 0...9 where other != order {
            let all = PageblockMap.blockCount(other)
            #expect(map.count(other, in: 0..<all) == all)
        }
    }

    @Test("shows the blocks of an order as words")
    func showsWords() {
        var maps = PageblockMaps(count: 1)
        let map = maps.writable(0)
        for order in 0...9 {
            let last = PageblockMap.blockCount(order) - 1
            #expect(map.insert(order, last))
            if order <= 3 { #expect(map.word(order, last >> 6) == 1 << UInt64(last & 63)) }
            if order >= 3 { #expect(map.bits(order) == 1 << UInt64(last)) }
        }
    }

    @Test("a block cannot be freed twice", arguments: [0, 3, 9])
    func refusesASecondInsertion(order: Int) async {
        await #expect(processExitsWith: .failure) { [order] in
            var maps = PageblockMaps(count: 1)
            let map = maps.writable(0)
            _ = map.insert(order, 0)
            _ = map.insert(order, 0)
        }
    }

    @Test("a zone's maps are empty until they are written, and then apart")
    func makesMapsWhenWritten() {
        var maps = PageblockMaps(count: 600)
        for number in [0, 255, 256, 599] {
            #expect(!maps[number].contains(0, 511) && maps[number].remove(0, 511) == .notFree)
            #expect(maps.writable(number).insert(0, 511))
        }
        for number in 0..<600 {
            let isWritten = [0, 255, 256, 599].contains(number)
            #expect(maps[number].contains(0, 511) == isWritten)
        }
    }
}
