// How a machine's free memory is divided, and where its allocations came from: in JSON, and as the
// kernel prints them.

import JSON
import Ledger
import MachineImport
import PageAllocator

extension AllocationAPI {
    /// GET …/pagetypeinfo.
    func getPagetypeinfo(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, text: { $0.allocator.pagetypeinfo },
            json: { writer, machine in
                writer.pagetypes(of: machine.allocator.machine, machine.allocator.pagetypeCounts)
            })
    }

    /// GET …/numastat. The kernel has a file for each node; as text they follow each other.
    func getNumastat(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, text: { $0.allocator.numastat },
            json: { writer, machine in
                writer.numastat(of: machine.allocator.machine.nodes, machine.allocator.numaCounts)
            })
    }

    /// GET …/fragmentation.
    func getFragmentation(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, json: { writer, machine in writer.fragmentation(of: machine.allocator) })
    }
}

extension PageAllocator {
    fileprivate var pagetypeinfo: String {
        KernelText.pagetypeinfo(of: machine, counts: pagetypeCounts)
    }

    fileprivate var numastat: String { numaCounts.map(KernelText.numastat).joined() }

    /// One element for each of the machine's nodes.
    fileprivate var numaCounts: [NUMACounts] {
        machine.nodes.indices.map { numaCounts(ofNode: $0) }
    }

    /// One element for each of the machine's zones.
    fileprivate var pagetypeCounts: [PagetypeCounts] {
        machine.zones.indices.map { zone in
            PagetypeCounts(
                freeBlocks: Migratetype.allCases.map { freeBlocks(inZone: zone, of: $0) },
                pageblocks: pageblockCounts(inZone: zone))
        }
    }
}
