// Which of the present pages are managed, which is to say: handed out.
//
// zoneinfo gives the count only. Where iomem tells the addresses, the first MiB is reserved first
// (every x86 kernel since 5.13 keeps it: `reserve_real_mode`, arch/x86/realmode/init.c) and then
// the kernel's image, as far as the count goes. The rest is reserved at the zone's end, where a
// kernel puts the early allocations of its boot, the largest of them its page structs.

import PageAllocator

/// The managed pages of an imported machine.
struct ManagedMemory {
    /// For each zone: ascending and apart, as many pages as zoneinfo states.
    private(set) var ranges: [[FrameRange]]

    init(
        of zones: [Zoneinfo.Zone], present: PresentMemory, iomem: Iomem?,
        _ notes: inout AssumptionNotes
    ) {
        ranges = present.ranges
        var excess = zones.map { $0.presentPages - $0.managedPages }
        if let iomem {
            notes.add("reserved pages in the first MiB", reserve(Self.firstMiB, &excess))
            notes.add("reserved pages in the kernel's image", reserve(iomem.kernelImage, &excess))
        }
        for zone in ranges.indices {
            ranges[zone] = ranges[zone].split(after: zones[zone].managedPages).head
        }
        notes.add("reserved pages at the end of the zone", excess)
    }

    private static let firstMiB = AddressRange.wholePages(
        of: [AddressRange(first: 0, last: 0xf_ffff)])

    /// Takes frames of `area` away from each zone, at most `excess[zone]` of them, and off that.
    ///
    /// - Returns: how many pages were taken from each zone.
    private mutating func reserve(_ area: [FrameRange], _ excess: inout [UInt64]) -> [UInt64] {
        ranges.indices.map { zone in
            let inArea = ranges[zone].subtracting(ranges[zone].subtracting(area))
            let taken = inArea.split(after: excess[zone]).head
            ranges[zone] = ranges[zone].subtracting(taken)
            excess[zone] -= taken.pageCount
            return taken.pageCount
        }
    }
}
