// Random numbers that a test can have again: a failure names its seed, and the seed brings it back.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// 0 up to, and without, `limit`. The bias of the remainder does not matter to a test.
    public mutating func below(_ limit: Int) -> Int {
        precondition(limit > 0)
        return Int(next() % UInt64(limit))
    }

    /// True in `percent` of a hundred calls.
    public mutating func chance(percent: Int) -> Bool {
        below(100) < percent
    }

    /// One of `choices`, which must not be empty.
    public mutating func pick<Choice>(_ choices: [Choice]) -> Choice {
        choices[below(choices.count)]
    }
}
