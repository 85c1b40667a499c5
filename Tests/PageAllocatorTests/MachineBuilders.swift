import PageAllocator
import TestSupport

/// Frames from `lower` up to, but without, `upper`.
func frames(_ lower: UInt64, _ upper: UInt64) -> FrameRange {
    FrameRange(PageFrameNumber(lower), PageFrameNumber(upper))
}

/// The bytes from the first of page `lower` up to, but without, the first of page `upper`.
func pages(_ lower: UInt64, _ upper: UInt64) -> AddressRange {
    AddressRange(first: lower << 12, last: (upper << 12) - 1)
}

func node(_ number: Int) -> NodeID {
    NodeID(sketched: number)
}

/// A zone that is present and managed as a whole.
func zone(
    _ type: ZoneType = .normal, of node: NodeID = node(0), at span: FrameRange = frames(0, 64),
    present: [FrameRange]? = nil, managed: [FrameRange]? = nil,
    watermarks: Watermarks = Watermarks(min: 1, low: 2, high: 3, promo: 4),
    lowmemReserve: [UInt64] = [0]
) -> Zone {
    Zone(
        node: node, type: type, startPFN: span.lowerBound, spannedPages: span.count,
        presentRanges: present ?? [span], managedRanges: managed ?? present ?? [span],
        watermarks: watermarks, lowmemReserve: lowmemReserve)
}
