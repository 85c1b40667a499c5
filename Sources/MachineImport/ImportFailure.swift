public import PageAllocator

/// Why texts of a running kernel, or an hwloc export, do not give a machine.
public enum ImportFailure: Error, Hashable, Sendable {
    /// The texts that an import reads.
    public enum Source: String, Hashable, Sendable {
        case zoneinfo = "/proc/zoneinfo"
        case iomem = "/proc/iomem"
        /// Files of nodes, each after a line `== path`.
        case nodes = "/sys/devices/system/node"
        case cpulist
        case hwloc = "the hwloc topology"
    }

    /// A text breaks a rule: "… must …". Lines count from 1.
    case text(Source, line: Int, rule: String)

    /// Each text is in order, but together they describe no machine.
    case machine(MachineFault)
}
