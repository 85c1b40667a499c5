// What a zone's buddy allocator has to know of the machine around it.

package struct BuddyRules: Hashable, Sendable {
    package let dialect: KernelDialect

    /// False on a machine so small that each migratetype cannot have pageblocks of its own: all
    /// requests and all pageblocks are Unmovable then (`page_group_by_mobility_disabled`).
    package let groupsByMobility: Bool

    /// Pages up to which `watermark_boost` rises; 0: it does not.
    package let maximumBoost: UInt64

    package init(
        dialect: KernelDialect, groupsByMobility: Bool = true, maximumBoost: UInt64 = 0
    ) {
        self.dialect = dialect
        self.groupsByMobility = groupsByMobility
        self.maximumBoost = maximumBoost
    }

    /// The rules of a zone.
    ///
    /// - Parameter high: `WMARK_HIGH`, pages.
    package init(
        dialect: KernelDialect, managedPages: UInt64, high: UInt64, groupsByMobility: Bool
    ) {
        self.init(
            dialect: dialect, groupsByMobility: groupsByMobility,
            maximumBoost: Self.maximumBoost(managedPages: managedPages, high: high))
    }

    /// `MIGRATE_TYPES` of a kernel without CMA: the four of `Migratetype`, and isolation.
    static let migratetypes: UInt64 = 5

    /// `vm.watermark_boost_factor` as it comes, in 1/10,000 of the high mark.
    static let boostFactor: UInt64 = 15_000

    /// Whether a machine groups pages by mobility.
    ///
    /// - Parameter pagesAboveHighMarks: of all zones, managed pages less the high mark
    ///   (`nr_free_zone_pages`).
    ///
    /// Source: `build_all_zonelists`, mm/page_alloc.c.
    package static func groupsByMobility(pagesAboveHighMarks: UInt64) -> Bool {
        pagesAboveHighMarks >= UInt64(Pageblock.pageCount) * migratetypes
    }

    /// How far the boost of a zone may rise, in pages; 0 for a zone of less than four pageblocks.
    ///
    /// Source: `boost_watermark`, mm/page_alloc.c.
    package static func maximumBoost(managedPages: UInt64, high: UInt64) -> UInt64 {
        let pageblock = UInt64(Pageblock.pageCount)
        let (product, overflow) = high.multipliedReportingOverflow(by: boostFactor)
        let limit = overflow ? UInt64.max : product / 10_000
        guard managedPages >= 4 * pageblock, limit > 0 else { return 0 }
        return max(pageblock, limit)
    }
}
