// GET /: where a person who has only the address begins. It shows what to type, made of the
// machines that are there, and how they stand; to a browser as a page, to curl as text. Where
// callers must show a token it says how, and nothing of what is there: it is open to all.

import AllocationService
import HTTPServer
import Ledger
import PageAllocator

/// Limits of the start page.
private enum StartPageLimits {
    /// Machines that are shown; the others are counted.
    static let machines = 8

    /// Zones of a machine that are shown.
    static let zones = 32

    /// The ledger's last entries that are shown.
    static let entries = 8
}

extension AllocationAPI {
    /// GET /.
    func getStart(_ call: Call) throws(Problem) -> Reply {
        try QueryParameters(call.request).finish()
        let type = try MediaType.accepted(by: call.request, among: [.text, .html])
        let host = call.request.header("host") ?? "127.0.0.1:8080"
        let base = (isSecured ? "https://" : "http://") + host
        guard type == .html else { return .now(startText(base).byAccept) }
        guard isStateShown else { return .now(startPage(base, []).byAccept) }
        var query = HistoryQuery()
        query.isDescending = true
        query.pageSize = StartPageLimits.entries
        return .later(.page(query)) { [self] (answer) throws(Problem) in
            guard case .page(let page) = try answer.checked() else {
                preconditionFailure("a page was asked for")
            }
            return startPage(base, page.entries).byAccept
        }
    }

    /// Whether who asks, who need not have a token here, may see machines and the ledger.
    private var isStateShown: Bool { authenticator == nil }

    private var shownMachines: [SimulatedMachine] {
        isStateShown ? Array(service.state.machines.prefix(StartPageLimits.machines)) : []
    }

    /// What is said of the machines beyond those shown; nil where there is nothing to say.
    private var hiddenMachines: String? {
        let hidden = service.state.machines.count - StartPageLimits.machines
        return isStateShown && hidden > 0 ? "and \(hidden) more: GET /v1/machines" : nil
    }

    /// What to type, with what it does.
    private func examples(_ base: String) -> [(purpose: String, command: String)] {
        let curl = isStateShown ? "curl -s" : "curl -s -H \"Authorization: Bearer $TOKEN\""
        let path = "\(base)/v1/machines/\(shownMachines.first?.name ?? "NAME")"
        return [
            ("Allocate a page", "\(curl) --json '{}' \(path)/allocations"),
            (
                "Sixteen pages below 1 GiB for a device, as one block",
                "\(curl) --json '{\"control\": \"dma-30bit\", \"allocation_control\": "
                    + "{\"order\": 4}}' \(path)/allocations"
            ),
            (
                "Ask first what would be granted, and why",
                "\(curl) --json '{\"allocation_control\": {\"order\": 10}}' \(path)/explain"
            ),
            ("Free what was granted as 42", "\(curl) -X DELETE \(path)/allocations/42"),
            (
                "Free blocks, as the kernel prints them",
                "\(curl) -H 'Accept: text/plain' \(path)/buddyinfo"
            ),
            (
                "The newest entries of the ledger",
                "\(curl) '\(base)/v1/ledger?sort=desc&page_size=5'"
            ),
        ]
    }

    // MARK: As text

    private func startText(_ base: String) -> HTTPResponse {
        var text = "gfpd: a page allocator as a service, with a ledger of every request.\n\n"
        for machine in shownMachines {
            text += "machine \(machine.name): \(machine.sentence)\n"
        }
        text += hiddenMachines.map { "\($0)\n" } ?? ""
        text +=
            isStateShown
            ? "ledger: sequence \(service.lastSequence.rawValue)\n"
            : "Each request shows a token: export TOKEN=...\n"
        for (purpose, command) in examples(base) { text += "\n# \(purpose)\n\(command)\n" }
        text += """

            The contract: \(base)/openapi.yaml   Problems: \(base)/problems
            Metrics: \(base)/metrics   Checks: \(base)/readyz?verbose

            """
        return HTTPResponse(
            status: 200, contentType: MediaType.text.contentType, body: Array(text.utf8))
    }

    // MARK: As a page

