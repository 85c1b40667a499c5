// One zone of the reference allocator: its free blocks as one ascending list, each with the
// migratetype of the list it stands in, and the type of each pageblock.
//
// Every search goes through the whole list. Where the kernel takes the head of a list, the block
// with the lowest address is taken: the allocator keeps no order of lists.

import PageAllocator

/// A free block of 2^order frames.
struct ReferenceBlock: Hashable {
    let first: UInt64
    let order: Int
    var type: Migratetype

    var size: UInt64 { 1 << UInt64(order) }
    var end: UInt64 { first + size }
}

struct ReferenceZone {
    /// Frames in a pageblock: 2^`pageblockOrder`.
    static let pageblockSize: UInt64 = 512
    static let pageblockOrder = 9
    static let maximumOrder = 10

    let zone: Zone
    let dialect: KernelDialect
    let groupsByMobility: Bool
    let span: Range<UInt64>
    let managedPages: UInt64

    /// Ascending by address.
    var blocks: [ReferenceBlock] = []

    /// By number: the first frame divided by the size. The ends of a zone may be parts of one.
    var pageblockTypes: [UInt64: Migratetype]

    /// `watermark_boost`, pages.
    var boost: UInt64 = 0

    /// `nr_reserved_highatomic`, pages.
    var reservedHighatomic: UInt64 = 0

    /// One past the last frame that the fit "next" granted.
    var rotor: UInt64 = 0

    /// For each frame of the span: whether a movable grant holds it.
    private var isMovable: [Bool]

    /// All managed frames are free. Every pageblock is movable; where mobility is not grouped, all
    /// are unmovable, as is every request.
    init(_ zone: Zone, dialect: KernelDialect, groupsByMobility: Bool) {
        self.zone = zone
        self.dialect = dialect
        self.groupsByMobility = groupsByMobility
        span = zone.startPFN.rawValue..<zone.startPFN.rawValue + zone.spannedPages
        managedPages = zone.managedPages
        isMovable = [Bool](repeating: false, count: span.count)
        pageblockTypes = [:]
        let type: Migratetype = groupsByMobility ? .movable : .unmovable
        for frame in span {
            pageblockTypes[frame / Self.pageblockSize] = type
        }
        for range in zone.managedRanges {
            let frames = range.lowerBound.rawValue..<range.upperBound.rawValue
            for piece in Self.alignedPieces(of: frames) {
                free(ReferenceBlock(first: piece.first, order: piece.order, type: type))
            }
        }
    }

    func type(ofPageblockOf frame: UInt64) -> Migratetype {
        guard let type = pageblockTypes[frame / Self.pageblockSize] else {
            preconditionFailure("a frame outside the zone")
        }
        return type
    }

    mutating func hold(_ frames: Range<UInt64>, movable: Bool) {
        for frame in frames { isMovable[Int(frame - span.lowerBound)] = movable }
    }

    /// Frames of `range` that movable grants hold.
    func movablePages(in range: Range<UInt64>) -> UInt64 {
        UInt64(range.clamped(to: span).count { isMovable[Int($0 - span.lowerBound)] })
    }

    // MARK: Counters

    var freePages: UInt64 { blocks.reduce(0) { $0 + $1.size } }

    var freeHighatomic: UInt64 {
        blocks.reduce(0) { $0 + ($1.type == .highAtomic ? $1.size : 0) }
    }

    /// Free blocks of each order, 0 first, of all types together.
    var freeBlockCounts: [UInt64] {
        var counts = [UInt64](repeating: 0, count: Order.count)
        for block in blocks { counts[block.order] += 1 }
        return counts
    }

    // MARK: Taking

    /// `__rmqueue_smallest`: of the smallest order that has a block of the type with an aligned
    /// place in the window, the lowest place. The rest of the block stays on the type's lists.
    mutating func takeSmallest(
        _ order: Int, _ type: Migratetype, _ window: Range<UInt64>
    ) -> UInt64? {
        for current in order...Self.maximumOrder {
            if let found = block(of: current, type, for: order, window) {
                return take(order, from: found, keeping: type, window)
            }
        }
        return nil
    }

    /// The lowest free block of that order and type that has an aligned place in the window.
    func block(
        of current: Int, _ type: Migratetype, for order: Int, _ window: Range<UInt64>
    ) -> ReferenceBlock? {
        blocks.first {
            $0.order == current && $0.type == type && place(order, in: $0, window) != nil
        }
    }

    /// The lowest aligned place for 2^order frames in a block, within the window.
    private func place(_ order: Int, in block: ReferenceBlock, _ window: Range<UInt64>) -> UInt64? {
        let size = UInt64(1) << UInt64(order)
        var place = block.first
        while place < block.end {
            if window.lowerBound <= place, place + size <= window.upperBound { return place }
            place += size
        }
        return nil
    }

