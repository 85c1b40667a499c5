import AllocationService
import Ledger
import PageAllocator
import TestSupport
import Testing

@testable import API
@testable import HTTPServer

/// When the ledger fails, the turn must end in an error, so that none of its answers is sent.
@Suite("A ledger that fails")
struct LedgerFailureTests {
    private static let allocation = Message(
        "POST", "/v1/machines/m/allocations", headers: [], body: "{}")

    /// An API whose ledger fails at `fault`, with a machine that is committed.
    private static func api(_ fault: FaultyLedger.Fault) throws -> AllocationAPI {
        let service = try AllocationService(ledger: FaultyLedger(fault)) {
            Timestamp(microseconds: 1)
        }
        _ = try service.createMachine(
            named: "m", TestWorld.oneNode.machine, for: .init(requestID: "test"))
        try service.commit()
        return AllocationAPI(service: service, checks: []) {
            () throws(LedgerFailure) in throw FaultyLedger.failure
        }
    }

    private static func respond(_ api: AllocationAPI, to message: Message) throws {
        guard case .request(let request) = message.parsed else {
            throw HarnessFailure.unfinishedMessage
        }
        _ = api.respond(to: request, exchange: ExchangeID(connection: 1, number: 1))
    }

    @Test(
        "at the first entry of a turn, at a later one, and at the commit",
        arguments: [FaultyLedger.Fault.append(2), .append(3), .commit(2, isKept: false)])
    func endsTheTurn(fault: FaultyLedger.Fault) throws {
        let api = try Self.api(fault)
        try Self.respond(api, to: Self.allocation)
        try Self.respond(api, to: Self.allocation)
        #expect(throws: FaultyLedger.failure) { try api.endTurn() }
        #expect(throws: FaultyLedger.failure) { try api.endTurn() }
    }

    @Test("while looking up whether an allocation has ended")
    func lookUpEndsTheTurn() throws {
        let api = try Self.api(.lookUp(1))
        let message = Message("DELETE", "/v1/machines/m/allocations/1", headers: [], body: nil)
        try Self.respond(api, to: message)
        #expect(throws: FaultyLedger.failure) { try api.endTurn() }
    }
}
