// The one place where inclusive byte boundaries become a half-open range of page frames.

import PageAllocator
import TestSupport
import Testing

@Suite("AllocationControl")
struct AllocationControlTests {
    struct WindowCase: Sendable {
        let low: UInt64
        let high: UInt64
        let frames: Range<UInt64>
    }

    /// All page frames of a 64-bit address space.
    static let all = PageFrameNumber.limit.rawValue

    static let windows: [WindowCase] = [
        // No limit, and the ends of the address space.
        WindowCase(low: 0, high: .max, frames: 0..<all),
        WindowCase(low: 1, high: .max, frames: 1..<all),
        WindowCase(low: 0, high: .max - 1, frames: 0..<all - 1),
        WindowCase(low: .max - 4095, high: .max, frames: all - 1..<all),
        WindowCase(low: .max - 4094, high: .max, frames: all..<all),
        WindowCase(low: .max, high: .max, frames: all..<all),
        WindowCase(low: 0, high: 0, frames: 0..<0),
        // One page, a byte more, a byte less, at each end.
        WindowCase(low: 4096, high: 8191, frames: 1..<2),
        WindowCase(low: 4096, high: 8190, frames: 1..<1),
        WindowCase(low: 4096, high: 8192, frames: 1..<2),
        WindowCase(low: 4095, high: 8191, frames: 1..<2),
        WindowCase(low: 4097, high: 8191, frames: 2..<2),
        WindowCase(low: 0, high: 4094, frames: 0..<0),
        WindowCase(low: 0, high: 4095, frames: 0..<1),
        WindowCase(low: 0, high: 4096, frames: 0..<1),
        // DMA masks.
        WindowCase(low: 0, high: 0xff_ffff, frames: 0..<0x1000),
        WindowCase(low: 0, high: 0x3fff_ffff, frames: 0..<0x4_0000),
        WindowCase(low: 0, high: 0xffff_ffff, frames: 0..<0x10_0000),
        WindowCase(low: 0x100_0000, high: 0xffff_ffff, frames: 0x1000..<0x10_0000),
        // Nothing in between.
        WindowCase(low: 8192, high: 4095, frames: 2..<2),
        WindowCase(low: .max, high: 0, frames: all..<all),
        WindowCase(low: 4097, high: 4096, frames: 2..<2),
        WindowCase(low: 4096, high: 4095, frames: 1..<1),
    ]

    @Test("takes the pages that lie wholly within both boundaries", arguments: windows)
    func window(expected: WindowCase) {
        let control = AllocationControl(lowBoundary: expected.low, highBoundary: expected.high)
        #expect(control.window == FrameRange(sketched: expected.frames))
    }

    @Test("agrees with asking each page, around every page boundary")
    func everyBoundary() {
        let pages = UInt64(0)..<5
        let bytes = pages.flatMap { page -> [UInt64] in
            let first = page * 4096
            return [first &- 1, first, first + 1, first + 4094, first + 4095].filter { $0 < 20480 }
        }
        for low in bytes {
            for high in bytes {
                let window = AllocationControl(lowBoundary: low, highBoundary: high).window
                for page in pages {
                    let isInside = low <= page * 4096 && page * 4096 + 4095 <= high
                    #expect(
                        window.contains(PageFrameNumber(page)) == isInside,
                        "\(low)...\(high), page \(page)")
                }
            }
        }
    }

    @Test("asks for one page from anywhere when it says nothing")
    func defaults() {
        let control = AllocationControl()
        #expect(control.flags == .kernel)
        #expect(control.order == .zero)
        #expect(control.node == nil)
        #expect(control.window == FrameRange(sketched: 0..<Self.all))
    }

    @Test("a call's flags are added to the control's")
    func additionalFlags() {
        let request = AllocationRequest(
            control: AllocationControl(flags: [.io, .dma]), additionalFlags: [.compound, .io])
        #expect(request.effectiveFlags == [.io, .dma, .compound])
        #expect(AllocationRequest().effectiveFlags == .kernel)
    }
}
