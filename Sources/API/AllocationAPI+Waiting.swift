// Allocations that wait for frees: the answer comes at the end of the turn that decides them.

import AllocationService
import HTTPServer
import Ledger
import PageAllocator
import Telemetry

/// A request that waits for pages.
struct WaitingCall {
    let call: AllocationAPI.Call
    let machine: SimulatedMachine

    /// Whom to answer: known once the handler has returned.
    var exchange: ExchangeID?
}

extension AllocationAPI {
    /// A request that has waited, and its answer, until the turn is committed.
    struct Settled {
        let exchange: ExchangeID
        let call: Call
        let response: HTTPResponse
    }

    /// Allocates, or leaves the request waiting.
    func allocate(
        _ record: AllocationRecord, on machine: SimulatedMachine, waiting milliseconds: UInt32,
        _ call: Call
    ) throws(Problem) -> Reply {
        let precondition = try Precondition(call.request)
        let outcome = try calling(on: machine) { () throws(ServiceFailure) in
            try service.allocate(
                record, on: machine, if: precondition, waiting: milliseconds, for: call.caller)
        }
        switch outcome {
        case .granted(let entry): return .now(granted(entry, on: machine))
        case .waiting(let ticket):
            return .waiting(ticket, WaitingCall(call: call, machine: machine))
        }
    }

    /// Decides what can be decided, at the turn's end and before its commit. The answers leave when
    /// that has come about (`sendSettled`).
    func settleWaiting() {
        guard !waiting.isEmpty else { return }
        if isDraining {
            service.abandonWaiting()
            let stopping = Problem(.unavailable, "the service is stopping; nothing was recorded")
            for waited in waiting.values { settle(waited, response(to: waited.call, stopping)) }
            waiting = [:]
            return
        }
        service.settleWaiting { ticket, result in
            guard let waited = waiting.removeValue(forKey: ticket) else {
                preconditionFailure("a wait of nobody")
            }
            settle(waited, answer(to: waited, result))
        }
    }

    private func answer(
        to waited: WaitingCall, _ result: Result<LedgerEntry, ServiceFailure>
    ) -> HTTPResponse {
        var answer: HTTPResponse
        switch result {
        case .success(let entry): answer = granted(entry, on: waited.machine)
        case .failure(let failure):
            answer = response(to: waited.call, Problem(failure, on: waited.machine))
        }
        guard let keyed = waited.call.caller.keyed else { return answer }
        do throws(Problem) {
            try keep(answer, of: keyed)
        } catch {
            // Never sent: the ledger has failed, and the turn ends without answers.
            answer = response(to: waited.call, error)
        }
        return answer
    }

    private func settle(_ waited: WaitingCall, _ response: HTTPResponse) {
        guard let exchange = waited.exchange else { preconditionFailure("a wait of nobody") }
        settled.append(Settled(exchange: exchange, call: waited.call, response: response))
    }

    /// Sends what the turn's commit has made durable.
    func sendSettled() {
        guard !settled.isEmpty, let completions else { return }
        let now = MonotonicClock.nanoseconds
        for settled in settled {
            note(late: settled.response.status, settled.call, at: now, reflecting: nil)
            completions.send(finished(settled.response, to: settled.call), for: settled.exchange)
        }
        settled = []
    }

    /// The peer has gone: the request leaves nothing behind.
    func abandonWait(of exchange: ExchangeID) {
        guard let ticket = waiting.first(where: { $0.value.exchange == exchange })?.key else {
            return
        }
        waiting[ticket] = nil
        service.abandon(ticket)
    }
}
