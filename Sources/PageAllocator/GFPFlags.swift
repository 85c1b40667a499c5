// GFP flags: what a caller allows the allocator to do, and from which zones it wants pages.
//
// The bits are those of the kernel (include/linux/gfp_types.h). They differ between kernels: bit
// 0x200 is `__GFP_ATOMIC` in Linux 6.1 and unused in 6.12, and composites moved with it. A value
// therefore means something only together with a `KernelDialect`; names are in
// `GFPFlags+Names.swift`.

/// A GFP mask, `gfp_t`: 32 bits, unknown ones kept as they came.
public struct GFPFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    public static let dma = Self(rawValue: 0x1)
    public static let highmem = Self(rawValue: 0x2)
    public static let dma32 = Self(rawValue: 0x4)
    public static let movable = Self(rawValue: 0x8)
    public static let reclaimable = Self(rawValue: 0x10)
    public static let high = Self(rawValue: 0x20)
    public static let io = Self(rawValue: 0x40)
    public static let fs = Self(rawValue: 0x80)
    public static let zero = Self(rawValue: 0x100)

    /// `__GFP_ATOMIC`, of Linux 6.1 only; the bit is unused in 6.12.
    public static let atomic = Self(rawValue: 0x200)
    public static let directReclaim = Self(rawValue: 0x400)
    public static let kswapdReclaim = Self(rawValue: 0x800)
    public static let write = Self(rawValue: 0x1000)
    public static let noWarn = Self(rawValue: 0x2000)
    public static let retryMayFail = Self(rawValue: 0x4000)
    public static let noFail = Self(rawValue: 0x8000)
    public static let noRetry = Self(rawValue: 0x10000)
    public static let memAlloc = Self(rawValue: 0x20000)
    public static let compound = Self(rawValue: 0x40000)
    public static let noMemAlloc = Self(rawValue: 0x80000)
    public static let hardwall = Self(rawValue: 0x100000)
    public static let thisNode = Self(rawValue: 0x200000)
    public static let account = Self(rawValue: 0x400000)
    public static let zeroTags = Self(rawValue: 0x800000)

    /// GFP_KERNEL: what a request asks for that says nothing.
    public static let kernel: Self = [.directReclaim, .kswapdReclaim, .io, .fs]

    /// The four bits that choose a zone: `GFP_ZONEMASK`.
    private static let zoneMask: UInt32 = 0xf

    /// The highest zone that the zone bits allow, before any zone is missing; nil for the
    /// combinations that contradict themselves.
    ///
    /// `__GFP_MOVABLE` means ZONE_MOVABLE only together with `__GFP_HIGHMEM`.
    /// Source: `gfp_zone` and `GFP_ZONE_TABLE`, include/linux/gfp.h. The kernel reads a
    /// contradiction as ZONE_DMA; here it is refused.
    public var highestZone: ZoneType? {
        switch rawValue & Self.zoneMask {
        case 0x0, 0x2, 0x8: .normal
        case 0x1, 0x9: .dma
        case 0x4, 0xc: .dma32
        case 0xa: .movable
        default: nil
        }
    }

    /// The mobility of the pages; nil where both mobility bits are set, which the kernel forbids.
    /// Source: `gfp_migratetype`, include/linux/gfp.h.
    public var migratetype: Migratetype? {
        switch (contains(.movable), contains(.reclaimable)) {
        case (false, false): .unmovable
        case (true, false): .movable
        case (false, true): .reclaimable
        case (true, true): nil
        }
    }
}

/// Whether pages can be moved or reclaimed later, or are kept back: `enum migratetype`, without CMA
/// and isolation, which are not modelled.
public enum Migratetype: Int, CaseIterable, Sendable {
    case unmovable = 0
    case movable = 1
    case reclaimable = 2

    /// Pageblocks kept back for atomic requests of higher order. No grant has this type.
    case highAtomic = 3

    /// The kernel's spelling (`migratetype_names`, mm/page_alloc.c).
    public var name: String {
        switch self {
        case .unmovable: "Unmovable"
        case .movable: "Movable"
        case .reclaimable: "Reclaimable"
        case .highAtomic: "HighAtomic"
        }
    }
}
