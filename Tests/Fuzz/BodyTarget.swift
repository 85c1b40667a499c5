import API
import AllocationService
import HTTPServer
import Ledger
import PageAllocator
import TestSupport

/// A body of the API: the input is the body of a request to a service that has a machine, a control
/// and an allocation. Whatever it is, it is answered with a status that fits and a body that is
/// JSON; a refusal of the body changes nothing; and the allocator's books balance afterwards.
struct BodyTarget: Sendable {
    let name: String
    let method: String
    let target: String
    var contentType = "application/json"

    static let all = [
        BodyTarget(name: "allocate", method: "POST", target: "/v1/machines/m/allocations"),
        BodyTarget(name: "explain", method: "POST", target: "/v1/machines/m/explain"),
        BodyTarget(name: "batch", method: "POST", target: "/v1/machines/m/batch"),
        BodyTarget(name: "free-page", method: "POST", target: "/v1/machines/m/pages/1/free"),
        BodyTarget(name: "renew", method: "POST", target: "/v1/machines/m/allocations/3/renew"),
        BodyTarget(name: "control", method: "PUT", target: "/v1/machines/m/controls/d"),
        BodyTarget(name: "machine", method: "POST", target: "/v1/machines?name=n"),
        BodyTarget(
            name: "zoneinfo", method: "POST", target: "/v1/machines?name=n",
            contentType: "text/plain"),
    ]

    private static let topology = """
        {"nodes":[{"id":0,"cpus":[0,1],"memory":[{"start":"0x1000","end":"0x1ffffff"}]},\
        {"id":1,"cpus":[2],"memory":[{"start":"0x2000000","end":"0x27fffff"}]}],\
        "zones":{"DMA":"0xffffff","DMA32":"0x1ffffff"}}
        """

    /// The control `c` and the allocation 3 are what a body may name.
    private static let preparations = [
        BodyTarget(name: "", method: "POST", target: "/v1/machines?name=m").request(
            Array(topology.utf8)),
        BodyTarget(name: "", method: "PUT", target: "/v1/machines/m/controls/c").request(
            Array("{\"order\":1,\"mempol\":{\"mode\":\"interleave\",\"nodes\":[0,1]}}".utf8)),
        BodyTarget(name: "", method: "POST", target: "/v1/machines/m/allocations").request(
            Array("{\"control\":\"c\",\"owner\":\"o\",\"ttl_seconds\":60}".utf8)),
    ]

    /// Bytes of a body that take long enough without telling more than short ones.
    private static let maximumBytes = 16 << 10

    func run(_ input: [UInt8]) {
        guard input.count <= Self.maximumBytes else { return }
        let service = Self.service()
        let api = AllocationAPI(service: service, checks: []) {
            () throws(LedgerFailure) in preconditionFailure("no body asks for the past")
        }
        for request in Self.preparations { _ = Self.answer(to: request, api) }
        precondition(service.state.lastSequence == Sequence(3), "the preparations are carried out")

        let answer = Self.answer(to: request(input), api)
        for machine in service.state.machines { machine.allocator.checkInvariants() }
        // A request may wait for frees that never come.
        guard let answer else { return }
        let wasRecorded = service.state.lastSequence > Sequence(3)
        precondition((200..<500).contains(answer.status), "status \(answer.status)")
        precondition(answer.status != 400 || !wasRecorded, "a body that is refused is recorded")
        precondition(answer.status != 201 || wasRecorded, "what was done is not recorded")
        precondition(JSONTarget.copy(of: answer.body) != nil, "an answer is no JSON")
    }

    private static func service() -> AllocationService {
        var now: Int64 = 1_790_000_000_000_000
        do throws(RecoveryFailure) {
            return try AllocationService(ledger: MemoryLedger()) {
                now += 1
                return Timestamp(microseconds: now)
            }
        } catch {
            preconditionFailure("an empty ledger is read: \(error)")
        }
    }

    /// One turn; nil where the answer is to come later.
    private static func answer(to request: HTTPRequest, _ api: AllocationAPI) -> HTTPResponse? {
        api.beginTurn()
        let outcome = api.respond(to: request, exchange: ExchangeID(connection: 1, number: 1))
        do {
            try api.endTurn()
            try api.turnSent()
        } catch {
            preconditionFailure("a ledger in memory fails: \(error)")
        }
        guard case .answer(let response) = outcome else { return nil }
        return response
    }

    private func request(_ body: [UInt8]) -> HTTPRequest {
        let head = """
            \(method) \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: \(contentType)\r\n\
            Content-Length: \(body.count)\r\n\r\n
            """
        var parser = HTTPRequestParser()
        parser.append(Array(head.utf8) + body)
        guard case .request(let request) = parser.next() else {
            preconditionFailure("a whole message is read")
        }
        return request
    }
}
