// A page as the contract spells it.

import JSON
import Ledger
import PageAllocator

/// What the state says of a page.
struct PageDocument: Sendable {
    let machine: String
    let pfn: PageFrameNumber
    let frame: Frame
    let node: NodeID
    let zone: ZoneType
}

extension JSONWriter {
    /// - Parameter holder: the entry of the grant that holds the page, where one does.
    mutating func members(of page: PageDocument, _ holder: LedgerEntry?) {
        member("pfn", page.pfn.rawValue)
        member("address", hex: page.pfn.address)
        member("machine", page.machine)
        member("node", page.node.rawValue)
        member("zone", page.zone.name)
        member("pageblock_type", page.frame.pageblockType.name)
        switch page.frame.use {
        case .granted(let live):
            member("state", "granted" as StaticString)
            key("holder")
            value(live, holder)
        case .free(let first, let order, let list):
            member("state", "free" as StaticString)
            key("free_block")
            beginObject()
            member("pfn", first.rawValue)
            member("order", order.rawValue)
            member("pages", order.pageCount)
            member("migratetype", list.name)
            endObject()
        case .reserved, .hole:
            preconditionFailure("a page that cannot be granted has no document")
        }
    }

    private mutating func value(_ live: LiveGrant, _ holder: LedgerEntry?) {
        beginObject()
        member("allocation", live.id.rawValue)
        member("pfn", live.grant.pfn.rawValue)
        member(order: live.grant.order)
        member("pages", live.grant.pageCount)
        member("migratetype", live.grant.migratetype.name)
        member("compound", live.grant.isCompound)
        if let holder, case .granted(let record, _) = holder.event {
            if let name = record.controlName { member("control", name) }
            if let owner = record.owner { member("owner", owner) }
            member("since", holder.time)
        }
        endObject()
    }
}
