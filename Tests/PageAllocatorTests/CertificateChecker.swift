// Every claim of a certificate, checked by going through all frames and by putting the changed
// request to the reference: nothing here is the allocator's own code.

import PageAllocator
import TestSupport

struct CertificateChecker {
    let request: AllocationRequest
    private let reference: ReferenceAllocator
    private let holders: [UInt64: AllocationID]

    /// - Parameter reference: before the request, which it refuses.
    init(_ request: AllocationRequest, refusedBy reference: ReferenceAllocator) {
        self.request = request
        self.reference = reference
        var holders: [UInt64: AllocationID] = [:]
        for id in reference.liveGrants {
            for frame in reference.frames(heldBy: id) { holders[frame] = id }
        }
        self.holders = holders
    }

    /// What is wrong with a certificate; nil where all of it holds.
    func fault(in certificate: Certificate) -> String? {
        faultInLargest(certificate.largestFeasible)
            ?? faultInBinding(certificate.bindingConstraint)
            ?? certificate.nearestRelaxations.lazy.compactMap { fault(in: $0) }.first
            ?? missing(certificate.nearestRelaxations)
            ?? faultInCheapest(certificate)
    }

    // MARK: The largest

    private func faultInLargest(_ largest: FrameRange?) -> String? {
        let granted = largest?.count ?? 0
        if let largest {
            let isFree = (largest.lowerBound.rawValue..<largest.upperBound.rawValue)
                .allSatisfy { holders[$0] == nil }
            guard isFree else { return "the largest is not free" }
            guard isGranted(sized(granted)) else { return "the largest would not be granted" }
        }
        let pages = request.control.pages ?? 1 << UInt64(request.control.order.rawValue)
        for count in granted + 1..<max(pages, granted + 1) {
            if request.control.pages == nil, count.nonzeroBitCount != 1 { continue }
            if isGranted(sized(count)) { return "\(count) pages would be granted" }
        }
        return nil
    }

    /// The same request for so many pages in one piece.
    private func sized(_ pages: UInt64) -> AllocationRequest {
        var request = request
        if request.control.pages == nil {
            request.control.order = Order(sketched: pages.trailingZeroBitCount)
        } else {
            request.control.pages = pages
            request.control.maxSegments = 1
        }
        return request
    }

    // MARK: The binding constraint

    private func faultInBinding(_ binding: Constraint) -> String? {
        let expected = expectedBinding
        return binding == expected ? nil : "\(expected) binds, not \(binding)"
    }

    private var expectedBinding: Constraint {
        let isThere = reference.machine.zones.indices.contains {
            free(inZone: $0).count >= pages
        }
        guard isThere else { return .freePages }
        let rules = Constraint.allCases.filter { $0 != .freePages && isSubject(to: $0) }
        if let single = rules.first(where: { isGranted(without: [$0]) }) { return single }
        for count in rules.indices.dropFirst() where isGranted(without: rules[...count]) {
            return rules[count]
        }
        return .freePages
    }

    private var pages: Int {
        Int(request.control.pages ?? 1 << UInt64(request.control.order.rawValue))
    }

    private func isSubject(to rule: Constraint) -> Bool {
        switch rule {
        case .contiguity: request.control.maxSegments == 1 && pages > 1
        case .maxSegments: request.control.maxSegments > 1 && pages > 1
        default: true
        }
    }

    private func isGranted(without rules: ArraySlice<Constraint>) -> Bool {
        var lifted = request
        for rule in rules { lift(rule, from: &lifted) }
        let takesPieces = rules.contains(.contiguity) || rules.contains(.maxSegments)
        var answer = answer(lifted)
        if takesPieces, case .failure(.unsatisfiable) = answer {
            // No block of that size could lie where pieces can.
            divide(&lifted)
            answer = self.answer(lifted)
        }
        switch answer {
        case .success: return true
        case .failure(.unsatisfiable): return false
        case .failure(.outOfMemory(let explanation)):
            return tried(explanation, evenBelowMark: rules.contains(.watermark)).contains { zone in
                if takesPieces {
                    return free(inZone: zone).filter { isInWindow($0, lifted) }.count >= pages
                }
                return rules.contains(.watermark) && holds(zone, lifted)
            }
        }
    }

