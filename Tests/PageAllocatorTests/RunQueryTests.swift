// Where a run may begin: alignment, phase and boundary, checked place by place.

import TestSupport
import Testing

@testable import PageAllocator

@Suite("RunQuery")
struct RunQueryTests {
    /// Starts gone through for each request: more than the largest period of alignment and
    /// boundary.
    static let starts: UInt64 = 40

    @Test("one correction finds the nearest conforming place, in either direction")
    func oneCorrectionSuffices() throws {
        var requests = 0
        var refused = 0
        for alignment in [1, 2, 4, 16] as [UInt64] {
            for phase in 0..<alignment {
                for boundary in [0, 1, 2, 8, 16] as [UInt64] {
                    for pages in UInt64(1)...18 {
                        let isFeasible =
                            boundary == 0 || phase % boundary + pages <= boundary
                        let control = control(alignment, phase, boundary, pages: pages)
                        guard isFeasible == hasPlace(alignment, phase, boundary, pages: pages)
                        else {
                            Issue.record("the rule of what can be met is wrong: \(control)")
                            return
                        }
                        guard isFeasible else {
                            refused += 1
                            if refusal(control) == .crossesBoundary { continue }
                            Issue.record("\(control)")
                            return
                        }
                        requests += 1
                        guard agrees(try RunQuery(control)) else {
                            Issue.record("\(control)")
                            return
                        }
                    }
                }
            }
        }
        #expect(requests > 800)
        #expect(refused > 700)
    }

    private func refusal(_ control: AllocationControl) -> Unsatisfiable? {
        do {
            _ = try RunQuery(control)
            return nil
        } catch {
            return error
        }
    }

    private func control(
        _ alignment: UInt64, _ phase: UInt64, _ boundary: UInt64, pages: UInt64
    ) -> AllocationControl {
        var control = AllocationControl()
        control.alignment = alignment * PageFrameNumber.pageSize
        control.phase = phase * PageFrameNumber.pageSize
        control.boundary = boundary * PageFrameNumber.pageSize
        control.pages = pages
        return control
    }

    private func hasPlace(
        _ alignment: UInt64, _ phase: UInt64, _ boundary: UInt64, pages: UInt64
    ) -> Bool {
        (0..<Self.starts).contains { place in
            place % alignment == phase
                && (boundary == 0 || place / boundary == (place + pages - 1) / boundary)
        }
    }

    private func conforms(_ place: UInt64, _ query: RunQuery) -> Bool {
        place % query.alignment == query.phase
            && (query.boundary == 0
                || place / query.boundary == (place + query.pages - 1) / query.boundary)
    }

    /// Goes down and up over the places, keeping the nearest conforming one.
    private func agrees(_ query: RunQuery) -> Bool {
        var next: UInt64?
        for start in (0..<2 * Self.starts).reversed() {
            if conforms(start, query) { next = start }
            if start < Self.starts,
                query.lowestPlace(atOrAfter: PageFrameNumber(start))?.rawValue != next
            {
                return false
            }
        }
        var previous: UInt64?
        for start in 0..<Self.starts {
            if conforms(start, query) { previous = start }
            if query.highestPlace(atOrBefore: PageFrameNumber(start))?.rawValue != previous {
                return false
            }
        }
        return true
    }

    @Test("bytes that no page can meet are refused, those that each page meets are not")
    func bytesWithinAPage() throws {
        var control = AllocationControl()
        control.alignment = 512
        let anyPage = try RunQuery(control)
        #expect(anyPage.alignment == 1 && anyPage.phase == 0)
        control.phase = 256
        #expect(throws: Unsatisfiable.noBlockInBoundaries) { try RunQuery(control) }
        control.alignment = 8192
        #expect(throws: Unsatisfiable.noBlockInBoundaries) { try RunQuery(control) }
        control.phase = 4096
        #expect(try RunQuery(control).phase == 1)
        control.phase = 8192
        #expect(throws: Unsatisfiable.noBlockInBoundaries) { try RunQuery(control) }
        control.phase = 0
        control.boundary = 2048
        #expect(throws: Unsatisfiable.crossesBoundary) { try RunQuery(control) }
    }

    @Test("a block keeps its natural alignment")
    func naturalAlignment() throws {
        var control = AllocationControl(order: Order(sketched: 3))
        control.alignment = 2 * PageFrameNumber.pageSize
        #expect(try RunQuery(control).alignment == 8)
        control.phase = PageFrameNumber.pageSize
        #expect(throws: Unsatisfiable.noBlockInBoundaries) { try RunQuery(control) }
        control.alignment = 16 * PageFrameNumber.pageSize
        #expect(throws: Unsatisfiable.noBlockInBoundaries) { try RunQuery(control) }
        control.phase = 8 * PageFrameNumber.pageSize
        #expect(try RunQuery(control).phase == 8)
        control.boundary = 4 * PageFrameNumber.pageSize
        #expect(throws: Unsatisfiable.crossesBoundary) { try RunQuery(control) }
    }

    @Test("the largest numbers that a request can name do no harm")
    func extremes() throws {
        var control = AllocationControl()
        control.pages = .max
        #expect(throws: Unsatisfiable.windowTooSmall) { try RunQuery(control) }
        control.boundary = 1 << 63
        #expect(throws: Unsatisfiable.crossesBoundary) { try RunQuery(control) }
        control.maxSegments = .max
        #expect(throws: Unsatisfiable.windowTooSmall) { try RunQuery(control) }
        control.pages = 1
        control.alignment = 1 << 63
        control.phase = 1 << 62
        let query = try RunQuery(control)
        let limit = PageFrameNumber.limit.rawValue
        #expect(query.lowestPlace(atOrAfter: PageFrameNumber(0))?.rawValue == limit / 4)
        #expect(query.lowestPlace(atOrAfter: PageFrameNumber(limit - 1)) == nil)
        #expect(query.highestPlace(atOrBefore: PageFrameNumber(limit / 4 - 1)) == nil)
        #expect(
            query.highestPlace(atOrBefore: PageFrameNumber(limit - 1))?.rawValue == limit / 4 * 3)
    }
}
