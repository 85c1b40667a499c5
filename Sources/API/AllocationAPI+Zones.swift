// A machine's zones, in JSON and as the kernel prints them.

import JSON
import Ledger
import MachineImport
import PageAllocator

extension AllocationAPI {
    /// GET …/zones, GET …/zoneinfo.
    func getZoneinfo(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, text: { $0.allocator.zoneinfo },
            json: { writer, machine in writer.zones(of: machine.allocator) })
    }

    /// GET …/buddyinfo.
    func getBuddyinfo(_ call: Call) throws(Problem) -> Reply {
        try readMachine(
            call, text: { $0.allocator.buddyinfo },
            json: { writer, machine in writer.freeBlocks(of: machine.allocator) })
    }
}

extension PageAllocator {
    fileprivate var zoneinfo: String {
        KernelText.zoneinfo(
            of: machine, freePages: machine.zones.indices.map { freePages(inZone: $0) })
    }

    fileprivate var buddyinfo: String {
        KernelText.buddyinfo(
            of: machine, freeBlocks: machine.zones.indices.map { freeBlocks(inZone: $0) })
    }
}
