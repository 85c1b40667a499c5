// Random requests, most of them nearly right: no input is the server's fault, each refusal is a
// well-formed problem, and what the service then holds is what its ledger says.

import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@testable import API
@testable import HTTPServer

/// Makes requests out of the routes and of bodies that are valid before they are mutated.
private struct RequestGenerator {
    var random: SeededGenerator

    /// The last sequence that was answered.
    var newest: UInt64 = 1

    private static let pageRoutes = Route.all.filter {
        [.allocate, .freeAllocation, .freePage, .explain].contains($0.endpoint)
    }

    private static let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get",
    ]
    private static let machines = ["m", "m", "m", "n", "o", "none"]
    private static let odd = [
        "", "%", "%zz", "%00", "%2F", "%F0%9F%90%A7", "..", "-1", "+1", "0", "18446744073709551616",
        "9223372036854775807", "4503599627370495", "0x", "0xfffffffffffff", "a", ".a", "%7Bname%7D",
        "~", "007", "1e3", "free",
    ]
    private static let names = ["c", "d", "e", "nic-0", "dma-30bit"]
    private static let small = """
        {"nodes":[{"id":0,"cpus":[0],"memory":[{"start":"0x1000","end":"0xfffff"}]}]}
        """
    private static let everyMember = """
        {"dialect":"linux-6.1","page_size":4096,"nodes":[{"id":0,"cpus":[0],\
        "memory":[{"start":0,"end":1048575}],"movable_bytes":4096}],"distances":[[10]],\
        "zones":{"DMA":65535,"DMA32":null},"reserved":[{"start":0,"end":1}],\
        "watermarks":{"min_free_kbytes":64,"watermark_scale_factor":10,\
        "lowmem_reserve_ratio":[256,256,32,0]}}
        """
    private static let texts = """
        {"zoneinfo":"\(TopologyBodyTests.escapedZoneinfo)","cpus":{"0":[0]}}
        """

    /// Those that fit a free, an allocation, a stored control, a machine, a renewal and a batch, in
    /// this order.
    private static let bodies = [
        "{}", "{\"order\":0}", "{\"order\":1}", "{\"control\":\"c\"}",
        "{\"allocation_control\":{\"order\":2}}",
        "{\"control\":\"c\",\"owner\":\"o\",\"labels\":{\"a\":\"1\"},\"cpu\":0}",
        """
        {"allocation_control":{"flags":"GFP_KERNEL|__GFP_COMP","order":3,"node":-1,\
        "low_boundary":"0x1000","high_boundary":16777215}}
        """,
        "{\"additional_flags\":[\"GFP_DMA\"],\"allocation_control\":{\"order\":10}}",
        """
        {"allocation_control":{"pages":24,"alignment":"0x10000","phase":4096,\
        "boundary":"0x100000","max_segments":3,"fit":"best"},"owner":"o"}
        """,
        """
        {"cpu":2,"allocation_control":{"mempol":{"mode":"bind","nodes":[0,1],\
        "flags":["static_nodes"],"home_node":1},"mems_allowed":[1,0],"order":1}}
        """,
        "{\"control\":\"d\",\"cpu\":1,\"ttl_seconds\":40}",
        """
        {"flags":["GFP_DMA32"],"order":1,"node":0,"low_boundary":0,\
        "high_boundary":"0xffffffff"}
        """,
        """
        {"mempol":{"mode":"weighted_interleave","nodes":[0,1],"weights":{"0":3,"1":1}},\
        "fit":"next","alignment":8192}
        """,
        "{\"pages\":7,\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}",
        small, SmallMachine.topology, everyMember, texts, "{\"ttl_seconds\":9}",
        "{\"ttl_seconds\":86400}",
        """
        {"operations":[{"allocate":{"ttl_seconds":7}},{"allocate":{"control":"c"}},\
        {"free":{"id":9}},{"free_page":{"pfn":4097,"order":0}}]}
        """,
        """
        {"atomic":true,"operations":[{"allocate":{"control":"d","owner":"o"}},\
        {"allocate":{"allocation_control":{"order":3}}},{"free_page":{"pfn":4096}}]}
        """,
        """
        {"atomic":true,"operations":[{"allocate":{"allocation_control":{"order":1}}},\
        {"allocate":{"ttl_seconds":70}}]}
        """,
    ]
    private static let values = [
        "null", "true", "{}", "[]", "\"\"", "-1", "0", "1", "11", "4096", "1.5", "1e9", "\"0x\"",
        "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "\"0xffffffffffffffff\"",
        "[[[]]]", "\"GFP_KERNEL\"", "\"interleave\"", "\"topdown\"", "[0,1]", "65", "\"\\u0000\"",
        "\"\\ud83d\\udc27\"",
    ]
    private static let parameters = [
        "name", "force", "state", "owner", "control", "node", "zone", "order", "pfn", "request_id",
        "since", "until", "after", "before", "sort", "page_size", "page_token", "machine", "kind",
        "outcome", "allocation", "dialect", "verbose", "x",
    ]
    private static let parameterValues = [
        "", "m", "true", "all", "freed", "live", "o", "c", "0", "1", "3", "7", "1000", "1001", "-1",
        "DMA", "Normal", "0x1000", "4097", "desc", "asc", "allocate", "free", "granted", "done",
        "2026-09-21T14:20:00Z", "1-00000000", "%", "%ff", "linux-6.1", "9223372036854775808",
    ]
    private static let fields: [(String, [String])] = [
        (
            "Accept",
            ["*/*", "application/json", "text/plain", "image/png", "text/*;q=0.5", ";;,q="]
        ),
        (
            "Content-Type",
            ["application/json", "text/plain", "application/xml", ";", "text/plain;charset=x"]
        ),
        ("If-Match", ["*", "\"1\"", "\"7\", \"8\"", "W/\"1\"", "1", ""]),
        ("If-None-Match", ["*", "\"1\""]),
        ("X-Request-Id", ["me", "", "\u{e9}", "a b"]),
    ]

    /// Bytes of a request, most of the time a whole one.
    mutating func message() -> Message {
        var route = random.pick(random.chance(percent: 30) ? Self.pageRoutes : Route.all)
        if route.endpoint == .deleteMachine, random.chance(percent: 80) { route = Route.all[0] }
        let method = random.chance(percent: 85) ? route.method.name : random.pick(Self.methods)
        var headers: [(String, String)] = []
        for (name, values) in Self.fields where random.chance(percent: 8) {
            headers.append((name, random.pick(values)))
        }
        if random.chance(percent: 3) {
            headers.append(("Idempotency-Key", random.pick(["k", "l", "m", "n", "", "\u{e9}"])))
        }
        var message = Message(
            method, target(route), headers: headers, body: body(for: route))
        if random.chance(percent: 3) {
            var bytes = message.bytes
            bytes[random.below(bytes.count)] = UInt8(random.below(256))
            message = Message(isHead: bytes.starts(with: Array("HEAD".utf8)), bytes: bytes)
        }
        return message
    }

    private mutating func target(_ route: Route) -> String {
        var segments: [String] = []
        for segment in route.segments {
            switch segment {
            case "{machine}": segments.append(random.pick(Self.machines))
            case "{name}": segments.append(random.pick(Self.names))
            case "{id}", "{sequence}":
                segments.append(String(newest + 2 - UInt64(random.below(Int(min(newest, 200))))))
            case "{pfn}":
                let hex = String(4096 + random.below(512), radix: 16)
                segments.append(random.chance(percent: 50) ? "0x" + hex : String(random.below(300)))
            default: segments.append(segment)
            }
            if random.chance(percent: 2) { segments[segments.count - 1] = random.pick(Self.odd) }
        }
        if random.chance(percent: 1) { segments.append(random.pick(Self.odd)) }
        var items: [String] = []
        if route.endpoint == .createMachine, random.chance(percent: 90) {
            items.append("name=" + random.pick(Self.machines))
        }
        if route.endpoint == .deleteMachine, random.chance(percent: 50) { items.append("force") }
        let isList = route.pattern.hasSuffix("ledger") || route.endpoint == .listAllocations
        for _ in 0..<random.below(isList ? 4 : 20) / (isList ? 1 : 18) {
            items.append(random.pick(Self.parameters) + "=" + random.pick(Self.parameterValues))
        }
        let query = items.isEmpty ? "" : "?" + items.joined(separator: "&")
        return "/" + segments.joined(separator: "/") + query
    }

    private mutating func body(for route: Route) -> String? {
        let fitting: Range<Int> =
            switch route.endpoint {
            case .freePage: 0..<5
            case .allocate, .explain: 3..<11
            case .putControl: 11..<14
            case .createMachine: 14..<18
            case .renewLease: 18..<20
            case .batch: 20..<Self.bodies.count
            default: 0..<Self.bodies.count
            }
        let isNone = random.chance(percent: route.method == .post ? 10 : 90)
        if isNone, route.endpoint != .putControl { return nil }
        let isAny = random.chance(percent: 3)
        var text = random.pick(isAny ? Self.bodies : Array(Self.bodies[fitting]))
        guard random.chance(percent: 50) else { return text }
        for _ in 0...random.below(3) { mutate(&text) }
        return text
    }

    private mutating func mutate(_ text: inout String) {
        var scalars = Array(text.unicodeScalars)
        let position = random.below(max(scalars.count, 1))
        switch random.below(5) {
        case 0 where !scalars.isEmpty: scalars.remove(at: position)
        case 1:
            let odd = Array("{}[]\",:0x9-eé\\ ".unicodeScalars)
            scalars.insert(random.pick(odd), at: position)
        case 2 where scalars.count > 1:
            let other = random.below(scalars.count)
            let slice = scalars[min(position, other)...max(position, other)].prefix(20)
            scalars.insert(contentsOf: slice, at: position)
        default:
            // Another value after a colon or a bracket.
            let places = scalars.indices.filter { scalars[$0] == ":" || scalars[$0] == "[" }
            guard let start = places.isEmpty ? nil : random.pick(places) else { return }
            let end = scalars[(start + 1)...].firstIndex { ",]}".unicodeScalars.contains($0) }
            scalars.replaceSubrange(
                (start + 1)..<(end ?? scalars.count), with: random.pick(Self.values).unicodeScalars)
        }
        text = ""
        text.unicodeScalars.append(contentsOf: scalars)
    }
}

