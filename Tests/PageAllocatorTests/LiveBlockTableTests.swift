import TestSupport
import Testing

@testable import PageAllocator

/// The table beside a dictionary.
@Suite struct LiveBlockTableTests {
    @Test("it holds what a dictionary holds, through growth and removals", arguments: 1...8)
    func agreesWithADictionary(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = LiveBlockTable()
        var expected: [PageFrameNumber: LiveBlock] = [:]
        // Few frames, so that chains form and are cut; in every other run far apart.
        let stride: UInt64 = seed % 2 == 0 ? 1 : 1 << 40
        for step in UInt64(1)...20_000 {
            let first = PageFrameNumber(UInt64.random(in: 0..<900, using: &random) * stride)
            if Bool.random(using: &random) {
                let block = LiveBlock(
                    allocation: AllocationID(step), order: Order(sketched: Int(step % 11)),
                    isCompound: step % 3 == 0)
                let isNew = expected[first] == nil
                #expect(table.insert(block, at: first) == isNew)
                if isNew { expected[first] = block }
            } else {
                #expect(table.remove(first) == expected.removeValue(forKey: first))
            }
            #expect(table[first] == expected[first])
        }
        #expect(table.count == expected.count)
        for frame in UInt64(0)..<900 {
            let first = PageFrameNumber(frame * stride)
            #expect(table[first] == expected[first])
        }
        #expect(table.pageCount == expected.values.reduce(0) { $0 + $1.order.pageCount })
    }
}
