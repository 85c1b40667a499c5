// A request that comes again under its `Idempotency-Key` gets the answer of the first time, byte
// for byte. The loop decides one request after the other, so that the first is never still under
// way.

import AllocationService
import Digest
import HTTPServer
import Ledger

extension AllocationAPI {
    /// The answer of the first time, or for the first time.
    func answer(
        to call: Call, _ endpoint: Endpoint, under text: String
    ) throws(Problem) -> HTTPResponse {
        let key = try Self.key(text, of: call.request)
        let kept = try calling { () throws(ServiceFailure) in try service.answer(under: key) }
        if let kept { return try Self.replayed(kept) }
        var call = call
        let keyed = KeyedRequest(key)
        call.keyed = keyed
        let response = firstAnswer(to: call, endpoint)
        try calling { () throws(ServiceFailure) in
            try service.keep(KeptAnswer(response), of: keyed)
        }
        return response
    }

    private func firstAnswer(to call: Call, _ endpoint: Endpoint) -> HTTPResponse {
        do throws(Problem) {
            guard case .now(let response) = try reply(to: call, endpoint) else {
                preconditionFailure("what changes the state is decided at once")
            }
            return response
        } catch {
            return response(to: call, error)
        }
    }

    private static func key(
        _ text: String, of request: HTTPRequest
    ) throws(Problem) -> IdempotencyKey {
        let length = ServiceLimits.idempotencyKeyLength
        guard (1...length).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            throw Problem(
                at: "/header/Idempotency-Key", "must be 1 to \(length) printable ASCII characters")
        }
        return IdempotencyKey(key: text, fingerprint: fingerprint(request))
    }

    /// SHA-256 of method, path, query and body. What stands before the body holds no line feed, so
    /// that the parts are told from each other.
    private static func fingerprint(_ request: HTTPRequest) -> [UInt8] {
        var head = Array(request.method.name.utf8) + [UInt8(ascii: " ")] + request.path
        if let query = request.query { head += [UInt8(ascii: "?")] + query }
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
