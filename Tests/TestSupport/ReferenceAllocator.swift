// The page allocator as one would explain it on paper: an array that says of each frame whether it
// is free, and rules that look at every frame. It is slow and shares no idea of how to be fast with
// the code that it judges: no bitmaps, no merging, no order in which things happened.
//
// What it says is meant to be compared whole: the grant, or the reason with its explanation.

public import PageAllocator

/// What a free gave back, frame by frame.
public struct FreedFrames: Hashable, Sendable {
    public let allocation: AllocationID
    public let pfn: PageFrameNumber
    public let order: Order
    public let zone: Int
    public let frames: [UInt64]
    public let endsGrant: Bool

    init(_ frames: [UInt64], of grant: Grant, _ id: AllocationID, endsGrant: Bool) {
        self.init(frames, pfn: grant.pfn, order: grant.order, of: grant, id, endsGrant: endsGrant)
    }

    init(
        _ frames: [UInt64], pfn: PageFrameNumber, order: Order, of grant: Grant,
        _ id: AllocationID, endsGrant: Bool
    ) {
        allocation = id
        self.pfn = pfn
        self.order = order
        zone = grant.zone
        self.frames = frames
        self.endsGrant = endsGrant
    }

    /// The same of what the allocator under test freed.
    public init(_ freed: Freed) {
        allocation = freed.allocation
        pfn = freed.pfn
        order = freed.order
        zone = freed.zone
        frames = freed.ranges.flatMap { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        endsGrant = freed.endsGrant
    }
}

/// The allocator of one small machine, frame by frame.
public struct ReferenceAllocator {
    private enum Frame: Equatable {
        case absent
        case free(zone: Int)
        case held(zone: Int, by: AllocationID)

        var zone: Int? {
            switch self {
            case .absent: nil
            case .free(let zone), .held(let zone, _): zone
            }
        }
    }

    private struct ReferenceBlock {
        let first: UInt64
        let order: Int
    }

    private let world: TestWorld
    private var machine: Machine { world.machine }

    /// Each frame of the machine, from `origin` on.
    private var frames: [Frame]
    private let origin: UInt64

    /// Every grant that was ever made.
    private var grants: [AllocationID: Grant] = [:]

    public init(_ world: TestWorld) {
        self.world = world
        origin = world.frames.lowerBound
        frames = [Frame](repeating: .absent, count: world.frames.count)
        for (position, zone) in world.machine.zones.enumerated() {
            for range in zone.managedRanges {
                for frame in range.lowerBound.rawValue..<range.upperBound.rawValue {
                    precondition(self[frame] == .absent)
                    self[frame] = .free(zone: position)
                }
            }
        }
    }

    // MARK: Allocating

    /// The block that must be granted, or the reason why none can be.
    public mutating func allocate(
        _ request: AllocationRequest, as id: AllocationID
    ) -> Result<Grant, AllocationFailure> {
        let walk: Walk
        switch self.walk(request) {
        case .success(let found): walk = found
        case .failure(let rule): return .failure(.unsatisfiable(rule))
        }
        for zone in walk.zones where exclusion(of: zone, walk) == nil {
            guard let first = block(walk, in: freeBlocks(ofZone: zone)) else { continue }
            let grant = Grant(
                pfn: PageFrameNumber(first), order: Order(sketched: walk.order), zone: zone,
                migratetype: walk.migratetype,
                isCompound: walk.flags & 0x40000 != 0 && walk.order > 0)
            for frame in first..<first + size(walk.order) {
                self[frame] = .held(zone: zone, by: id)
            }
            grants[id] = grant
            return .success(grant)
        }
        let everFits = walk.zones.contains { zone in
            exclusion(of: zone, walk) == nil && fitsEmptyZone(zone, walk)
        }
        guard everFits else { return .failure(.unsatisfiable(.noBlockInBoundaries)) }
        return .failure(.outOfMemory(explanation(walk)))
    }

    /// What a request comes to on this machine.
    private struct Walk {
        let flags: UInt32
        let order: Int
        let migratetype: Migratetype

        /// The first and the last byte that may be covered.
        let bytes: (low: UInt64, high: UInt64)
        let node: Int
        let highestZone: Int

        /// In the order tried.
        let zones: [Int]
    }

    /// `gfp_zone()` on x86-64: two bits for each combination of the four zone bits, and the
    /// combinations that are none (include/linux/gfp.h).
    private static let zoneTable: UInt32 = 0x132_0122
    private static let badZones: UInt32 = 0xe8e8

