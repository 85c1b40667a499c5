// From a description of memory to a machine, as a kernel does it at boot.
//
// Each node's memory is cut at the ends of the low zones; what is above them is Normal. Movable
// comes off the top of the node first, whatever zone that memory would have been in. The kernel
// also rounds `movablecore=` to 4 MiB (`find_zone_movable_pfns_for_nodes`, mm/mm_init.c); here a
// node gets as many movable pages as its description says. A zone begins at its first page of
// memory and ends at its last, and a zone without memory is not listed. The first page of memory
// is memory like any other: whoever wants frame 0 kept, reserves it.
//
// Watermarks and reserves then follow from the managed pages (`Machine+Formulas`). All steps count
// ranges, never pages, and any 64-bit address may be given.

extension Machine {
    /// The machine that a kernel would make of this memory.
    ///
    /// - Parameter assumptions: what of the topology was assumed, in words.
    /// - Throws: `MachineFault`: which rule the description breaks, and where.
    public init(topology: Topology, assumptions: [String] = []) throws(MachineFault) {
        let nodes = topology.nodes.map { Node(id: $0.id, cpus: $0.cpus.sorted()) }
        try Self.validate(nodes: nodes)
        try topology.validate()

        let zoneTypes = topology.zoneWindows.map(\.type) + [.movable]
        let outlines = try Self.outlines(of: topology, columns: zoneTypes.count)
        // The formulas multiply page counts, which are bounded once the zones are valid.
        try Self.validate(zones: outlines, nodes: nodes, zoneTypes: zoneTypes)
        try self.init(
            dialect: topology.dialect, nodes: nodes, zoneTypes: zoneTypes,
            zones: Self.zones(
                outlines, zoneTypes: zoneTypes, settings: topology.watermarks,
                dialect: topology.dialect),
            distances: topology.distances ?? Self.distances(ofNodes: nodes.count),
            assumptions: assumptions)
    }

    /// The distances between `count` nodes about which the firmware says nothing.
    ///
    /// Source: `LOCAL_DISTANCE`, `REMOTE_DISTANCE`: include/linux/topology.h.
    public static func distances(ofNodes count: Int) -> [[Int]] {
        (0..<count).map { from in
            (0..<count).map { to in from == to ? localDistance : remoteDistance }
        }
    }

    /// The populated zones with their memory, before watermarks and reserves are known.
    private static func outlines(
        of topology: Topology, columns: Int
    ) throws(MachineFault) -> [Zone] {
        let reserved = AddressRange.touchedPages(of: topology.reserved)
        var zones: [Zone] = []
        for node in topology.nodes {
            for (type, present) in try topology.presentRanges(of: node) {
                guard let first = present.first, let last = present.last else { continue }
                zones.append(
                    Zone(
                        node: node.id, type: type, startPFN: first.lowerBound,
                        spannedPages: FrameRange(first.lowerBound, last.upperBound).count,
                        presentRanges: present, managedRanges: present.subtracting(reserved),
                        watermarks: Watermarks(min: 0, low: 0, high: 0, promo: nil),
                        lowmemReserve: [UInt64](repeating: 0, count: columns)))
            }
        }
        guard !zones.isEmpty else {
            throw MachineFault(.machine, "a machine must have at least one whole page of memory")
        }
        return zones
    }

    /// The outlines with the constants that the formulas give them.
    private static func zones(
        _ outlines: [Zone], zoneTypes: [ZoneType], settings: Topology.WatermarkSettings,
        dialect: KernelDialect
    ) -> [Zone] {
        let watermarks = watermarks(
            of: outlines, minFreeKbytes: settings.minFreeKbytes ?? minFreeKbytes(of: outlines),
            scaleFactor: settings.watermarkScaleFactor, dialect: dialect)
        return zip(outlines, watermarks).map { zone, watermarks in
            Zone(
                node: zone.node, type: zone.type, startPFN: zone.startPFN,
                spannedPages: zone.spannedPages, presentRanges: zone.presentRanges,
                managedRanges: zone.managedRanges, watermarks: watermarks,
                lowmemReserve: lowmemReserve(
                    of: zone, among: outlines, zoneTypes: zoneTypes,
                    ratio: settings.lowmemReserveRatio))
        }
    }
}

