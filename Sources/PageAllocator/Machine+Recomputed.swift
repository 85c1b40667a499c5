// What a kernel makes of its own pages when it computes its constants anew, as it does on a write
// to min_free_kbytes or lowmem_reserve_ratio. An import keeps what the kernel printed, which may be
// older than the last pages that became managed.

extension Machine {
    /// The marks and the reserves that follow from the managed pages as they are now: one of each
    /// for each of `zones`, in the same order.
    ///
    /// - Parameter settings: a missing `lowmem_reserve_ratio` counts as 0.
    ///
    /// Source: `setup_per_zone_wmarks`, `setup_per_zone_lowmem_reserve`, mm/page_alloc.c.
    public func recomputedConstants(
        _ settings: Topology.WatermarkSettings
    ) -> [(watermarks: Watermarks, lowmemReserve: [UInt64])] {
        let kinds = ZoneType.allCases.count
        let unset = [UInt64](repeating: 0, count: max(0, kinds - settings.lowmemReserveRatio.count))
        let watermarks = Self.watermarks(
            of: zones, minFreeKbytes: settings.minFreeKbytes ?? Self.minFreeKbytes(of: zones),
            scaleFactor: settings.watermarkScaleFactor, dialect: dialect)
        return zip(zones, watermarks).map { zone, watermarks in
            let reserve = Self.lowmemReserve(
                of: zone, among: zones, zoneTypes: zoneTypes,
                ratio: settings.lowmemReserveRatio + unset)
            return (watermarks, reserve)
        }
    }
}
