// The names of GFP flags, as the kernel's trace events print them and its headers define them.

extension GFPFlags {
    /// The value of one name in a dialect: a bit (`__GFP_IO`), a composite (`GFP_KERNEL`), or nil
    /// where the dialect has no such name.
    public init?(name: String, dialect: KernelDialect) {
        guard
            let entry = Self.table(dialect).first(where: { $0.name == name }) ?? Self.synonym(name)
        else { return nil }
        self = entry.flags
    }

    /// The flags by name, greedily: composites before bits, as trace events print them. Bits that
    /// have no name are one trailing hexadecimal number. Empty for no flags.
    ///
    /// Source: `__def_gfpflag_names`, include/trace/events/mmflags.h, and `trace_print_flags_seq`.
    public func names(_ dialect: KernelDialect) -> [String] {
        var names: [String] = []
        forEachName(dialect) { names.append($0) }
        return names
    }

    /// The same names, one after the other, without an array of them.
    public func forEachName(_ dialect: KernelDialect, _ body: (String) -> Void) {
        var rest = self
        for entry in Self.table(dialect) where rest.isSuperset(of: entry.flags) {
            body(entry.name)
            rest.subtract(entry.flags)
            if rest.isEmpty { return }
        }
        if !rest.isEmpty {
            body("0x" + String(rest.rawValue, radix: 16))
        }
    }

    private struct Entry {
        let name: String
        let flags: GFPFlags

        init(_ name: String, _ value: UInt32) {
            self.name = name
            flags = GFPFlags(rawValue: value)
        }
    }

    private static func table(_ dialect: KernelDialect) -> [Entry] {
        switch dialect {
        case .linux61: linux61
        case .linux612: linux612
        }
    }

    private static let linux61: [Entry] =
        largeComposites + [
            Entry("GFP_ATOMIC", 0xa20), Entry("GFP_NOIO", 0xc00), Entry("GFP_NOWAIT", 0x800),
        ] + bitsUpToHigh + [Entry("__GFP_ATOMIC", 0x200)] + bitsAfterHigh

    private static let linux612: [Entry] =
        largeComposites + [
            Entry("GFP_ATOMIC", 0x820), Entry("GFP_NOIO", 0xc00), Entry("GFP_NOWAIT", 0x2800),
        ] + bitsUpToHigh + bitsAfterHigh

    private static let largeComposites: [Entry] = [
        Entry("GFP_TRANSHUGE", 0x1c24ca), Entry("GFP_TRANSHUGE_LIGHT", 0x1c20ca),
        Entry("GFP_HIGHUSER_MOVABLE", 0x100cca), Entry("GFP_HIGHUSER", 0x100cc2),
        Entry("GFP_USER", 0x100cc0), Entry("GFP_KERNEL_ACCOUNT", 0x400cc0),
        Entry("GFP_KERNEL", 0xcc0), Entry("GFP_NOFS", 0xc40),
    ]

    private static let bitsUpToHigh: [Entry] = [
        Entry("GFP_DMA", 0x1), Entry("__GFP_HIGHMEM", 0x2), Entry("GFP_DMA32", 0x4),
        Entry("__GFP_HIGH", 0x20),
    ]

    private static let bitsAfterHigh: [Entry] = [
        Entry("__GFP_IO", 0x40), Entry("__GFP_FS", 0x80),
        Entry("__GFP_NOWARN", 0x2000), Entry("__GFP_RETRY_MAYFAIL", 0x4000),
        Entry("__GFP_NOFAIL", 0x8000), Entry("__GFP_NORETRY", 0x10000),
        Entry("__GFP_COMP", 0x40000), Entry("__GFP_ZERO", 0x100),
        Entry("__GFP_NOMEMALLOC", 0x80000), Entry("__GFP_MEMALLOC", 0x20000),
        Entry("__GFP_HARDWALL", 0x100000), Entry("__GFP_THISNODE", 0x200000),
        Entry("__GFP_RECLAIMABLE", 0x10), Entry("__GFP_MOVABLE", 0x8),
        Entry("__GFP_ACCOUNT", 0x400000), Entry("__GFP_WRITE", 0x1000),
        Entry("__GFP_DIRECT_RECLAIM", 0x400), Entry("__GFP_KSWAPD_RECLAIM", 0x800),
        Entry("__GFP_ZEROTAGS", 0x800000),
    ]

    /// Names that headers define and trace events never print.
    private static func synonym(_ name: String) -> Entry? {
        switch name {
        case "__GFP_DMA": Entry(name, 0x1)
        case "__GFP_DMA32": Entry(name, 0x4)
        case "__GFP_RECLAIM": Entry(name, 0xc00)
        default: nil
        }
    }
}
