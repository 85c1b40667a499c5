// How a machine's free memory is divided, and where its allocations came from: in JSON, and as the
// kernel prints them.

import HTTPServer
import JSON
import Ledger
import MachineImport
import PageAllocator

extension AllocationAPI {
    /// GET …/pagetypeinfo.
    func getPagetypeinfo(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        let counts = machine.allocator.pagetypeCounts
        guard try acceptsText(call) else {
            return json(version: machine.lastSequence) { writer in
                writer.pagetypes(of: machine.allocator.machine, counts)
            }
        }
        let text = KernelText.pagetypeinfo(of: machine.allocator.machine, counts: counts)
        return kernelText(text, of: machine)
    }

    /// GET …/numastat. The kernel has a file for each node; as text they follow each other.
    func getNumastat(_ call: Call) throws(Problem) -> HTTPResponse {
        let machine = try machine(call)
        let nodes = machine.allocator.machine.nodes
        let counts = nodes.indices.map { machine.allocator.numaCounts(ofNode: $0) }
        guard try acceptsText(call) else {
            return json(version: machine.lastSequence) { writer in
                writer.numastat(of: nodes, counts)
            }
        }
        return kernelText(counts.map(KernelText.numastat).joined(), of: machine)
    }

    /// GET …/fragmentation.
    func getFragmentation(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let machine = try machine(call)
        return json(version: machine.lastSequence, reserving: 4 << 10) { writer in
            writer.fragmentation(of: machine.allocator)
        }
    }
}

extension PageAllocator {
    /// One element for each of the machine's zones.
    fileprivate var pagetypeCounts: [PagetypeCounts] {
        machine.zones.indices.map { zone in
            PagetypeCounts(
                freeBlocks: Migratetype.allCases.map { freeBlocks(inZone: zone, of: $0) },
                pageblocks: pageblockCounts(inZone: zone))
        }
    }
}