extension Topology {
    /// The kinds of zone below Movable with the frames that belong to each, low ones first.
    fileprivate var zoneWindows: [(type: ZoneType, frames: FrameRange)] {
        var windows: [(type: ZoneType, frames: FrameRange)] = []
        var start = PageFrameNumber(0)
        for (type, limit) in configuredLimits {
            let end = PageFrameNumber((limit >> PageFrameNumber.pageShift) + 1)
            windows.append((type, FrameRange(start, end)))
            start = end
        }
        windows.append((.normal, FrameRange(start, .limit)))
        return windows
    }

    private var configuredLimits: [(type: ZoneType, limit: UInt64)] {
        let limits = [(ZoneType.dma, zoneLimits.dma), (.dma32, zoneLimits.dma32)]
        return limits.compactMap { type, limit in limit.map { (type, $0) } }
    }

    /// A node's memory by kind of zone, low ones first.
    fileprivate func presentRanges(
        of node: Node
    ) throws(MachineFault) -> [(type: ZoneType, ranges: [FrameRange])] {
        let memory = AddressRange.wholePages(of: node.memory)
        let partial: UInt64 = node.movableBytes % PageFrameNumber.pageSize == 0 ? 0 : 1
        let movable = (node.movableBytes >> PageFrameNumber.pageShift) + partial
        guard movable <= memory.pageCount else {
            throw MachineFault(
                .node(node.id), "movable_bytes must be at most the node's whole pages of memory")
        }
        let (fixed, top) = memory.split(after: memory.pageCount - movable)
        return zoneWindows.map { ($0.type, fixed.clipped(to: $0.frames)) } + [(.movable, top)]
    }

    // MARK: Rules

    fileprivate func validate() throws(MachineFault) {
        try validateZoneLimits()
        try validateMemory()
        for (position, range) in reserved.enumerated() where range.isReversed {
            throw MachineFault(
                .reserved(range: position), "the end of a range must not lie before its start")
        }
        try watermarks.validate()
    }

    private func validateZoneLimits() throws(MachineFault) {
        var previous: UInt64?
        for (type, limit) in configuredLimits {
            guard limit % PageFrameNumber.pageSize == PageFrameNumber.pageSize - 1 else {
                throw MachineFault(
                    .zoneLimit(type), "a zone must end with the last byte of a 4 KiB page")
            }
            // Where they end together, DMA32 has no memory: arm64 is configured so.
            if let previous, limit < previous {
                throw MachineFault(.zoneLimit(type), "DMA32 must not end below DMA")
            }
            previous = limit
        }
    }

    private func validateMemory() throws(MachineFault) {
        var ranges: [(range: AddressRange, subject: MachineFault.Subject)] = []
        for node in nodes {
            for (position, range) in node.memory.enumerated() {
                let subject = MachineFault.Subject.memory(node.id, range: position)
                guard !range.isReversed else {
                    throw MachineFault(subject, "the end of a range must not lie before its start")
                }
                ranges.append((range, subject))
            }
        }
        ranges.sort { $0.range.first < $1.range.first }
        for (lower, upper) in zip(ranges, ranges.dropFirst())
        where upper.range.first <= lower.range.last {
            throw MachineFault(upper.subject, "ranges of memory must not overlap")
        }
    }
}

extension Topology.WatermarkSettings {
    /// `int min_free_kbytes`: mm/page_alloc.c.
    public static let maximumMinFreeKbytes = UInt64(Int32.max)

    /// The bounds of `watermark_scale_factor`, in 1/10,000: mm/page_alloc.c, kernel/sysctl.c.
    public static let scaleFactors: ClosedRange<UInt64> = 1...3000

    /// The kinds of zone that have a ratio, in this order.
    public static let ratioZoneTypes: [ZoneType] = [.dma, .dma32, .normal, .movable]

    fileprivate func validate() throws(MachineFault) {
        guard (minFreeKbytes ?? 0) <= Self.maximumMinFreeKbytes else {
            throw MachineFault(
                .watermarkSettings, "min_free_kbytes must be at most \(Self.maximumMinFreeKbytes)")
        }
        guard Self.scaleFactors.contains(watermarkScaleFactor) else {
            throw MachineFault(
                .watermarkSettings,
                "watermark_scale_factor must be \(Self.scaleFactors.lowerBound)"
                    + " to \(Self.scaleFactors.upperBound)")
        }
        guard lowmemReserveRatio.count == Self.ratioZoneTypes.count else {
            throw MachineFault(
                .watermarkSettings,
                "lowmem_reserve_ratio must be \(Self.ratioZoneTypes.count) numbers,"
                    + " for DMA, DMA32, Normal and Movable")
        }
    }
}
