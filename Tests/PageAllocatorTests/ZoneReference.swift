// What a zone must do, written down step by step as the kernels do it and without regard to speed:
// free blocks in a dictionary, one bit of knowledge a page, pages moved from list to list before
// they are taken and pageblocks reserved after. It shares no code with `BuddyAllocator`.
//
// Lists are kept without order, and the lowest address is taken. With a window, what has no place
// in it is not seen.

@testable import PageAllocator

struct ZoneReference {
    struct FreeBlock: Equatable {
        var order: Int
        var list: Migratetype
    }

    let span: Range<UInt64>
    let managedPages: UInt64
    let rules: BuddyRules
    var free: [UInt64: FreeBlock] = [:]
    var types: [UInt64: Migratetype] = [:]
    var movable: Set<UInt64> = []
    var boost: UInt64 = 0

    init(span: Range<UInt64>, managed: [Range<UInt64>], rules: BuddyRules) {
        self.span = span
        self.rules = rules
        managedPages = managed.reduce(0) { $0 + UInt64($1.count) }
        let first = span.lowerBound / 1024 * 1024
        for start in stride(from: first, to: (span.upperBound + 1023) / 1024 * 1024, by: 512) {
            types[start] = rules.groupsByMobility ? .movable : .unmovable
        }
        for page in managed.joined() {
            freeOneBlock(page, 0, types[page & ~511] ?? .movable)
        }
    }

    var is612: Bool { rules.dialect == .linux612 }

    func type(of pfn: UInt64) -> Migratetype { types[pfn & ~511] ?? .movable }

    mutating func setType(_ first: UInt64, _ order: Int, _ type: Migratetype) {
        for start in stride(from: first & ~511, to: first + 1 << UInt64(order), by: 512) {
            types[start] = type
        }
    }

    // MARK: Allocating

    mutating func allocate(
        _ order: Int, _ type: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        let own = rules.groupsByMobility ? type : .unmovable
        var pfn: UInt64?
        if flags.contains(.highatomic) { pfn = takeSmallest(order, .highAtomic, window) }
        if pfn == nil { pfn = takeSmallest(order, own, window) }
        if pfn == nil {
            pfn =
                is612
                ? claim(order, own, flags, window) ?? steal(order, own, flags, window)
                : fallBack(order, own, flags, window)
        }
        if pfn == nil, flags.contains(.oom) || flags.contains(.nonBlock) {
            pfn = takeSmallest(order, .highAtomic, window)
        }
        guard let pfn else { return nil }
        if type == .movable { movable.formUnion(pfn..<pfn + 1 << UInt64(order)) }
        if flags.contains(.highatomic) { reserve(pfn, order) }
        return pfn
    }

    /// The place of a block of `order` in a free block, if the window holds one.
    func place(
        _ first: UInt64, _ block: FreeBlock, _ order: Int, _ window: Range<UInt64>
    ) -> UInt64? {
        let size = UInt64(1) << UInt64(order)
        return stride(from: first, to: first + 1 << UInt64(block.order), by: Int(size)).first {
            window.lowerBound <= $0 && $0 + size <= window.upperBound
        }
    }

    func lowest(
        of larger: Int, _ list: Migratetype, _ order: Int, _ window: Range<UInt64>
    ) -> UInt64? {
        free.filter {
            $1 == FreeBlock(order: larger, list: list) && place($0, $1, order, window) != nil
        }.keys.min()
    }

    mutating func takeSmallest(
        _ order: Int, _ list: Migratetype, _ window: Range<UInt64>
    ) -> UInt64? {
        for larger in order...10 {
            if let first = lowest(of: larger, list, order, window) {
                return expand(first, order, list, window)
            }
        }
        return nil
    }