    private func lift(_ rule: Constraint, from request: inout AllocationRequest) {
        switch rule {
        case .freePages, .watermark, .contiguity, .maxSegments: break
        case .node: drop(.thisNode, from: &request)
        case .policy:
            request.control.memoryPolicy = nil
            request.control.allowedNodes = nil
        case .zoneModifier:
            drop([.dma, .dma32, .reclaimable], from: &request)
            request.additionalFlags.formUnion([.highmem, .movable])
        case .lowBoundary: request.control.lowBoundary = 0
        case .highBoundary: request.control.highBoundary = .max
        case .alignment:
            request.control.alignment = 0
            request.control.phase = 0
        case .boundary: request.control.boundary = 0
        }
    }

    /// Any pages within the boundaries will do.
    private func divide(_ request: inout AllocationRequest) {
        drop(.compound, from: &request)
        request.control.pages = UInt64(pages)
        request.control.order = .zero
        request.control.maxSegments = pages
        for rule in [Constraint.alignment, .boundary] { lift(rule, from: &request) }
    }

    private func drop(_ flags: GFPFlags, from request: inout AllocationRequest) {
        request.control.flags.subtract(flags)
        request.additionalFlags.subtract(flags)
    }

    // MARK: Relaxations

    private func fault(in relaxation: Relaxation) -> String? {
        guard isGranted(changed(by: relaxation)) else { return "\(relaxation) would not do" }
        let nearer = nearer(than: relaxation).first { isGranted(changed(by: $0)) }
        return nearer.map { "\($0) would do, nearer than \(relaxation)" }
    }

    /// Smaller changes of the same field.
    private func nearer(than relaxation: Relaxation) -> [Relaxation] {
        let control = request.control
        switch relaxation {
        case .highBoundary(let address) where control.maxSegments == 1:
            return stride(from: control.highBoundary | 4095, to: address, by: 4096).dropFirst()
                .map { .highBoundary($0) }
        case .lowBoundary(let address) where control.maxSegments == 1:
            return stride(from: address + 4096, to: control.lowBoundary & ~4095, by: 4096)
                .map { .lowBoundary($0) }
        case .alignment(let alignment):
            let exponents =
                max(alignment, 1).trailingZeroBitCount + 1..<control.alignment.trailingZeroBitCount
            return exponents.map { .alignment(1 << UInt64($0)) }
                .filter { changed(by: $0).control.alignment > control.phase }
        case .maxSegments(let count):
            return (control.maxSegments + 1..<count).map { .maxSegments($0) }
        case .withFlags(let flags) where flags == .memAlloc && !has(.high):
            return [.withFlags(.high)]
        default: return []
        }
    }

    /// A change that would do though none of its kind is named.
    private func missing(_ named: [Relaxation]) -> String? {
        let control = request.control
        var possible: [Relaxation] = []
        if control.maxSegments == 1 {
            possible += [.highBoundary(.max), .lowBoundary(0)]
        }
        if control.boundary > 0 { possible.append(.boundary(0)) }
        if control.alignment > 4096, control.phase == 0 { possible.append(.alignment(0)) }
        if control.pages != nil, !has(.compound) { possible.append(.maxSegments(64)) }
        if control.memoryPolicy != nil || control.allowedNodes != nil {
            possible.append(.withoutPolicy)
        }
        if has(.thisNode) { possible.append(.withoutFlags(.thisNode)) }
        return possible.first { change in
            isGranted(changed(by: change)) && !named.contains { Self.kind($0) == Self.kind(change) }
        }.map { "\($0) is not named" }
    }

    private static func kind(_ relaxation: Relaxation) -> String {
        switch relaxation {
        case .withoutFlags(let flags): "without \(flags.rawValue)"
        default: String("\(relaxation)".prefix { $0 != "(" })
        }
    }

    private func changed(by relaxation: Relaxation) -> AllocationRequest {
        var request = request
        switch relaxation {
        case .order(let order): request.control.order = order
        case .pages(let pages): request.control.pages = pages
        case .lowBoundary(let address): request.control.lowBoundary = address
        case .highBoundary(let address): request.control.highBoundary = address
        case .alignment(let alignment): request.control.alignment = alignment
        case .boundary(let boundary): request.control.boundary = boundary
        case .maxSegments(let count): request.control.maxSegments = count
        case .node(let node): request.control.node = node
        case .withoutPolicy: lift(.policy, from: &request)
        case .withoutFlags(let flags): drop(flags, from: &request)
        case .withFlags(let flags): request.additionalFlags.formUnion(flags)
        }
        return request
    }

