// Ready-made controls for devices that cannot address all memory. Every machine has them; they are
// no part of its ledger, and nobody can put or delete them.

import PageAllocator

/// The DMA masks that devices are built with.
///
/// Source: Alan Cox in the thread of the RFC (linux-kernel, September 2006), who names the devices
/// of 20, 24, 26, 28, 30 and 31 bits; 32 bits and more are what PCI and its successors reach.
enum DeviceMask {
    /// Address bits, ascending.
    static let widths: [UInt64] = [20, 24, 26, 28, 30, 31, 32, 36, 40, 48]

    /// `dma-20bit` … `dma-48bit`.
    static func name(_ width: UInt64) -> String { "dma-\(width)bit" }

    /// A page for the kernel's own use, wherever the device can reach: `DMA_BIT_MASK`,
    /// include/linux/dma-mapping.h.
    static func control(_ width: UInt64) -> AllocationControl {
        AllocationControl(highBoundary: 1 << width - 1)
    }
}
