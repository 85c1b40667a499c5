import API
import HTTPServer
import Ledger
import TestSupport

/// Whole requests, whatever their methods, targets, fields and bodies, one after the other on a
/// connection to a prepared service that lets in two: who shows `a` may do everything, who shows
/// `r` may read. Each is answered; nobody else leaves an entry; and what entries say of their
/// requests has the form that it is to have.
enum RequestTarget {
    private static let maximumBytes = 16 << 10
    private static let maximumRequests = 16

    /// By `a` and by `r`, hashed.
    private static let tokens = """
        root admin sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
        reader read sha256:454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1
        """

    private static let access: AccessPolicy = {
        do throws(AccessTokens.Failure) {
            return AccessPolicy(tokens: try AccessTokens(text: tokens))
        } catch {
            preconditionFailure("the tokens are read: \(error)")
        }
    }()

    static func run(_ input: [UInt8]) {
        guard input.count <= maximumBytes else { return }
        let service = PreparedService(access: access)
        var parser = HTTPRequestParser(limits: AllocationAPI.serverLimits)
        parser.append(input)
        for _ in 0..<maximumRequests {
            switch parser.next() {
            case .request(let request): check(request, service)
            case .needMore: return
            case .failed(let error):
                precondition(service.answer(toMalformed: error).status == error.status)
                return
            }
        }
    }

    private static func check(_ request: HTTPRequest, _ service: PreparedService) {
        let before = service.ledger.committed.count
        // A request may wait for frees that never come.
        guard let answer = service.answer(to: request) else { return }
        // The past is not there to be asked: 503.
        precondition((200..<500).contains(answer.status) || answer.status == 503)
        let entries = service.ledger.committed[before...]
        precondition(entries.isEmpty || isAdministrator(request), "an entry of nobody's")
        for entry in entries { check(entry) }
    }

    private static func isAdministrator(_ request: HTTPRequest) -> Bool {
        let credentials = request.header("authorization") ?? ""
        return credentials.lowercased().hasPrefix("bearer ") && credentials.hasSuffix(" a")
    }

    private static func check(_ entry: LedgerEntry) {
        precondition(entry.principal == "root")
        precondition((1...128).contains(entry.requestID.utf8.count))
        precondition(entry.requestID.utf8.allSatisfy { (0x20...0x7e).contains($0) })
        guard let trace = entry.traceParent else { return }
        precondition(trace.utf8.count == 55)
        precondition(
            trace.wholeMatch(of: /[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/) != nil)
    }
}
