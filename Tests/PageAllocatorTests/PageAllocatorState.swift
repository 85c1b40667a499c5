// An allocator's state as a value, and its way back from a journal.

@testable import PageAllocator

/// All that an allocator holds, to be compared.
struct AllocatorState: Hashable {
    let freeBlocks: [[UInt64]]
    let freeFrames: [[UInt64]]
    let live: [LiveGrant]
    let held: [[FrameRange]]

    init(_ allocator: borrowing PageAllocator) {
        var blocks: [[UInt64]] = []
        var frames: [[UInt64]] = []
        for (position, zone) in allocator.machine.zones.enumerated() {
            blocks.append(allocator.freeBlocks(inZone: position))
            var free: [UInt64] = []
            for range in zone.managedRanges {
                for frame in range.lowerBound.rawValue..<range.upperBound.rawValue
                where allocator.isFree(PageFrameNumber(frame), inZone: position) {
                    free.append(frame)
                }
            }
            frames.append(free)
        }
        freeBlocks = blocks
        freeFrames = frames
        live = allocator.liveGrants(after: AllocationID(0), limit: .max)
        var held: [[FrameRange]] = []
        for grant in live {
            held.append(allocator.liveRanges(of: grant))
        }
        self.held = held
    }
}

/// What a ledger would keep of a call.
enum ReplayRecord {
    case granted(AllocationID, Grant)
    case freed(AllocationID, pfn: PageFrameNumber, order: Order, pages: UInt64)
}

extension PageAllocator {
    init(replaying journal: [ReplayRecord], on machine: Machine) throws(ReplayFault) {
        self.init(machine: machine)
        for record in journal {
            switch record {
            case .granted(let id, let grant):
                try replay(grant, as: id)
            case .freed(let id, let pfn, let order, let pages):
                try replayFree(of: id, pfn: pfn, order: order, pages: pages)
            }
        }
    }

    fileprivate func isFree(_ pfn: PageFrameNumber, inZone zone: Int) -> Bool {
        unsafe zones[zone].buddies.isFree(pfn)
    }
}
