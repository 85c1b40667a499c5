// One page: who holds it, since when, and who held it before.

import HTTPServer
import JSON
import Ledger
import PageAllocator

extension AllocationAPI {
    /// GET …/pages/{pfn}. Its history pages like a list, newest first by default.
    func getPage(_ call: Call) throws(Problem) -> Reply {
        let pfn = try pageFrame(call)
        _ = try MediaType.accepted(by: call.request, among: [.json])
        var parameters = try QueryParameters(call.request)
        let identity = ListIdentity(path: call.request.path, parameters.unread)
        var moment = try parameters.moment()
        var query = HistoryQuery()
        query.pfn = pfn
        query.pageSize = try parameters.pageSize()
        query.isDescending = try parameters.isDescending(unlessGiven: true)
        try parameters.resume(&query, identity, of: &moment)
        try parameters.finish()
        let page = PageRead(
            machine: call.path[2], pfn: pfn, query: query, identity: identity, moment: moment)
        return try reply(at: moment, page.read)
    }
}

/// A read of one page.
private struct PageRead: Sendable {
    let machine: String
    let pfn: PageFrameNumber
    let query: HistoryQuery
    let identity: ListIdentity
    let moment: Moment?

    func read(_ state: LedgerState) throws(Problem) -> StateAnswer {
        let machine = try state.living(machine)
        let frame = machine.allocator.frame(pfn)
        let zone = frame.map { machine.allocator.machine.zones[$0.zone] }
        guard let frame, let zone, frame.isManaged else {
            throw Problem(noPageAt: pfn, frame?.use, in: zone)
        }
        var query = query
        query.machines = [machine.id]
        query.endsWith(state)
        let document = PageDocument(
            machine: machine.name, pfn: pfn, frame: frame, node: zone.node, zone: zone.type)
        let past = moment.map { _ in state.lastSequence }
        let version = machine.lastSequence
        return .asking(.pageHistory(holder: frame.holder, query)) { (answer, _) throws(Problem) in
            guard case .pageHistory(let holder, let history) = try answer.checked() else {
                preconditionFailure("a page's history was asked for")
            }
            return json(version: version, reserving: 4 << 10) { writer in
                writer.beginObject()
                writer.members(of: document, holder)
                writer.key("history")
                writer.beginArray()
                for entry in history.entries { writer.value(entry, machine: document.machine) }
                writer.endArray()
                writer.member(resume: history.resume, identity, in: past)
                writer.endObject()
            }
        }
    }
}

extension Frame {
    fileprivate var isManaged: Bool {
        switch use {
        case .granted, .free: true
        case .reserved, .hole: false
        }
    }

    /// The entry of the grant that holds the page.
    fileprivate var holder: Sequence? {
        if case .granted(let live) = use { Sequence(live.id.rawValue) } else { nil }
    }
}

extension Problem {
    /// A frame that cannot be granted, with what is known of it.
    fileprivate init(noPageAt pfn: PageFrameNumber, _ use: Frame.Use?, in zone: Zone?) {
        let reason =
            switch use {
            case .reserved: "reserved"
            case .hole: "hole"
            default: "beyond_memory"
            }
        self.init(.pageNotFound, "the machine has no such page to hand out")
        members = [Member("pfn", pfn.rawValue), Member("reason", reason)]
        if let zone {
            members += [
                Member("node", UInt64(zone.node.rawValue)), Member("zone", zone.type.name),
            ]
        }
    }
}
