// GFP flags against the kernel's own tables: zones, mobility, names.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("GFPFlags")
struct GFPFlagsTests {
    // MARK: Zones and mobility

    /// `GFP_ZONE_TABLE` on x86-64, two bits for each combination of the zone bits, and
    /// `GFP_ZONE_BAD`, one bit for each (include/linux/gfp.h).
    static let zoneTable: UInt32 = 0x132_0122
    static let badCombinations: UInt32 = 0xe8e8

    @Test("the sixteen combinations of zone bits pack to the kernel's table")
    func zoneTablePacks() {
        var table: UInt32 = 0
        var bad: UInt32 = 0
        for bits in UInt32(0)..<16 {
            if let zone = GFPFlags(rawValue: bits).highestZone {
                table |= UInt32(zone.rawValue) << (2 * bits)
            } else {
                bad |= 1 << bits
            }
        }
        #expect(table == Self.zoneTable)
        #expect(bad == Self.badCombinations)
    }

    @Test("bits above the zone bits do not change the zone", arguments: UInt32(4)..<32)
    func higherBitsLeaveTheZone(bit: UInt32) {
        for bits in UInt32(0)..<16 {
            let flags = GFPFlags(rawValue: bits | 1 << bit)
            #expect(flags.highestZone == GFPFlags(rawValue: bits).highestZone)
        }
    }

