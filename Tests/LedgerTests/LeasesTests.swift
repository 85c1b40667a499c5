import Ledger
import PageAllocator
import TestSupport
import Testing

@Suite struct LeasesTests {
    /// Against a dictionary that is searched from end to end.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func theyAreWhatADictionarySays(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var leases = Leases()
        var expected: [AllocationID: Timestamp] = [:]
        for step in 0..<5000 {
            // Fewer and fewer towards the end.
            let id = AllocationID(UInt64(random.below(step < 4000 ? 300 : 20)))
            if random.chance(percent: step < 2500 ? 70 : 30) {
                let expiry = Timestamp(microseconds: Int64(random.below(1000)))
                leases.set(expiry, of: id)
                expected[id] = expiry
            } else {
                leases.remove(id)
                expected[id] = nil
            }
            let first = expected.map { Leases.Lease(expiry: $1, id: $0) }.min()
            guard leases.first == first, leases.count == expected.count,
                leases.expiry(of: id) == expected[id], leases.isEmpty == expected.isEmpty
            else {
                Issue.record("seed \(seed), step \(step): other leases")
                return
            }
        }
        #expect(leases.all.map(\.id) == expected.keys.sorted())
        #expect(leases.all.allSatisfy { expected[$0.id] == $0.expiry })
    }

    @Test func theWayToThemDoesNotCount() {
        let id = AllocationID(1)
        var direct = Leases()
        direct.set(Timestamp(microseconds: 5), of: id)
        var roundabout = Leases()
        for expiry in [9, 7, 5, 7, 5] as [Int64] {
            roundabout.set(Timestamp(microseconds: expiry), of: id)
        }
        #expect(direct == roundabout)
        #expect(roundabout.first == Leases.Lease(expiry: Timestamp(microseconds: 5), id: id))
        roundabout.remove(id)
        #expect(roundabout == Leases())
        #expect(roundabout.first == nil)
    }

    @Test func atTheSameTimeTheLowerIdIsFirst() {
        var leases = Leases()
        for id in [7, 3, 9] as [UInt64] {
            leases.set(Timestamp(microseconds: 1), of: AllocationID(id))
        }
        #expect(leases.first?.id == AllocationID(3))
    }

    @Test func anEndBeyondAllTimeIsTheLastTimeThereIs() {
        let late = Timestamp(microseconds: .max - 1)
        #expect(late.adding(seconds: 1) == Timestamp(microseconds: .max))
        #expect(
            Timestamp(microseconds: -5).adding(seconds: 2) == Timestamp(microseconds: 1_999_995))
    }
}