    /// Takes the first place of a free block that the window holds; the rest goes to `list`.
    mutating func expand(
        _ first: UInt64, _ order: Int, _ list: Migratetype, _ window: Range<UInt64>
    ) -> UInt64? {
        guard let block = free.removeValue(forKey: first),
            let wanted = place(first, block, order, window)
        else { return nil }
        var start = first
        for half in (order..<block.order).reversed() {
            let size = UInt64(1) << UInt64(half)
            let isLow = wanted < start + size
            free[isLow ? start + size : start] = FreeBlock(order: half, list: list)
            if !isLow { start += size }
        }
        return wanted
    }

    static func fallbacks(_ type: Migratetype) -> [Migratetype] {
        switch type {
        case .unmovable: [.reclaimable, .movable]
        case .movable: [.reclaimable, .unmovable]
        case .reclaimable: [.unmovable, .movable]
        case .highAtomic: []
        }
    }

    func suitable(
        _ larger: Int, _ own: Migratetype, _ order: Int, _ window: Range<UInt64>
    ) -> (first: UInt64, list: Migratetype)? {
        for list in Self.fallbacks(own) {
            if let first = lowest(of: larger, list, order, window) { return (first, list) }
        }
        return nil
    }

    func canSteal(_ larger: Int, _ own: Migratetype) -> Bool {
        larger >= 4 || own != .movable || !rules.groupsByMobility
    }

    mutating func raiseBoost() {
        guard rules.maximumBoost > 0 else { return }
        boost = min(boost + 512, rules.maximumBoost)
    }

    // MARK: 6.12

    mutating func claim(
        _ order: Int, _ own: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        let least = flags.contains(.noFragment) && order < 9 ? 9 : order
        for larger in (least...10).reversed() {
            guard let (first, list) = suitable(larger, own, order, window) else { continue }
            guard canSteal(larger, own) else { break }
            if larger >= 9 {
                setType(first, larger, own)
                return expand(first, order, own, window)
            }
            raiseBoost()
            let start = first & ~511
            guard span.lowerBound <= start, start + 512 <= span.upperBound else { continue }
            if isHalfAlike(start, from: start, list, own) {
                moveFree(start..<start + 512, own)
                types[start] = own
                return takeSmallest(order, own, window)
            }
        }
        return nil
    }

    mutating func steal(
        _ order: Int, _ own: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        guard !flags.contains(.noFragment) else { return nil }
        for larger in order...10 {
            if let (first, list) = suitable(larger, own, order, window) {
                return expand(first, order, list, window)
            }
        }
        return nil
    }

    /// Counted page by page over one pageblock.
    func isHalfAlike(
        _ pageblock: UInt64, from first: UInt64, _ blockType: Migratetype, _ own: Migratetype
    ) -> Bool {
        let block = pageblock..<pageblock + 512
        let freePages = block.count { page in page >= first && holds(page) }
        let movablePages = block.count { movable.contains($0) }
        var alike = 0
        if own == .movable {
            alike = movablePages
        } else if blockType == .movable {
            alike = 512 - (freePages + movablePages)
        }
        return freePages + alike >= 256 || !rules.groupsByMobility
    }

    /// Whether a page is free.
    func holds(_ page: UInt64) -> Bool {
        (0...10).contains { order in
            free[page & ~(1 << UInt64(order) - 1)].map { $0.order >= order } ?? false
        }
    }

    mutating func moveFree(_ range: Range<UInt64>, _ list: Migratetype) {
        for first in free.keys where range.contains(first) {
            free[first]?.list = list
        }
    }

    // MARK: 6.1

    mutating func fallBack(
        _ order: Int, _ own: Migratetype, _ flags: AllocFlags, _ window: Range<UInt64>
    ) -> UInt64? {
        let least = flags.contains(.noFragment) && order < 9 ? 9 : order
        for larger in (least...10).reversed() {
            guard var found = suitable(larger, own, order, window) else { continue }
            var foundOrder = larger
            if !canSteal(larger, own), own == .movable, larger > order {
                for smaller in order...10 {
                    if let smallest = suitable(smaller, own, order, window) {
                        found = smallest
                        foundOrder = smaller
                        break
                    }
                }
            }
            takeOver(found.first, foundOrder, own)
            return takeSmallest(order, own, window)
        }
        return nil
    }