    @Test("two bits give the mobility, and both together give none")
    func mobility() {
        #expect(GFPFlags.kernel.migratetype == .unmovable)
        #expect(GFPFlags([.kernel, .movable]).migratetype == .movable)
        #expect(GFPFlags([.kernel, .reclaimable]).migratetype == .reclaimable)
        #expect(GFPFlags([.movable, .reclaimable]).migratetype == nil)
        for bits in UInt32(0)..<32 {
            let type = GFPFlags(rawValue: bits).migratetype?.rawValue
            #expect(type == ((bits & 0x18) >> 3 == 3 ? nil : Int((bits & 0x18) >> 3)))
        }
        #expect(
            Migratetype.allCases.map(\.name)
                == ["Unmovable", "Movable", "Reclaimable", "HighAtomic"])
    }

    // MARK: Names and values

    /// The bits that both dialects know, in their order (include/linux/gfp_types.h).
    static let bitNames: [(name: String, value: UInt32)] = [
        ("__GFP_DMA", 0x1), ("__GFP_HIGHMEM", 0x2), ("__GFP_DMA32", 0x4), ("__GFP_MOVABLE", 0x8),
        ("__GFP_RECLAIMABLE", 0x10), ("__GFP_HIGH", 0x20), ("__GFP_IO", 0x40), ("__GFP_FS", 0x80),
        ("__GFP_ZERO", 0x100), ("__GFP_DIRECT_RECLAIM", 0x400), ("__GFP_KSWAPD_RECLAIM", 0x800),
        ("__GFP_WRITE", 0x1000), ("__GFP_NOWARN", 0x2000), ("__GFP_RETRY_MAYFAIL", 0x4000),
        ("__GFP_NOFAIL", 0x8000), ("__GFP_NORETRY", 0x10000), ("__GFP_MEMALLOC", 0x20000),
        ("__GFP_COMP", 0x40000), ("__GFP_NOMEMALLOC", 0x80000), ("__GFP_HARDWALL", 0x100000),
        ("__GFP_THISNODE", 0x200000), ("__GFP_ACCOUNT", 0x400000), ("__GFP_ZEROTAGS", 0x800000),
        ("__GFP_RECLAIM", 0xc00), ("GFP_DMA", 0x1), ("GFP_DMA32", 0x4),
    ]

    /// Composites of Linux 6.12 and, where it differs, of 6.1.
    static let composites: [(name: String, linux612: UInt32, linux61: UInt32)] = [
        ("GFP_ATOMIC", 0x820, 0xa20), ("GFP_KERNEL", 0xcc0, 0xcc0),
        ("GFP_KERNEL_ACCOUNT", 0x400cc0, 0x400cc0), ("GFP_NOWAIT", 0x2800, 0x800),
        ("GFP_NOIO", 0xc00, 0xc00), ("GFP_NOFS", 0xc40, 0xc40), ("GFP_USER", 0x100cc0, 0x100cc0),
        ("GFP_HIGHUSER", 0x100cc2, 0x100cc2), ("GFP_HIGHUSER_MOVABLE", 0x100cca, 0x100cca),
        ("GFP_TRANSHUGE_LIGHT", 0x1c20ca, 0x1c20ca), ("GFP_TRANSHUGE", 0x1c24ca, 0x1c24ca),
    ]

    @Test("each bit has the kernel's value", arguments: KernelDialect.allCases)
    func bitValues(dialect: KernelDialect) {
        for (name, value) in Self.bitNames {
            #expect(GFPFlags(name: name, dialect: dialect)?.rawValue == value, "\(name)")
        }
    }

    @Test("the constants have the values of their names")
    func constants() {
        let constants: [GFPFlags] = [
            .dma, .highmem, .dma32, .movable, .reclaimable, .high, .io, .fs, .zero, .directReclaim,
            .kswapdReclaim, .write, .noWarn, .retryMayFail, .noFail, .noRetry, .memAlloc, .compound,
            .noMemAlloc, .hardwall, .thisNode, .account, .zeroTags,
        ]
        #expect(constants.map(\.rawValue) == Self.bitNames.prefix(23).map(\.value))
        #expect(GFPFlags.kernel.rawValue == 0xcc0)
    }

    @Test("each composite has the value and, alone, the name that it has in its kernel")
    func compositeValues() {
        for (name, linux612, linux61) in Self.composites {
            #expect(GFPFlags(name: name, dialect: .linux612)?.rawValue == linux612, "\(name)")
            #expect(GFPFlags(name: name, dialect: .linux61)?.rawValue == linux61, "\(name)")
            #expect(GFPFlags(rawValue: linux612).names(.linux612) == [name])
            #expect(GFPFlags(rawValue: linux61).names(.linux61) == [name])
        }
    }

    @Test("__GFP_ATOMIC is a name in 6.1 only")
    func atomicBit() {
        #expect(GFPFlags(name: "__GFP_ATOMIC", dialect: .linux61)?.rawValue == 0x200)
        #expect(GFPFlags(name: "__GFP_ATOMIC", dialect: .linux612) == nil)
        #expect(GFPFlags(rawValue: 0x200).names(.linux61) == ["__GFP_ATOMIC"])
        #expect(GFPFlags(rawValue: 0x200).names(.linux612) == ["0x200"])
    }

    @Test(
        "other spellings are no names",
        arguments: ["", "gfp_kernel", "GFP_KERNEL ", "__GFP_KERNEL", "GFP_IO", "0xcc0", "GFP_"])
    func unknownNames(name: String) {
        for dialect in KernelDialect.allCases {
            #expect(GFPFlags(name: name, dialect: dialect) == nil)
        }
    }

    // MARK: Spelling

    /// A line of `mm_page_alloc` from a running kernel.
    static let tracedSpelling =
        "GFP_KERNEL|__GFP_RECLAIMABLE|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP"

    @Test("reads a traced spelling, and spells it with the same names")
    func tracedLine() {
        let names = Self.tracedSpelling.split(separator: "|").map(String.init)
        for dialect in KernelDialect.allCases {
            let flags = Self.flags(named: names, dialect)
            #expect(flags?.rawValue == 0x52cd0)
            // The order of single bits differs between kernels: by bit from 6.14 on.
            #expect(flags?.names(dialect).sorted() == names.sorted())
            #expect(flags?.names(dialect).first == "GFP_KERNEL")
        }
    }

    @Test("spells composites first, then bits, then what has no name as one number")
    func greedySpelling() {
        let cases: [(UInt32, [String])] = [
            (0, []),
            (0x40cc0, ["GFP_KERNEL", "__GFP_COMP"]),
            (0x500cc0, ["GFP_USER", "__GFP_ACCOUNT"]),
            (0xcc1, ["GFP_KERNEL", "GFP_DMA"]),
            (0xcc4, ["GFP_KERNEL", "GFP_DMA32"]),
            (0xff00_0cc0, ["GFP_KERNEL", "0xff000000"]),
            (0x100_0000, ["0x1000000"]),
            (0x1c2cca, ["GFP_TRANSHUGE", "__GFP_KSWAPD_RECLAIM"]),
        ]
        for (value, names) in cases {
            #expect(GFPFlags(rawValue: value).names(.linux612) == names)
        }
    }

    /// Every named bit but those that would complete a composite.
    static let looseBits: UInt32 = 0xff_ffff & ~(0x80 | 0x200 | 0x800)

    @Test("single bits come in the order of the kernel's table", arguments: KernelDialect.allCases)
    func orderOfBits(dialect: KernelDialect) {
        let expected = [
            "GFP_DMA", "__GFP_HIGHMEM", "GFP_DMA32", "__GFP_HIGH", "__GFP_IO", "__GFP_NOWARN",
            "__GFP_RETRY_MAYFAIL", "__GFP_NOFAIL", "__GFP_NORETRY", "__GFP_COMP", "__GFP_ZERO",
            "__GFP_NOMEMALLOC", "__GFP_MEMALLOC", "__GFP_HARDWALL", "__GFP_THISNODE",
            "__GFP_RECLAIMABLE", "__GFP_MOVABLE", "__GFP_ACCOUNT", "__GFP_WRITE",
            "__GFP_DIRECT_RECLAIM", "__GFP_ZEROTAGS",
        ]
        #expect(GFPFlags(rawValue: Self.looseBits).names(dialect) == expected)
    }

    @Test("6.1 spells __GFP_ATOMIC after __GFP_HIGH")
    func placeOfAtomic() {
        let names = GFPFlags(rawValue: 0xee0).names(.linux61)
        #expect(names == ["GFP_KERNEL", "__GFP_HIGH", "__GFP_ATOMIC"])
    }

    static let randomMasks = 20_000

    @Test("names lead back to the flags", arguments: KernelDialect.allCases)
    func roundTrip(dialect: KernelDialect) {
        var random = SeededGenerator(seed: 0x6f)
        var masks = (0..<32).map { UInt32(1) << $0 } + [0, .max]
        masks += (0..<Self.randomMasks).map { _ in
            // Sparse, dense and evenly filled masks.
            let draw = UInt32(truncatingIfNeeded: random.next())
            let second = UInt32(truncatingIfNeeded: random.next())
            return random.pick([draw, draw & second, draw | second])
        }
        for mask in masks {
            let flags = GFPFlags(rawValue: mask)
            #expect(Self.flags(named: flags.names(dialect), dialect) == flags)
        }
    }

    @Test(
        "no spelling that names each bit once is shorter", arguments: KernelDialect.allCases)
    func shortestSpelling(dialect: KernelDialect) {
        let composites = Self.composites.map { dialect == .linux61 ? $0.linux61 : $0.linux612 }
            .filter { $0.nonzeroBitCount > 1 }
        // Bits outside all composites are spelt one by one in any case.
        let bits = composites.reduce(0, |)
        let choices = Self.disjointUnions(of: composites)
        #expect(choices.count > composites.count)
        var masks = 0
        var mask = bits
        while true {
            masks += 1
            let rests = choices.filter { $0.bits & mask == $0.bits }
                .map { $0.names + Self.namesForBits(mask & ~$0.bits, dialect) }
            #expect(GFPFlags(rawValue: mask).names(dialect).count == rests.min())
            if mask == 0 { break }
            mask = (mask - 1) & bits
        }
        #expect(masks == 1 << bits.nonzeroBitCount)
    }

    /// Every union of composites that share no bit, with the number of composites.
    private static func disjointUnions(of composites: [UInt32]) -> [(bits: UInt32, names: Int)] {
        composites.reduce(into: [(bits: 0, names: 0)]) { unions, composite in
            unions += unions.filter { $0.bits & composite == 0 }
                .map { ($0.bits | composite, $0.names + 1) }
        }
    }

    /// One name a bit; bits without a name are one number together.
    private static func namesForBits(_ bits: UInt32, _ dialect: KernelDialect) -> Int {
        let unnamed: UInt32 = dialect == .linux61 ? 0 : 0x200
        return (bits & ~unnamed).nonzeroBitCount + (bits & unnamed == 0 ? 0 : 1)
    }

    private static func flags(named names: [String], _ dialect: KernelDialect) -> GFPFlags? {
        var flags = GFPFlags()
        for name in names {
            if let bits = GFPFlags(name: name, dialect: dialect) {
                flags.formUnion(bits)
            } else if name.hasPrefix("0x"), let bits = UInt32(name.dropFirst(2), radix: 16) {
                flags.formUnion(GFPFlags(rawValue: bits))
            } else {
                return nil
            }
        }
        return flags
    }
}
