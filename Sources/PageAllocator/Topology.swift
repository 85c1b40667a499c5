// A synthetic machine as somebody describes it: memory in bytes, the ends of the low zones, the
// numbers that an administrator may set. It is not validated; `Machine.init(topology:)` does that
// and computes the rest as a kernel would at boot.

/// The description of a machine that no kernel has booted on.
public struct Topology: Hashable, Sendable {
    /// A node: its CPUs and its memory.
    public struct Node: Hashable, Sendable {
        public var id: NodeID

        /// CPU numbers, in any order.
        public var cpus: [Int]

        /// Memory, in any order. A page that is memory only in part is left out.
        public var memory: [AddressRange]

        /// How much of the node's memory, counted from its top, is in the zone Movable. Bytes,
        /// rounded up to whole pages.
        public var movableBytes: UInt64

        public init(
            id: NodeID, cpus: [Int] = [], memory: [AddressRange] = [], movableBytes: UInt64 = 0
        ) {
            self.id = id
            self.cpus = cpus
            self.memory = memory
            self.movableBytes = movableBytes
        }
    }

    /// Where the low zones end: the last byte of each, the last of a page; nil for a zone that is
    /// not configured. `MAX_DMA_PFN`, `MAX_DMA32_PFN`: arch/x86/include/asm/dma.h.
    public struct ZoneLimits: Hashable, Sendable {
        public var dma: UInt64?
        public var dma32: UInt64?

        public init(dma: UInt64? = 0xff_ffff, dma32: UInt64? = 0xffff_ffff) {
            self.dma = dma
            self.dma32 = dma32
        }
    }

    /// What an administrator may set under /proc/sys/vm.
    public struct WatermarkSettings: Hashable, Sendable {
        /// `min_free_kbytes`; nil: the kernel's own choice. KiB.
        public var minFreeKbytes: UInt64?

        /// `watermark_scale_factor`: the distance between watermarks, in 1/10,000 of a zone.
        public var watermarkScaleFactor: UInt64

        /// `lowmem_reserve_ratio`: one divisor each for DMA, DMA32, Normal and Movable; 0: none of
        /// that zone is kept from requests that could be met elsewhere.
        public var lowmemReserveRatio: [UInt64]

        public init(
            minFreeKbytes: UInt64? = nil, watermarkScaleFactor: UInt64 = 10,
            lowmemReserveRatio: [UInt64] = [256, 256, 32, 0]
        ) {
            self.minFreeKbytes = minFreeKbytes
            self.watermarkScaleFactor = watermarkScaleFactor
            self.lowmemReserveRatio = lowmemReserveRatio
        }
    }

    public var dialect: KernelDialect

    /// Ascending by number.
    public var nodes: [Node]

    /// `distances[i][j]`: from the i-th to the j-th of `nodes`; nil: 10 within a node, 20 between.
    public var distances: [[Int]]?

    public var zoneLimits: ZoneLimits

    /// Memory that firmware and kernel keep, in any order, overlaps allowed. A page that is
    /// reserved in part is reserved. What lies outside of memory has no effect.
    public var reserved: [AddressRange]

    public var watermarks: WatermarkSettings

    public init(
        dialect: KernelDialect = .linux612, nodes: [Node], distances: [[Int]]? = nil,
        zoneLimits: ZoneLimits = ZoneLimits(), reserved: [AddressRange] = [],
        watermarks: WatermarkSettings = WatermarkSettings()
    ) {
        self.dialect = dialect
        self.nodes = nodes
        self.distances = distances
        self.zoneLimits = zoneLimits
        self.reserved = reserved
        self.watermarks = watermarks
    }
}
