// The machine "default" of a new ledger: from a file, else from the computer that gfpd runs on,
// else from a real one that is shipped.

import API
import MachineImport
import PageAllocator

enum FirstMachine {
    static let name = "default"

    /// Bytes of a file that describes a machine; a larger one is refused.
    private static let maximumFileBytes = 64 << 20

    static func machine(_ file: String?, _ log: EventLog) throws(Failure) -> Machine {
        guard let file else {
            if let host = thisComputer(log) { return host }
            return try shipped()
        }
        guard let bytes = WholeFile.read(file, limit: maximumFileBytes) else {
            throw Failure("cannot read the topology file \(file)")
        }
        do {
            return try MachineDocument.machine(bytes)
        } catch {
            throw Failure("the topology file \(file) describes no machine: \(error.sentence)")
        }
    }

    /// nil where the kernel does not let it be read, or it reads as no machine; the reason is said.
    private static func thisComputer(_ log: EventLog) -> Machine? {
        guard let zoneinfo = text("/proc/zoneinfo") else {
            log.note(
                .warning, "shipped_machine", [("reason", .text("/proc/zoneinfo cannot be read"))])
            return nil
        }
        do throws(ImportFailure) {
            let nodes = try SysfsNodes(parsing: sysfsNodes())
            return try MachineImport.machine(
                zoneinfo: zoneinfo, iomem: text("/proc/iomem"), distances: nodes.distances,
                cpus: nodes.cpus.isEmpty ? nil : nodes.cpus, dialect: runningDialect())
        } catch {
            log.note(
                .warning, "shipped_machine",
                [("reason", .text("this computer reads as no machine: \(error)"))])
            return nil
        }
    }

    /// A guest with two nodes under Linux 6.1.
    private static func shipped() throws(Failure) -> Machine {
        do throws(ImportFailure) {
            let nodes = try SysfsNodes(parsing: string(PackageResources.nodes_txt))
            return try MachineImport.machine(
                zoneinfo: string(PackageResources.zoneinfo_txt),
                iomem: string(PackageResources.iomem_txt), distances: nodes.distances,
                cpus: nodes.cpus, dialect: .linux61)
        } catch {
            throw Failure("the shipped machine is broken: \(error)")
        }
    }

    /// `__GFP_ATOMIC` went, and other bits moved, with Linux 6.3.
    private static func runningDialect() -> KernelDialect {
        let release = text("/proc/sys/kernel/osrelease") ?? ""
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return .linux612 }
        return (numbers[0], numbers[1]) < (6, 3) ? .linux61 : .linux612
    }

    /// The files of /sys/devices/system/node as one text.
    private static func sysfsNodes() -> String {
        let root = "/sys/devices/system/node"
        var collected = ""
        for node in 0..<NodeID.limit {
            for file in ["distance", "cpulist"] {
                let path = "\(root)/node\(node)/\(file)"
                if let text = text(path) { collected += "== \(path)\n\(text)" }
            }
        }
        return collected
    }

    private static func text(_ path: String) -> String? {
        WholeFile.read(path, limit: maximumFileBytes).map(string)
    }

    private static func string(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