    private func walk(_ request: AllocationRequest) -> Result<Walk, Unsatisfiable> {
        let control = request.control
        let flags = control.flags.rawValue | request.additionalFlags.rawValue
        let zoneBits = flags & 0xf
        guard (Self.badZones >> zoneBits) & 1 == 0 else { return .failure(.contradictoryZoneFlags) }
        guard flags & 0x18 != 0x18, let migratetype = Migratetype(rawValue: Int(flags & 0x18) >> 3)
        else { return .failure(.contradictoryMobility) }
        var highest = Int((Self.zoneTable >> (2 * zoneBits)) & 3)
        if !machine.zoneTypes.map(\.rawValue).contains(highest) { highest = 2 }

        var node = 0
        let lowestCPU = machine.nodes.flatMap(\.cpus).min()
        if let cpu = request.cpu ?? lowestCPU {
            guard let local = machine.nodes.firstIndex(where: { $0.cpus.contains(cpu) }) else {
                return .failure(.noSuchCPU)
            }
            node = local
        }
        if let named = control.node {
            guard let position = machine.nodes.firstIndex(where: { $0.id == named }) else {
                return .failure(.noSuchNode)
            }
            node = position
        }
        let walk = Walk(
            flags: flags, order: control.order.rawValue, migratetype: migratetype,
            bytes: (control.lowBoundary, control.highBoundary), node: node, highestZone: highest,
            zones: zonelist(of: node))
        guard hasRoom(walk) else { return .failure(.windowTooSmall) }
        return .success(walk)
    }

    private func zonelist(of node: Int) -> [Int] {
        world.fallbackOrders[node].flatMap { position in
            [3, 2, 1, 0].compactMap { type in
                machine.zones.firstIndex {
                    $0.node == machine.nodes[position].id && $0.type.rawValue == type
                        && $0.spannedPages > 0
                }
            }
        }
    }

    /// Whether 2^order whole pages lie between the boundaries, wherever that is.
    private func hasRoom(_ walk: Walk) -> Bool {
        guard walk.bytes.low <= walk.bytes.high else { return false }
        let roundedUp = walk.bytes.low % 4096 == 0 ? 0 : 4096 - walk.bytes.low % 4096
        let bytes = walk.bytes.high - walk.bytes.low
        guard bytes >= roundedUp else { return false }
        return bytes - roundedUp >= size(walk.order) * 4096 - 1
    }

    private func isWithinBoundaries(_ frame: UInt64, _ walk: Walk) -> Bool {
        walk.bytes.low <= frame * 4096 && frame * 4096 + 4095 <= walk.bytes.high
    }

    private func exclusion(of zone: Int, _ walk: Walk) -> ZoneVerdict? {
        let sketch = machine.zones[zone]
        if walk.flags & 0x200000 != 0, sketch.node != machine.nodes[walk.node].id {
            return .excludedByPolicy
        }
        if sketch.type.rawValue > walk.highestZone { return .excludedByZoneModifier }
        let span = sketch.startPFN.rawValue..<sketch.startPFN.rawValue + sketch.spannedPages
        return span.contains { isWithinBoundaries($0, walk) } ? nil : .outsideBoundaries
    }

    /// The lowest aligned place within the boundaries, in the smallest free block that has one.
    private func block(_ walk: Walk, in free: [ReferenceBlock]) -> UInt64? {
        for order in walk.order...10 {
            for block in free where block.order == order {
                let places = stride(
                    from: block.first, to: block.first + size(order),
                    by: UInt64.Stride(size(walk.order)))
                for place in places where isWithinBoundaries(place, walk) {
                    if isWithinBoundaries(place + size(walk.order) - 1, walk) { return place }
                }
            }
        }
        return nil
    }

    private func fitsEmptyZone(_ zone: Int, _ walk: Walk) -> Bool {
        let sketch = machine.zones[zone]
        let span = sketch.startPFN.rawValue..<sketch.startPFN.rawValue + sketch.spannedPages
        return span.contains { first in
            guard first % size(walk.order) == 0, first + size(walk.order) <= span.upperBound else {
                return false
            }
            return (first..<first + size(walk.order)).allSatisfy {
                self[$0].zone == zone && isWithinBoundaries($0, walk)
            }
        }
    }

    // MARK: Explaining

    private func explanation(_ walk: Walk) -> Explanation {
        Explanation(
            highestZone: highestReachedZone(walk),
            zones: walk.zones.map { zone in
                let counts = freeBlockCounts(inZone: zone)
                let verdict: ZoneVerdict =
                    if let exclusion = exclusion(of: zone, walk) {
                        exclusion
                    } else if counts[walk.order...].contains(where: { $0 > 0 }) {
                        .noBlockInRange
                    } else {
                        .noBlockOfOrder
                    }
                return ZoneExplanation(
                    zone: zone, freePages: freePages(inZone: zone), freeBlocks: counts,
                    verdict: verdict)
            })
    }

    /// The highest zone, up to that of the flags, that has a page within the boundaries.
    private func highestReachedZone(_ walk: Walk) -> ZoneType {
        let reached = machine.zones.filter { sketch in
            (0..<sketch.spannedPages).contains {
                isWithinBoundaries(sketch.startPFN.rawValue + $0, walk)
            }
        }
        let highest = reached.map(\.type.rawValue).max() ?? walk.highestZone
        guard let type = ZoneType(rawValue: min(highest, walk.highestZone)) else {
            preconditionFailure("a walk without a zone")
        }
        return type
    }

    // MARK: Freeing

