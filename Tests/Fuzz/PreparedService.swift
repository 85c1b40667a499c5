import API
import AllocationService
import HTTPServer
import Ledger
import PageAllocator
import TestSupport

/// A service in memory with a machine `m`, a control `c` on it, and the allocation 3: what an input
/// may name. Who shows the token `a` may do everything, where tokens count.
struct PreparedService {
    let ledger = MemoryLedger()
    private let service: AllocationService
    private let api: AllocationAPI

    /// The last entry of the preparations.
    static let lastPrepared = Sequence(3)

    private static let preparations: [(target: String, body: String)] = [
        (
            "POST /v1/machines?name=m",
            """
            {"nodes":[{"id":0,"cpus":[0,1],"memory":[{"start":"0x1000","end":"0x1ffffff"}]},\
            {"id":1,"cpus":[2],"memory":[{"start":"0x2000000","end":"0x27fffff"}]}],\
            "zones":{"DMA":"0xffffff","DMA32":"0x1ffffff"}}
            """
        ),
        (
            "PUT /v1/machines/m/controls/c",
            #"{"order":1,"mempol":{"mode":"interleave","nodes":[0,1]}}"#
        ),
        ("POST /v1/machines/m/allocations", #"{"control":"c","owner":"o","ttl_seconds":60}"#),
    ]

    init(access: AccessPolicy = AccessPolicy()) {
        var now: Int64 = 1_790_000_000_000_000
        do throws(RecoveryFailure) {
            service = try AllocationService(ledger: ledger) {
                now += 1
                return Timestamp(microseconds: now)
            }
        } catch {
            preconditionFailure("an empty ledger is read: \(error)")
        }
        api = AllocationAPI(service: service, checks: [], access: access) {
            () throws(LedgerFailure) in preconditionFailure("the past is asked without a thread")
        }
        for (target, body) in Self.preparations {
            _ = answer(to: Self.request(target, body: Array(body.utf8)))
        }
        precondition(lastSequence == Self.lastPrepared, "the preparations are carried out")
    }

    var lastSequence: Sequence { service.state.lastSequence }

    /// A request with these bytes as its body, as the parser reads it.
    static func request(
        _ target: String, contentType: String = "application/json", body: [UInt8]
    ) -> HTTPRequest {
        let head = """
            \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\n\
            Content-Type: \(contentType)\r\nContent-Length: \(body.count)\r\n\r\n
            """
        var parser = HTTPRequestParser()
        parser.append(Array(head.utf8) + body)
        guard case .request(let request) = parser.next() else {
            preconditionFailure("a whole message is read")
        }
        return request
    }

    /// One turn, after which the allocator's books must balance; nil where the answer is to come
    /// later.
    func answer(to request: HTTPRequest) -> HTTPResponse? {
        api.beginTurn()
        let outcome = api.respond(to: request, exchange: ExchangeID(connection: 1, number: 1))
        do {
            try api.endTurn()
            try api.turnSent()
        } catch {
            preconditionFailure("a ledger in memory fails: \(error)")
        }
        for machine in service.state.machines { machine.allocator.checkInvariants() }
        guard case .answer(let response) = outcome else { return nil }
        return response
    }

    func answer(toMalformed error: HTTPRequestError) -> HTTPResponse {
        api.answer(toMalformed: error)
    }
}
