import TestSupport
import Testing

@testable import PageAllocator

/// The directory beside a search through all ids.
@Suite struct IDDirectoryTests {
    /// How far the next id may be from the one before.
    private static let steps: [[UInt64]] = [
        [1], [2, 3], [1, 1, 1, 40], [1000], [1, 1 << 40], [7, 100_000, 1], [1 << 56, 1],
    ]

    @Test("it leads to each id, and to where a missing one would be", arguments: steps.indices)
    func leadsToEachID(kind: Int) {
        var random = SeededGenerator(seed: UInt64(kind))
        var ids = Ids()
        for step in 1...2000 {
            switch random.below(400) {
            case 0: ids.renew(keepingEvery: 2 + random.below(9))
            case 1: ids.removeLast(random.below(ids.all.count / 2 + 1))
            case 2 where step % 3 == 0: ids.removeLast(ids.all.count)
            default:
                let next =
                    (ids.all.last?.rawValue ?? random.next() % 5000) + random.pick(Self.steps[kind])
                if next < 1 << 59 { ids.append(AllocationID(next)) }
            }
            guard step % 50 == 0 else { continue }
            let fault = ids.firstFault(&random)
            #expect(fault == nil, "after \(step) changes \(ids.all.count) ids, \(fault ?? "")")
        }
        #expect(!ids.all.isEmpty)
    }

    @Test("old ids that are few and new ones that are many are found in a few steps")
    func staysNear() {
        var ids = Ids()
        // As random frees leave them: of each age half as many as of the one after.
        for age in (0..<14).reversed() {
            for number in UInt64(0)..<4096 >> UInt64(age) {
                ids.append(AllocationID(1 + (13 - UInt64(age)) * 4096 + number << UInt64(age)))
            }
        }
        ids.renew(keepingEvery: 1)
        let widest = ids.all.map { id in
            ids.directory.places(of: id, among: ids.all.count).range.count
        }.max()
        #expect((widest ?? 0) <= 16)
    }
}

private struct Ids {
    var all: [AllocationID] = []
    var directory = IDDirectory()

    mutating func append(_ id: AllocationID) {
        directory.append(id, at: all.count)
        all.append(id)
    }

    mutating func removeLast(_ count: Int) {
        all.removeLast(count)
        directory.removeAll(after: all.last)
    }

    mutating func renew(keepingEvery period: Int) {
        all = all.enumerated().filter { $0.offset % period == 0 }.map(\.element)
        directory.renew(all.count) { all[$0] }
    }

    /// An id, mostly one of them or next to one, to which the directory does not lead.
    func firstFault(_ random: inout SeededGenerator) -> String? {
        for _ in 0..<200 {
            let near = all.isEmpty ? 0 : random.pick(all).rawValue
            let id = AllocationID(near &+ random.next() % 5 &- 2)
            let expected = all.firstIndex { $0 >= id } ?? all.count
            let (range, guess) = directory.places(of: id, among: all.count)
            guard range.lowerBound <= expected, expected <= range.upperBound,
                range.isEmpty || range.contains(guess)
            else { return "\(id.rawValue) is at \(expected), not in \(range) near \(guess)" }
        }
        return nil
    }
}
