// One of the clients that keep a server busy until it is killed: it allocates and frees on a
// connection of its own and remembers each request with what was answered, the last one without.

import Foundation
import Synchronization

/// A grant as a client holds it.
struct HeldGrant: Sendable {
    let id: Int
    let pfn: Int
    let order: Int
    let isCompound: Bool

    /// Whether all of its pages are still held.
    var isWhole: Bool
}

/// A request under load and what is known of it.
struct LoadOperation: Sendable {
    enum Request: Sendable {
        /// Boundaries as bytes, both inclusive; `mustFail`: no machine could meet it.
        case allocate(order: Int, low: Int, high: Int, isCompound: Bool, mustFail: Bool)
        case freeAllocation(Int)

        /// Of the grant with that id; order nil is `free_a_page`.
        case freePage(Int, pfn: Int, order: Int?)
    }

    enum Outcome: Sendable, Equatable {
        case granted(id: Int, pfn: Int)
        case freed(sequence: Int, allocation: Int, pages: Int)
        case refused(status: Int, sequence: Int)

        /// The server was killed first: it may have been carried out, wholly, or not at all.
        case unanswered
    }

    let requestID: String
    let request: Request
    var outcome = Outcome.unanswered
}

final class LoadClient: Sendable {
    static let machine = "killed"

    /// More than that, and it frees.
    private static let maximumHeld = 24

    let owner: String
    private let port: UInt16
    private let cycle: Int
    private let state: Mutex<State>

    private struct State {
        var random: SeededGenerator
        var held: [HeldGrant]
        var freed: [Int] = []
        var operations: [LoadOperation] = []
    }

    init(owner: String, port: UInt16, cycle: Int, held: [HeldGrant], seed: UInt64) {
        self.owner = owner
        self.port = port
        self.cycle = cycle
        state = Mutex(State(random: SeededGenerator(seed: seed), held: held))
    }

    /// What was asked, in order.
    var operations: [LoadOperation] { state.withLock { $0.operations } }

    /// Asks until there is no answer any more.
    ///
    /// - Throws: what should not have been answered.
    func run() throws {
        let client: HTTPClient
        do throws(HTTPClient.Failure) {
            client = try HTTPClient(port: port)
        } catch {
            return
        }
        while try step(client) {}
    }

    /// One request; false when the server has gone.
    private func step(_ client: HTTPClient) throws -> Bool {
        let operation = state.withLock { state in
            let request = Self.nextRequest(&state)
            let id = "\(cycle)-\(owner)-\(state.operations.count)"
            state.operations.append(LoadOperation(requestID: id, request: request))
            return state.operations[state.operations.count - 1]
        }
        let answer: Answer
        do throws(HTTPClient.Failure) {
            answer = try ask(operation, client)
        } catch {
            return false
        }
        let outcome = try Self.outcome(of: answer)
        state.withLock { state in
            state.operations[state.operations.count - 1].outcome = outcome
            Self.note(outcome, of: operation.request, in: &state)
        }
        return true
    }

    private static func nextRequest(_ state: inout State) -> LoadOperation.Request {
        if let id = state.freed.last, Int.random(in: 0..<50, using: &state.random) == 0 {
            return .freeAllocation(id)
        }
        let isFull = state.held.count >= maximumHeld
        let frees = isFull || Int.random(in: 0..<100, using: &state.random) < 42
        if frees, let index = state.held.indices.randomElement(using: &state.random) {
            return free(state.held[index], &state.random)
        }
        return allocation(&state.random)
    }

    private static func allocation(_ random: inout SeededGenerator) -> LoadOperation.Request {
        let order = Int.random(in: 0...3, using: &random)
        let isCompound = Int.random(in: 0..<3, using: &random) == 0
        let bounds: (Int, Int) =
            switch Int.random(in: 0..<40, using: &random) {
            case 0: (0x1000, 0x1000 + (0x1000 << order) - 2)
            case 1...4: (0, 0xff_ffff)
            case 5...8: (0x200_0000, Int.max)
            case 9...12: (0x80_0000, 0x17f_ffff)
            default: (0, Int.max)
            }
        return .allocate(
            order: order, low: bounds.0, high: bounds.1, isCompound: isCompound,
            mustFail: bounds.0 == 0x1000)
    }

    private static func free(
        _ grant: HeldGrant, _ random: inout SeededGenerator
    ) -> LoadOperation.Request {
        guard grant.isWhole, Bool.random(using: &random) else { return .freeAllocation(grant.id) }
        let order = Bool.random(using: &random) ? grant.order : nil
        return .freePage(grant.id, pfn: grant.pfn, order: order)
    }

    private func ask(
        _ operation: LoadOperation, _ client: HTTPClient
    ) throws(HTTPClient.Failure) -> Answer {
        let fields = ["X-Request-Id": operation.requestID]
        let machine = "/v1/machines/" + Self.machine
        switch operation.request {
        case .allocate(let order, let low, let high, let isCompound, _):
            let flags = isCompound ? "[\"__GFP_COMP\"]" : "[]"
            let body = """
                {"allocation_control":{"order":\(order),"low_boundary":\(low),\
                "high_boundary":\(high)},"additional_flags":\(flags),"owner":"\(owner)"}
                """
            return try client.send("POST", machine + "/allocations", body, fields: fields)
        case .freeAllocation(let id):
            return try client.send("DELETE", machine + "/allocations/\(id)", fields: fields)
        case .freePage(_, let pfn, let order):
            let body = order.map { "{\"order\":\($0)}" }
            return try client.send("POST", machine + "/pages/\(pfn)/free", body, fields: fields)
        }
    }

    struct UnexpectedAnswer: Error {
        let status: Int
        let text: String
    }

    private static func outcome(of answer: Answer) throws -> LoadOperation.Outcome {
        let json = answer.json
        switch (answer.status, json["sequence"].int) {
        case (201, _?):
            if let id = json["id"].int, let pfn = json["pfn"].int {
                return .granted(id: id, pfn: pfn)
            }
        case (200, let sequence?):
            if let allocation = json["allocation"].int, let pages = json["pages"].int {
                return .freed(sequence: sequence, allocation: allocation, pages: pages)
            }
        case (409, let sequence?), (422, let sequence?):
            return .refused(status: answer.status, sequence: sequence)
        default: break
        }
        throw UnexpectedAnswer(status: answer.status, text: answer.text)
    }

    private static func note(
        _ outcome: LoadOperation.Outcome, of request: LoadOperation.Request, in state: inout State
    ) {
        switch (request, outcome) {
        case (.allocate(let order, _, _, let isCompound, _), .granted(let id, let pfn)):
            state.held.append(
                HeldGrant(
                    id: id, pfn: pfn, order: order, isCompound: isCompound, isWhole: true))
        case (_, .freed(_, let allocation, let pages)):
            guard let index = state.held.firstIndex(where: { $0.id == allocation }) else { return }
            if state.held[index].isWhole, pages < 1 << state.held[index].order {
                state.held[index].isWhole = false
            } else {
                state.held.remove(at: index)
                state.freed.append(allocation)
            }
        default: break
        }
    }
}