    mutating func takeOver(_ first: UInt64, _ order: Int, _ own: Migratetype) {
        let start = first & ~511
        let oldType = type(of: first)
        var isSingle = oldType == .highAtomic
        if !isSingle, order >= 9 {
            setType(first, order, own)
            isSingle = true
        }
        if !isSingle {
            raiseBoost()
            isSingle = !canSteal(order, own) || start + 512 > span.upperBound
        }
        if isSingle {
            free[first]?.list = own
            return
        }
        let from = start >= span.lowerBound ? start : first
        let isAlike = isHalfAlike(start, from: from, oldType, own)
        moveFree(from..<start + 512, own)
        if isAlike { types[start] = own }
    }

    // MARK: The reserve

    var reserved: UInt64 { UInt64(types.values.count { $0 == .highAtomic }) * 512 }

    mutating func reserve(_ pfn: UInt64, _ order: Int) {
        let start = pfn & ~511
        let share = managedPages / 100
        let limit = is612 ? (share < 512 ? 0 : (share + 511) / 512 * 512) : share + 512
        guard reserved < limit, type(of: pfn) != .highAtomic else { return }
        let isStraddled = start < span.lowerBound || start + 512 > span.upperBound
        if is612 {
            guard order >= 9 || !isStraddled else { return }
            moveFree(start..<start + 512, .highAtomic)
            setType(pfn, max(order, 9), .highAtomic)
        } else {
            if start + 512 <= span.upperBound {
                moveFree((start >= span.lowerBound ? start : pfn)..<start + 512, .highAtomic)
            }
            types[start] = .highAtomic
        }
    }

    mutating func release(to own: Migratetype) -> Bool {
        for order in 0...10 {
            let found = free.filter { $1 == FreeBlock(order: order, list: .highAtomic) }.keys.min()
            guard let first = found else { continue }
            let start = first & ~511
            if is612 {
                moveFree(start..<start + 512, own)
                setType(first, max(order, 9), own)
                return true
            }
            types[start] = own
            guard start + 512 <= span.upperBound else { continue }
            moveFree((start >= span.lowerBound ? start : first)..<start + 512, own)
            return true
        }
        return false
    }

    // MARK: Freeing

    mutating func give(_ pfn: UInt64, _ order: Int) {
        movable.subtract(pfn..<pfn + 1 << UInt64(order))
        if is612, order == 10 {
            freeOneBlock(pfn, 9, type(of: pfn))
            freeOneBlock(pfn + 512, 9, type(of: pfn + 512))
        } else {
            freeOneBlock(pfn, order, type(of: pfn))
        }
    }

    mutating func freeOneBlock(_ freed: UInt64, _ freedOrder: Int, _ list: Migratetype) {
        var pfn = freed
        var order = freedOrder
        while order < 10 {
            let buddy = pfn ^ (1 << UInt64(order))
            guard free[buddy]?.order == order else { break }
            if order >= 9 {
                let other = type(of: buddy)
                if list != other, list == .highAtomic || other == .highAtomic { break }
                if is612, list != other { types[buddy] = list }
            }
            free[buddy] = nil
            pfn &= buddy
            order += 1
        }
        free[pfn] = FreeBlock(order: order, list: list)
    }

    /// Takes pages that are free, wherever they stand.
    mutating func take(_ range: Range<UInt64>) {
        for page in range {
            guard
                let (first, block) = free.first(where: { first, block in
                    (first..<first + 1 << UInt64(block.order)).contains(page)
                })
            else { continue }
            _ = expand(first, 0, block.list, page..<page + 1)
        }
    }

    var blocks: [ZoneImage.Block] {
        free.map { ZoneImage.Block(first: $0, order: $1.order, list: $1.list) }
            .sorted { $0.first < $1.first }
    }
}
