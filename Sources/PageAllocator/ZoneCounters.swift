// What a zone holds, as far as a placement decision asks: counters and masks, no lists. A live zone
// can give it at any time, and a recorded state can be put beside it.

/// A zone's counters at one moment, in pages.
public struct ZoneCounters: Hashable, Sendable {
    /// `NR_FREE_PAGES`.
    public var freePages: UInt64

    /// `watermark_boost`: added to each mark.
    public var boost: UInt64

    /// Pages of the pageblocks reserved for atomic requests: `nr_reserved_highatomic`.
    public var reservedHighatomic: UInt64

    /// Free pages among them: `nr_free_highatomic` (6.12).
    public var freeHighatomic: UInt64

    /// For each migratetype, bit o: whether a block of order o is free in its lists.
    public var freeOrders: FreeOrders

    public init(
        freePages: UInt64, boost: UInt64 = 0, reservedHighatomic: UInt64 = 0,
        freeHighatomic: UInt64 = 0, freeOrders: FreeOrders
    ) {
        self.freePages = freePages
        self.boost = boost
        self.reservedHighatomic = reservedHighatomic
        self.freeHighatomic = freeHighatomic
        self.freeOrders = freeOrders
    }
}

/// Which orders have a free block, for each migratetype.
public struct FreeOrders: Hashable, Sendable {
    /// 16 bits a type, `Migratetype.rawValue` first.
    private(set) var bits: UInt64

    public init() {
        bits = 0
    }

    /// Bit o: whether a block of order o is free in the lists of the type.
    public subscript(type: Migratetype) -> UInt16 {
        @inline(__always)
        get { UInt16(truncatingIfNeeded: bits &>> UInt64(16 * type.rawValue)) }
        @inline(__always)
        set {
            let shift = UInt64(16 * type.rawValue)
            bits = bits & ~(0xffff &<< shift) | UInt64(newValue) &<< shift
        }
    }
}

/// What an attempt may use beyond an ordinary one: `ALLOC_*`, mm/internal.h, with its values.
public struct AllocFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    public static let noWatermarks = Self(rawValue: 0x4)
    public static let oom = Self(rawValue: 0x8)
    public static let nonBlock = Self(rawValue: 0x10)
    public static let minReserve = Self(rawValue: 0x20)
    public static let cpuset = Self(rawValue: 0x40)
    public static let cma = Self(rawValue: 0x80)
    public static let noFragment = Self(rawValue: 0x100)
    public static let highatomic = Self(rawValue: 0x200)
    public static let kswapd = Self(rawValue: 0x800)
}
