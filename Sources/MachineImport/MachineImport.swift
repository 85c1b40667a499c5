// A running kernel's own texts, made into a machine.
//
// Taken as stated: where each zone starts, how many pages it spans, how many are present and how
// many managed, its watermarks, its protection. Not stated: where the holes are, which pages are
// reserved, and, without the files of sysfs, which CPU belongs where and how far nodes are apart.
// /proc/iomem tells the holes and the kernel's image; what is still open is assumed, and each kind
// of assumption is one line of the machine's `assumptions`, with the zones it touches.
//
// Text in, machine out: no file is opened here. No text, whatever is in it, does worse than throw.

public import PageAllocator

/// Reads machines from texts of running kernels, and from exports of hwloc (`MachineImport+Hwloc`).
public enum MachineImport {
    /// The machine on which a kernel printed these texts. It starts empty.
    ///
    /// - Parameters:
    ///   - zoneinfo: `/proc/zoneinfo`, Linux 6.1 to 6.18.
    ///   - iomem: `/proc/iomem`, best as root reads it; without addresses it is not used.
    ///   - distances: one row for each node of `zoneinfo`, in ascending order (`SysfsNodes`).
    ///   - cpus: the CPUs of each node (`SysfsNodes`); a node that is not named has none.
    ///   - dialect: the rules to follow. The texts do not tell the kernel's version.
    /// - Throws: `ImportFailure`: the text and line at fault, or why the whole is not a machine.
    public static func machine(
        zoneinfo: String, iomem: String? = nil, distances: [[Int]]? = nil,
        cpus: [NodeID: [Int]]? = nil, dialect: KernelDialect = .linux612
    ) throws(ImportFailure) -> Machine {
        let zoneinfo = try Zoneinfo(parsing: zoneinfo)
        var notes = AssumptionNotes(of: zoneinfo)
        let nodes = try nodes(of: zoneinfo, cpus: cpus, &notes)
        let distances = Self.distances(distances, nodes: nodes, &notes)
        let memory = try usableIomem(iomem, &notes)
        let zones = try zones(of: zoneinfo, iomem: memory, &notes)
        do throws(MachineFault) {
            return try Machine(
                dialect: dialect, nodes: nodes, zoneTypes: zoneinfo.zoneTypes, zones: zones,
                distances: distances, assumptions: notes.lines)
        } catch {
            throw .machine(error)
        }
    }

    /// What was given, else the CPUs of the per-CPU lists, all on the first node.
    private static func nodes(
        of zoneinfo: Zoneinfo, cpus: [NodeID: [Int]]?, _ notes: inout AssumptionNotes
    ) throws(ImportFailure) -> [Node] {
        let ids = zoneinfo.nodes
        guard let cpus else {
            if ids.count > 1, !zoneinfo.cpus.isEmpty {
                notes.add("all CPUs belong to node \(ids[0].rawValue)")
            }
            return ids.map { Node(id: $0, cpus: $0 == ids[0] ? zoneinfo.cpus : []) }
        }
        if let unknown = cpus.keys.filter({ !ids.contains($0) }).min() {
            throw .machine(
                MachineFault(.node(unknown), "CPUs must be given for nodes of zoneinfo only"))
        }
        return ids.map { Node(id: $0, cpus: (cpus[$0] ?? []).sorted()) }
    }

    private static func distances(
        _ given: [[Int]]?, nodes: [Node], _ notes: inout AssumptionNotes
    ) -> [[Int]] {
        if let given { return given }
        if nodes.count > 1 {
            notes.add(
                "the distance is \(Machine.localDistance) within a node"
                    + " and \(Machine.remoteDistance) between any two")
        }
        return Machine.distances(ofNodes: nodes.count)
    }

    /// The text of iomem where it says where memory is.
    private static func usableIomem(
        _ text: String?, _ notes: inout AssumptionNotes
    ) throws(ImportFailure) -> Iomem? {
        guard let text else { return nil }
        let iomem = try Iomem(parsing: text)
        guard iomem.hasAddresses else {
            notes.add("iomem has no addresses, as for a reader without privilege: it is not used")
            return nil
        }
        guard !iomem.systemRAM.isEmpty else {
            notes.add("iomem lists no System RAM: it is not used")
            return nil
        }
        return iomem
    }

    private static func zones(
        of zoneinfo: Zoneinfo, iomem: Iomem?, _ notes: inout AssumptionNotes
    ) throws(ImportFailure) -> [Zone] {
        let present = try PresentMemory(of: zoneinfo.zones, iomem: iomem, &notes)
        let managed = ManagedMemory(of: zoneinfo.zones, present: present, iomem: iomem, &notes)
        var zones: [Zone] = []
        for (position, zone) in zoneinfo.zones.enumerated() {
            zones.append(
                Zone(
                    node: zone.node, type: zone.type, startPFN: zone.startPFN,
                    spannedPages: zone.spannedPages, presentRanges: present.ranges[position],
                    managedRanges: managed.ranges[position],
                    watermarks: try watermarksWithoutBoost(of: zone),
                    lowmemReserve: zone.protection))
        }
        notes.add("watermarks: the boost was taken off", zoneinfo.zones.map(\.boost))
        notes.add("CMA pages are handed out like all others", zoneinfo.zones.map(\.cmaPages))
        return zones
    }

    /// The kernel prints marks with a passing boost on top (`min_wmark_pages`,
    /// include/linux/mmzone.h). An empty machine has no boost.
    private static func watermarksWithoutBoost(
        of zone: Zoneinfo.Zone
    ) throws(ImportFailure) -> Watermarks {
        let marks = zone.watermarks
        let lowest = min(marks.min, marks.low, marks.high, marks.promo ?? .max)
        guard zone.boost <= lowest else {
            throw .text(
                .zoneinfo, line: zone.line, rule: "\"boost\" must be part of each watermark")
        }
        return Watermarks(
            min: marks.min - zone.boost, low: marks.low - zone.boost, high: marks.high - zone.boost,
            promo: marks.promo.map { $0 - zone.boost })
    }
}
