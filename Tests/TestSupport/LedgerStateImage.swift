// A ledger's state as a value: what must be the same before a crash and after the recovery.

public import Ledger
public import PageAllocator

public struct LedgerStateImage: Hashable, Sendable {
    public struct MachineImage: Hashable, Sendable {
        public let id: MachineID
        public let name: String
        public let createdAt: Timestamp
        public let lastSequence: Sequence
        public let controls: [StoredControl]
        public let leases: [Leases.Lease]
        public let machine: Machine
        public let allocator: PageAllocatorImage

        init(_ simulated: SimulatedMachine) {
            id = simulated.id
            name = simulated.name
            createdAt = simulated.createdAt
            lastSequence = simulated.lastSequence
            controls = simulated.controls
            leases = simulated.leases.all
            machine = simulated.allocator.machine
            allocator = simulated.allocator.stateImage()
        }
    }

    public let machines: [MachineImage]
    public let names: [MachineName]
    public let lastSequence: Sequence
    public let lastTime: Timestamp

    public init(_ state: LedgerState) {
        machines = state.machines.map(MachineImage.init)
        names = state.names
        lastSequence = state.lastSequence
        lastTime = state.lastTime
    }
}
