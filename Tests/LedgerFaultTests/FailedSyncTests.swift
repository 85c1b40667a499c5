// After a sync that failed the cache holds what the disk never got, and says that it is clean. The
// process ends, the next one reads the cache and goes on; then the power goes. Nothing that either
// of them acknowledged, or that the second one read, may be gone.

import Ledger
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("A sync that failed, a restart, and loss of power")
struct FailedSyncTests {
    @Test("for every sync, whatever the power leaves", arguments: FaultyVFS.Remains.allCases)
    func everySync(remains: FaultyVFS.Remains) throws {
        var n = 0
        var hasStruck = true
        while hasStruck {
            n += 1
            let session = FaultSession()
            session.vfs.plan(.errorOnce, at: .sync, n)
            session.play()
            hasStruck = session.vfs.hasStruck
            session.vfs.planNothing()
            try session.goOn()
            session.vfs.losePower(remains, seed: UInt64(n))
            try session.checkWhatIsLeft("sync \(n)")
        }
        #expect(n > 20)
    }
}
