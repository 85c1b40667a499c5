// The parts of the index one by one: keys of blocks, sorting, chunks.

import Ledger
import PageAllocator
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite struct HistoryPostingTests {
    @Test func blocksMakeUpTheirPagesAndHoldThem() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<300 {
            let first = random.pick([
                UInt64(random.below(5000)), UInt64.max - UInt64(random.below(3000)),
                UInt64(random.below(100)) << 10,
            ])
            let pages = min(UInt64(random.below(3000)) + 1, .max - first)
            guard pages > 0 else { continue }
            var keys: Set<IndexKey> = []
            IndexKey.forEachBlock(from: first, pages: pages) { keys.insert($0) }
            #expect(keys.count <= 24)
            for frame in [first, first + pages - 1, first + pages / 2, first &- 1, first + pages] {
                let isInside = frame >= first && frame - first < pages
                let holding = IndexKey.blocks(holding: PageFrameNumber(frame))
                let found = holding.filter(keys.contains)
                #expect(found.count == (isInside ? 1 : 0), "\(frame) in \(first)+\(pages)")
            }
        }
    }

    @Test func keysOfOneGroupLieTogether() {
        let keys = IndexKey.blocks(holding: PageFrameNumber(0x12345)).prefix(Order.count)
        let group = UInt64(0x12345 >> 10) << 11
        #expect(keys.allSatisfy { $0.field == .block })
        #expect(keys.allSatisfy { (group + 1..<group + 2048).contains($0.value) })
        #expect(Set(keys).count == Order.count)
    }

    @Test func postingsAreSortedByKeyAndThenByOffset() {
        var random = SeededGenerator(seed: 2)
        for bits in [1, 8, 20, 32, 63] {
            var column = IndexTail.Column()
            for offset in 0..<UInt32(2000) {
                column.append(random.next() >> UInt64(64 - bits), offset)
            }
            var expected = zip(column.keys, column.offsets).map { Posting(key: $0, offset: $1) }
            expected.sort()
            column.sort()
            #expect(
                zip(column.keys, column.offsets).map { Posting(key: $0, offset: $1) } == expected)
        }
    }

    @Test func aChunkWithATurnedBitIsNone() throws {
        var groups: [UInt8] = []
        for key in 1...9 as ClosedRange<UInt64> {
            groups.append(variableLength: key << 1)
            groups.append(littleEndian: key * 7, width: 2)
        }
        let low = Posting(key: 5, offset: 0)
        let high = Posting(key: 100, offset: 3)
        let bytes = IndexChunk.bytes(
            id: 77, field: .owner, offsetWidth: 2, low: low, high: high, groups: groups)
        let chunk = try #require(IndexChunk(bytes: bytes, id: 77))
        #expect(chunk.keys == [6, 8, 11, 15, 20, 26, 33, 41, 50])
        #expect(chunk.offsets(of: 11) == [21])
        #expect(chunk.offsets(of: 12) == [])
        #expect((chunk.low, chunk.high) == (low, high))
        #expect(IndexChunk(bytes: bytes, id: 78) == nil)
        for bit in 0..<bytes.count * 8 {
            var turned = bytes
            turned[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(IndexChunk(bytes: turned, id: 77) == nil, "bit \(bit)")
        }
        for count in 0..<bytes.count {
            #expect(IndexChunk(bytes: Array(bytes[..<count]), id: 77) == nil)
        }
    }
}
