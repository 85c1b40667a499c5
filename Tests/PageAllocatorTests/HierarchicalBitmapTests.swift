// The bitmap with summaries against a plain set of numbers.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("HierarchicalBitmap")
struct HierarchicalBitmapTests {
    /// Around each limit at which a word or a level of summaries is added.
    static let limits = [1, 2, 63, 64, 65, 127, 4095, 4096, 4097, 262_143, 262_145]
    static let stepsPerLimit = 4_000

    @Test("says which numbers it holds, and which is next above and below", arguments: limits)
    func agreesWithASet(limit: Int) {
        let seed = UInt64(limit)
        var random = SeededGenerator(seed: seed)
        var bitmap = HierarchicalBitmap(limit: limit)
        var held: [Int] = []
        // Few numbers, so that they come and go again and again.
        let numbers =
            (0..<min(limit, 40)).map { _ in random.below(limit) } + [0, limit - 1]
        for step in 0..<Self.stepsPerLimit {
            let number = random.pick(numbers)
            let isHeld = held.contains(number)
            if isHeld || random.chance(percent: 10) {
                let isRemoved = bitmap.remove(number)
                #expect(isRemoved == isHeld)
                held.removeAll { $0 == number }
            } else {
                bitmap.insert(number)
                held.append(number)
            }
            let start = random.chance(percent: 50) ? random.pick(numbers) : random.below(limit)
            let end = start + random.below(limit + 3)
            let next = held.filter { $0 >= start }.min()
            guard bitmap.contains(number) == held.contains(number),
                bitmap.first(atOrAfter: start) == next,
                bitmap.first(in: start..<end) == next.flatMap({ $0 < end ? $0 : nil }),
                bitmap.last(atOrBefore: start) == held.filter({ $0 <= start }).max(),
                bitmap.word(start >> 6) == Self.word(start >> 6, held)
            else {
                Issue.record("seed \(seed), step \(step), from \(start)")
                return
            }
            if step.isMultiple(of: 500) { bitmap.checkInvariants() }
        }
        bitmap.checkInvariants()
    }

    private static func word(_ index: Int, _ held: [Int]) -> UInt64 {
        held.filter { $0 >> 6 == index }.reduce(0) { $0 | 1 << UInt64($1 & 63) }
    }

    @Test("finds each single number from every place")
    func findsEachSingleNumber() {
        let limit = 200
        for number in 0..<limit {
            var bitmap = HierarchicalBitmap(limit: limit)
            bitmap.insert(number)
            for start in 0..<limit + 70 {
                let next = bitmap.first(atOrAfter: start)
                let previous = bitmap.last(atOrBefore: start)
                #expect(next == (start <= number ? number : nil))
                #expect(previous == (start >= number ? number : nil))
            }
            let before = bitmap.last(atOrBefore: -1)
            #expect(before == nil)
        }
    }

    @Test("is empty at first, and again when all has been taken out")
    func startsEmpty() {
        var bitmap = HierarchicalBitmap(limit: 5000)
        let none = bitmap.first(atOrAfter: 0)
        #expect(none == nil)
        for number in 0..<5000 { bitmap.insert(number) }
        for number in 0..<5000 {
            let next = bitmap.first(atOrAfter: 0)
            let last = bitmap.last(atOrBefore: 5000)
            #expect(next == number && last == 4999)
            let isRemoved = bitmap.remove(number)
            #expect(isRemoved)
        }
        bitmap.checkInvariants()
        let left = bitmap.first(atOrAfter: 0)
        #expect(left == nil && bitmap.word(79) == 0)
    }

    @Test("a number cannot be added twice")
    func refusesASecondInsertion() async {
        await #expect(processExitsWith: .failure) {
            var bitmap = HierarchicalBitmap(limit: 70)
            bitmap.insert(69)
            bitmap.insert(69)
        }
    }

    @Test("a number beyond the limit cannot be added")
    func refusesNumbersBeyondTheLimit() async {
        await #expect(processExitsWith: .failure) {
            var bitmap = HierarchicalBitmap(limit: 70)
            bitmap.insert(70)
        }
    }
}
