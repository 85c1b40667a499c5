// The constants that a kernel computes from its managed pages: how much it keeps free, and how much
// of a low zone it keeps from requests that a higher zone could have met.
//
// They are for synthetic machines only: an import takes what the kernel printed. A running kernel
// may differ by a few pages, since it computed them before the memory of its boot code and its
// initrd became managed; and khugepaged raises `min_free_kbytes` where transparent huge pages are
// on, which is not modelled: a topology may state that number.
//
// Zones given here are valid (`Machine+Validation`), so no sum or product overflows 64 bits.

extension Machine {
    /// `min_free_kbytes` where nobody set it: 4 times the square root of the memory below Movable
    /// in KiB, and 128 to 262,144.
    ///
    /// Source: `calculate_min_free_kbytes`, `nr_free_buffer_pages`: mm/page_alloc.c.
    static func minFreeKbytes(of zones: [Zone]) -> UInt64 {
        let pages = zones.filter { $0.type <= .normal }.reduce(0) { $0 + $1.managedPages }
        let kbytes = pages * (PageFrameNumber.pageSize / 1024)
        // Exact: the argument has at most 37 bits, a Double holds 53.
        let root = UInt64(Double(kbytes * 16).squareRoot())
        return min(max(root, 128), 262_144)
    }

    /// The watermarks of each of `zones`.
    ///
    /// Source: `__setup_per_zone_wmarks`, mm/page_alloc.c. Since Linux 6.8 the zone Movable is left
    /// out of the sum, and its own min is 1/1024 of it, 32 to 128 pages.
    static func watermarks(
        of zones: [Zone], minFreeKbytes: UInt64, scaleFactor: UInt64, dialect: KernelDialect
    ) -> [Watermarks] {
        let capsMovable = dialect != .linux61
        let pages = minFreeKbytes / (PageFrameNumber.pageSize / 1024)
        let lowmem = zones.filter { !(capsMovable && $0.type == .movable) }
            .reduce(0) { $0 + $1.managedPages }
        return zones.map { zone in
            let managed = zone.managedPages
            // A machine may be all Movable; then nothing is to be shared out.
            let share = lowmem == 0 ? 0 : pages * managed / lowmem
            let isCapped = capsMovable && zone.type == .movable
            let lowest = isCapped ? min(max(managed / 1024, 32), 128) : share
            let distance = max(share / 4, managed * scaleFactor / 10_000)
            let high = lowest + 2 * distance
            return Watermarks(
                min: lowest, low: lowest + distance, high: high,
                promo: dialect == .linux61 ? nil : high + distance)
        }
    }

    /// `lowmem_reserve` of `zone`, one element for each of `zoneTypes`: what requests that may use
    /// that kind of zone must leave free here. `ratio` is indexed by kind of zone; 0: nothing.
    ///
    /// Source: `setup_per_zone_lowmem_reserve`, mm/page_alloc.c.
    static func lowmemReserve(
        of zone: Zone, among zones: [Zone], zoneTypes: [ZoneType], ratio: [UInt64]
    ) -> [UInt64] {
        let divisor = ratio[zone.type.rawValue]
        return zoneTypes.map { highest in
            guard divisor > 0, zone.managedPages > 0 else { return 0 }
            let above = zones.filter {
                $0.node == zone.node && zone.type < $0.type && $0.type <= highest
            }
            return above.reduce(0) { $0 + $1.managedPages } / divisor
        }
    }
}
