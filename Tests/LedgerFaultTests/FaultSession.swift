// A session with a ledger over the shim, always the same one: a new ledger, the first batches, a
// close, the rest after opening it again, with checkpoints and history reads between. It goes on
// until the fault, or to its end.

import Ledger
import PageAllocator
import SQLite
import TestSupport
import Testing

@testable import SQLiteLedger

final class FaultSession {
    /// So small that the script's batches fill the log several times.
    static let checkpointThreshold = 16

    let vfs = FaultyVFS()
    let directory = TemporaryDirectory(in: "/dev/shm")

    /// Entries handed to the ledger, and those whose commit returned.
    private(set) var requested = 0
    private(set) var acknowledged = 0

    /// What ended it; nil where nothing did.
    private(set) var failure: LedgerFailure?

    /// History reads that threw.
    private(set) var failedReads = 0

    /// Plays the script up to the first failure.
    func play() {
        do throws(LedgerFailure) {
            try play(ScriptedLife.batches[..<8])
            try play(ScriptedLife.batches[8...])
        } catch {
            failure = error
        }
    }

    private func play(_ batches: ArraySlice<[LedgerEntry]>) throws(LedgerFailure) {
        let ledger = try openOverShim()
        do throws(LedgerFailure) {
            #expect(ledger.lastSequence == Sequence(UInt64(acknowledged)))
            for batch in batches {
                for entry in batch {
                    requested += 1
                    try ledger.append(entry)
                }
                try ledger.commit()
                acknowledged = requested
                read(ledger.lastSequence)
                try ledger.housekeep()
            }
        } catch {
            expectSilence(ledger, error)
            throw error
        }
        try ledger.close()
    }

    fileprivate func openOverShim() throws(LedgerFailure) -> SQLiteLedger {
        try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path, vfs: vfs.name),
            checkpointThreshold: Self.checkpointThreshold)
    }

    /// History may fail to be read; it never says anything else than what was written.
    private func read(_ last: Sequence) {
        do {
            let history = try SQLiteHistory.open(
                in: LedgerDirectory(path: directory.path, vfs: vfs.name))
            let entry = try history.entry(at: last)
            #expect(entry == ScriptedLife.entries[Int(last.rawValue) - 1])
        } catch {
            failedReads += 1
        }
    }

    /// After a failure everything that could be acknowledged fails in the same way.
    private func expectSilence(_ ledger: SQLiteLedger, _ failure: LedgerFailure) {
        #expect(throws: failure) { try ledger.commit() }
        #expect(throws: failure) { try ledger.housekeep() }
        let next = ScriptedLife.entries.first { $0.sequence == ledger.lastSequence.next }
        if let next { #expect(throws: failure) { try ledger.append(next) } }
        #expect(throws: failure) { try ledger.commit() }
    }
}

// MARK: A restart

extension FaultSession {
    /// Opens the ledger over the shim as the next process would, on a machine that still runs, and
    /// writes what is left of the script.
    func goOn() throws {
        let ledger = try openOverShim()
        let recovered = Int(ledger.lastSequence.rawValue)
        #expect(acknowledged <= recovered && recovered <= requested)
        for entry in ScriptedLife.entries[recovered...] { try ledger.append(entry) }
        try ledger.commit()
        (requested, acknowledged) = (ScriptedLife.entries.count, ScriptedLife.entries.count)
    }
}

// MARK: Afterwards

extension FaultSession {
    /// Opens what is left as a new process would, over SQLite's own VFS, and holds it against what
    /// was acknowledged and what was requested.
    func checkWhatIsLeft(_ place: String) throws {
        let ledger = try SQLiteLedger.open(
            in: LedgerDirectory(path: directory.path),
            checkpointThreshold: Self.checkpointThreshold)
        var recovered: [LedgerEntry] = []
        try ledger.replay { (entry) throws(RecoveryFailure) in recovered.append(entry) }
        #expect(acknowledged <= recovered.count && recovered.count <= requested, "\(place)")
        #expect(recovered == Array(ScriptedLife.entries.prefix(recovered.count)), "\(place)")

        #expect(ledger.head.hash == recovered.last?.hash ?? .zero, "\(place)")

        let state = try LedgerState.recover(from: ledger)
        #expect(LedgerStateImage(state) == ScriptedLife.states[recovered.count], "\(place)")
        for machine in state.machines { machine.allocator.checkInvariants() }
        #expect(Self.framesGrantedTwice(recovered) == [], "\(place)")

        // It goes on.
        for entry in ScriptedLife.entries[recovered.count...] { try ledger.append(entry) }
        try ledger.commit()
        try ledger.close()
        let connection = try LedgerDirectory(path: directory.path).connect(.readOnly)
        #expect(try connection.pragma("integrity_check") == "ok", "\(place)")
    }

    /// Frames that a grant got while another one held them.
    private static func framesGrantedTwice(_ entries: [LedgerEntry]) -> [UInt64] {
        var held: [MachineID: [UInt64: AllocationID]] = [:]
        var twice: [UInt64] = []
        for entry in entries {
            switch entry.event {
            case .granted(_, let grant):
                let id = AllocationID(entry.sequence.rawValue)
                let frames = grant.segments.map {
                    $0.lowerBound.rawValue..<$0.upperBound.rawValue
                }
                for frame in frames.joined() {
                    let holder = held[entry.machine, default: [:]].updateValue(id, forKey: frame)
                    if holder != nil { twice.append(frame) }
                }
            case .freed(_, let freed):
                held[entry.machine] = held[entry.machine]?.filter { $0.value != freed.allocation }
            default:
                break
            }
        }
        return twice
    }
}
