// A request that comes again under its `Idempotency-Key` gets the answer of the first time, byte
// for byte. Most requests are decided as they come. One that asks the ledger first is decided when
// that has answered; whichever of several under one key comes to its decision first is the first.
// One that waits for pages is under way until it is decided, and its key is in use.

import AllocationService
import Digest
import HTTPServer
import Ledger

extension AllocationAPI {
    /// The answer of the first time, or for the first time.
    func reply(
        to call: Call, _ endpoint: Endpoint, under text: String
    ) throws(Problem) -> Reply {
        let keyed = KeyedRequest(try Self.key(text, of: call))
        var call = call
        call.caller.keyed = keyed
        return try once(keyed, call) { [call] () throws(Problem) in try reply(to: call, endpoint) }
    }

    /// Takes the next step towards the first answer, unless another request under the key has come
    /// to it by now.
    private func once(
        _ keyed: KeyedRequest, _ call: Call, _ step: () throws(Problem) -> Reply
    ) throws(Problem) -> Reply {
        let kept = try calling { () throws(ServiceFailure) in
            try service.answer(under: keyed.key)
        }
        if let kept { return .now(try Self.replayed(kept)) }
        let reply = reply(to: call, step)
        switch reply {
        case .now(let response):
            try keep(response, of: keyed)
            return reply
        case .asking(let question, let goOn):
            return .asking(question) { [self] (answer) throws(Problem) in
                try once(keyed, call) { () throws(Problem) in try goOn(answer) }
            }
        case .waiting, .stream:
            return reply
        }
    }

    /// Keeps the answer under the key of its request, in the commit of the entry.
    func keep(_ response: HTTPResponse, of keyed: KeyedRequest) throws(Problem) {
        try calling { () throws(ServiceFailure) in
            try service.keep(KeptAnswer(response), of: keyed)
        }
    }

    private func reply(to call: Call, _ step: () throws(Problem) -> Reply) -> Reply {
        do throws(Problem) { return try step() } catch { return .now(response(to: call, error)) }
    }

    private static func key(
        _ text: String, of call: Call
    ) throws(Problem) -> IdempotencyKey {
        let length = ServiceLimits.idempotencyKeyLength
        guard (1...length).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            throw Problem(
                at: "/header/Idempotency-Key", "must be 1 to \(length) printable ASCII characters")
        }
        return IdempotencyKey(key: text, fingerprint: fingerprint(call))
    }

    /// SHA-256 of method, path, query and body, and where principals are known, of that: nobody
    /// gets the answer to what another one asked. What stands before the body holds no line feed,
    /// so that the parts are told from each other.
    private static func fingerprint(_ call: Call) -> [UInt8] {
        let request = call.request
        var head = Array(request.method.name.utf8) + [UInt8(ascii: " ")] + request.path
        if let query = request.query { head += [UInt8(ascii: "?")] + query }
        if let principal = call.caller.principal { head += Array(" \(principal.name)".utf8) }
        head.append(UInt8(ascii: "\n"))
        let hash = SHA256()
        hash.update(head.span)
        hash.update(request.body.span)
        return hash.finish().bytes
    }

    private static func replayed(_ answer: KeptAnswer) throws(Problem) -> HTTPResponse {
        guard
            var response = HTTPResponse(
                status: answer.status, ownFields: Array(answer.fields.utf8), body: answer.body)
        else {
            throw Problem(LedgerFailure(.corrupt, "what was kept under the key is no answer"))
        }
        response.addField("Idempotency-Replayed", "true")
        return response
    }
}

extension KeptAnswer {
    fileprivate init(_ response: HTTPResponse) {
        self.init(
            status: response.status, fields: String(decoding: response.ownFields, as: UTF8.self),
            body: response.body)
    }
}
