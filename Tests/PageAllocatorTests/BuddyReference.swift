// What a zone's buddy allocator must answer, worked out from the set of its free frames alone.

import TestSupport

@testable import PageAllocator

/// A zone of at most 64 frames whose free frames are the bits of a mask.
struct BuddyReference {
    struct Block: Equatable {
        let first: UInt64
        let order: Int

        var frames: Range<UInt64> { first..<first + 1 << UInt64(order) }
    }

    /// The frame of bit 0.
    let origin: UInt64
    var free: UInt64

    /// The largest aligned blocks that the free frames make up, ascending.
    var blocks: [Block] {
        var found: [Block] = []
        var bit: UInt64 = 0
        while bit < 64 {
            guard free & (1 << bit) != 0 else {
                bit += 1
                continue
            }
            var order: UInt64 = 0
            while order < 6, (origin + bit) % (2 << order) == 0, isFree(origin + bit, 2 << order) {
                order += 1
            }
            found.append(Block(first: origin + bit, order: Int(order)))
            bit += 1 << order
        }
        return found
    }

    func isFree(_ first: UInt64, _ count: UInt64) -> Bool {
        guard first >= origin, first - origin + count <= 64 else { return false }
        let mask = count == 64 ? UInt64.max : (1 << count - 1) << (first - origin)
        return free & mask == mask
    }

    /// The frame that must be granted from `blocks`: smallest block, then lowest address.
    static func choice(
        order: Int, window: Range<UInt64>, from blocks: [Block]
    ) -> UInt64? {
        for size in order...10 {
            for block in blocks where block.order == size {
                var place = block.first
                while place < block.frames.upperBound {
                    if window.lowerBound <= place, place + 1 << UInt64(order) <= window.upperBound {
                        return place
                    }
                    place += 1 << UInt64(order)
                }
            }
        }
        return nil
    }

    mutating func take(_ first: UInt64, order: Int) {
        free &= ~mask(first, order)
    }

    mutating func give(_ first: UInt64, order: Int) {
        free |= mask(first, order)
    }

    private func mask(_ first: UInt64, _ order: Int) -> UInt64 {
        (1 << (1 << UInt64(order)) - 1) << (first - origin)
    }
}

extension BuddyAllocator {
    /// The free blocks, ascending by address.
    var sortedBlocks: [BuddyReference.Block] {
        var found: [BuddyReference.Block] = []
        forEachFreeBlock { pfn, order, _ in
            found.append(.init(first: pfn.rawValue, order: order.rawValue))
        }
        return found.sorted { $0.first < $1.first }
    }
}
