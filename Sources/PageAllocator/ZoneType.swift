/// The kinds of zone, low addresses first: `enum zone_type`, include/linux/mmzone.h, on x86-64.
///
/// `device` never holds pages that the allocator hands out. It is here because each column of
/// `lowmem_reserve` stands for a kind of zone and kernels with CONFIG_ZONE_DEVICE print that
/// column.
public enum ZoneType: Int, CaseIterable, Comparable, Sendable {
    case dma = 0
    case dma32
    case normal
    case movable
    case device

    /// The kernel's spelling (`zone_names`, mm/page_alloc.c).
    public var name: String {
        switch self {
        case .dma: "DMA"
        case .dma32: "DMA32"
        case .normal: "Normal"
        case .movable: "Movable"
        case .device: "Device"
        }
    }

    /// The kind of that kernel spelling; nil where there is none.
    public init?(name: String) {
        guard let type = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = type
    }

    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.rawValue < rhs.rawValue
    }
}
