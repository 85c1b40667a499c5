// One connection writes the ledger's database and checkpoints it, whatever else goes on: what the
// shim under all of them saw. The rule keeps SQLite's WAL-reset bug away (`SQLiteLedger`).

import CFaultyVFS
import Foundation
import Ledger
import PageAllocator
import Synchronization
import TestSupport
import Testing

@testable import SQLiteLedger

@Suite("One writer")
struct OneWriterTests {
    private static let batches = 600
    private static let readers = 2

    /// Runs of few entries, so that they are written and merged meanwhile.
    fileprivate static let shape = IndexShape(
        entries: 64, mergedRuns: 4, levels: 3, chunkBytes: 256)

    @Test("under load with history reads, index building, backup and verification")
    func underLoad() throws {
        let vfs = FaultyVFS()
        let temporary = TemporaryDirectory(in: "/dev/shm")
        let directory = LedgerDirectory(path: temporary.path, vfs: vfs.name)
        let ledger = try SQLiteLedger.open(in: directory, checkpointThreshold: 32)
        var life = ScriptedLife()
        try Self.write(&life, 1...20, to: ledger)

        let readers = (0..<Self.readers).map { number in HistoryReader(directory, number) }
        let finished = DispatchGroup()
        for reader in readers {
            finished.enter()
            Thread {
                reader.run()
                finished.leave()
            }.start()
        }
        try Self.write(&life, 21...Self.batches, to: ledger)
        for reader in readers { reader.stop() }
        finished.wait()
        try ledger.close()

        for reader in readers {
            #expect(reader.failures == [])
            #expect(reader.pages > 10)
        }
        #expect(readers.map(\.inspections).reduce(0, +) > 3)
        Self.expectOneWriter(vfs, openings: 1 + Self.readers)
    }

    private static func write(
        _ life: inout ScriptedLife, _ numbers: ClosedRange<Int>, to ledger: SQLiteLedger
    ) throws {
        for number in numbers {
            for entry in life.batch(number) { try ledger.append(entry) }
            try ledger.commit()
            try ledger.housekeep()
        }
    }

    private static func expectOneWriter(_ vfs: FaultyVFS, openings: Int) {
        let uses = vfs.uses(ofFilesEndingIn: "/gfpd.db")
        #expect(uses.count >= openings)
        let writers = uses.filter { $0.writes + $0.truncates + $0.checkpoint_locks > 0 }
        #expect(writers.count == 1)
        // It is the first one, which alone may write; and it did all of it.
        #expect(uses.first?.writes == writers.first?.writes)
        #expect(writers.allSatisfy { $0.writes > 100 && $0.checkpoint_locks > 20 })
        #expect(uses.dropFirst().allSatisfy { $0.syncs == 0 })
        #expect(vfs.uses(ofFilesEndingIn: "/history.db-wal").contains { $0.writes > 100 })
        let logs = vfs.uses(ofFilesEndingIn: "/gfpd.db-wal")
        #expect(logs.count >= openings)
        #expect(logs.count { $0.writes + $0.truncates + $0.syncs > 0 } == 1)
    }
}

/// Reads history in every way that there is, on a thread of its own, until it is told to stop.
private final class HistoryReader: Sendable {
    private struct State {
        var pages = 0
        var inspections = 0
        var failures: [String] = []
    }

    private let directory: LedgerDirectory
    private let number: Int
    private let isStopped = Atomic(false)
    private let state = Mutex(State())

    init(_ directory: LedgerDirectory, _ number: Int) {
        self.directory = directory
        self.number = number
    }

    var pages: Int { state.withLock { $0.pages } }

    /// Backups and verifications.
    var inspections: Int { state.withLock { $0.inspections } }

    var failures: [String] { state.withLock { $0.failures } }

    func stop() {
        isStopped.store(true, ordering: .releasing)
    }

    func run() {
        do {
            let history = try SQLiteHistory.open(
                in: directory, shape: OneWriterTests.shape, snapshotInterval: 100)
            var random = SeededGenerator(seed: UInt64(number))
            while !isStopped.load(ordering: .acquiring) {
                try read(history, &random)
                state.withLock { $0.pages += 1 }
                // The index has one builder.
                if number == 0 { _ = try history.housekeep() }
                if random.chance(percent: 10) { try inspect() }
            }
        } catch {
            state.withLock { $0.failures.append("\(error)") }
        }
    }

    private func read(_ history: SQLiteHistory, _ random: inout SeededGenerator) throws {
        var query = HistoryQuery()
        query.pageSize = random.below(100) + 1
        query.isDescending = random.chance(percent: 50)
        query.owner = random.pick([nil, "owner-1"])
        let entries = try history.page(query).entries
        guard let entry = entries.last else { return }
        let again = try history.entry(at: entry.sequence)
        if again != entry { throw DifferentEntry(sequence: entry.sequence) }
        if random.chance(percent: 5) { _ = try history.state(at: entry.sequence) }
    }

    private func inspect() throws {
        let ledger = try LedgerInspection.open(in: directory)
        let copies = TemporaryDirectory(in: "/dev/shm")
        let head = try ledger.backUp(to: copies.file("copy.db"))
        let verification = try ledger.verifyEntries()
        guard verification.misfit == nil, verification.head.sequence >= head.sequence else {
            throw DifferentEntry(sequence: verification.head.sequence)
        }
        state.withLock { $0.inspections += 1 }
    }

    private struct DifferentEntry: Error {
        let sequence: Sequence
    }
}