    private func has(_ flags: GFPFlags) -> Bool { request.effectiveFlags.contains(flags) }

    // MARK: The cheapest place

    private func faultInCheapest(_ certificate: Certificate) -> String? {
        guard case .failure(.outOfMemory(let explanation)) = answer(request) else {
            return "the request is not refused"
        }
        let fewest = tried(explanation, evenBelowMark: false)
            .flatMap { zone in places(inZone: zone, request) }
            .map { holders(in: $0).count }.min()
        let expected = fewest == 0 ? nil : fewest
        guard let window = certificate.cheapestWindow else {
            return expected.map { "a place with \($0) pages to move is not named" }
        }
        let held = holders(in: window.lowerBound.rawValue..<window.upperBound.rawValue)
        guard certificate.pagesToMove == UInt64(held.count) else { return "miscounted" }
        guard Set(held).sorted() == certificate.blockers else { return "wrong blockers" }
        guard certificate.isCheapestProved else { return nil }
        return held.count == expected
            ? nil : "\(held.count) pages to move where \(expected ?? 0) would do"
    }

    private func holders(in frames: Range<UInt64>) -> [AllocationID] {
        frames.compactMap { holders[$0] }
    }

    // MARK: Frames

    private func isGranted(_ request: AllocationRequest) -> Bool {
        if case .success = answer(request) { return true }
        return false
    }

    private func answer(_ request: AllocationRequest) -> Result<Grant, AllocationFailure> {
        var copy = reference
        return copy.allocate(request, as: AllocationID(.max))
    }

    /// The zones that the walk asked.
    private func tried(_ explanation: Explanation, evenBelowMark: Bool) -> [Int] {
        explanation.zones.filter { zone in
            switch zone.verdict {
            case .excludedByPolicy, .excludedByZoneModifier, .outsideBoundaries: false
            case .belowWatermark: evenBelowMark
            case .granted, .noBlockOfOrder, .noBlockInRange, .wrongAlignment: true
            }
        }.map(\.zone)
    }

    private func free(inZone zone: Int) -> [UInt64] {
        managed(inZone: zone).filter { holders[$0] == nil }
    }

    private func managed(inZone zone: Int) -> [UInt64] {
        reference.machine.zones[zone].managedRanges.flatMap {
            Array($0.lowerBound.rawValue..<$0.upperBound.rawValue)
        }
    }

    private func isInWindow(_ frame: UInt64, _ request: AllocationRequest) -> Bool {
        frame << 12 >= request.control.lowBoundary
            && frame << 12 + 4095 <= request.control.highBoundary
    }

    /// Conforming runs of managed frames, free or not.
    private func places(inZone zone: Int, _ request: AllocationRequest) -> [Range<UInt64>] {
        let frames = managed(inZone: zone)
        let isManaged = Set(frames)
        return frames.map { $0..<$0 + UInt64(pages) }.filter { place in
            place.allSatisfy(isManaged.contains) && conforms(place, request)
        }
    }

    private func conforms(_ run: Range<UInt64>, _ request: AllocationRequest) -> Bool {
        let control = request.control
        let first = run.lowerBound << 12
        let last = run.upperBound << 12 - 1
        let isBlock = control.pages == nil || has(.compound)
        if isBlock, run.lowerBound % UInt64(pages) != 0 { return false }
        return control.lowBoundary <= first && last <= control.highBoundary
            && (control.alignment == 0 || first % control.alignment == control.phase)
            && (control.boundary == 0 || first / control.boundary == last / control.boundary)
    }

    /// Whether the free frames of a zone hold the request, in as many segments as it allows.
    private func holds(_ zone: Int, _ request: AllocationRequest) -> Bool {
        let free = Set(free(inZone: zone))
        guard request.control.maxSegments > 1, request.control.pages != nil else {
            return places(inZone: zone, request).contains { $0.allSatisfy(free.contains) }
        }
        var pieces: [Range<UInt64>] = []
        for first in free.sorted() where conforms(first..<first + 1, request) {
            if let last = pieces.last, first < last.upperBound { continue }
            var end = first + 1
            while free.contains(end), conforms(first..<end + 1, request) { end += 1 }
            pieces.append(first..<end)
        }
        let largest = pieces.map(\.count).sorted(by: >).prefix(request.control.maxSegments)
        return largest.reduce(0, +) >= pages
    }
}
