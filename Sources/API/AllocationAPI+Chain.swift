// The chain of hashes that holds the ledger together: where it ends, and whether it holds.

import AllocationService
import HTTPServer
import JSON
import Ledger

extension AllocationAPI {
    /// GET /v1/ledger/head. Whoever keeps it can tell later whether anything up to that entry was
    /// changed.
    func getLedgerHead(_ call: Call) throws(Problem) -> HTTPResponse {
        try expectPlainJSON(call)
        let head = service.head
        return json { writer in
            writer.beginObject()
            writer.members(of: head)
            if head.sequence > .zero { writer.member("time", service.state.lastTime) }
            writer.endObject()
        }
    }

    /// POST /v1/ledger/verify: goes along the chain again, on the history thread. Changes and
    /// records nothing.
    func verifyLedger(_ call: Call) throws(Problem) -> Reply {
        try expectPlainJSON(call)
        _ = try MediaType.ofBody(call.request, among: [.json])
        let range = try VerificationBody(call.request.body)
        return .later(.verification(.asked(from: range.from, to: range.to))) {
            (answer) throws(Problem) in
            guard case .verification(let verification) = try answer.checked() else {
                preconditionFailure("a verification was asked for")
            }
            return json { writer in writer.value(verification) }
        }
    }
}

/// The body of `POST /v1/ledger/verify`: none for all of the ledger.
private struct VerificationBody {
    private(set) var from: Sequence?
    private(set) var to: Sequence?

    init(_ bytes: [UInt8]) throws(Problem) {
        if !bytes.isEmpty {
            do throws(JSONError) {
                try read(bytes)
            } catch {
                throw Problem(error)
            }
        }
        if let from, let to, from > to { throw Problem(at: "/from", "must not be above to") }
    }

    private mutating func read(_ bytes: [UInt8]) throws(JSONError) {
        var body = self
        var reader = JSONReader(bytes)
        try reader.readObject { (key, reader) throws(JSONError) in
            switch key {
            case "from": body.from = try reader.readSequence()
            case "to": body.to = try reader.readSequence()
            default: throw JSONReader.unknownMember(key)
            }
        }
        try reader.finish()
        self = body
    }
}

extension JSONWriter {
    fileprivate mutating func members(of head: ChainHead) {
        member("sequence", head.sequence.rawValue)
        member("hash", head.hash.text)
    }

    fileprivate mutating func value(_ verification: ChainVerification) {
        beginObject()
        member("entries", verification.entries)
        key("head")
        beginObject()
        members(of: verification.head)
        endObject()
        member("ok", verification.misfit == nil)
        if let misfit = verification.misfit {
            member("first_bad", misfit.sequence.rawValue)
            member("reason", misfit.reason)
        }
        endObject()
    }
}
