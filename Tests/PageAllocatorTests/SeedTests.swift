// What the RFC asked for, and what its prototype got wrong: one test for each fault, and the case
// that made its author write.
//
// Christoph Lameter, "[RFC] Initial alpha-0 for new page allocator API", linux-kernel,
// 22 September 2006.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("The RFC's prototype and its case")
struct SeedTests {
    static let mask24: UInt64 = 0xff_ffff
    static let mask30: UInt64 = 0x3fff_ffff
    static let mask32: UInt64 = 0xffff_ffff

    // MARK: Faults that are not copied

    @Test("fault: a 16 MiB device never reaches ZONE_DMA")
    func a16MiBDeviceReachesZoneDMA() throws {
        var machine = SeedMachine()
        let grant = try machine.allocate(high: Self.mask24)
        #expect(machine.zoneType(of: grant) == .dma)
        #expect(grant.frames.upperBound.rawValue <= 0x1000)
    }

    @Test("fault: high_boundary is used without ac->")
    func eachRequestHasItsOwnControlsBoundary() throws {
        var machine = SeedMachine()
        let controls = [Self.mask24, Self.mask30, .max, Self.mask32, Self.mask24]
            .map { AllocationControl(highBoundary: $0) }
        let zones: [ZoneType] = try controls.map { machine.zoneType(of: try machine.allocate($0)) }
        #expect(zones == [.dma, .dma32, .normal, .dma32, .dma])
    }

    @Test("fault: low_boundary is never read")
    func lowBoundaryIsHonoured() throws {
        var machine = SeedMachine()
        let first = try machine.allocate(low: 0x20_0001, high: Self.mask24)
        // The largest free block there, of which a pageblock now belongs to the request's type.
        #expect(first.pfn == PageFrameNumber(0x400))
        let second = try machine.allocate(order: 10, low: 0x1000_0000, high: Self.mask32)
        #expect(second.pfn == PageFrameNumber(0x1_0000))
        // Above ZONE_DMA's last byte nothing of it may be used, although the flags name it.
        #expect(throws: AllocationFailure.unsatisfiable(.noBlockInBoundaries)) {
            try machine.allocate(flags: [.kernel, .dma], low: 0x100_0000)
        }
    }

    @Test("fault: a high_boundary that was left out forces DMA32")
    func noHighBoundaryMeansNoLimit() throws {
        var machine = SeedMachine()
        let grant = try machine.allocate(AllocationControl())
        #expect(machine.zoneType(of: grant) == .normal)
        // A high boundary of 0 is one: not even a page lies below it.
        #expect(throws: AllocationFailure.unsatisfiable(.windowTooSmall)) {
            try machine.allocate(high: 0)
        }
        #expect(throws: AllocationFailure.unsatisfiable(.windowTooSmall)) {
            try machine.allocate(order: 4, low: 0x10_0000, high: 0x10_efff)
        }
    }

    @Test("fault: free_a_page frees one page whatever its comment promises")
    func freeAPageFreesTheCompoundPage() throws {
        var machine = SeedMachine()
        let before = machine.state
        let compound = try machine.allocate(flags: [.kernel, .compound], order: 3)
        let freed = try machine.allocator.freeAPage(compound.pfn)
        #expect(freed.pages == 8)
        #expect(freed.endsGrant)
        #expect(machine.state == before)
    }

    @Test("fault: < leaves open whether the boundary is in or out")
    func boundariesAreInclusive() throws {
        var machine = SeedMachine()
        // The last page below 4 GiB, and nothing else.
        let last = try machine.allocate(low: Self.mask32 - 4095, high: Self.mask32)
        #expect(last.frames == FrameRange(sketched: 0xf_ffff..<0x10_0000))
        // The page's own first and last byte as boundaries; a byte less is no page.
        let page = try machine.allocate(low: 0x5000_0000, high: 0x5000_0fff)
        #expect(page.pfn.address == 0x5000_0000)
        #expect(throws: AllocationFailure.unsatisfiable(.windowTooSmall)) {
            try machine.allocate(low: 0x6000_0000, high: 0x6000_0ffe)
        }
        #expect(throws: AllocationFailure.unsatisfiable(.windowTooSmall)) {
            try machine.allocate(low: 0x6000_0001, high: 0x6000_0fff)
        }
    }

    // MARK: The case

    @Test(
        "with ZONE_DMA exhausted a 30-bit device still gets pages below 2^30, a 24-bit one does not"
    )
    func theCase() throws {
        var machine = SeedMachine()
        let dmaPages = machine.exhaust(AllocationControl(flags: [.kernel, .dma]))
        #expect(dmaPages == 0xfff)
        #expect(machine.allocator.freePages(inZone: 0) == 0)

        // What the kernel does for a 30-bit device in the end: GFP_DMA, which has nothing left.
        #expect(throws: AllocationFailure.self) {
            try machine.allocate(flags: [.kernel, .dma])
        }
        for order in (0...10).reversed() {
            let grant = try machine.allocate(order: order, high: Self.mask30)
            #expect(machine.zoneType(of: grant) == .dma32)
            #expect(grant.frames.upperBound.address - 1 <= Self.mask30)
            #expect(grant.frames.count == 1 << UInt64(order))
        }
        let refusal = #expect(throws: AllocationFailure.self) {
            try machine.allocate(high: Self.mask24)
        }
        #expect(refusal?.verdicts == [.outsideBoundaries, .outsideBoundaries, .belowWatermark])
    }

    @Test("a 24-bit device gets ZONE_DMA to its last page, each page within the boundaries")
    func a24BitDevice() throws {
        var machine = SeedMachine()
        let control = AllocationControl(lowBoundary: 0x10_0000, highBoundary: Self.mask24)
        var frames: [FrameRange] = []
        while let grant = try? machine.allocate(control) {
            frames.append(grant.frames)
        }
        #expect(frames.count == 0xf00)
        #expect(frames.allSatisfy { FrameRange(sketched: 0x100..<0x1000).contains($0) })
        #expect(Set(frames.map(\.lowerBound)).count == frames.count)
        // What lies below the boundary is left.
        #expect(machine.allocator.freePages(inZone: 0) == 0xff)
    }

    @Test("every page below 2^30 can be had by a 30-bit device, and none above")
    func a30BitDeviceToTheLastPage() throws {
        var machine = SeedMachine()
        let control = AllocationControl(order: Order(sketched: 10), highBoundary: Self.mask30)
        let pages = machine.exhaust(control)
        // All of it but the largest block that begins at frame 0, which is not handed out.
        #expect(pages == 0x4_0000 - 0x400)
        let refusal = #expect(throws: AllocationFailure.self) { try machine.allocate(control) }
        #expect(refusal?.verdicts == [.outsideBoundaries, .noBlockInRange, .belowWatermark])
        #expect(machine.allocator.freePages(inZone: 1) == 0x10_0000 - 0x4_0000)
    }

    @Test(
        "devices of every width get the highest zone that they reach",
        arguments: [
            (20, .dma), (24, .dma), (26, .dma32), (28, .dma32), (30, .dma32), (31, .dma32),
            (32, .dma32), (33, .normal), (40, .normal), (64, .normal),
        ] as [(UInt64, ZoneType)])
    func deviceWidths(bits: UInt64, zone: ZoneType) throws {
        var machine = SeedMachine()
        let mask = UInt64.max >> (64 - bits)
        let grant = try machine.allocate(order: 4, high: mask)
        #expect(machine.zoneType(of: grant) == zone)
        #expect(grant.frames.upperBound.address - 1 <= mask)
    }

    @Test("flags that name a zone keep their meaning, with or without a boundary")
    func namedZonesAreKept() throws {
        var machine = SeedMachine()
        let dma = try machine.allocate(flags: [.kernel, .dma])
        let dma32 = try machine.allocate(flags: [.kernel, .dma32])
        let dmaBelow30 = try machine.allocate(flags: [.kernel, .dma], high: Self.mask30)
        #expect(machine.zoneType(of: dma) == .dma)
        #expect(machine.zoneType(of: dma32) == .dma32)
        #expect(machine.zoneType(of: dmaBelow30) == .dma)
    }
}

