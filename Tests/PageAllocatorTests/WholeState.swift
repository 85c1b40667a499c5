// All that an allocator holds, also what no caller sees: what a trial that is rolled back leaves as
// it was, to the last bit.

@testable import PageAllocator

struct WholeState: Equatable {
    let image: PageAllocatorImage
    let zones: [ZoneImage]
    let grants: GrantsImage
}

/// The live grants with the gaps between them.
struct GrantsImage: Equatable {
    let slots: [Slot]
    let gaps: Int
    let blocks: Int
    let pagesInBlocks: UInt64
    let runs: Int

    struct Slot: Equatable {
        let id: AllocationID
        let livePages: UInt32
    }
}

extension PageAllocator {
    func wholeState() -> WholeState {
        var images: [ZoneImage] = []
        for position in machine.zones.indices {
            images.append(unsafe ZoneImage(zones[position].buddies))
        }
        return WholeState(
            image: stateImage(), zones: images,
            grants: GrantsImage(
                slots: grants.slots.map { GrantsImage.Slot(id: $0.id, livePages: $0.livePages) },
                gaps: grants.gaps, blocks: grants.blocks.count,
                pagesInBlocks: grants.pagesInBlocks, runs: grants.runs.count))
    }
}
