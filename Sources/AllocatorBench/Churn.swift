// A stream of calls that keeps a zone about as full as it is: a random slot is emptied and filled
// again, over and over. The stream depends on its seed alone, not on which pages are granted, so
// that two allocators get the same calls.

import Glibc

/// Which orders the calls ask for.
enum OrderMix: CaseIterable {
    case pages
    case mixed

    var name: String {
        switch self {
        case .pages: "single pages"
        case .mixed: "mixed orders"
        }
    }

    /// Times the lists' time.
    var wantedRatio: Double {
        switch self {
        case .pages: 1.3
        case .mixed: 1.1
        }
    }

    /// Per thousand calls: orders 0 to 9.
    var shares: [Int] {
        switch self {
        case .pages: [1000]
        case .mixed: [500, 180, 120, 100, 40, 20, 15, 10, 10, 5]
        }
    }

    /// 1,024 orders in these shares.
    var table: [UInt8] {
        var table: [UInt8] = []
        for (order, share) in shares.enumerated() {
            table += [UInt8](repeating: UInt8(order), count: share)
        }
        return table + [UInt8](repeating: 0, count: 1024 - table.count)
    }

    /// Pages a call, on average.
    var meanPages: Double {
        table.reduce(0) { $0 + Double(1 << $1) } / Double(table.count)
    }
}

@safe struct Churn: ~Copyable {
    static let batches = 15

    /// Calls of `free` and `allocate`, a pair each, in a batch.
    static let pairsPerBatch = 1 << 18

    private static let empty = UInt32.max

    /// 1,024 orders, of which each call asks for one.
    private let orders: UnsafeMutablePointer<UInt8>

    /// First page and order, in the low four bits, of what each slot holds.
    private let slots: UnsafeMutablePointer<UInt32>
    private let slotCount: Int

    /// What a batch frees, and then what it got, in a row: the clock is to see the allocator and
    /// not the cache misses of the slots.
    private let batchBlocks: UnsafeMutablePointer<UInt32>
    private let batchSlots: UnsafeMutablePointer<UInt32>

    /// Slots that are filled at first and emptied again, so that holes are everywhere.
    private let surplus: Int
    private var state: UInt64 = 42

    init(_ mix: OrderMix, pages: Int, percent: Int) {
        let table = mix.table
        unsafe orders = .allocate(capacity: table.count)
        for (index, order) in table.enumerated() {
            unsafe (orders + index).initialize(to: order)
        }
        let total = Int(Double(pages) / mix.meanPages * 0.97)
        slotCount = Int(Double(pages) / mix.meanPages) * percent / 100
        surplus = max(0, total - slotCount)
        unsafe slots = .allocate(capacity: slotCount + surplus)
        unsafe slots.initialize(repeating: Self.empty, count: slotCount + surplus)
        unsafe batchBlocks = .allocate(capacity: Self.pairsPerBatch)
        unsafe batchSlots = .allocate(capacity: Self.pairsPerBatch)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe batchBlocks.deallocate()
        unsafe batchSlots.deallocate()
        unsafe orders.deallocate()
    }

    /// Brings the zone into the state in which it is measured.
    mutating func fill(_ zone: inout some PageZone & ~Copyable) {
        var left = slotCount + surplus
        for slot in 0..<left {
            unsafe slots[slot] = allocate(from: &zone)
        }
        while left > slotCount {
            let slot = Int(random() % UInt64(left))
            left -= 1
            Self.free(unsafe slots[slot], to: &zone)
            unsafe slots[slot] = slots[left]
            unsafe slots[left] = Self.empty
        }
        _ = batch(&zone)
    }

    /// Nanoseconds a pair of calls.
    mutating func batch(_ zone: inout some PageZone & ~Copyable) -> Double {
        for pair in 0..<Self.pairsPerBatch {
            let slot = Int(random() % UInt64(slotCount))
            unsafe batchSlots[pair] = UInt32(slot)
            unsafe batchBlocks[pair] = slots[slot]
            unsafe slots[slot] = Self.empty
        }
        let start = Self.now()
        for pair in 0..<Self.pairsPerBatch {
            Self.free(unsafe batchBlocks[pair], to: &zone)
            unsafe batchBlocks[pair] = allocate(from: &zone)
        }
        let time = Self.now() - start
        for pair in 0..<Self.pairsPerBatch {
            let slot = Int(unsafe batchSlots[pair])
            // A slot that came up twice holds what it was given first.
            if unsafe slots[slot] == Self.empty {
                unsafe slots[slot] = batchBlocks[pair]
            } else {
                Self.free(unsafe batchBlocks[pair], to: &zone)
            }
        }
        return Double(time) / Double(Self.pairsPerBatch)
    }

    /// Frees what a random slot holds, and fills it again.
    mutating func replaceOne(_ zone: inout some PageZone & ~Copyable) {
        let slot = below(slotCount)
        Self.free(unsafe slots[slot], to: &zone)
        unsafe slots[slot] = allocate(from: &zone)
    }

    /// 0 up to, and without, `limit`.
    mutating func below(_ limit: Int) -> Int {
        Int(random() % UInt64(limit))
    }

    @inline(__always)
    private mutating func allocate(from zone: inout some PageZone & ~Copyable) -> UInt32 {
        let order = Int(unsafe orders[Int(random() & 1023)])
        let page = zone.allocate(order)
        return page < 0 ? Self.empty : UInt32(page) << 4 | UInt32(order)
    }

    @inline(__always)
    private static func free(_ block: UInt32, to zone: inout some PageZone & ~Copyable) {
        if block != empty { zone.free(Int(block >> 4), Int(block & 15)) }
    }

    /// SplitMix64.
    @inline(__always)
    private mutating func random() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Nanoseconds of the monotonic clock.
    static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