/// The case machine with an allocator on it.
private struct SeedMachine: ~Copyable {
    var allocator = PageAllocator(machine: .caseMachine)
    private var lastID: UInt64 = 0

    var state: [[UInt64]] {
        allocator.machine.zones.indices.map { allocator.freeBlocks(inZone: $0) }
    }

    mutating func allocate(
        flags: GFPFlags = .kernel, order: Int = 0, low: UInt64 = 0, high: UInt64 = .max
    ) throws(AllocationFailure) -> Grant {
        try allocate(
            AllocationControl(
                flags: flags, order: Order(sketched: order), lowBoundary: low, highBoundary: high))
    }

    mutating func allocate(_ control: AllocationControl) throws(AllocationFailure) -> Grant {
        lastID += 1
        return try allocator.allocatePages(control, as: AllocationID(lastID))
    }

    /// Pages granted until there are no more.
    mutating func exhaust(_ control: AllocationControl) -> UInt64 {
        var pages: UInt64 = 0
        while let grant = try? allocate(control) {
            pages += grant.frames.count
        }
        return pages
    }

    func zoneType(of grant: Grant) -> ZoneType {
        allocator.machine.zones[grant.zone].type
    }
}

extension AllocationFailure {
    /// The verdicts of the walk, in its order; nil for a request that can never be met.
    var verdicts: [ZoneVerdict]? {
        guard case .outOfMemory(let explanation) = self else { return nil }
        return explanation.zones.map(\.verdict)
    }
}
