public import PageAllocator

extension KernelText {
    /// `/proc/zoneinfo`. Counters and per-CPU lists that are not modelled are left out; a zone
    /// without pages ends after its protection, as the kernel's does. The kernel prints each kind
    /// of zone for each node; a kind that the machine does not list for a node has no pages there.
    ///
    /// Source: `zoneinfo_show_print`, mm/vmstat.c.
    ///
    /// - Parameter freePages: one element for each of the machine's zones, unpopulated ones
    ///   included.
    public static func zoneinfo(of machine: Machine, freePages: [UInt64]) -> String {
        precondition(freePages.count == machine.zones.count, "one count of free pages a zone")
        var text = ""
        for node in machine.nodes {
            for type in machine.zoneTypes {
                let position = machine.zones.firstIndex { $0.node == node.id && $0.type == type }
                if let position {
                    text += zoneinfo(of: machine.zones[position], freePages: freePages[position])
                } else {
                    text += zoneinfo(of: .unlisted(type, of: node, in: machine), freePages: 0)
                }
            }
        }
        return text
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

extension Zone {
    /// A kind of zone in which a node has no pages.
    fileprivate static func unlisted(
        _ type: ZoneType, of node: Node, in machine: Machine
    ) -> Zone {
        Zone(
            node: node.id, type: type, startPFN: PageFrameNumber(0), spannedPages: 0,
            presentRanges: [], managedRanges: [],
            watermarks: Watermarks(min: 0, low: 0, high: 0, promo: nil),
            lowmemReserve: [UInt64](repeating: 0, count: machine.zoneTypes.count))
    }
}