struct FuzzTests {
    static let requests = 20_000

    @Test(arguments: [UInt64(20_261_123)])
    func randomRequests(seed: UInt64) throws {
        let harness = try Harness.withMachine(entriesScanned: 100)
        var generator = RequestGenerator(random: SeededGenerator(seed: seed))
        var statuses: [Int: Int] = [:]
        var sent = 0
        while sent < Self.requests {
            var messages: [Message] = []
            for _ in 0...generator.random.below(12) {
                let message = generator.message()
                if case .needMore = message.parsed { continue }
                messages.append(message)
            }
            for (message, answer) in zip(messages, try harness.turn(messages)) {
                expectSound(answer, to: message)
                statuses[answer.status, default: 0] += 1
            }
            sent += messages.count
            generator.newest = harness.lastSequence
        }
        // The requests are of all sorts.
        for status in [200, 201, 204, 304, 400, 404, 405, 406, 409, 412, 415, 422] {
            #expect(statuses[status, default: 0] > 10, "\(status): \(statuses)")
        }
        for machine in harness.service.state.machines {
            machine.allocator.checkInvariants()
        }
        let recovered = try LedgerState.recover(from: harness.ledger)
        #expect(LedgerStateImage(recovered) == LedgerStateImage(harness.service.state))
        #expect(harness.lastSequence > 2000)
    }