    public mutating func free(_ id: AllocationID) -> Result<FreedFrames, FreeFailure> {
        guard let grant = grants[id] else { return .failure(.unknownAllocation) }
        let held = frames(heldBy: id)
        guard !held.isEmpty else { return .failure(.unknownAllocation) }
        release(held)
        return .success(FreedFrames(held, of: grant, id, endsGrant: true))
    }

    public mutating func freeAPage(_ pfn: PageFrameNumber) -> Result<FreedFrames, FreeFailure> {
        let holder: AllocationID
        switch self.holder(of: pfn) {
        case .success(let id): holder = id
        case .failure(let failure): return .failure(failure)
        }
        guard let grant = grants[holder], grant.isCompound else { return free([pfn], of: holder) }
        guard pfn == grant.pfn else { return .failure(.notHead(grant.pfn)) }
        return free(holder)
    }

    public mutating func freeSomePages(
        _ pfn: PageFrameNumber, order: Order
    ) -> Result<FreedFrames, FreeFailure> {
        let holder: AllocationID
        switch self.holder(of: pfn) {
        case .success(let id): holder = id
        case .failure(let failure): return .failure(failure)
        }
        guard let grant = grants[holder] else { return .failure(.unknownAllocation) }
        if grant.isCompound, pfn != grant.pfn { return .failure(.notHead(grant.pfn)) }
        if order > grant.order || (grant.isCompound && order != grant.order) {
            return .failure(.wrongOrder(asked: order, head: grant.pfn, granted: grant.order))
        }
        guard pfn.rawValue % size(order.rawValue) == 0 else { return .failure(.misaligned) }
        let block = pfn.rawValue..<pfn.rawValue + size(order.rawValue)
        let held = frames(heldBy: holder)
        guard block.allSatisfy(held.contains) else { return .failure(.alreadyFreed) }
        return free(block.map(PageFrameNumber.init), of: holder)
    }

    private func holder(of pfn: PageFrameNumber) -> Result<AllocationID, FreeFailure> {
        switch self[pfn.rawValue] {
        case .held(_, let id): .success(id)
        case .free: .failure(.notAllocated)
        case .absent: .failure(.noSuchPage)
        }
    }

    private mutating func free(
        _ block: [PageFrameNumber], of holder: AllocationID
    ) -> Result<FreedFrames, FreeFailure> {
        guard let grant = grants[holder] else { return .failure(.unknownAllocation) }
        let freed = block.map(\.rawValue)
        release(freed)
        return .success(
            FreedFrames(
                freed, pfn: block[0],
                order: Order(sketched: block.count.trailingZeroBitCount), of: grant, holder,
                endsGrant: frames(heldBy: holder).isEmpty))
    }

    private mutating func release(_ freed: [UInt64]) {
        for frame in freed {
            guard case .held(let zone, _) = self[frame] else {
                preconditionFailure("the reference frees a page that is not held")
            }
            self[frame] = .free(zone: zone)
        }
    }

    // MARK: The state

    /// The frames that a grant still holds, ascending.
    public func frames(heldBy id: AllocationID) -> [UInt64] {
        guard let grant = grants[id] else { return [] }
        let block = grant.pfn.rawValue..<grant.pfn.rawValue + size(grant.order.rawValue)
        return block.filter { self[$0] == .held(zone: grant.zone, by: id) }
    }

    /// Grants that hold at least one frame, ascending.
    public var liveGrants: [AllocationID] {
        var found: [AllocationID] = []
        var previous: AllocationID?
        for case .held(_, let id) in frames where id != previous {
            previous = id
            found.append(id)
        }
        return Set(found).sorted()
    }

    public func freePages(inZone zone: Int) -> UInt64 {
        UInt64(frames.count { $0 == .free(zone: zone) })
    }

    /// Free blocks of each order, 0 first.
    public func freeBlockCounts(inZone zone: Int) -> [UInt64] {
        var counts = [UInt64](repeating: 0, count: 11)
        for block in freeBlocks(ofZone: zone) {
            counts[block.order] += 1
        }
        return counts
    }

    /// The largest aligned blocks, up to order 10, that the zone's free frames make up; ascending.
    private func freeBlocks(ofZone zone: Int) -> [ReferenceBlock] {
        var found: [ReferenceBlock] = []
        let span = machine.zones[zone].span
        var frame = span.lowerBound.rawValue
        while frame < span.upperBound.rawValue {
            guard self[frame] == .free(zone: zone) else {
                frame += 1
                continue
            }
            var order = 0
            while order < 10, frame % size(order + 1) == 0,
                (frame + size(order)..<frame + size(order + 1)).allSatisfy({
                    self[$0] == .free(zone: zone)
                })
            {
                order += 1
            }
            found.append(ReferenceBlock(first: frame, order: order))
            frame += size(order)
        }
        return found
    }

    private func size(_ order: Int) -> UInt64 { 1 << UInt64(order) }

    private subscript(frame: UInt64) -> Frame {
        get {
            guard frame >= origin, frame - origin < UInt64(frames.count) else { return .absent }
            return frames[Int(frame - origin)]
        }
        set { frames[Int(frame - origin)] = newValue }
    }
}
