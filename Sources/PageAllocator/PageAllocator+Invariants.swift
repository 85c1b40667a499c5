// What is always true of the allocator. Tests call this after every step.

extension PageAllocator {
    /// Traps where a rule is broken:
    /// 1. each zone's free blocks keep the buddy system's rules;
    /// 2. free pages + live pages = managed pages, per zone;
    /// 3. no frame is in two grants, and no live frame is free;
    /// 4. each grant's live pages are the sum of its live blocks, inside its own block.
    public func checkInvariants() {
        var live = [UInt64](repeating: 0, count: machine.zones.count)
        var blocks = grants.allRanges
        for block in blocks {
            guard let grant = grants[block.allocation]?.grant else {
                preconditionFailure("a live block without its grant")
            }
            precondition(
                grant.segments.joined().contains { $0.contains(block.frames) },
                "a live block outside its grant")
            precondition(
                machine.zones[grant.zone].managedRanges.contains { $0.contains(block.frames) },
                "a grant of frames that its zone does not manage")
            live[grant.zone] += block.frames.count
            for frame in block.frames.lowerBound.rawValue..<block.frames.upperBound.rawValue {
                let isFree = unsafe zones[grant.zone].buddies.isFree(PageFrameNumber(frame))
                precondition(!isFree, "a live frame is free")
            }
        }
        blocks.sort { $0.frames.lowerBound < $1.frames.lowerBound }
        for (previous, next) in zip(blocks, blocks.dropFirst()) {
            precondition(
                previous.frames.upperBound <= next.frames.lowerBound, "a frame is in two grants")
        }
        for (position, zone) in machine.zones.enumerated() {
            unsafe zones[position].buddies.checkInvariants(managedRanges: zone.managedRanges)
            precondition(
                freePages(inZone: position) + live[position] == zone.managedPages,
                "free and live pages are not the managed pages")
        }
        precondition(
            blocks.reduce(0) { $0 + $1.frames.count } == grants.pagesInBlocks,
            "live ranges and live blocks differ")
        for grant in grants.after(AllocationID(0), limit: .max) {
            let held = grants.liveRanges(of: grant).reduce(0) { $0 + $1.count }
            precondition(held == grant.livePages, "a grant's live pages were miscounted")
        }
    }
}
