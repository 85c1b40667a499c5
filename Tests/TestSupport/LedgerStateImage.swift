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
        public let freeBlocks: [[UInt64]]
        public let liveGrants: [LiveGrant]
        public let heldFrames: [[FrameRange]]
        public let machine: Machine

        init(_ simulated: SimulatedMachine) {
            id = simulated.id
            name = simulated.name
            createdAt = simulated.createdAt
            lastSequence = simulated.lastSequence
            controls = simulated.controls
            machine = simulated.allocator.machine
            freeBlocks = machine.zones.indices.map { simulated.allocator.freeBlocks(inZone: $0) }
            liveGrants = simulated.allocator.liveGrants(after: AllocationID(0), limit: .max)
            heldFrames = liveGrants.map { simulated.allocator.liveRanges(of: $0) }
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
