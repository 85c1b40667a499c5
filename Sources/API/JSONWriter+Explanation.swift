// Explanations and certificates as the contract spells them.

import JSON
import Ledger
import PageAllocator

extension JSONWriter {
    mutating func value(_ document: ExplanationDocument) {
        let explanation = document.explanation
        beginObject()
        member("highest_zone", explanation.highestZone.name)
        key("zonelist")
        beginArray()
        for step in explanation.zones { value(step, on: document.machine) }
        endArray()
        if let grant = explanation.wouldGrant {
            key("would_grant")
            value(grant, on: document.machine)
        }
        if let certificate = explanation.certificate {
            key("certificate")
            value(certificate, document)
        }
        if let next = explanation.kernelWouldTry { member("kernel_would_try", next.rawValue) }
        key("not_modelled")
        beginArray()
        for rule in Explanation.notModelled { value(rule) }
        endArray()
        endObject()
    }

    private mutating func value(_ step: ZoneExplanation, on machine: Machine) {
        let zone = machine.zones[step.zone]
        beginObject()
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        member("free_pages", step.freePages)
        if let watermark = step.watermark {
            member("watermark", watermark)
        } else {
            nullMember("watermark")
        }
        member("lowmem_reserve", step.lowmemReserve)
        key("free_blocks_by_order")
        value(step.freeBlocks)
        member("verdict", step.verdict.rawValue)
        member("reason", step.sentence)
        endObject()
    }

    private mutating func value(_ grant: Grant, on machine: Machine) {
        let zone = machine.zones[grant.zone]
        beginObject()
        member("pfn", grant.pfn.rawValue)
        member("address", hex: grant.pfn.address)
        member(order: grant.order)
        member("pages", grant.pageCount)
        if !grant.furtherSegments.isEmpty { member(segments: grant.segments) }
        member("node", zone.node.rawValue)
        member("zone", zone.type.name)
        member("migratetype", grant.migratetype.name)
        member("compound", grant.isCompound)
        endObject()
    }

    private mutating func value(_ certificate: Certificate, _ document: ExplanationDocument) {
        beginObject()
        member("binding_constraint", certificate.bindingConstraint.rawValue)
        member("largest_feasible", certificate.largestFeasible)
        key("nearest_relaxations")
        beginArray()
        for relaxation in certificate.nearestRelaxations { value(relaxation, on: document.machine) }
        endArray()
        member("cheapest_window", certificate.cheapestWindow)
        member("pages_to_move", certificate.pagesToMove)
        member("is_cheapest_proved", certificate.isCheapestProved)
        member("blocker_count", certificate.blockers.count)
        key("blockers")
        beginArray()
        for blocker in document.blockers { value(blocker) }
        endArray()
        endObject()
    }

    /// A place, or null where there is none.
    private mutating func member(_ name: StaticString, _ place: FrameRange?) {
        guard let place else { return nullMember(name) }
        key(name)
        beginObject()
        member("pfn", place.lowerBound.rawValue)
        member("address", hex: place.lowerBound.address)
        member("pages", place.count)
        endObject()
    }

    /// A field of the request, and what to make of it.
    private mutating func value(_ relaxation: Relaxation, on machine: Machine) {
        beginObject()
        switch relaxation {
        case .order(let order): change("order", to: order.rawValue)
        case .pages(let pages): change("pages", to: pages)
        case .lowBoundary(let address): change("low_boundary", toHex: address)
        case .highBoundary(let address): change("high_boundary", toHex: address)
        case .alignment(let bytes): change("alignment", toHex: bytes)
        case .boundary(let bytes): change("boundary", toHex: bytes)
        case .maxSegments(let count): change("max_segments", to: count)
        case .node(let node): change("node", to: node.rawValue)
        case .withoutPolicy:
            member("field", "mempol" as StaticString)
            key("value")
            value(MemoryPolicy(mode: .default))
            key("mems_allowed")
            value(machine.nodes.map(\.id))
        case .withoutFlags(let flags):
            member("field", "flags" as StaticString)
            key("without")
            value(flags, machine.dialect)
        case .withFlags(let flags):
            member("field", "flags" as StaticString)
            key("with")
            value(flags, machine.dialect)
        }
        endObject()
    }

    private mutating func change(_ field: StaticString, to number: some FixedWidthInteger) {
        member("field", field)
        member("value", number)
    }

    private mutating func change(_ field: StaticString, toHex number: UInt64) {
        member("field", field)
        member("value", hex: number)
    }

    private mutating func value(_ blocker: ExplanationDocument.Blocker) {
        beginObject()
        member("allocation", blocker.id.rawValue)
        if let owner = blocker.owner { member("owner", owner) }
        member("pages", blocker.ranges.pageCount)
        member("migratetype", blocker.migratetype.name)
        key("ranges")
        value(blocker.ranges)
        endObject()
    }
}

extension ZoneExplanation {
    /// The verdict in words.
    fileprivate var sentence: String {
        switch verdict {
        case .granted: "a conforming place is free"
        case .excludedByPolicy: "the policy, the cpuset or __GFP_THISNODE leaves out its node"
        case .excludedByZoneModifier: "the zone is above the highest that the flags allow"
        case .outsideBoundaries: "the zone has no page within the boundaries"
        case .belowWatermark:
            "more than \((watermark ?? 0) + lowmemReserve) pages must stay free: the mark, and "
                + "the reserve against requests for a higher zone"
        case .noBlockOfOrder: "no free block is large enough"
        case .noBlockInRange: "blocks are large enough, but none within the boundaries"
        case .wrongAlignment:
            "runs are long enough, but none where alignment, phase and boundary allow"
        }
    }
}
