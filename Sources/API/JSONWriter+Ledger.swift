// Ledger entries as the contract spells them. Members without a value are left out.

import JSON
import Ledger
import PageAllocator

extension JSONWriter {
    mutating func value(_ entry: LedgerEntry, machine: String) {
        let facts = EntryFacts(entry)
        beginObject()
        member("sequence", entry.sequence.rawValue)
        member("time", entry.time)
        member("machine", machine)
        member("kind", entry.kind.name)
        member("outcome", entry.outcome.name)
        member("request_id", entry.requestID)
        if let principal = entry.principal { member("principal", principal) }
        if let traceParent = entry.traceParent { member("traceparent", traceParent) }
        switch entry.event {
        case .granted(let record, let grant):
            members(of: record)
            member("migratetype", grant.migratetype.name)
            member("compound", grant.isCompound)
        case .refused(let record, _):
            members(of: record)
        case .controlPut(let name, let control, let dialect):
            member("control", name)
            key("allocation_control")
            value(control, dialect)
        case .controlDeleted(let name):
            member("control", name)
        case .leaseRenewed(let lease), .leaseRenewalRefused(let lease, _):
            member("ttl_seconds", UInt64(lease.ttlSeconds))
        case .machineCreated, .machineDeleted, .freed, .freeRefused, .leaseExpired:
            break
        }
        if let allocation = facts.allocation { member("allocation", allocation.rawValue) }
        if let pfn = facts.pfn { member("pfn", pfn.rawValue) }
        if let order = facts.order { member("order", order.rawValue) }
        if let pages = facts.pages { member("pages", pages) }
        if facts.segments.count > 1 { member(segments: facts.segments) }
        if let node = facts.node { member("node", node.rawValue) }
        if let zone = facts.zone { member("zone", zone.name) }
        if let reason = facts.reason { member("reason", reason) }
        if let hash = entry.hash { member("hash", hash.text) }
        endObject()
    }
}
