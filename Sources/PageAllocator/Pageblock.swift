// The pageblocks of a zone: aligned blocks of 512 pages, each of which has a migratetype. Free
// pages go to the lists of their pageblock's type, so that pages that can be moved gather in some
// pageblocks and those that cannot in others.
//
// Source: `set_pageblock_migratetype`, mm/page_alloc.c; `pageblock_order`,
// include/linux/pageblock-flags.h.

/// What is kept of one pageblock, in two bytes.
package struct Pageblock: Hashable, Sendable {
    /// `pageblock_order` on x86-64: a huge page.
    package static let order = 9

    /// `pageblock_nr_pages`.
    package static let pageCount = 1 << order

    private static let movableMask: UInt16 = 0x3ff
    private static let typeShift: UInt16 = 12
    private static let managedBit: UInt16 = 1 << 15

    private var bits: UInt16

    init(type: Migratetype, isManaged: Bool) {
        bits = UInt16(type.rawValue) << Self.typeShift | (isManaged ? Self.managedBit : 0)
    }

    package var type: Migratetype {
        get {
            switch bits >> Self.typeShift & 3 {
            case 0: .unmovable
            case 1: .movable
            case 2: .reclaimable
            default: .highAtomic
            }
        }
        set { bits = bits & ~(3 << Self.typeShift) | UInt16(newValue.rawValue) << Self.typeShift }
    }

    /// Taken pages that can be moved, 0 to 512. The kernel counts pages on the LRU lists and those
    /// of movable drivers; here it is what was taken for a movable request.
    package var movablePages: Int { Int(bits & Self.movableMask) }

    /// Whether the zone manages any frame of it: holes have no type that counts.
    var isManaged: Bool {
        get { bits & Self.managedBit != 0 }
        set { bits = newValue ? bits | Self.managedBit : bits & ~Self.managedBit }
    }

    mutating func addMovable(_ pages: Int) {
        let sum = movablePages + pages
        precondition(sum >= 0 && sum <= Self.pageCount, "movable pages were miscounted")
        bits = bits & ~Self.movableMask | UInt16(truncatingIfNeeded: sum)
    }
}

/// The pageblocks of a zone, by number from the zone's base.
@safe struct Pageblocks: ~Copyable {
    let count: Int

    /// Managed pageblocks of each type, `Migratetype.rawValue` first.
    private(set) var counts: SIMD4<UInt64> = .zero

    private let blocks: UnsafeMutablePointer<Pageblock>

    /// - Parameter managed: which pageblocks hold managed frames, by number; may overlap.
    init(count: Int, type: Migratetype, managed: [Range<Int>]) {
        self.count = count
        unsafe blocks = .allocate(capacity: count)
        unsafe blocks.initialize(repeating: Pageblock(type: type, isManaged: false), count: count)
        for range in managed {
            for number in range where unsafe !blocks[number].isManaged {
                unsafe blocks[number].isManaged = true
                counts[type.rawValue] += 1
            }
        }
    }

    deinit {
        unsafe blocks.deallocate()
    }

    subscript(number: Int) -> Pageblock {
        precondition(number >= 0 && number < count)
        return unsafe blocks[number]
    }

    mutating func setType(of number: Int, to type: Migratetype) {
        precondition(number >= 0 && number < count)
        let old = unsafe blocks[number].type
        unsafe blocks[number].type = type
        if unsafe blocks[number].isManaged {
            counts[old.rawValue] -= 1
            counts[type.rawValue] += 1
        }
    }

    /// Brings a pageblock back as it was.
    mutating func restore(_ number: Int, to pageblock: Pageblock) {
        setType(of: number, to: pageblock.type)
        unsafe blocks[number] = pageblock
    }

    /// Counts the pages of a run, which is not empty, numbered from the zone's base, as movable
    /// ones that were taken (`sign` 1) or given back (-1).
    @inline(__always)
    mutating func countMovable(_ run: Range<Int>, sign: Int) {
        let number = run.lowerBound >> Pageblock.order
        precondition(number >= 0 && number < count)
        guard number == (run.upperBound - 1) >> Pageblock.order else {
            return countMovableInSeveral(run, sign: sign)
        }
        unsafe blocks[number].addMovable(sign * run.count)
    }

    @inline(never)
    private mutating func countMovableInSeveral(_ run: Range<Int>, sign: Int) {
        var page = run.lowerBound
        while page < run.upperBound {
            let number = page >> Pageblock.order
            precondition(number >= 0 && number < count)
            let end = min(run.upperBound, (number + 1) << Pageblock.order)
            unsafe blocks[number].addMovable(sign * (end - page))
            page = end
        }
    }
}
