// The n-th read, write, sync or truncate fails, for every n: what was acknowledged is there, what
// is there was requested, and nothing is acknowledged after the failure.

import Ledger
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A ledger over a failing disk")
struct LedgerFaultTests {
    /// A kind of fault at a kind of operation.
    struct Kind: Sendable, CustomTestStringConvertible {
        let operation: FaultyVFS.Operation
        let fault: FaultyVFS.Fault
        var remains = FaultyVFS.Remains.nothing

        var testDescription: String {
            "\(fault) at a \(operation)" + (fault == .powerLoss ? ", \(remains) remains" : "")
        }
    }

    static let kinds: [Kind] =
        FaultyVFS.Operation.allCases.flatMap { operation in
            [
                Kind(operation: operation, fault: .errorOnce),
                Kind(operation: operation, fault: .errorForGood),
            ]
        } + [Kind(operation: .write, fault: .noSpace)]
        + FaultyVFS.Remains.allCases.flatMap { remains in
            [FaultyVFS.Operation.write, .sync, .truncate].map {
                Kind(operation: $0, fault: .powerLoss, remains: remains)
            }
        }

    @Test("a session without a fault comes back whole")
    func noFault() throws {
        let session = FaultSession()
        session.play()
        #expect(session.failure == nil)
        #expect(session.failedReads == 0)
        #expect(session.acknowledged == ScriptedLife.entries.count)
        #expect((35...50).contains(session.acknowledged))
        try session.checkWhatIsLeft("no fault")
    }

    @Test("for every n", arguments: kinds)
    func everyOperation(kind: Kind) throws {
        var n = 0
        var hasStruck = true
        while hasStruck {
            n += 1
            let session = FaultSession()
            session.vfs.plan(kind.fault, at: kind.operation, n)
            session.play()
            hasStruck = session.vfs.hasStruck
            let place = "\(kind.testDescription), number \(n)"
            if kind.fault == .powerLoss {
                session.vfs.losePower(kind.remains, seed: UInt64(n))
            }
            try session.checkWhatIsLeft(place)
            guard hasStruck, session.failure == nil, session.failedReads == 0 else { continue }
            // SQLite does without a read that only a rollback of nothing needed.
            #expect(kind.operation == .read, "\(place) went unnoticed")
            #expect(session.acknowledged == ScriptedLife.entries.count, "\(place)")
        }
        // The session is long enough for the fault to have come everywhere.
        let least: [FaultyVFS.Operation: Int] = [.read: 80, .write: 200, .sync: 20, .truncate: 2]
        #expect(n > least[kind.operation, default: 0])
    }
}