    /// Takes the place out of a block; what is left goes to the lists of `type`.
    mutating func take(
        _ order: Int, from block: ReferenceBlock, keeping type: Migratetype, _ window: Range<UInt64>
    ) -> UInt64 {
        guard let place = place(order, in: block, window) else {
            preconditionFailure("a block without a place")
        }
        remove(block)
        insert(block.first..<place, type)
        insert(place + (1 << UInt64(order))..<block.end, type)
        return place
    }

    /// Takes exactly these frames, whatever lists they stand in; false where not all are free.
    mutating func take(_ frames: Range<UInt64>) -> Bool {
        let touched = blocks.filter { $0.first < frames.upperBound && frames.lowerBound < $0.end }
        let free = touched.reduce(0) { sum, block in
            sum + min(block.end, frames.upperBound) - max(block.first, frames.lowerBound)
        }
        guard free == UInt64(frames.count) else { return false }
        for block in touched {
            remove(block)
            insert(block.first..<max(block.first, frames.lowerBound), block.type)
            insert(min(block.end, frames.upperBound)..<block.end, block.type)
        }
        return true
    }

    /// Maximal runs of free frames, ascending, whatever lists they stand in.
    var freeRuns: [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        for block in blocks {
            if let last = runs.last, last.upperBound == block.first {
                runs[runs.count - 1] = last.lowerBound..<block.end
            } else {
                runs.append(block.first..<block.end)
            }
        }
        return runs
    }

    // MARK: Giving back

    /// Frees a run of frames as its largest aligned blocks, low addresses first; each stands then
    /// with the type of its pageblock. Since 6.12 a block of the largest order goes in halves, as
    /// its two pageblocks may differ (`split_large_buddy`).
    mutating func free(_ frames: Range<UInt64>) {
        for piece in Self.alignedPieces(of: frames) {
            let halves = dialect == .linux612 && piece.order > Self.pageblockOrder
            let order = halves ? Self.pageblockOrder : piece.order
            for first in stride(
                from: piece.first, to: piece.first + (1 << UInt64(piece.order)),
                by: 1 << order)
            {
                let type = type(ofPageblockOf: first)
                free(ReferenceBlock(first: first, order: order, type: type))
            }
        }
    }

    /// `__free_one_page`: merges as long as the buddy is free and of the same size. From the
    /// pageblock's order on, a reserved block merges with its like only, and since 6.12 the buddy's
    /// pageblocks get the type of the freed ones.
    private mutating func free(_ freed: ReferenceBlock) {
        var block = freed
        while block.order < Self.maximumOrder {
            let buddyFirst = block.first ^ block.size
            guard
                let buddy = blocks.first(where: {
                    $0.first == buddyFirst && $0.order == block.order
                })
            else { break }
            if block.order >= Self.pageblockOrder {
                let buddyType = type(ofPageblockOf: buddyFirst)
                if buddyType != block.type, buddyType == .highAtomic || block.type == .highAtomic {
                    break
                }
                if dialect == .linux612 { retype(buddy.first..<buddy.end, to: block.type) }
            }
            remove(buddy)
            block = ReferenceBlock(
                first: min(block.first, buddyFirst), order: block.order + 1, type: block.type)
        }
        insert(block)
    }

    // MARK: Lists

    /// The pageblocks that begin in `frames` get the type; with less than one, that around them.
    mutating func retype(_ frames: Range<UInt64>, to type: Migratetype) {
        for number in frames.lowerBound / Self.pageblockSize...(frames.upperBound - 1)
            / Self.pageblockSize
        where pageblockTypes[number] != nil {
            pageblockTypes[number] = type
        }
    }

    /// `move_freepages`: the free blocks that begin in `frames` go to the lists of the type.
    mutating func move(_ frames: Range<UInt64>, to type: Migratetype) {
        for position in blocks.indices where frames.contains(blocks[position].first) {
            blocks[position].type = type
        }
    }

    private mutating func remove(_ block: ReferenceBlock) {
        guard let position = blocks.firstIndex(where: { $0.first == block.first }) else {
            preconditionFailure("a block that is not free")
        }
        blocks.remove(at: position)
    }

    private mutating func insert(_ block: ReferenceBlock) {
        let position = blocks.firstIndex { $0.first > block.first } ?? blocks.count
        blocks.insert(block, at: position)
    }

    private mutating func insert(_ frames: Range<UInt64>, _ type: Migratetype) {
        for piece in Self.alignedPieces(of: frames) {
            insert(ReferenceBlock(first: piece.first, order: piece.order, type: type))
        }
    }

    /// The largest aligned blocks that the frames divide into, ascending.
    static func alignedPieces(of frames: Range<UInt64>) -> [(first: UInt64, order: Int)] {
        var pieces: [(first: UInt64, order: Int)] = []
        var first = frames.lowerBound
        while first < frames.upperBound {
            var order = 0
            while order < maximumOrder, first % (2 << UInt64(order)) == 0,
                first + (2 << UInt64(order)) <= frames.upperBound
            {
                order += 1
            }
            pieces.append((first, order))
            first += 1 << UInt64(order)
        }
        return pieces
    }
}