    private func startPage(_ base: String, _ entries: [LedgerEntry]) -> HTTPResponse {
        var page = HTMLPage("gfpd")
        page.add("<h1>gfpd</h1>")
        page.add(
            "<p class=\"dim\">A page allocator as a service. Each request and each grant is in a "
                + "ledger before it is answered.</p>")
        page.add("<h2>Try it</h2>")
        if !isStateShown {
            page.add("<p>Each request shows a token:</p><pre>export TOKEN=…</pre>")
        }
        for (purpose, command) in examples(base) {
            page.add("<p>\(HTMLPage.escaped(purpose)):</p>")
            page.add("<pre>\(HTMLPage.escaped(command))</pre>")
        }
        for machine in shownMachines { page.add(machine: machine) }
        if let hiddenMachines { page.add("<p class=\"dim\">\(hiddenMachines)</p>") }
        if isStateShown {
            page.add("<h2>Ledger</h2>")
            page.add("<p>\(service.lastSequence.rawValue) entries. The newest:</p>")
            page.add(entries: entries) { self.name(of: $0) }
        }
        page.add(
            """
            <nav><a href="/openapi.yaml">Contract</a> (<a href="/openapi.json">JSON</a>) ·
            <a href="/problems">Problems</a> · <a href="/metrics">Metrics</a> ·
            <a href="/readyz?verbose">Checks</a> · <a href="/v1/machines">Machines</a> ·
            <a href="/v1/ledger?sort=desc">Ledger</a></nav>
            """)
        return page.response()
    }
}

extension HTMLPage {
    /// A machine, and its zones with what is free in them.
    fileprivate mutating func add(machine: SimulatedMachine) {
        let name = Self.escaped(machine.name)
        add("<h2>Machine <a href=\"/v1/machines/\(name)\">\(name)</a></h2>")
        add("<p class=\"dim\">\(machine.sentence)</p>")
        let orders = (0..<Order.count).map { "<th>\($0 == 0 ? "Blocks of order 0" : "\($0)")" }
            .joined()
        add(
            "<div class=\"wide\"><table><tr><th class=\"l\">Node<th class=\"l\">Zone<th>Managed"
                + "<th>Free<th class=\"l\">\(orders)")
        let zones = machine.allocator.machine.zones.enumerated().filter { $1.isPopulated }
        for (position, zone) in zones.prefix(StartPageLimits.zones) {
            add(
                zone, free: machine.allocator.freePages(inZone: position),
                blocks: machine.allocator.freeBlocks(inZone: position))
        }
        add("</table></div>")
        let hidden = zones.count - StartPageLimits.zones
        if hidden > 0 {
            add("<p class=\"dim\">and \(hidden) zones more: /v1/machines/\(name)/zones</p>")
        }
    }

    /// A row: pages, and the free blocks of each order.
    private mutating func add(_ zone: Zone, free: UInt64, blocks: [UInt64]) {
        let percent = zone.managedPages == 0 ? 0 : free * 100 / zone.managedPages
        let counts = blocks.map { "<td>\($0)" }.joined()
        add(
            "<tr><td class=\"l\">\(zone.node.rawValue)<td class=\"l\">\(zone.type.name)"
                + "<td>\(zone.managedPages)<td>\(free)<td class=\"l\"><span class=\"bar\" "
                + "title=\"\(percent) % free\"><i style=\"width:\(percent)%\"></i></span>\(counts)")
    }

    fileprivate mutating func add(
        entries: [LedgerEntry], machineName: (MachineID) -> String
    ) {
        add(
            "<div class=\"wide\"><table><tr><th>Sequence<th class=\"l\">Time<th class=\"l\">Machine"
                + "<th class=\"l\">Kind<th class=\"l\">Outcome<th>Pages<th class=\"l\">Owner")
        for entry in entries {
            let facts = EntryFacts(entry)
            let number = entry.sequence.rawValue
            let outcome =
                entry.outcome == .refused
                ? "<span class=\"bad\">refused: \(Self.escaped(facts.reason ?? ""))</span>"
                : entry.outcome.name
            add(
                "<tr><td><a href=\"/v1/ledger/\(number)\">\(number)</a>"
                    + "<td class=\"l\">\(entry.time.text)"
                    + "<td class=\"l\">\(Self.escaped(machineName(entry.machine)))"
                    + "<td class=\"l\">\(entry.kind.name)<td class=\"l\">\(outcome)"
                    + "<td>\(facts.pages.map { String($0) } ?? "")"
                    + "<td class=\"l\">\(Self.escaped(facts.owner ?? ""))")
        }
        add("</table></div>")
    }
}

extension SimulatedMachine {
    /// `linux-6.12, 2 nodes, 5.1 of 6.0 GiB free, 3 live allocations`.
    fileprivate var sentence: String {
        let machine = allocator.machine
        let nodes = machine.nodes.count == 1 ? "1 node" : "\(machine.nodes.count) nodes"
        let live = allocator.liveGrantCount
        let allocations = live == 1 ? "1 live allocation" : "\(live) live allocations"
        return "\(machine.dialect.rawValue), \(nodes), \(Self.gibibytes(allocator.freePages)) of "
            + "\(Self.gibibytes(machine.managedPages)) GiB free, \(allocations)"
    }

    private static func gibibytes(_ pages: UInt64) -> String {
        let tenths = (pages * PageFrameNumber.pageSize * 10) >> 30
        return "\(tenths / 10).\(tenths % 10)"
    }
}
