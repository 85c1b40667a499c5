public import PageAllocator

extension KernelText {
    /// `/proc/zoneinfo`. Counters and per-CPU lists that are not modelled are left out; a zone
    /// without pages ends after its protection, as the kernel's does.
    ///
    /// Source: `zoneinfo_show_print`, mm/vmstat.c.
    ///
    /// - Parameter freePages: one element for each of the machine's zones, unpopulated ones
    ///   included.
    public static func zoneinfo(of machine: Machine, freePages: [UInt64]) -> String {
        precondition(freePages.count == machine.zones.count, "one count of free pages a zone")
        return zip(machine.zones, freePages).map(zoneinfo).joined()
    }

    private static func zoneinfo(of zone: Zone, freePages: UInt64) -> String {
        let marks = zone.watermarks
        let protection = zone.lowmemReserve.map(String.init).joined(separator: ", ")
        var text = """
            Node \(zone.node.rawValue), zone \(padded(zone.type.name, to: 8))
              pages free     \(freePages)
                    boost    0
                    min      \(marks.min)
                    low      \(marks.low)
                    high     \(marks.high)

            """
        if let promo = marks.promo {
            text += "        promo    \(promo)\n"
        }
        text += """
                    spanned  \(zone.spannedPages)
                    present  \(zone.presentPages)
                    managed  \(zone.managedPages)
                    cma      0
                    protection: (\(protection))

            """
        if zone.isPopulated {
            text += """
                      nr_free_pages \(freePages)
                  start_pfn:           \(zone.startPFN.rawValue)

                """
        }
        return text
    }
}
