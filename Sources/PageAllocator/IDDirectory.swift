// Where an id stands among many that ascend.
//
// Ids of live grants ascend, but not evenly: of old ones few are left, and in between other entries
// of the ledger take numbers too. Guessing by proportion over all of them does not close in then.
// So the ids are divided into stretches of 2^shift, and for each stretch it is known where its ids
// begin. Within a stretch the guess by proportion is near, and from it the search goes in growing
// steps. The shift is the smallest with which there are at most half as many stretches as ids: the
// directory has two bytes an id, and a stretch has two ids or a few more on average.

struct IDDirectory {
    /// Stretches that are always allowed.
    private static let minimumLimit = 64

    /// log2 of the numbers that a stretch has.
    private var shift: UInt64 = 0

    /// The number, by `shift`, of the first stretch that has an id.
    private var firstStretch: UInt64 = 0

    /// For each stretch the position of the first id in it or beyond.
    private var starts: [UInt32] = []

    /// Stretches allowed for so many ids.
    private static func limit(_ count: Int) -> UInt64 {
        UInt64(max(count / 2, minimumLimit))
    }

    // MARK: Changing

    /// Says that an id, larger than all before, stands at a position, the last.
    mutating func append(_ id: AllocationID, at position: Int) {
        if starts.isEmpty {
            (shift, firstStretch) = (0, id.rawValue)
        }
        let stretches = id.rawValue &>> shift - firstStretch + 1
        if stretches > UInt64(starts.count) { extend(to: id, position) }
    }

    @inline(never)
    private mutating func extend(to id: AllocationID, _ position: Int) {
        var wider = shift
        while (id.rawValue >> wider) - firstStretch >> (wider - shift)
            >= Self.limit(position + 1)
        {
            wider += 1
        }
        if wider > shift { widen(to: wider) }
        let count = Int((id.rawValue >> shift) - firstStretch + 1)
        while starts.count < count { starts.append(UInt32(position)) }
    }

    /// Puts stretches together; each begins where the first of those begins that it is made of.
    private mutating func widen(to wider: UInt64) {
        let first = firstStretch >> (wider - shift)
        var count = 0
        for (number, start) in starts.enumerated()
        where Int((firstStretch + UInt64(number)) >> (wider - shift) - first) == count {
            starts[count] = start
            count += 1
        }
        starts.removeLast(starts.count - count)
        (shift, firstStretch) = (wider, first)
    }

    /// Forgets all ids but those up to, and with, `last`; nil: all.
    mutating func removeAll(after last: AllocationID?) {
        let count = last.map { Int(($0.rawValue >> shift) - firstStretch + 1) } ?? 0
        starts.removeLast(starts.count - count)
    }

    /// Makes the directory of these ids, which ascend.
    mutating func renew(_ count: Int, _ id: (_ position: Int) -> AllocationID) {
        starts.removeAll(keepingCapacity: true)
        guard count > 0 else { return }
        let (first, last) = (id(0).rawValue, id(count - 1).rawValue)
        shift = 0
        while last >> shift - first >> shift >= Self.limit(count) { shift += 1 }
        firstStretch = first >> shift
        for position in 0..<count {
            let stretches = Int(id(position).rawValue >> shift - firstStretch + 1)
            while starts.count < stretches { starts.append(UInt32(position)) }
        }
    }

    // MARK: Searching

    /// Between which positions of `count` the first id at or above `id` is, or what is behind its
    /// stretch; and near which of them.
    @inline(__always)
    func places(of id: AllocationID, among count: Int) -> (range: Range<Int>, guess: Int) {
        let stretch = id.rawValue &>> shift
        guard stretch >= firstStretch else { return (0..<0, 0) }
        guard stretch - firstStretch < UInt64(starts.count) else { return (count..<count, count) }
        let number = Int(stretch - firstStretch)
        let low = Int(starts[number])
        let high = number + 1 < starts.count ? Int(starts[number + 1]) : count
        let share = (id.rawValue & (1 &<< shift &- 1)).multipliedFullWidth(by: UInt64(high - low))
        let offset = shift == 0 ? 0 : share.high &<< (64 &- shift) | share.low &>> shift
        return (low..<high, low + Int(offset))
    }
}