    private func expectSound(_ answer: Answer, to message: Message) {
        let description = "\(String(decoding: message.bytes, as: UTF8.self)) -> \(answer.body)"
        if case .failed(let error) = message.parsed {
            #expect(answer.status == error.status, "\(description)")
        } else {
            #expect(answer.status < 500, "\(description)")
        }
        #expect(answer["X-Request-Id"]?.isEmpty == false, "\(description)")
        #expect(UInt64(answer["Gfpd-Sequence"] ?? "") != nil, "\(description)")
        guard answer.status >= 300 else { return expectSuccess(answer, to: message, description) }
        guard answer.status != 304 else {
            #expect(answer.bytes.isEmpty && answer["ETag"] != nil, "\(description)")
            return
        }
        guard !message.isHead else { return }
        let problem = answer.json
        guard let slug = answer.slug, let kind = ProblemKind(rawValue: slug),
            kind.status == answer.status,
            problem["status"] == .unsigned(UInt64(answer.status)),
            problem["title"] == .string(kind.title),
            problem["detail"]?.text?.isEmpty == false,
            answer["Idempotency-Replayed"] != nil
                || problem["request_id"]?.text == answer["X-Request-Id"],
            (problem["errors"]?.elements ?? []).allSatisfy(isFieldError)
        else {
            Issue.record("no well-formed problem: \(description)")
            return
        }
        if answer.status == 405 { #expect(answer["Allow"] != nil) }
    }

    private func isFieldError(_ error: JSONValue) -> Bool {
        guard let pointer = error["pointer"]?.text, let detail = error["detail"]?.text else {
            return false
        }
        return (pointer.isEmpty || pointer.hasPrefix("/")) && !detail.isEmpty
    }

    private func expectSuccess(_ answer: Answer, to message: Message, _ description: String) {
        if message.isHead || answer.status == 204 || answer["Content-Type"] == "text/event-stream" {
            #expect(answer.bytes.isEmpty, "\(description)")
        } else if answer["Content-Type"] == "application/json" {
            #expect(!answer.json.members.isEmpty, "\(description)")
        } else {
            #expect(!answer.bytes.isEmpty, "\(description)")
        }
    }
}
