// What an export of sizes leaves open: at which addresses an architecture has memory, and where its
// kernel ends the low zones. One rule for all: nodes in ascending order, one after another, from
// the architecture's first address upwards, leaving out its hole. Each node after the first begins
// at a multiple of a memory section, since a section belongs to one node.
//
// Source of the zones: arch/x86/include/asm/dma.h (`MAX_DMA_PFN`, `MAX_DMA32_PFN`);
// `zone_sizes_init`: arch/arm64/mm/init.c, arch/riscv/mm/init.c; `paging_init`:
// arch/powerpc/mm/mem.c (with ZONE_DMA for Book3E alone), arch/s390/mm/init.c.

import PageAllocator

/// Where an architecture's memory and zones lie.
struct ArchitectureMemory {
    /// As `uname -m` prints it.
    let name: String

    let zoneLimits: Topology.ZoneLimits

    /// Where memory may be, ascending, the last without an end that matters.
    let windows: [AddressRange]

    /// Bytes of a memory section on most architectures: `SECTION_SIZE_BITS`.
    static let sectionBytes: UInt64 = 128 << 20

    /// Firmware and kernel keep the first MiB; devices are below 4 GiB.
    static let x86 = ArchitectureMemory(
        name: "x86_64", zoneLimits: Topology.ZoneLimits(),
        windows: [
            AddressRange(first: 0x10_0000, last: 0xbfff_ffff),
            AddressRange(first: 0x1_0000_0000, last: lastAddress),
        ])

    /// nil for a name that is not known.
    init?(named name: String) {
        switch name {
        case "x86_64", "amd64": self = Self.x86
        case "aarch64", "arm64":
            self.init(name: "aarch64", dma: 0xffff_ffff, dma32: 0xffff_ffff, from: 0x8000_0000)
        case "riscv64":
            self.init(name: "riscv64", dma: nil, dma32: 0xffff_ffff, from: 0x8000_0000)
        case "ppc", "ppc64", "ppc64le":
            self.init(name: "ppc64", dma: nil, dma32: nil, from: 0)
        case "s390x":
            self.init(name: "s390x", dma: 0x7fff_ffff, dma32: nil, from: 0)
        default: return nil
        }
    }

    private init(name: String, dma: UInt64?, dma32: UInt64?, from first: UInt64) {
        self.init(
            name: name, zoneLimits: Topology.ZoneLimits(dma: dma, dma32: dma32),
            windows: [AddressRange(first: first, last: Self.lastAddress)])
    }

    private init(name: String, zoneLimits: Topology.ZoneLimits, windows: [AddressRange]) {
        self.name = name
        self.zoneLimits = zoneLimits
        self.windows = windows
    }

    /// Of 48 bits, which the largest machine does not reach.
    private static let lastAddress: UInt64 = 0xffff_ffff_ffff

    /// A place for each of these many pages: `ranges[i]` for `pages[i]`.
    func ranges(ofPages pages: [UInt64]) -> [[AddressRange]] {
        var next = windows[0].first
        return pages.map { count in
            guard count > 0 else { return [] }
            let section = Self.sectionBytes
            if next > windows[0].first { next = (next + section - 1) / section * section }
            return ranges(ofBytes: count * PageFrameNumber.pageSize, from: &next)
        }
    }

    private func ranges(ofBytes count: UInt64, from next: inout UInt64) -> [AddressRange] {
        var ranges: [AddressRange] = []
        var rest = count
        for window in windows where rest > 0 && window.last >= next {
            let first = max(next, window.first)
            let size = min(rest, window.last - first + 1)
            ranges.append(AddressRange(first: first, last: first + size - 1))
            next = first + size
            rest -= size
        }
        precondition(rest == 0, "more memory than the largest machine has")
        return ranges
    }

    /// Where the windows are, in words.
    var layout: String {
        let holes = zip(windows, windows.dropFirst()).map { lower, upper in
            ", without \(Self.hexadecimal(lower.last + 1)) to \(Self.hexadecimal(upper.first - 1))"
        }
        return "from \(Self.hexadecimal(windows[0].first)) upwards\(holes.joined())"
    }

    private static func hexadecimal(_ address: UInt64) -> String {
        "0x" + String(address, radix: 16)
    }
}
