// An hwloc export tells how much memory each node has, which CPUs are near it and how far the nodes
// are apart. It does not tell addresses, zones or watermarks. Memory is laid out by one rule
// (`ArchitectureMemory`), cut into the zones that the architecture's kernel configures, and the
// kernel's formulas give the rest. Each of these assumptions is a line of the machine's.

public import PageAllocator

extension MachineImport {
    /// The machine that an hwloc export describes. It starts empty.
    ///
    /// - Parameters:
    ///   - document: XML of format 1, 2 or 3.
    ///   - dialect: the rules to follow.
    /// - Throws: `ImportFailure`: the line at fault, or why the whole is not a machine.
    public static func machine(
        hwloc document: [UInt8], dialect: KernelDialect = .linux612
    ) throws(ImportFailure) -> Machine {
        let hwloc = try HwlocTopology(parsing: document)
        var notes = AssumptionNotes()
        let architecture = architecture(of: hwloc, &notes)
        let memory = memory(of: hwloc, on: architecture, &notes)
        let cpus = cpus(of: hwloc, &notes)
        let topology = Topology(
            dialect: dialect,
            nodes: hwloc.nodes.indices.map { position in
                Topology.Node(
                    id: hwloc.nodes[position].id, cpus: cpus[position], memory: memory[position])
            }, distances: distances(of: hwloc, &notes), zoneLimits: architecture.zoneLimits)
        notes.add("watermarks and lowmem_reserve are those of the kernel's formulas")
        do throws(MachineFault) {
            return try Machine(topology: topology, assumptions: notes.lines)
        } catch {
            throw .machine(error)
        }
    }

    private static func architecture(
        of hwloc: HwlocTopology, _ notes: inout AssumptionNotes
    ) -> ArchitectureMemory {
        let named = hwloc.architecture.flatMap(ArchitectureMemory.init(named:))
        let architecture = named ?? .x86
        let zones = "zones end where a kernel for \(architecture.name) ends them"
        if named != nil {
            notes.add(zones)
        } else if hwloc.architecture == nil {
            notes.add(zones + ": the architecture is not stated")
        } else {
            notes.add(zones + ": the architecture that is stated is not known")
        }
        return architecture
    }

    private static func memory(
        of hwloc: HwlocTopology, on architecture: ArchitectureMemory,
        _ notes: inout AssumptionNotes
    ) -> [[AddressRange]] {
        notes.add(
            "memory lies node after node \(architecture.layout), each node after the first at a"
                + " multiple of \(ArchitectureMemory.sectionBytes >> 20) MiB")
        notes.add("all pages of memory are handed out: a size is what the kernel managed")
        let pageSize = PageFrameNumber.pageSize
        notes.add(
            "sizes were rounded down to pages of \(pageSize) bytes: nodes",
            hwloc.nodes.filter { $0.memoryBytes % pageSize > 0 }.map(\.id))
        if let size = hwloc.nodes.compactMap(\.pageSize).min(), size != pageSize {
            notes.add("pages have \(pageSize) bytes; those of the source had \(size)")
        }
        return architecture.ranges(ofPages: hwloc.nodes.map { $0.memoryBytes / pageSize })
    }

    private static func cpus(
        of hwloc: HwlocTopology, _ notes: inout AssumptionNotes
    ) -> [[Int]] {
        var (cpus, others) = hwloc.cpusByNode
        let sharing = hwloc.nodes.indices.filter { position in
            cpus[position].isEmpty && hwloc.nodes[position].cpus.count > 0
        }
        notes.add(
            "a CPU near several nodes belongs to one of them, and none is left for nodes",
            sharing.map { hwloc.nodes[$0].id })
        if !others.isEmpty {
            notes.add(
                "CPUs near no node (\(others.count)) belong to node \(hwloc.nodes[0].id.rawValue)")
            cpus[0] = (cpus[0] + others).sorted()
        }
        return cpus
    }

    /// What the file says where a kernel would say it too. A kernel that is told anything else by
    /// its firmware ignores all of it (`slit_valid`, drivers/acpi/numa/srat.c).
    private static func distances(
        of hwloc: HwlocTopology, _ notes: inout AssumptionNotes
    ) -> [[Int]] {
        var distances = Machine.distances(ofNodes: hwloc.nodes.count)
        let usual =
            "the distance is \(Machine.localDistance) within a node"
            + " and \(Machine.remoteDistance) between any two"
        guard let latencies = hwloc.latencies else {
            if hwloc.nodes.count > 1 { notes.add(usual) }
            return distances
        }
        let positions = latencies.positions
        for (row, from) in positions.enumerated() {
            for (column, to) in positions.enumerated() {
                let value = latencies.values[row * positions.count + column]
                guard let distance = distance(value, isLocal: from == to) else {
                    notes.add("\(usual): those that are stated are none of a kernel's")
                    return Machine.distances(ofNodes: hwloc.nodes.count)
                }
                distances[from][to] = distance
            }
        }
        notes.add(
            "\(usual) where it is not stated, which is for nodes",
            hwloc.nodes.indices.filter { !positions.contains($0) }.map { hwloc.nodes[$0].id })
        return distances
    }

    private static func distance(_ value: UInt64, isLocal: Bool) -> Int? {
        let local = UInt64(Machine.localDistance)
        let isKernels = isLocal ? value == local : value > local && value <= UInt8.max
        return isKernels ? Int(value) : nil
    }
}
