// `history.db` is made while the disk fails under it, or is broken off by loss of power or by a
// kill: who asks gets the same answers, before and after, and the ledger has no part in it.

import Ledger
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("An index over a failing disk")
struct IndexFaultTests {
    /// Runs of 16, 48 and 144 entries.
    private static let shape = IndexShape(entries: 16, mergedRuns: 3, levels: 3, chunkBytes: 96)
    private static let snapshotInterval: UInt64 = 64

    /// How many of the operations of a kind are struck, at even distances.
    private static let places = 10

    private static let batches = 60

    private static let stepsBetweenQuestions = 8

    /// Steps in which the whole of it is made several times over.
    private static let maximumSteps = 2000

    static let kinds: [LedgerFaultTests.Kind] =
        [FaultyVFS.Operation.write, .sync].flatMap { operation in
            [FaultyVFS.Fault.errorOnce, .errorForGood].map {
                LedgerFaultTests.Kind(operation: operation, fault: $0)
            }
                + FaultyVFS.Remains.allCases.map {
                    LedgerFaultTests.Kind(operation: operation, fault: .powerLoss, remains: $0)
                }
        } + [
            LedgerFaultTests.Kind(operation: .write, fault: .noSpace),
            LedgerFaultTests.Kind(operation: .read, fault: .errorOnce),
            LedgerFaultTests.Kind(operation: .read, fault: .errorForGood),
        ]

    @Test("at places all along: answers are right, and the ledger is as it was", arguments: kinds)
    func allAlong(kind: LedgerFaultTests.Kind) throws {
        let ledger = try WrittenLedger(batches: Self.batches)
        let vfs = FaultyVFS()
        let directory = LedgerDirectory(path: ledger.directory.path, vfs: vfs.name)
        #expect(try Self.follow(directory, ledger))
        let length = vfs.count(kind.operation)
        try #require(length > 5)
        var struck = 0
        for place in 0..<Self.places {
            try directory.remove(HistoryDatabase.fileName)
            vfs.losePower(.nothing, seed: 0)
            vfs.plan(kind.fault, at: kind.operation, 1 + place * length / Self.places)
            let isAnswered = try Self.follow(directory, ledger)
            // Only where the ledger itself cannot be read nobody is answered.
            #expect(isAnswered || kind.fault == .powerLoss || kind.operation == .read)
            if vfs.hasStruck { struck += 1 }
            if kind.fault == .powerLoss {
                vfs.losePower(kind.remains, seed: UInt64(place))
            } else {
                vfs.planNothing()
            }
            #expect(try Self.follow(directory, ledger), "after place \(place)")
        }
        #expect(struck >= Self.places / 2)
        try ledger.expectUnchanged()
    }

    /// Makes the index and the snapshots as far as that goes, and asks on the way.
    ///
    /// - Returns: whether each question was answered.
    private static func follow(
        _ directory: LedgerDirectory, _ ledger: WrittenLedger
    ) throws -> Bool {
        do throws(LedgerFailure) {
            let history = try SQLiteHistory.open(
                in: directory, shape: shape, snapshotInterval: snapshotInterval
            ) { _ in }
            var steps = 0
            repeat {
                if steps % stepsBetweenQuestions == 0 { try ask(history, ledger, steps) }
                steps += 1
            } while try history.housekeep() && steps < maximumSteps
            try ask(history, ledger, steps)
            #expect(steps < maximumSteps)
            return true
        } catch {
            return false
        }
    }

    /// - Parameter step: which of the states is asked for.
    private static func ask(
        _ history: SQLiteHistory, _ ledger: WrittenLedger, _ step: Int
    ) throws(LedgerFailure) {
        try ledger.expectEntries(ofOwner: step % ScriptedLife.owners, in: history)
        try ledger.expectState(at: step * 37 % ledger.entries.count, in: history)
    }
}
